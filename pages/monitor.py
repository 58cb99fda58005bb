"""Monitor: one run, as it is now. ``/monitor?run=ID`` is the link to it.

It has no fragments: a run of another page that was left, and ends late, takes the fragments of the page one is on away
with its own. ``live_link`` keeps the page up to date without them.
"""

from __future__ import annotations

import streamlit as st

from pages.shared import reading
from pages.shared.address import one_of, tell_misread
from pages.shared.live_link import live_link, now_of
from pages.shared.live_plot import load_plotly
from pages.shared.looks import ACTIVE, NO_SIGN_OF_WORK, STACKED
from pages.shared.router import through_router
from pages.shared.run_charts import (
    X_AXES,
    cases_of,
    choose_view,
    course_charts,
    more_curves,
    nothing_measured,
    usual_view,
)
from pages.shared.run_epochs import begin_with_address, epoch_window
from pages.shared.run_state import controls, downloads, header, log_tail, notes
from pages.shared.runs_table import pick_run
from pages.shared.watchers import visitor
from pages.shared.words import GAUGE
from tomoalign_core.learn.runs import list_runs

through_router("pages/monitor.py")

STYLE = "<style>.stMainBlockContainer { padding-top: 3.8rem; }</style>"


said = st.session_state.pop("said", None)
if said:
    st.toast(said, icon=":material/info:")
runs = list_runs()
if not runs:
    st.title("Monitor", anchor=False)
    st.info("There is no training to watch yet.", icon=":material/monitoring:")
    st.page_link("pages/train.py", label="Start one", icon=":material/model_training:")
    st.stop()
notice = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Monitor", anchor=False, width="content")
    run = pick_run(runs, notice)
    seen = now_of(run)
    status = run.status()
    controls(run, status)
with notice:
    cases = cases_of(run)
    tell_misread("monitor", {"along": one_of(list(X_AXES), "step"), "case": one_of(cases, cases[0])})
begin_with_address(run)
st.html(NO_SIGN_OF_WORK + STACKED + STYLE)
load_plotly()
header(run, status)
failed = status.state == "failed"
if failed:
    log_tail(run, opened=True)
version = reading.metrics_of(str(run.path)).refresh()
more = False
if version[1] or status.state in ACTIVE:
    view = choose_view(run)
    course_charts(run, view, version, status.state)
    more = more_curves(run, view, version)
    epoch_window(run, view, active=status.state in ACTIVE)
else:
    view = usual_view(run)
    nothing_measured(status.state)
if not failed:
    log_tail(run)
notes(run)
downloads(run)
st.caption(GAUGE)
live_link(run, seen, view, version, active=status.state in ACTIVE, more=more, visitor=visitor())
