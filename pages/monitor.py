"""Monitor: one run, as it is now. ``/monitor?run=ID`` is the link to it.

It has no fragments: a run of another page that was left, and ends late, takes the fragments of the page one is on away
with its own. ``live_link`` keeps the page up to date without them.
"""

from __future__ import annotations

import streamlit as st

from pages.shared import reading
from pages.shared.live_link import live_link, now_of
from pages.shared.live_plot import load_plotly
from pages.shared.looks import ACTIVE
from pages.shared.router import through_router
from pages.shared.run_charts import choose_view, course_charts, more_curves
from pages.shared.run_epochs import begin_with_address, epoch_window
from pages.shared.run_state import controls, downloads, header, log_tail, notes
from pages.shared.runs_table import pick_run
from pages.shared.watchers import visitor
from pages.shared.words import GAUGE
from tomoalign_core.learn.runs import list_runs

through_router("pages/monitor.py")

# Streamlit's own sign of work would blink at every rerun, with a Stop that stops nothing but the page.
# Charts stand below each other where two beside each other would be all legend.
STYLE = """<style>
[data-testid="stStatusWidget"] { display: none; }
.stMainBlockContainer { padding-top: 3.8rem; }
@media (max-width: 1100px) { .stMainBlockContainer [data-testid="stColumn"] { min-width: 100%; } }
</style>"""


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
    seen = now_of(run)
    status = run.status()
    controls(run, status.state)
begin_with_address(run)
st.html(STYLE)
load_plotly()
header(run, status)
view = choose_view(run)
version = reading.metrics_of(str(run.path)).refresh()
course_charts(run, view, version)
more = more_curves(run, view, version)
epoch_window(run, view)
log_tail(run)
notes(run)
downloads(run)
st.caption(GAUGE)
live_link(run, seen, view, version, active=status.state in ACTIVE, more=more, visitor=visitor())
