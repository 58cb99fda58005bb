"""Data set: see what a set will take, build it, look at it. ``/dataset?set=KEY`` is the link to a built one."""

from __future__ import annotations

import streamlit as st

from pages.shared.clicks import forget_clicks, lasting_button
from pages.shared.dataset_form import dataset_form, takes
from pages.shared.dataset_view import TICK_S, set_view
from pages.shared.datasets_table import datasets_table
from pages.shared.looks import ACTIVE, NO_SIGN_OF_WORK, STACKED, state_badge
from pages.shared.router import through_router
from tomoalign_core.config import DatasetConfig, InputError
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.room import Estimate, in_words
from tomoalign_core.learn.store import find_set, free_bytes, launch_build, list_sets, open_set

through_router("pages/dataset.py")

SAID = {
    "opened": "These settings were built before: this is that set.",
    "joined": "These settings are being built already: this is that set.",
    "resumed": "Goes on with the stacks it has.",
    "started": "It is built in a process of its own: that goes on when you close this page.",
}


def new_set() -> None:
    """The form on the left; on the right what it comes to, and what there is already."""
    form, window = st.columns([1, 1.9], gap="large")
    try:
        with form:
            config, batch = dataset_form()
        with window:
            buttons(config, takes(config, batch))
    except InputError as error:
        forget_clicks()
        with window:
            st.error(str(error), icon=":material/error:")
    with window:
        all_sets()


def buttons(config: DatasetConfig, found: Estimate) -> None:
    """Build, or what there is to do where these settings have a set."""
    built = find_set(config)
    state = built.status().state if built else None
    if state is None and found.disk_bytes > free_bytes():
        st.warning(
            f"The disk has {in_words(free_bytes())} free, and this takes {in_words(found.disk_bytes)}: fewer or "
            "smaller stacks, or make room.",
            icon=":material/hard_drive:",
        )
    words = {None: "Build", "finished": "Open", "running": "Watch", "queued": "Watch"}.get(state, "Resume")
    icon = {"Build": ":material/build:", "Resume": ":material/play_arrow:"}.get(words, ":material/folder_open:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if lasting_button(words, key="build", icon=icon, primary=True):
            start(config)
        if built:
            st.markdown("Built before:" if state == "finished" else "Begun before:")
            state_badge(state)
            st.caption(f"{built.config.name} · {built.made:%-d %b, %H:%M}")


def start(config: DatasetConfig) -> None:
    """Start, join or open the set of these settings, and show it."""
    with st.spinner("Starting …"):
        try:
            built, outcome = launch_build(config)
        finally:
            forget_clicks()
    st.session_state["said"] = SAID[outcome]
    st.query_params.from_dict({"set": built.id})
    st.rerun()


def all_sets() -> None:
    """The list, which follows what is being built."""
    st.subheader("Built data sets", anchor=False)
    sets = list_sets()
    if not sets:
        st.info(
            "None yet. A training needs none: it makes its stacks itself. Build one to look at the stacks, to take "
            "them elsewhere, or to train on the same stacks each epoch.",
            icon=":material/dataset:",
        )
        return
    active = any(built.status().state in ACTIVE for built in sets)
    st.fragment(datasets_table, run_every=2 * TICK_S if active else None)()


st.title("Data set", anchor=False)
st.html(NO_SIGN_OF_WORK + STACKED)
said = st.session_state.pop("said", None)
if said:
    st.toast(said, icon=":material/info:")
opened = None
if wanted := st.query_params.get("set"):
    try:
        opened = open_set(wanted)
    except InputError:
        st.warning(f"There is no data set {wanted} in this workspace.", icon=":material/search_off:")
if opened:
    try:
        set_view(opened)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
elif read_only():
    all_sets()
else:
    new_set()
