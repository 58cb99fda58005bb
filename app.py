"""TomoAlign's dashboard: ``streamlit run app.py``. Navigation and page set-up; what is seen lives in pages/."""

from __future__ import annotations

import streamlit as st

from pages.shared.brand import ICON, LOGO, STYLE
from pages.shared.looks import STATES
from pages.shared.router import FLAG
from pages.shared.theme_watch import watch_theme
from tomoalign_core.learn.runs import list_runs, workspace

st.set_page_config(page_title="TomoAlign", page_icon=ICON, layout="wide")
st.session_state[FLAG] = True
st.logo(LOGO, size="large")
st.html(STYLE)

page = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/simulate.py", title="Simulate", icon=":material/animation:"),
        st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("pages/monitor.py", title="Monitor", icon=":material/monitoring:"),
        st.Page("pages/align.py", title="Align", icon=":material/align_horizontal_center:"),
    ]
)

with st.sidebar:
    newest = list_runs()[:1]
    if newest:
        state = newest[0].status().state
        st.caption(f"Newest training: {STATES[state].icon} {state}")
    st.caption(f"Data: `{workspace()}`", help="Set TOMOALIGN_WORKSPACE to keep it elsewhere.")
    watch_theme()

page.run()
