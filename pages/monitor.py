"""Monitor: one run, as it is now. ``/monitor?run=ID`` is the link to it."""

from __future__ import annotations

import streamlit as st

from pages.shared.live_plot import load_plotly
from pages.shared.looks import ACTIVE
from pages.shared.router import through_router
from pages.shared.run_charts import charts, epoch_window
from pages.shared.run_state import controls, downloads, has_weights, header, log_tail
from pages.shared.runs_table import pick_run
from pages.shared.words import GAUGE
from tomoalign_core.learn.jobs import State
from tomoalign_core.learn.runs import Run, list_runs

through_router("pages/monitor.py")

TICK_S = 1.0
# Streamlit's own sign of work would blink at every tick, with a Stop that stops nothing but the page
QUIET = "<style>[data-testid='stStatusWidget'] { display: none; }</style>"


def live(run: Run, drawn: tuple[State, bool]) -> None:
    """All that changes while a run trains; runs every second, and reads afresh what it shows."""
    status = run.status()
    if (status.state, has_weights(run)) != drawn:
        st.rerun()  # the buttons outside belong to another state
    header(run, status)
    charts(run)
    epoch_window(run)
    log_tail(run)


st.title("Monitor", anchor=False)
st.html(QUIET)
said = st.session_state.pop("said", None)
if said:
    st.toast(said, icon=":material/info:")
runs = list_runs()
if not runs:
    st.info("There is no training to watch yet.", icon=":material/monitoring:")
    st.page_link("pages/train.py", label="Start one", icon=":material/model_training:")
    st.stop()
left, right = st.columns([2, 1], vertical_alignment="bottom")
with left:
    run = pick_run(runs)
state = run.status().state
with right:
    controls(run, state)
load_plotly()
st.fragment(live, run_every=TICK_S if state in ACTIVE else None)(run, (state, has_weights(run)))
st.caption(GAUGE)
downloads(run)
