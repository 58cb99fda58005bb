"""Where the form of a training begins: a preset or a run (``?from=RUN``), and a built data set (``?dataset=KEY``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError

from pages.shared.address import leave_out
from pages.shared.runs_table import label
from tomoalign_core.config import InputError, RunConfig, first_fault
from tomoalign_core.learn.presets import PRESETS, preset
from tomoalign_core.learn.runs import Run, open_run
from tomoalign_core.learn.store import BuiltSet, open_set

PRESET_WORDS = {
    "quick": "**quick** reaches a tenth of a pixel in minutes on two CPU cores.",
    "full": "**full** is how the shipped weights are made: hours on a GPU, days without.",
    "notebook": "**notebook** is the origin of this project, faults and all: its loss never falls. It needs a GPU.",
}
T = TypeVar("T", Run, BuiltSet)
HERE = "train-reset"  # a widget of this page that no address keeps: its state is gone when the page has been left


@dataclass(frozen=True)
class Beginning:
    """What the form shows when nothing is touched, and what it keeps of what it does not show.

    id : changes when the form has to begin anew.
    name : what changes are told against.
    arrived : the visitor has just come to this page.
    reset : they ask for all fields as they were.
    on_a_set : the address names a data set; it is learnt from as it was built, so nothing of it is asked.
    """

    id: str
    name: str
    config: RunConfig
    arrived: bool
    reset: bool
    on_a_set: bool = False


def beginning() -> Beginning:
    """Ask for a preset, unless the address names a run; then put in the data set that the address names.

    Raises
    ------
    InputError
        If that training cannot be on that data set.
    """
    arrived = HERE not in st.session_state
    run = _named("from", open_run)
    if run is not None:
        leave_out(["preset"])
        start = Beginning(f"run {run.id}", run.config.name, run.config, arrived, _run_bar(run.id, label(run)))
    else:
        name, reset = _presets(arrived)
        start = Beginning(name, name, preset(name), arrived, reset)
    built = _named("dataset", open_set)
    if built is None:
        return start
    _dataset_bar(built)
    try:
        config = start.config.changed(dataset=built.config)
    except ValidationError as error:
        raise InputError(f"{start.name} on {built.config.name}: {first_fault(error)}") from None
    return replace(start, id=f"{start.id} on {built.id}", config=config, on_a_set=True)


def _named(what: str, find: Callable[[str], T]) -> T | None:
    """What the address names, if it is there."""
    wanted = st.query_params.get(what)
    if not wanted:
        return None
    try:
        found = find(wanted)
        found.config  # noqa: B018 (one that cannot be read is as good as none)
    except InputError as error:
        st.warning(str(error), icon=":material/search_off:")
        return None
    return found


def _presets(arrived: bool) -> tuple[str, bool]:
    if arrived and "preset" not in st.query_params:  # as for the fields, see ``settle``
        st.session_state["preset"] = st.session_state.get("train-preset", PRESETS[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Preset", PRESETS, default=PRESETS[0], required=True, key="preset", bind="query-params",
            help="Where the form begins. Another one sets all fields anew.", width="content",
        )  # fmt: skip
        reset = _reset_button()
    st.session_state["train-preset"] = name
    st.caption(PRESET_WORDS[name])
    return name, reset


def _dataset_bar(built: BuiltSet) -> None:
    train, validation = built.split
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/dataset: On the data set **{built.config.name}**: {train} training and {validation} validation "
            "stacks",
            width="content",
        )
        query = {"set": built.id}
        st.page_link("pages/dataset.py", label="Look at it", icon=":material/visibility:", query_params=query)
        st.button(
            "Leave it", icon=":material/close:", key="no-dataset", on_click=lambda: st.query_params.pop("dataset"),
            help="Train on stacks as the settings below say.",
        )  # fmt: skip


def _run_bar(run_id: str, words: str) -> bool:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/content_copy: Begins with the settings of **{words}**", width="content")
        st.page_link("pages/monitor.py", label="Open", icon=":material/monitoring:", query_params={"run": run_id})
        st.button(
            "Presets", icon=":material/arrow_back:", key="presets", on_click=lambda: st.query_params.pop("from"),
            help="Begin from a preset instead.",
        )  # fmt: skip
        return _reset_button()


def _reset_button() -> bool:
    return st.button("Reset", icon=":material/restart_alt:", key=HERE, help="All fields as they were in the beginning.")


def settle(start: Beginning, values: Mapping[str, Any]) -> None:
    """Before the fields are drawn: make them show ``values`` where nobody has set them since this beginning.

    Their keys are their names in the address, and other pages use the same; so what a field shows is never left to what
    another page has kept under its name. Who comes back finds the form as it was; what the address names wins.
    """
    same = st.session_state.get("train-beginning") == start.id
    if same and not start.arrived and not start.reset:
        return
    kept = st.session_state.get("train-values", {}) if same and not start.reset else {}
    for name, value in values.items():
        if not (start.arrived and name in st.query_params):
            st.session_state[name] = kept.get(name, value)
    st.session_state["train-beginning"] = start.id


def remember(values: Mapping[str, Any]) -> None:
    """After the fields are drawn: keep what they show for who comes back to this page."""
    st.session_state["train-values"] = {name: st.session_state[name] for name in values if name in st.session_state}
