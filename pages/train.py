"""Train: choose a training, start it, and go and watch it."""

from __future__ import annotations

import streamlit as st

from pages.shared.looks import state_badge
from pages.shared.router import through_router
from pages.shared.runs_table import label, runs_table
from pages.shared.train_form import PRESET_WORDS, training_form
from tomoalign_core.config import InputError, RunConfig
from tomoalign_core.learn.presets import PRESETS
from tomoalign_core.learn.runs import find_runs, launch, list_runs

through_router("pages/train.py")

SAID = {
    "opened": "These settings have been trained before: this is that run.",
    "joined": "These settings are being trained already: this is that run.",
    "resumed": "Went on from the last checkpoint of an unfinished run of these settings.",
    "started": "Training started in a process of its own: it goes on when you close this page.",
}


def start(config: RunConfig, *, again: bool) -> None:
    """Start, join or open the run of these settings, and go to it."""
    with st.spinner("Starting …"):
        run, outcome = launch(config, again=again)
    st.session_state["said"] = SAID[outcome]
    st.switch_page("pages/monitor.py", query_params={"run": run.id})


def buttons(config: RunConfig) -> None:
    """Start, or what there is to do where these settings have a run."""
    runs = find_runs(config)
    state = runs[0].status().state if runs else None
    steps = config.train.epochs * config.train.steps_per_epoch
    with st.container(horizontal=True, vertical_alignment="center"):
        if state in (None, "failed"):
            if st.button("Start", type="primary", icon=":material/play_arrow:", key="start"):
                start(config, again=False)
            st.caption(f"{steps:,} steps · {steps * config.train.batch:,} stacks to learn from")
            return
        words = {"finished": "Open", "running": "Watch", "queued": "Watch"}.get(state, "Resume")
        icon = ":material/play_arrow:" if words == "Resume" else ":material/monitoring:"
        if st.button(words, type="primary", icon=icon, key="start"):
            start(config, again=False)
        if st.button("Train again", icon=":material/replay:", key="again", help="A second run of the same settings."):
            start(config, again=True)
        st.markdown("Already trained:" if state == "finished" else "Begun before:")
        state_badge(state)
        st.caption(label(runs[0]))


st.title("Train", anchor=False)
name = st.segmented_control(
    "Preset", PRESETS, default="quick", required=True, key="preset", bind="query-params", help="Where the form begins."
)
st.caption(PRESET_WORDS[name])
with st.container(border=True):
    try:
        config = training_form(name)
        buttons(config)
    except InputError as error:
        st.error(str(error), icon=":material/error:")

st.subheader("Runs", anchor=False)
if list_runs():
    runs_table()
else:
    st.info("None yet. Press Start: the first curve moves within seconds.", icon=":material/model_training:")
