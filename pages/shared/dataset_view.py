"""One built data set: its state while it is built, what it holds, how its shifts are spread, its stacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared.dataset_form import estimate_of, parts_table, shapes_box
from pages.shared.looks import ACTIVE, chart, is_dark, state_badge
from pages.shared.sources import PATH
from pages.shared.words import duration
from tomoalign_core.config import InputError
from tomoalign_core.files.simulated import read_pictures, read_truth
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.jobs import State, read_only
from tomoalign_core.learn.room import in_words
from tomoalign_core.learn.store import BuiltSet, delete_set, launch_build
from tomoalign_core.show import figures
from tomoalign_core.show.histograms import shift_histograms

URL = "query-params"
TICK_S = 1.0


def set_view(built: BuiltSet) -> None:
    """All that there is to see of a set and to do with it."""
    state = built.status().state
    st.button("All data sets", icon=":material/arrow_back:", type="tertiary", key="back", on_click=leave)
    left, right = st.columns([2, 1.4], vertical_alignment="center")
    with left, st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(built.config.name, anchor=False, width="content")
        state_badge(state)
    with right:
        actions(built, state)
    if state != "finished":
        st.fragment(live, run_every=TICK_S if state in ACTIVE else None)(built, state)
    else:
        size_and_split(built)
    holds(built)
    if built.is_done:
        spread(built)
    samples(built)


def leave() -> None:
    """Back to the form and the list."""
    st.query_params.clear()


def actions(built: BuiltSet, state: State) -> None:
    """Cancel, resume, train on it, delete. Outside the live part, so that a click does not wait for a tick."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        if built.is_done:
            st.page_link(
                "pages/train.py",
                label="Train on it",
                icon=":material/model_training:",
                query_params={"dataset": built.id},
            )
        if read_only():
            return
        asked = (built.path / "stop").exists()
        if state in ACTIVE:
            if st.button(
                "Cancelling …" if asked else "Cancel", icon=":material/stop_circle:", key="cancel", disabled=asked,
                help="After the stack at hand; what is built is kept, and Resume goes on from there.",
            ):  # fmt: skip
                built.request_stop()
                st.rerun()
            return
        if not built.is_done and st.button(
            "Resume", type="primary", icon=":material/play_arrow:", key="resume", help="With the stacks it has."
        ):
            launch_build(built.config)
            st.rerun()
        if st.button("Delete", icon=":material/delete:", key="delete", help="Asks first."):
            ask_to_delete(built)


@st.dialog("Delete this data set?")
def ask_to_delete(built: BuiltSet) -> None:
    """The question before a set is deleted."""
    if not built.path.exists():  # it is answered, or somebody else has deleted the set
        st.rerun()
    n = sum(built.split)
    st.markdown(f"**{built.config.name}**, {n} stacks, {in_words(built.size_bytes)}, `{built.id}`")
    st.caption(
        "The same settings build the same stacks again. A training that reads them now goes on: it makes them from "
        "the settings."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep", key="keep"):
            st.rerun()
        st.button("Delete", type="primary", icon=":material/delete:", key="delete-now", on_click=delete, args=(built,))


def delete(built: BuiltSet) -> None:
    """Delete a set, and leave its page."""
    name = built.config.name
    try:
        delete_set(built)
    except InputError as error:
        st.session_state["said"] = str(error)
        return
    st.session_state["said"] = f"Deleted {name}."
    leave()


def live(built: BuiltSet, drawn: State) -> None:
    """How far the build is; runs every second, and reads afresh what it shows."""
    status = built.status()
    if status.state != drawn:
        st.rerun()  # the buttons outside belong to another state
    if status.state == "failed":
        st.error(status.message or "It failed without a word; see the log.", icon=":material/error:")
    elif status.state == "interrupted":
        st.warning("Its process is gone. Resume goes on with the stacks it has.", icon=":material/power_off:")
    elif status.state == "stopped":
        st.info("Cancelled. Resume goes on with the stacks it has.", icon=":material/pause_circle:")
    total = max(status.total, 1)
    words = f"{status.done} of {status.total} stacks"
    if status.state == "running" and status.eta_s is not None:
        words += f" · {duration(status.eta_s)} left · {status.items_per_s:.2g} stacks a second"
    elif status.state == "queued":
        words += " · starting"
    st.progress(min(status.done / total, 1.0), words)
    size_and_split(built)
    if status.state in ("failed", "interrupted"):
        with st.expander("Log", icon=":material/terminal:"):
            st.code(built.log_tail() or "Nothing said.", language=None)


def size_and_split(built: BuiltSet) -> None:
    """How many stacks there are for what, and what they take, now; of a set that is not done, of how many."""
    endless = built.config.fixed is None
    there = [*(f"{stacks:,}" for stacks in built.split), in_words(built.size_bytes)]
    if not built.is_done:
        whole = estimate_of(built.config.to_json(indent=None))
        training, *checks = (part.stacks for part in whole.parts)
        ends = (f"{training:,}", f"{sum(checks):,}", in_words(whole.disk_bytes))
        there = [f"{now} of {end}" for now, end in zip(there, ends, strict=True)]
    about = (
        "To look at: an endless set makes its own." if endless else "Seen each epoch.",
        "On which every epoch is scored.",
        "The whole folder.",
    )
    facts = zip(("Training stacks", "Validation stacks", "On disk"), there, about, strict=True)
    with st.container(horizontal=True, gap="large"):
        for name, value, about in facts:
            st.metric(name, value, help=about, width="content")


def holds(built: BuiltSet) -> None:
    """Shapes, key and settings."""
    config = built.config
    endless = config.fixed is None
    when = f"{'built' if built.is_done else 'begun'} {built.made:%-d %b, %H:%M}"
    st.caption(
        f"{'Endless' if endless else 'Fixed'} · seed {config.seed} · {when} · key `{built.id}` · folder `{built.path}`",
        help="The key names the settings: the same settings have the same key, whatever the name.",
    )
    parts_table(estimate_of(config.to_json(indent=None)))
    shapes_box(config)
    st.download_button(
        "Settings (JSON)", config.to_json(), f"{built.id}.json", "application/json",
        icon=":material/download:", on_click="ignore",
        help="For the command line: python -m tomoalign_core build --config FILE",
    )  # fmt: skip


def spread(built: BuiltSet) -> None:
    """The histogram of all true shifts."""
    st.markdown("**The true shifts** of all views: what a network has to find")
    figure = histogram_of(str(built.path), built.made.timestamp(), is_dark())
    chart(figure, key="spread", alt="Histograms of dx, dy and roll over all views of the set")


@st.cache_data(max_entries=16, show_spinner=False)
def histogram_of(path: str, made: float, dark: bool) -> object:
    """The figure; a set that is done does not change."""
    labels = BuiltSet(Path(path)).labels()
    parts = {"dx": labels.dx_px, "dy": labels.dy_px}
    if np.any(labels.roll_deg):
        parts["roll"] = labels.roll_deg
    return shift_histograms(parts, dark=dark)


# ---------------------------------------------------------------- stacks


def samples(built: BuiltSet) -> None:
    """Pick a stack and look at it."""
    names = {part: each for part, each in built.names().items() if each}
    if not names:
        st.info("The first stacks appear here once they are built.", icon=":material/hourglass_top:")
        return
    st.markdown("**Stacks**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.selectbox(
            "Part", list(names), key="part", bind=URL, width=240, help="Training, or a validation case."
        )
        number = st.number_input(
            f"Stack, 0 – {len(names[part]) - 1}", 0, len(names[part]) - 1, 0, key="stack", bind=URL, width=160,
            help="Counted from 0.",
        )  # fmt: skip
        path = built.stack_path(names[part][number])
        st.page_link(
            "pages/align.py",
            label="Align this stack",
            icon=":material/align_horizontal_center:",
            query_params={"source": PATH, "path": str(path)},
        )
    try:
        look_at(path)
    except (InputError, FileNotFoundError) as error:
        st.error(str(error), icon=":material/error:")


def look_at(path: Path) -> None:
    """Projection, sinogram and movement of one stack."""
    stamp = path.stat().st_mtime_ns
    truth, (n_views, n_rows, n_cols) = stack_of(str(path), stamp)
    dark = is_dark()
    left, middle, right = st.columns([1, 1, 1.2])
    with left:
        view = st.slider("View", 0, n_views - 1, 0, key="view", bind=URL, help="Projection shown, counted from 0.")
    with middle:
        row = st.slider(
            "Detector row, px", 0, n_rows - 1, n_rows // 2, key="row", bind=URL, help="Row of the sinogram."
        )
    projection, sinogram = pictures_of(str(path), stamp, view, row)
    title = f"{np.rad2deg(truth.angle_rad[view]):.0f}°"
    with left:
        figure = figures.pictures({title: projection}, figures.PROJECTION, dark=dark, height=300)
        chart(figure, key="sample-projection", alt="One projection of the stack, as measured")
    with middle:
        figure = figures.pictures({f"row {row}": sinogram}, figures.SINOGRAM, dark=dark, height=300)
        chart(figure, key="sample-sinogram", alt="One detector row over the views, as measured")
    with right:
        st.caption(f"{n_views} views of {n_rows} × {n_cols} px, and what the stage did to each: its true shifts")
        chart(
            figures.movement(truth, dark=dark, height=340), key="sample-movement", alt="dx, dy and roll over the angle"
        )


@st.cache_data(max_entries=64, show_spinner=False)
def stack_of(path: str, changed_ns: int) -> tuple[Shifts, tuple[int, int, int]]:
    """True shifts and shape (N, V, U) of a stack."""
    return read_truth(path)


@st.cache_data(max_entries=64, show_spinner="Reading the stack …")
def pictures_of(path: str, changed_ns: int, view: int, row: int) -> tuple[np.ndarray, np.ndarray]:
    """A projection (V, U), and a sinogram (N, U) with the background of each view at 0."""
    from tomoalign_core.simulate.slices import sinogram_of

    projection, lines = read_pictures(path, view=view, row=row)
    return projection, sinogram_of(lines[:, None], 0)
