"""Align: give a stack, choose methods, see before and after, mend by hand, take the result home."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.address import number, one_of, tell_misread
from pages.shared.align_axis import NOW, ask_axis, doubt, is_believed
from pages.shared.align_methods import expected_of_methods, pick_methods
from pages.shared.align_notes import show_outside
from pages.shared.align_results import TABS, show
from pages.shared.align_rounds import rounds_live
from pages.shared.align_view import VIEW
from pages.shared.align_work import Asked, OnRound, Result, bound_of, found_by, is_done, outside_of, stack_of
from pages.shared.live_plot import load_plotly
from pages.shared.router import through_router
from pages.shared.sources import Source, expected_in_address, pick_source
from pages.shared.telling import telling
from tomoalign_core.config import InputError

through_router("pages/align.py")

MOST_VIEWS = 100_000  # that an address may ask for; of the stack that is there, the nearest is shown
GO = "go"  # in the address: what it asks for was aligned; a sample then is again without a click
# under a laptop's width the form goes above the results; the three sources stand in one line of the form
NARROW = """<style>
.st-key-source button[data-variant="segmented_control"] { padding-inline: 9px; }
@media (max-width: 1100px) {
  .st-key-align-page > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  .st-key-align-page > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]
    { min-width: 100%; }
  .st-key-cuts > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] { flex-wrap: wrap; }
  .st-key-cuts > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]
    { min-width: 240px; }
  .st-key-nudges button { padding-inline: 2px; }
}
</style>"""
WHAT_COMES = """
**Press Align**, and here appear

- :material/table_chart: the methods **side by side**: their error where the truth is known, else how much of each
  view the others do not explain, the bound, the seconds;
- :material/show_chart: the **shifts** over the angle with their confidence; views that stand out are ringed;
- :material/compare: the **sinogram** and three **cuts** through the reconstruction, before and after;
- :material/touch_app: **one view** against what the others say of it, to nudge or to leave out, with undo;
- :material/download: the **table** (CSV, IMOD .xf, nabu) and the **aligned stack** (HDF5).
"""


def align(source: Source, asked: list[Asked], notes: DeltaGenerator) -> Result | None:
    """Read the stack and run the methods, with words on what is going on; not where its axis has to be asked about.

    Parameters
    ----------
    notes : the place for what is to be known before a network runs.
    """
    place, drawn = st.empty(), st.empty()
    with place.status(f"Reading {source.name} …") as doing:
        stack = stack_of(source)
        if doubt(source) and not is_believed(source):
            place.empty()
            return None
        result = Result(key=source.key, name=source.name, stack=stack, bound_px=bound_of(source))
        if any(one.method == "network+refine" for one in asked):
            load_plotly()

        def say(text: str, _: float = 0.0) -> None:
            doing.update(label=text)

        if any(one.network for one in asked):
            say("Looks whether the network learned from stacks like this one …")
            result.outside = outside_of(asked, stack, source.key)
            show_outside(notes, result.outside)
        for number, one in enumerate(asked, 1):
            name = f"Method {number} of {len(asked)}, {one.name}"
            words = f"{name}, looks at {len(stack.proj)} views"
            say(f"{words} …")
            with rounds_live(say, name, drawn, key=str(number)) as on_round:
                add(result, one, telling(say, words), on_round)
        doing.update(label="Aligned", state="complete")
    return result


def recalled(source: Source, asked: list[Asked]) -> Result:
    """What was worked out before."""
    result = Result(key=source.key, name=source.name, stack=stack_of(source), bound_px=bound_of(source))
    result.outside = outside_of(asked, result.stack, source.key)
    for one in asked:
        add(result, one)
    return result


def add(
    result: Result, one: Asked, progress: Callable[[int, int], None] | None = None, on_round: OnRound | None = None
) -> None:
    """Run a method, or recall it; one that cannot do this stack says why, and the others go on."""
    try:
        result.found[one.name] = found_by(one, result.stack, result.key, progress, on_round)
    except InputError as error:
        result.failed[one.name] = str(error)


st.title("Align", anchor=False)
st.html(NARROW)
nearest = number(0, MOST_VIEWS, "the nearest there is")
tell_misread(
    "align",
    expected_in_address() | {"tab": one_of(TABS, TABS[0]), VIEW: nearest, "row": nearest} | expected_of_methods(),
)
with st.container(key="align-page"):
    form, window = st.columns([1.2, 3.2], gap="medium")
source: Source | None = None
asked: list[Asked] = []
with form:
    try:
        source = pick_source()
        asked = pick_methods(of_transposed=source is not None and source.tilt_axis == "horizontal")
    except InputError as error:
        st.error(str(error), icon=":material/error:")
    go = st.button(
        "Align",
        type="primary",
        icon=":material/align_horizontal_center:",
        disabled=source is None or not asked,
        width="stretch",
        key="align",
    )
    go = st.session_state.pop(NOW, False) or go
    if source is None:
        st.caption("Give a stack, and choose at least one method.")
    elif not asked:
        st.caption("Choose at least one method.")
with window:
    if source is not None and asked:
        key = repr((source.key, [one.key(source.key) for one in asked]))
        last = st.session_state.get("aligned")
        linked = last is None and st.query_params.get(GO) == "1"
        result: Result | None = None
        refused = False
        notes = st.empty()
        if is_done(source, asked):
            result = recalled(source, asked) if go or last == key or GO in st.query_params else None
        elif go or last == key or (linked and source.cheap):
            try:
                result = align(source, asked, notes)
            except InputError as error:
                st.error(str(error), icon=":material/error:")
                refused = True
        evidence = doubt(source)
        if evidence is not None:
            ask_axis(source, evidence)
        if result is not None:
            st.query_params[GO] = "1"
            st.session_state["aligned"] = key
            show_outside(notes, result.outside)
            show(result)
        elif evidence is not None or refused:
            pass  # the answer, or what the error says, is the next step
        elif last not in (None, key):
            st.info("The settings have changed since; press Align to see what they give.", icon=":material/sync:")
        elif not go:
            st.markdown(WHAT_COMES)
    else:
        st.markdown(WHAT_COMES)
