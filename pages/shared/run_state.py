"""State of a run on the Monitor page: badge, progress, stop and resume, log, what can be taken home."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import streamlit as st

from pages.shared import reading
from pages.shared.looks import ACTIVE, state_badge
from pages.shared.words import HELP_GAUGE, duration, pixels
from tomoalign_core.learn.jobs import State
from tomoalign_core.learn.runs import Run, Status, resume


def has_weights(run: Run) -> bool:
    """Whether an epoch has ended, so that there is a network to align with."""
    return (run.path / "best.safetensors").exists()


def controls(run: Run, state: State) -> None:
    """Stop and resume. Outside the live part, so that a click does not wait for a tick."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
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
            "Resume", type="primary", icon=":material/play_arrow:", key="resume", help="From its last checkpoint."
        ):
            resume(run)
            st.rerun()
        if has_weights(run):
            st.page_link(
                "pages/align.py",
                label="Align with it",
                icon=":material/align_horizontal_center:",
                query_params={"model": run.id},
            )


def header(run: Run, status: Status) -> None:
    """State, progress and rate."""
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(status.state)
        st.caption(f"{reading.config_of(str(run.path)).model.name} on {status.device or 'a device to be found'}")
        if status.state == "running":
            st.caption(f"written {datetime.fromtimestamp(status.updated):%H:%M:%S}")
    if status.state == "failed":
        st.error(status.message or "It failed without a word; see the log.", icon=":material/error:")
    elif status.state == "interrupted":
        st.warning("Its process is gone. Resume goes on from the last checkpoint.", icon=":material/power_off:")
    elif status.message:
        st.caption(status.message)
    share = min(status.step / max(status.steps, 1), 1.0)
    st.progress(share, f"step {status.step:,} of {status.steps:,} · epoch {status.epoch} of {status.epochs}")
    best = f"epoch {status.best_epoch}" if status.best_epoch else None
    figures_shown = (
        (
            "Best RMSE",
            pixels(status.best_rmse_px),
            f"Over all validation stacks, dx and dy together. {HELP_GAUGE}",
            best,
        ),
        ("Time left", duration(status.eta_s if status.state == "running" else None), "At the present rate.", None),
        ("Trained for", duration(status.elapsed_s), "All sessions together.", None),
        (
            "Stacks per second",
            f"{status.items_per_s:.1f}" if status.items_per_s else "–",
            "Training stacks simulated and learnt from.",
            None,
        ),
        (
            "Memory",
            f"{status.memory_mb / 1000:.2f} GB" if status.memory_mb else "–",
            "Peak of its process, or of its GPU.",
            None,
        ),
    )
    for column, (name, value, about, below) in zip(st.columns(len(figures_shown)), figures_shown, strict=True):
        column.metric(name, value, below, delta_color="off", delta_arrow="off", help=about)


def log_tail(run: Run) -> None:
    """The last words of the process."""
    with st.expander("Log", icon=":material/terminal:"):
        st.code(run.log_tail() or "Nothing said yet.", language=None)


def downloads(run: Run) -> None:
    """What can be taken home."""
    with st.container(horizontal=True):
        offer = {"icon": ":material/download:", "on_click": "ignore"}
        st.download_button("Metrics (CSV)", lambda: metrics_csv(run), f"{run.id}.csv", "text/csv", **offer)
        st.download_button(
            "Settings (JSON)",
            lambda: (run.path / "config.json").read_text(),
            f"{run.id}.json",
            "application/json",
            **offer,
        )
        if has_weights(run):
            st.download_button(
                "Best weights", (run.path / "best.safetensors").read_bytes, f"{run.id}.safetensors", **offer
            )


def metrics_csv(run: Run) -> str:
    """All lines of the metrics as one table; validation columns are named case/figure."""
    rows = []
    for kind in ("step", "epoch"):
        for line in run.metrics(kind):
            flat = {name: value for name, value in line.items() if not isinstance(value, dict)}
            for case, values in line.get("cases", {}).items():
                flat |= {f"{case}/{name}": value for name, value in values.items()}
            rows.append(flat)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
