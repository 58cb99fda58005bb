"""State of a run on the Monitor page: badge, progress, stop and resume, log, notes, what can be taken home."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from pages.shared import reading
from pages.shared.live_numbers import Numbers, live_numbers
from pages.shared.looks import ACTIVE, state_badge
from pages.shared.report_button import run_report_button
from pages.shared.watchers import Pace
from pages.shared.words import HELP_GAUGE, duration, pixels
from tomoalign_core.learn.exports import metrics_csv, tensorboard_zip
from tomoalign_core.learn.jobs import State, read_only
from tomoalign_core.learn.runs import Run, Status, queue_position, resume

QUIET_S = 5.0  # a training writes its status twice a second, but for a long step or a validation
SILENT_S = 120.0


def has_weights(run: Run) -> bool:
    """Whether an epoch has ended, so that there is a network to align with."""
    return (run.path / "best.safetensors").exists()


def controls(run: Run, status: Status) -> None:
    """The state; stop, resume and where to go from here."""
    state = status.state
    again = state == "failed" and failure_of(status).again  # then other settings are the way on
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        state_badge(state)
        if not read_only():
            _duplicate(run, first=again)
            _stop_or_resume(run, state, first=not again)
        if has_weights(run):
            st.page_link(
                "pages/align.py", label="Align with it", icon=":material/align_horizontal_center:",
                query_params={"model": run.id},
            )  # fmt: skip


def _duplicate(run: Run, *, first: bool) -> None:
    """The way to Train with these settings; a button where it is the first thing to do."""
    words, icon, query = "Duplicate with changes", ":material/content_copy:", {"from": run.id}
    about = "Train begins with the settings of this run."
    if not first:
        st.page_link("pages/train.py", label=words, icon=icon, query_params=query, help=about)
    elif st.button(words, type="primary", icon=icon, key="duplicate", help=about):
        st.switch_page("pages/train.py", query_params=query)


def _stop_or_resume(run: Run, state: State, *, first: bool) -> None:
    asked = (run.path / "stop").exists()
    if state in ACTIVE and st.button(
        "Stopping …" if asked else "Stop",
        icon=":material/stop_circle:",
        key="stop",
        disabled=asked,
        help="At its next batch, with a checkpoint.",
    ):
        run.request_stop()
        st.rerun()
    if state in ("stopped", "interrupted", "failed") and st.button(
        "Resume", type="primary" if first else "secondary", icon=":material/play_arrow:", key="resume",
        help="From its last checkpoint." if first else "From its last checkpoint; it would most likely fail again.",
    ):  # fmt: skip
        resume(run)
        st.rerun()


def header(run: Run, status: Status) -> None:
    """Why it failed, if it did, and the numbers that ``live_link`` keeps up to date."""
    if status.state == "failed":
        st.error(failure_of(status).words, icon=":material/error:")
    live_numbers(numbers(run, status, Pace(1.0, 1)))


def numbers(run: Run, status: Status, pace: Pace) -> Numbers:
    """State in words, progress and rate."""
    running = status.state == "running"
    best = f"Best RMSE, epoch {status.best_epoch}" if status.best_epoch else "Best RMSE"
    rate = f"{status.items_per_s:.1f}" if status.items_per_s else "–"
    memory = f"{status.memory_mb / 1000:.2f} GB" if status.memory_mb else "–"
    crowd = f"updates every {pace.interval_s:.1f} s: {pace.watching} are watching" if pace.interval_s > 1 else ""
    return {
        "words": state_words(run, status),
        "note": crowd,
        "share": min(status.step / max(status.steps, 1), 1.0),
        "progress": f"step {status.step:,} of {status.steps:,} · epoch {status.epoch} of {status.epochs}",
        "values": [
            (best, pixels(status.best_rmse_px), f"Over all validation stacks, dx and dy. {HELP_GAUGE}"),
            ("Last RMSE", pixels(status.last_rmse_px), "At the end of the last epoch."),
            ("Time left", duration(status.eta_s if running else None), "At the present rate."),
            ("Trained for", duration(status.elapsed_s), "All sessions together."),
            ("Stacks/s", rate, "Training stacks simulated and learnt from, per second."),
            ("Memory", memory, "Peak of its process, or of its GPU."),
        ],
    }


def state_words(run: Run, status: Status) -> str:
    """What the state means now, in a sentence."""
    where = f"{reading.config_of(str(run.path)).model.name} on {status.device or 'a device to be found'}"
    match status.state:
        case "queued":
            place = queue_place(str(run.path))
            line = {None: "", 1: "next in the queue; "}.get(place, f"number {place} in the queue; ")
            return f"{where}: {line}{status.message or 'its process is starting'}"
        case "running":
            silent = time.time() - status.updated
            if silent < QUIET_S:
                return f"training {where}"
            words = f"training {where}; last sign of life {duration(silent)} ago"
            more = ": its process lives, but is in a very long step or hangs; see the log, or stop it"
            return words + (more if silent > SILENT_S else "")
        case "interrupted":
            return (
                f"{where}: its process is gone without a word, killed (as when memory is short) or with its machine. "
                "Resume goes on from the last checkpoint."
            )
        case "failed":
            return where if status.device else reading.config_of(str(run.path)).model.name
        case _:
            return f"{where}, {status.message}" if status.message else where


@st.cache_data(max_entries=16, ttl=2, show_spinner=False)
def queue_place(path: str) -> int | None:
    """A run's place in the queue; it takes a look at all runs, so not at each look at one."""
    return queue_position(Run(Path(path)))


class Failure(NamedTuple):
    """Why a training failed and what to do about it; ``again``: as it is set, it would only fail again."""

    words: str
    again: bool


def failure_of(status: Status) -> Failure:
    """What the message of a failed training means."""
    said = status.message
    if not said:
        return Failure("It failed without a word. The log below is all there is; Resume tries once more.", False)
    if said.startswith("the loss is"):
        return Failure(f"It diverged: {said}. Resume would repeat it; duplicate it with changes instead.", True)
    if said.startswith("out of memory"):
        return Failure(f"It ran {said}. Duplicate it with changes, or resume it when the device is free.", True)
    if re.match(r"[A-Za-z_.]+(Error|Exception|Interrupt|Exit)\b", said):
        return Failure(
            f"It ended with an error that it has no words for: {said}. The log below tells where. "
            "Mend what it names and resume, or duplicate it with changes.",
            False,
        )
    if said.startswith("ended at step"):
        return Failure(f"It {said}. Once that is mended, resume it.", False)
    return Failure(f"It could not begin: {said}. Duplicate it with changes and choose otherwise.", True)


def log_tail(run: Run, *, opened: bool = False) -> None:
    """The last words of the process; read only while they are looked at."""
    key = f"log-tail-{run.id}"
    with st.expander("Log", icon=":material/terminal:", key=key, on_change="rerun", expanded=opened) as shown:
        if shown.open:
            st.code(
                run.log_tail() or ("It said nothing." if opened else "Nothing said yet."),
                language=None,
                wrap_lines=True,
            )


def notes(run: Run) -> None:
    """What people want to remember of this run, kept in its folder."""
    key = f"notes-{run.id}"
    kept, seen = run.notes(), f"{key}-seen"

    def save() -> None:
        run.write_notes(st.session_state[key])
        st.session_state[seen] = st.session_state[key]
        st.toast("Notes saved.", icon=":material/save:")

    if st.session_state.get(seen) != kept:  # the first time, or somebody else has written
        st.session_state[key] = st.session_state[seen] = kept
    with st.expander("Notes", icon=":material/edit_note:", expanded=bool(kept)):
        if read_only():
            st.markdown(kept or "None.")
        else:
            st.text_area(
                "Notes", key=key, on_change=save, height=120, label_visibility="collapsed",
                placeholder="What was tried, and what came of it; Markdown. Saved when you leave the field.",
            )  # fmt: skip


def downloads(run: Run) -> None:
    """What can be taken home; nothing is read before the click."""
    files = {
        "Metrics (CSV)": (lambda: metrics_csv(run), f"{run.id}.csv", "text/csv"),
        "Settings (JSON)": ((run.path / "config.json").read_text, f"{run.id}.json", "application/json"),
        "TensorBoard (zip)": (lambda: tensorboard_zip(run), f"{run.id}-tensorboard.zip", "application/zip"),
    }
    for kind in ("best", "last"):
        path = run.path / f"{kind}.safetensors"
        if path.exists():
            files[f"{kind.capitalize()} weights"] = (path.read_bytes, f"{run.id}-{kind}.safetensors", None)
    with st.container(horizontal=True):
        for label, (data, name, mime) in files.items():
            st.download_button(label, data, name, mime, icon=":material/download:", on_click="ignore")
        run_report_button(run)
    st.caption("Each chart has a PNG button in its lower right corner.")
