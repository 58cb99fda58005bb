"""A stack whose sample seems to turn about the other axis: say so before it is aligned, and turn its views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.align_work import stacks
from pages.shared.shelf import Shelf, shelf
from pages.shared.sources import TILT_AXES, Source

if TYPE_CHECKING:
    from tomoalign_core.align.tilt_axis import AxisEvidence

NOW = "align without a click"
AS_IT_IS = "stacks whose axis is believed"
TILT_AXIS = "tilt-axis"  # key of the choice under "Inside the file"


def doubt(source: Source) -> AxisEvidence | None:
    """What speaks against the tilt axis of a stack that has been read; nothing where the axis is known or plausible."""
    from tomoalign_core.align.tilt_axis import axis_evidence

    stack = stacks().get(source.key)
    if source.tilt_axis is None or stack is None:
        return None
    known: Shelf[AxisEvidence] = shelf("tilt axes", 64)
    evidence = known.recall(source.key, lambda: axis_evidence(stack.proj))
    return evidence if evidence.turned else None


def is_believed(source: Source) -> bool:
    """Whether the visitor has said that the axis is right."""
    return source.key in st.session_state.get(AS_IT_IS, ())


def ask_axis(source: Source, evidence: AxisEvidence) -> None:
    """Say what is odd, and offer both ways on; only the other one where this is what the visitor chose."""
    vertical = source.tilt_axis == "vertical"
    lies, read = ("rows", "columns") if vertical else ("columns", "rows")
    st.warning(
        f"**The tilt axis of {source.name} seems to lie along its {lies}**, but it is read as lying along the {read}. "
        "The classical methods would take the turning of the object for shifts. A network finds such an axis as its "
        "tilt, but sees more of the views once they are transposed.",
        icon=":material/screen_rotation_alt:",
    )
    with st.container(horizontal=True):
        other = TILT_AXES["horizontal" if vertical else "vertical"]
        st.button(
            "Transpose the views and align", type="primary", icon=":material/screen_rotation_alt:", key="turn-axis",
            on_click=_turn, args=(other,), help="Reads the file anew with the other tilt axis (*Inside the file*).",
        )  # fmt: skip
        if not is_believed(source):
            st.button(
                "Align as it is", icon=":material/align_horizontal_center:", key="believe-axis", on_click=_believe,
                args=(source.key,), help="If you know the axis to lie along the columns.",
            )  # fmt: skip
    st.caption(f"What speaks for it: {evidence.words()}.")


def _turn(axis: str) -> None:
    st.session_state[TILT_AXIS] = axis
    st.session_state[NOW] = True


def _believe(key: str) -> None:
    st.session_state[AS_IT_IS] = (*st.session_state.get(AS_IT_IS, ()), key)
    st.session_state[NOW] = True
