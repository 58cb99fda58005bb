"""TomoAlign's dashboard: ``streamlit run app.py``. Navigation and page set-up; what is seen lives in pages/."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared.brand import ICON, LOGO, STYLE
from pages.shared.front_door import live_route, page_routes
from pages.shared.looks import STATES
from pages.shared.router import FLAG
from pages.shared.theme_watch import watch_theme
from tomoalign_core.learn.jobs import read_only, workspace
from tomoalign_core.learn.runs import list_runs


def dashboard() -> None:
    """Set the page up, and show the one that is asked for."""
    st.set_page_config(page_title="TomoAlign", page_icon=ICON, layout="wide")
    st.session_state[FLAG] = True
    st.logo(LOGO, size="large")
    st.html(STYLE)

    pages = {
        "": [st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True)],
        "Learn": [
            st.Page("pages/simulate.py", title="Simulate", icon=":material/animation:"),
            st.Page("pages/dataset.py", title="Data set", icon=":material/dataset:"),
            st.Page("pages/model.py", title="Model", icon=":material/lan:"),
            st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
            st.Page("pages/monitor.py", title="Monitor", icon=":material/monitoring:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        ],
        "Use": [st.Page("pages/align.py", title="Align", icon=":material/align_horizontal_center:")],
        "Read": [
            st.Page("pages/lesson.py", title="Why it did not converge", icon=":material/school:"),
            st.Page("pages/help.py", title="Help", icon=":material/help:"),
        ],
    }
    page = st.navigation(pages)

    with st.sidebar:
        newest = list_runs()[:1]
        if newest:
            state = newest[0].status().state
            st.caption(f"Newest training: {STATES[state].icon} {state}")
        if read_only():
            st.badge(
                "read-only",
                icon=":material/visibility:",
                color="gray",
                help="This dashboard is shown, not worked with: nothing can be started, stopped, changed or deleted.",
            )
        st.caption(f"Data: `{workspace()}`", help="Set TOMOALIGN_WORKSPACE to keep it elsewhere.")
        watch_theme()

    page.run()


if __name__ == "__main__":  # each visitor's session runs this file
    dashboard()
else:  # the server imports it once
    app = st.App(__file__, routes=[*page_routes(Path(__file__).parent / "pages"), live_route()])
