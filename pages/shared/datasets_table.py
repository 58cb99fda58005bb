"""The built data sets of the workspace as a table."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.shared.looks import ACTIVE
from tomoalign_core.learn.store import BuiltSet, list_sets

MEGABYTE = 1e6
COLUMNS = ("name", "state", "progress", "kind", "stacks", "size", "made", "key")
IDLE_COLUMNS = tuple(name for name in COLUMNS if name != "progress")


def datasets_table() -> None:
    """The sets of the workspace, newest first; a click on one opens it."""
    sets = list_sets()
    chosen = st.dataframe(
        [_row(built) for built in sets],
        width="stretch",
        hide_index=True,
        column_order=COLUMNS if any(built.status().state in ACTIVE for built in sets) else IDLE_COLUMNS,
        key="sets-table",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            "progress": st.column_config.ProgressColumn("progress", format="percent", min_value=0, max_value=1),
            "size": st.column_config.NumberColumn("size, MB", format="%.1f", help="On disk."),
            "stacks": st.column_config.TextColumn("stacks", help="For training + for validation, as they are on disk."),
            "kind": st.column_config.TextColumn("kind", help="Endless: trainings make their stacks themselves."),
            "made": st.column_config.DatetimeColumn("made", format="D MMM, HH:mm"),
        },
    )
    st.caption("Click on a data set to open it.")
    if chosen.selection.cells:
        st.query_params["set"] = sets[chosen.selection.cells[0][0]].id
        st.rerun()


def _row(built: BuiltSet) -> dict[str, Any]:
    status, config, split = built.status(), built.config, built.split
    return {
        "name": config.name,
        "state": status.state,
        "progress": status.done / max(status.total, 1),
        "kind": "endless" if config.fixed is None else "fixed",
        "stacks": f"{split.train} + {split.validation}",
        "size": built.size_bytes / MEGABYTE,
        "made": built.made,
        "key": built.id,
    }
