"""Runs as a table and as a choice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from pages.shared.reading import config_of
from pages.shared.words import duration
from tomoalign_core.learn.runs import Run, list_runs


def started(run: Run) -> datetime:
    """When the run was made: its settings are written once, at its start."""
    return datetime.fromtimestamp((run.path / "config.json").stat().st_mtime)


def label(run: Run) -> str:
    """A run as people speak of it: name, day and time."""
    return f"{config_of(str(run.path)).name} · {started(run):%-d %b, %H:%M:%S}"


def runs_table(*, limit: int | None = None) -> None:
    """The runs of the workspace, newest first; a click on one leads to its Monitor page."""
    runs = list_runs()[:limit]
    few = ("name", "state", "progress", "best", "started")
    chosen = st.dataframe(
        [_row(run) for run in runs],
        width="stretch",
        hide_index=True,
        column_order=few if limit else None,
        key="runs-table",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            "progress": st.column_config.ProgressColumn("progress", format="percent", min_value=0, max_value=1),
            "best": st.column_config.NumberColumn("best RMSE, px", format="%.3f", help="Validation, gauge removed."),
            "started": st.column_config.DatetimeColumn("started", format="D MMM, HH:mm"),
        },
    )
    st.caption("Click on a run to open it.")
    if chosen.selection.cells:
        st.switch_page("pages/monitor.py", query_params={"run": runs[chosen.selection.cells[0][0]].id})


def _row(run: Run) -> dict[str, Any]:
    status, config = run.status(), config_of(str(run.path))
    return {
        "name": config.name,
        "state": status.state,
        "progress": status.step / max(status.steps, 1),
        "best": status.best_rmse_px,
        "network": config.model.name,
        "loss": config.train.loss,
        "device": status.device,
        "trained for": duration(status.elapsed_s),
        "started": started(run),
    }


def pick_run(runs: list[Run]) -> Run:
    """A choice among the runs that is kept in the address as ``?run=ID``; the newest where none is named.

    Not ``bind="query-params"``: that would put the label into the address, and leave the newest run out of it.
    """

    def chosen() -> None:
        st.query_params["run"] = st.session_state["run-choice"]

    by_id = {run.id: run for run in runs}
    wanted = st.query_params.get("run", runs[0].id)
    if wanted not in by_id:
        st.warning(f"There is no run {wanted} in this workspace; this is the newest.", icon=":material/search_off:")
        wanted = runs[0].id
    st.query_params["run"] = st.session_state["run-choice"] = wanted
    st.selectbox(
        "Run",
        list(by_id),
        key="run-choice",
        on_change=chosen,
        format_func=lambda run_id: label(by_id[run_id]),
        help="Newest first. The address of this page names the run: copy it to share the view.",
    )
    return by_id[wanted]
