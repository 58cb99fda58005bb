"""Train: choose a training, start it, or a grid of them, and go and watch. ``/train?from=RUN`` begins as a run."""

from __future__ import annotations

import streamlit as st

from pages.shared.address import one_of, tell_misread
from pages.shared.clicks import forget_clicks, lasting_button
from pages.shared.looks import state_badge
from pages.shared.router import through_router
from pages.shared.runs_table import label, runs_table
from pages.shared.train_form import Form, training_form
from pages.shared.train_grid import grid_section
from pages.shared.train_start import Beginning, beginning
from pages.shared.words import roughly
from tomoalign_core.config import InputError, RunConfig, TrainConfig
from tomoalign_core.learn.forecast import forecast
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.presets import PRESETS
from tomoalign_core.learn.runs import Outcome, Run, known_run, launch, list_runs, queue_for, queue_position

through_router("pages/train.py")

SAID: dict[Outcome, str] = {
    "opened": "These settings have been trained before: this is that run.",
    "joined": "These settings are being trained already: this is that run.",
    "resumed": "Went on from the last checkpoint of an unfinished run of these settings.",
    "started": "Training started in a process of its own: it goes on when you close this page.",
}
KNOWN: dict[Outcome, tuple[str, str, str]] = {  # button, its icon, what is said beside it
    "opened": ("Open", ":material/monitoring:", "Already trained:"),
    "joined": ("Watch", ":material/monitoring:", "Being trained already:"),
    "resumed": ("Resume", ":material/play_arrow:", "Begun before:"),
}


def start(config: RunConfig, *, again: bool) -> None:
    """Start, join or open the run of these settings, and go to it."""
    with st.spinner("Starting …"):
        try:
            run, outcome = launch(config, again=again)
        finally:
            forget_clicks()
    st.session_state["said"] = SAID[outcome]
    st.switch_page("pages/monitor.py", query_params={"run": run.id})


def changes(form: Form, begin: Beginning) -> None:
    """What differs from the beginning."""
    if form.changes:
        each = [f"{name} {_shown(before)} → **{_shown(now)}**" for name, before, now in form.changes]
        st.caption(f"Changed from {begin.name}: {' · '.join(each)}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "–".join(f"{end:g}" for end in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def buttons(config: RunConfig) -> None:
    """Start, or what there is to do where these settings have a run."""
    known = known_run(config)
    with st.container(horizontal=True, vertical_alignment="center"):
        if read_only():
            st.caption(":material/visibility: Read-only: nothing can be started here.")
        if known:
            _known(*known, config)
            return
        if not read_only() and lasting_button("Start", key="start", icon=":material/play_arrow:", primary=True):
            start(config, again=False)
        steps = config.train.epochs * config.train.steps_per_epoch
        words = [f"{steps:,} steps", f"{steps * config.train.batch:,} stacks to learn from", *_time(config)]
        st.caption(" · ".join(words), width="content")
        queue(config)


def _known(run: Run, outcome: Outcome, config: RunConfig) -> None:
    words, icon, beside = KNOWN[outcome]
    if read_only():
        st.page_link("pages/monitor.py", label="Open", icon=":material/monitoring:", query_params={"run": run.id})
    else:
        if lasting_button(words, key="start", icon=icon, primary=True):
            start(config, again=False)
        if lasting_button(
            "Train again", key="again", icon=":material/replay:", about="A second run of the same settings."
        ):
            start(config, again=True)
    st.markdown(beside, width="content")
    state_badge(run.status().state)
    place = queue_position(run)
    st.caption(label(run) + (f" · place {place} in the queue" if place else ""), width="content")


def _time(config: RunConfig) -> list[str]:
    """How long it will take, where a run of the same network tells."""
    found = forecast(config)
    return [f"about {roughly(found.seconds)}, by the usual pace of {label(found.run)}"] if found else []


def queue(config: RunConfig) -> None:
    """Who is on the device before."""
    line = [status.state for _, status in queue_for(config.train.device)]
    trains, waits = line.count("running"), line.count("queued")
    if line:
        before = [f"{trains} trains"] * bool(trains) + [f"{waits} {'waits' if waits == 1 else 'wait'}"] * bool(waits)
        st.badge(
            f"{' and '.join(before)} before yours", icon=":material/schedule:", color="blue",
            help="One training at a time on each device: first come, first served.",
        )  # fmt: skip


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def too_large(config_json: str) -> str | None:
    """What is wrong with the device: it is not there, or what is free of its memory is too little; None if it will do.

    It loads torch and runs the network on tensors without contents, so it is asked for when all else is drawn.
    """
    from tomoalign_core.learn.describe import memory_of

    try:
        memory = memory_of(RunConfig.from_json(config_json))
    except InputError as error:
        return str(error)
    return None if memory.fits else memory.words()


def warn_of_memory(config: RunConfig) -> None:
    """Before the start, not after an hour in the queue."""
    names = ("batch", "loss", "optimizer", "precision", "device")  # all that memory depends on
    course = TrainConfig.model_validate({name: getattr(config.train, name) for name in names})
    fault = too_large(config.changed(name="run", train=course).to_json(indent=None))
    if fault:
        st.warning(fault, icon=":material/memory:")


st.title("Train", anchor=False)
tell_misread("train", {"preset": one_of(PRESETS, PRESETS[0])})
form = None
said = st.session_state.pop("said", None)
if said:
    st.toast(said, icon=":material/info:")
try:
    # what comes and goes has a container to itself: fields below that were pushed on would fall out of the address
    with st.container():
        begin = beginning()
    with st.container(border=True):
        form = training_form(begin)
        with st.container():
            changes(form, begin)
        memory = st.container()
        buttons(form.config)
        grid_section(form.config)
except InputError as error:
    forget_clicks()
    st.error(str(error), icon=":material/error:")

st.subheader("Runs", anchor=False)
if list_runs():
    runs_table()
else:
    st.info("None yet. Press Start: the first curve moves within seconds.", icon=":material/model_training:")
if form:
    with memory:
        warn_of_memory(form.config)
