"""Compare: several runs beside each other. ``/compare?runs=A,B`` is the link to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.shared import compare_view
from pages.shared.compare_runs import filtered, pick_runs, readable, slots
from pages.shared.live_plot import load_plotly
from pages.shared.looks import ACTIVE, STACKED
from pages.shared.router import through_router
from pages.shared.words import GAUGE
from tomoalign_core.learn.comparison import Summary, case_names, to_csv
from tomoalign_core.learn.jobs import State, read_only
from tomoalign_core.learn.runs import Run, list_runs
from tomoalign_core.metrics import overall_rmse

through_router("pages/compare.py")

TICK_S = 3.0
# Plotly draws these axes in black, on dark as well
AXES = "<style>.parcoords .axis :is(line, path) { stroke: #8a94a0; stroke-opacity: 0.8; }</style>"


def live(runs: Sequence[Run], places: Mapping[str, int], view: compare_view.View, states: list[State]) -> None:
    """All that changes while a chosen run trains; reads afresh what it shows."""
    summaries = compare_view.summaries_of(runs)
    if [s.state for s in summaries] != states:
        st.rerun()  # a run has ended, or has begun again
    keys, by_id = compare_view.keys_of(summaries, places), {run.id: run for run in runs}
    compare_view.table(summaries, keys, view.case)
    fair = compare_view.fairness(summaries, view.case)
    st.markdown("**Settings against error**")
    compare_view.parallel(summaries, keys, view.case)
    compare_view.curves(summaries, by_id, keys, view, fair)
    st.markdown("**Best error by validation case**")
    compare_view.best_errors(summaries, keys)
    compare_view.errors_by_view(summaries, by_id, keys, view.case)


def links(runs: Sequence[Run], summaries: Sequence[Summary]) -> None:
    """The table to take home, and the way on."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Table (CSV)", lambda: to_csv(compare_view.summaries_of(runs)), "comparison.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
            help="All figures, by validation case as well, and the settings that differ.",
        )  # fmt: skip
        best = min((s for s in summaries if s.best), key=lambda s: overall_rmse(s.best), default=None)
        if best is not None and not read_only():
            st.page_link(
                "pages/train.py",
                label=f"Train with changes to {best.name}, the best of these",
                icon=":material/model_training:",
                query_params={"from": best.id},
            )


st.title("Compare", anchor=False)
st.html(AXES + STACKED)
runs = readable(list_runs())
if not runs:
    st.info("There is no training to compare yet. Two with different settings make a start.", icon=":material/info:")
    st.page_link("pages/train.py", label="Train one", icon=":material/model_training:")
    st.stop()
chosen = pick_runs(runs, filtered(runs))
if not chosen:
    st.info("Choose the runs to compare in the field above.", icon=":material/compare_arrows:")
    st.stop()
if len(chosen) == 1:
    st.caption("One run stands alone: choose a second one to see which settings differ.")
summaries = compare_view.summaries_of(chosen)
view = compare_view.view_controls(case_names(summaries))
states = [summary.state for summary in summaries]
load_plotly()
tick = TICK_S if any(state in ACTIVE for state in states) else None
st.fragment(live, run_every=tick)(chosen, slots([run.id for run in chosen]), view, states)
links(chosen, summaries)
st.caption(GAUGE)
