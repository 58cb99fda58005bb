"""Runs as a table and as a choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import streamlit as st

from pages.shared.looks import ACTIVE, STATES
from pages.shared.reading import config_of
from pages.shared.words import duration
from tomoalign_core.config import InputError
from tomoalign_core.learn.jobs import State, read_only
from tomoalign_core.learn.runs import Run, Status, delete_run, list_runs, queue_positions


def started(run: Run) -> datetime:
    """When the run was made: its name says so, of a copy too; a folder of another name is as old as its settings."""
    try:
        return datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return datetime.fromtimestamp((run.path / "config.json").stat().st_mtime)


def label(run: Run) -> str:
    """A run as people speak of it: name, day and time."""
    return f"{config_of(str(run.path)).name} · {started(run):%-d %b, %H:%M:%S}"


def labels(runs: Iterable[Run]) -> dict[str, str]:
    """Run id to its label, for a choice: no two alike, as Streamlit knows what is chosen by its label alone."""
    runs = list(runs)
    count = Counter(label(run) for run in runs)
    return {run.id: label(run) if count[label(run)] == 1 else f"{label(run)} · {run.id}" for run in runs}


GLYPHS: dict[State, str] = {  # a cell of a table shows no icons
    "queued": "◷", "running": "▶", "finished": "✓", "stopped": "❙❙", "failed": "✕", "interrupted": "⚡"
}  # fmt: skip
FEW = ("name", "state", "progress", "best", "started")
REFRESH_S = 2.0


def runs_table(*, limit: int | None = None) -> None:
    """The runs of the workspace, newest first, as they are now; a click on one leads to its Monitor page.

    Without a ``limit`` rows can be chosen, to be compared or deleted.
    """
    active = any(run.status().state in ACTIVE for run in list_runs()[:limit])
    st.fragment(_live_table, run_every=REFRESH_S if active else None)(limit, active)
    chosen = st.session_state.pop("runs-to-delete", None)
    if chosen:
        confirm_delete(chosen)


def _live_table(limit: int | None, active: bool) -> None:
    runs = list_runs()[:limit]
    statuses = [run.status() for run in runs]
    if any(status.state in ACTIVE for status in statuses) != active:
        st.rerun()
    positions = queue_positions() if any(status.state == "queued" for status in statuses) else {}
    rows = [_row(run, status, positions.get(run.id)) for run, status in zip(runs, statuses, strict=True)]
    states = list(STATES)
    chosen = st.dataframe(
        rows,
        width="stretch",
        hide_index=True,
        placeholder="–",
        column_order=FEW if limit else [name for name in rows[0] if name != "queue" or positions],
        # rows are chosen by number: other runs in the table, and it is another table
        key=f"runs-table-{hash(tuple(run.id for run in runs))}",
        on_select="rerun",
        selection_mode="single-cell" if limit else ["multi-row", "single-cell"],
        column_config={
            "state": st.column_config.MultiselectColumn(
                "state",
                options=states,
                color=[STATES[state].colour for state in states],
                format_func=lambda state: f"{GLYPHS[state]} {state}",
            ),
            "queue": st.column_config.NumberColumn(
                "queue", help="Place among those that wait for a device; 1 is next."
            ),
            "progress": st.column_config.ProgressColumn("progress", format="percent", min_value=0, max_value=1),
            "best": st.column_config.NumberColumn("best RMSE, px", format="%.3f", help="Validation, gauge removed."),
            "started": st.column_config.DatetimeColumn("made", format="D MMM, HH:mm"),
        },
    ).selection
    if chosen.cells:
        st.switch_page("pages/monitor.py", query_params={"run": runs[chosen.cells[0][0]].id})
    if limit:
        st.caption("Click on a run to open it.")
    else:
        _actions([runs[row] for row in chosen.rows])


def _row(run: Run, status: Status, position: int | None) -> dict[str, Any]:
    config = config_of(str(run.path))
    return {
        "name": config.name,
        "state": [status.state],
        "queue": position,
        "progress": status.step / max(status.steps, 1),
        "best": status.best_rmse_px,
        "network": config.model.name,
        "loss": config.train.loss,
        "device": status.device or config.train.device,
        "trained for": duration(status.elapsed_s) if status.elapsed_s else "–",
        "started": started(run),
    }


def _actions(chosen: list[Run]) -> None:
    """What can be done with the rows that are chosen."""
    if not chosen:
        st.caption("Click on a run to open it; tick several at the left to compare or delete them.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(chosen) > 1 and st.button("Compare", type="primary", icon=":material/compare_arrows:", key="compare"):
            st.switch_page("pages/compare.py", query_params={"runs": ",".join(run.id for run in chosen)})
        if len(chosen) == 1 and st.button("Duplicate with changes", icon=":material/content_copy:", key="duplicate"):
            # all at once and now: what the server says of the address later would undo what is typed meanwhile
            on_a_set = {name: value for name, value in st.query_params.items() if name == "dataset"}
            st.query_params.from_dict({"from": chosen[0].id, **on_a_set})
            st.rerun()
        if not read_only() and st.button("Delete", icon=":material/delete:", key="delete"):
            st.session_state["runs-to-delete"] = chosen
            st.rerun()  # asked from out here, as the table's next tick would close a question of its own
        st.caption(f"{len(chosen)} chosen")


@st.dialog("Delete for good?", icon=":material/delete:")
def confirm_delete(chosen: list[Run]) -> None:
    """Ask, then delete those runs that have no process."""
    for run in chosen[:8]:
        st.markdown(f"- {label(run)}, {run.status().state}")
    if len(chosen) > 8:
        st.markdown(f"- and {len(chosen) - 8} more")
    st.caption("Settings, curves, samples and weights go with it. There is no way back.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete-sure"):
            refused = _delete(chosen)
            if not refused:
                st.rerun()
            for words in refused:
                st.error(words, icon=":material/error:")
        if st.button("Keep", key="delete-not"):
            st.rerun()


def _delete(chosen: list[Run]) -> list[str]:
    """Delete runs; what was refused, in words."""
    refused = []
    for run in chosen:
        try:
            delete_run(run)
        except InputError as error:
            refused.append(str(error))
    return refused


def pick_run(runs: list[Run], notice: Any) -> Run:
    """A choice among the runs that is kept in the address as ``?run=ID``; the newest where none is named.

    A run that is not there is told in the container ``notice``.

    Not ``bind="query-params"``: that would put the label into the address, and leave the newest run out of it.
    """

    def chosen() -> None:
        st.query_params["run"] = st.session_state["run-choice"]
        st.query_params.pop("epoch", None)  # of another run

    by_id = {run.id: run for run in runs}
    wanted = st.query_params.get("run", runs[0].id)
    if wanted not in by_id:
        notice.warning(f"There is no run {wanted} in this workspace; this is the newest.", icon=":material/search_off:")
        wanted = runs[0].id
    st.query_params["run"] = st.session_state["run-choice"] = wanted
    st.selectbox(
        "Run",
        list(by_id),
        key="run-choice",
        width=245,
        on_change=chosen,
        format_func=labels(runs).get,
        help="Newest first. The address of this page names the run: copy it to share the view.",
    )
    return by_id[wanted]
