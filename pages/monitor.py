"""Monitor: one run, as it is now. ``/monitor?run=ID`` is the link to it."""

from __future__ import annotations

import streamlit as st

from pages.shared import reading
from pages.shared.live_plot import load_plotly
from pages.shared.looks import ACTIVE
from pages.shared.router import through_router
from pages.shared.run_charts import choose_view, course_charts, more_curves
from pages.shared.run_epochs import begin_with_address, epoch_window
from pages.shared.run_state import Drawn, controls, downloads, has_weights, header, log_tail, notes
from pages.shared.runs_table import pick_run
from pages.shared.watchers import Pace, interval_s, visitor, watchers
from pages.shared.words import GAUGE
from tomoalign_core.learn.runs import Run, list_runs

through_router("pages/monitor.py")

# Streamlit's own sign of work would blink at every tick, with a Stop that stops nothing but the page.
# Charts stand below each other where two beside each other would be all legend.
STYLE = """<style>
[data-testid="stStatusWidget"] { display: none; }
.stMainBlockContainer { padding-top: 3.8rem; }
@media (max-width: 1100px) { .stMainBlockContainer [data-testid="stColumn"] { min-width: 100%; } }
</style>"""


def pace(active: bool) -> Pace:
    """How often this visitor looks, for as many as are watching now."""
    before = st.session_state.get("interval_s", 1.0)
    watching = watchers().look(visitor(), interval_s=before) if active else 0
    st.session_state["interval_s"] = interval_s(watching, before) if active else 1.0
    return Pace(st.session_state["interval_s"], watching)


def live(run: Run, drawn: Drawn) -> None:
    """All that changes while a run trains; reads afresh what it shows."""
    status = run.status()
    active = status.state in ACTIVE
    now = pace(active)
    if Drawn(status.state, has_weights(run), now.interval_s) != drawn:
        st.rerun()  # the parts outside, and the timer, belong to another state
    header(run, status, now)
    view = choose_view(run)
    # visitors who look within half an interval see the same, which is drawn once
    version = reading.metrics_of(str(run.path)).refresh(at_most_every_s=now.interval_s / 2 if active else 0.0)
    course_charts(run, view, version)
    more_curves(run, view, version)
    epoch_window(run, view)
    log_tail(run)


said = st.session_state.pop("said", None)
if said:
    st.toast(said, icon=":material/info:")
runs = list_runs()
if not runs:
    st.title("Monitor", anchor=False)
    st.info("There is no training to watch yet.", icon=":material/monitoring:")
    st.page_link("pages/train.py", label="Start one", icon=":material/model_training:")
    st.stop()
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Monitor", anchor=False, width="content")
    run = pick_run(runs)
    state = run.status().state
    controls(run, state)
begin_with_address(run)
st.html(STYLE)
load_plotly()
drawn = Drawn(state, has_weights(run), pace(state in ACTIVE).interval_s)
st.fragment(live, run_every=drawn.interval_s if state in ACTIVE else None)(run, drawn)
notes(run)
downloads(run)
st.caption(GAUGE)
