"""A page is only ever shown inside app.py, however it was reached."""

from __future__ import annotations

import streamlit as st

FLAG = "_router"
PAGE, VISIT = "page that is shown", "how many pages were shown"


def through_router(page: str) -> None:
    """Send the visitor through app.py if the page was reached past it.

    Until app.py has called ``st.navigation`` once, Streamlit takes the folder ``pages`` for its old kind of pages and
    runs the file of a deep link by itself; app.py raises the flag on each of its runs. Calling ``st.navigation`` ends
    the old kind; the page stands second in it, as the first has no name in the address and would be "not found".
    """
    if not st.session_state.pop(FLAG, False):
        st.navigation([st.Page(_nowhere, title="TomoAlign"), st.Page(page)])
        st.rerun()
    if st.session_state.get(PAGE) != page:
        st.session_state.update({PAGE: page, VISIT: visit() + 1})


def visit() -> int:
    """A number that changes whenever a visitor comes to a page from another."""
    return int(st.session_state.get(VISIT, 0))


def _nowhere() -> None:
    """The default page that nobody sees."""
