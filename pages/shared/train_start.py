"""Where the form of a training begins: a preset, or the settings of a run (``?from=RUN``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.shared.runs_table import label
from tomoalign_core.config import InputError, RunConfig
from tomoalign_core.learn.presets import PRESETS, preset
from tomoalign_core.learn.runs import open_run

PRESET_WORDS = {
    "quick": "**quick** reaches a tenth of a pixel in minutes on two CPU cores.",
    "full": "**full** is how the shipped weights are made: hours on a GPU, days without.",
    "notebook": "**notebook** is the origin of this project, faults and all: its loss never falls. It needs a GPU.",
}
HERE = "train-reset"  # a widget of this page that no address keeps: its state is gone when the page has been left


@dataclass(frozen=True)
class Beginning:
    """What the form shows when nothing is touched, and what it keeps of what it does not show.

    id : changes when the form has to begin anew. What else an address may name, such as a data set that was built,
        goes into ``config`` and ``id`` in ``beginning``.
    name : what changes are told against.
    arrived : the visitor has just come to this page.
    reset : they ask for all fields as they were.
    """

    id: str
    name: str
    config: RunConfig
    arrived: bool
    reset: bool


def beginning() -> Beginning:
    """Ask for a preset, unless the address names a run."""
    arrived = HERE not in st.session_state
    wanted = st.query_params.get("from")
    if wanted:
        try:
            run = open_run(wanted)
            config = run.config
        except InputError:
            text = f"There is no run {wanted} in this workspace; here are the presets."
            st.warning(text, icon=":material/search_off:")
        else:
            reset = _run_bar(run.id, label(run))
            return Beginning(f"run {run.id}", config.name, config, arrived, reset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.segmented_control(
            "Preset", PRESETS, default="quick", required=True, key="preset", bind="query-params",
            help="Where the form begins. Another one sets all fields anew.", width="content",
        )  # fmt: skip
        reset = _reset_button()
    st.caption(PRESET_WORDS[name])
    return Beginning(name, name, preset(name), arrived, reset)


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
