"""What is to be known beside an alignment: what a network did not learn from, and which views are left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.align_view import VIEW
from pages.shared.words import HELP_AXIS_TILT
from tomoalign_core.geometry import Shifts

HOLD_AGAINST = "Hold what it finds against the other methods, by the held-out residual"


def show_outside(place: DeltaGenerator, outside: Mapping[str, Sequence[str]]) -> None:
    """How the stack differs from what the networks learned from: a box for what is grave, and one for what is not.

    Parameters
    ----------
    place : an ``st.empty()``.
    outside : lines by the name of the network.
    """
    from tomoalign_core.align.notes import OUTSIDE, is_grave, outside_lines

    lines = outside_lines(outside)
    grave, slight = [line for line in lines if is_grave(line)], [line for line in lines if not is_grave(line)]
    with place.container():
        if grave:
            st.warning(_listed(f"{OUTSIDE.capitalize()}**. {HOLD_AGAINST}.", grave), icon=":material/warning:")
        if slight:
            st.info(_listed(f"{OUTSIDE.capitalize()}**", slight), icon=":material/info:")


def show_beyond(lines: Sequence[str]) -> None:
    """How what a network found goes beyond what it learned from."""
    from tomoalign_core.align.notes import OUTSIDE

    if lines:
        st.warning(_listed(f"{OUTSIDE.capitalize()}**. {HOLD_AGAINST}.", lines), icon=":material/warning:")


def show_tilt(shifts: Shifts) -> None:
    """That the rotation axis is tilted, where it was found to be."""
    from tomoalign_core.align.notes import axis_tilt_words

    if words := axis_tilt_words(shifts):
        st.markdown(
            f":material/rotate_90_degrees_cw: The rotation axis is {words}: the mean of the rolls. "
            "The aligned views are upright.",
            help=HELP_AXIS_TILT,
        )


def show_left_out(shifts: Shifts, look_at: Callable[[int], None]) -> None:
    """Which views are left out and why, and a button that leads from one to the next.

    Parameters
    ----------
    look_at : opens a view.
    """
    if shifts.used.all():
        return
    from tomoalign_core.align.notes import left_out_words

    views = np.flatnonzero(~shifts.used).tolist()
    following = next((view for view in views if view > st.session_state.get(VIEW, -1)), views[0])
    words, leads_there = st.columns([4, 1], vertical_alignment="center")
    words.markdown(f":material/visibility_off: {left_out_words(shifts)}.")
    leads_there.button(
        f"View {following}", icon=":material/touch_app:", key="open-left-out", on_click=look_at, args=(following,),
        width="stretch", help="Opens this view; once more, the next one that is left out.",
    )  # fmt: skip


def _listed(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{head}", "", *(f"- {line}" for line in lines)])
