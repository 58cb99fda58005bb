"""Buttons that start something, whose clicks are not lost."""

from __future__ import annotations

import streamlit as st

CLICKED = "clicked-"


def lasting_button(words: str, *, key: str, icon: str, primary: bool = False, about: str | None = None) -> bool:
    """A button; it counts as clicked until ``forget_clicks``.

    A click is told to one run of the page only, and if the browser has more to say at that moment, a field that was
    left or a theme, that run is cut short by the next, which knows nothing of it.
    """
    st.button(
        words, key=key, icon=icon, type="primary" if primary else "secondary", help=about,
        on_click=_keep, args=(key,),
    )  # fmt: skip
    return CLICKED + key in st.session_state


def forget_clicks() -> None:
    """What was wanted is done, or cannot be."""
    for key in [str(key) for key in st.session_state if str(key).startswith(CLICKED)]:
        del st.session_state[key]


def _keep(key: str) -> None:
    st.session_state[CLICKED + key] = True
