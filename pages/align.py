"""Align: give a stack, choose methods, see before and after, take the result home."""

from __future__ import annotations

import streamlit as st

from pages.shared.align_results import Result, find, show
from pages.shared.router import through_router
from pages.shared.runs_table import label
from pages.shared.sources import Source, pick_source
from pages.shared.words import NOT_TRAINED
from tomoalign_core.config import InputError
from tomoalign_core.learn.runs import list_runs, open_run

through_router("pages/align.py")

PRETRAINED = "pretrained"
METHODS = {
    "network": "Network",
    "center-of-mass": "Centre of mass",
    "profile-correlation": "Profile correlation",
    "phase-correlation": "Phase correlation",
}


def model_name(model: str) -> str:
    """A model as people speak of it."""
    return PRETRAINED if model == PRETRAINED else open_run(model).config.name


def pick_model() -> str | None:
    """The network to align with: the one in the box, or one of the runs."""
    with st.spinner("Loading the networks' library …"):
        from tomoalign_core.learn import weights

    trained = {run.id: run for run in list_runs() if (run.path / "best.safetensors").exists()}
    options = [*([PRETRAINED] if weights.PRETRAINED.exists() else []), *trained]
    if not options:
        st.info(NOT_TRAINED, icon=":material/model_training:")
        return None
    wanted = st.query_params.get("model")
    return st.selectbox(
        "Model",
        options,
        index=options.index(wanted) if wanted in options else 0,
        format_func=lambda name: "pretrained, in the box" if name == PRETRAINED else label(trained[name]),
        key="model",
        help="Any training that has finished an epoch can align; its best epoch is taken.",
    )


def pick_methods() -> list[tuple[str, str, str]]:
    """The methods to run: name on screen, method, model."""
    chosen = st.pills(
        "Methods", list(METHODS), selection_mode="multi", default=["network", "center-of-mass"], key="methods",
        wrap=True, format_func=METHODS.get, help="Several are shown side by side on the same stack.",
    )  # fmt: skip
    model = pick_model() if "network" in chosen else None
    return [
        (
            f"network, {model_name(model)}" if method == "network" else METHODS[method].lower(),
            method,
            model or PRETRAINED,
        )
        for method in chosen
        if method != "network" or model
    ]


def align(source: Source, methods: list[tuple[str, str, str]], key: str) -> Result:
    """Read the stack and run the methods, with words on what is going on."""
    with st.status(f"Reading {source.name} …") as doing:
        stack = source.read()
        result = Result(key=key, name=source.name, stack=stack, bound_px=source.bound_px)
        for name, method, model in methods:
            doing.update(label=f"{METHODS[method]} looks for the shifts of {len(stack.proj)} views …")
            result.found[name] = find(stack, name, method=method, model=model)
        doing.update(label="Aligned", state="complete")
    return result


st.title("Align", anchor=False)
form, window = st.columns([1, 2.6], gap="medium")
with form:
    source = pick_source()
    methods = pick_methods()
    ready = source is not None and bool(methods)
    go = st.button(
        "Align",
        type="primary",
        icon=":material/align_horizontal_center:",
        disabled=not ready,
        width="stretch",
        key="align",
    )
    if not ready:
        st.caption("Give a stack, and choose at least one method." if source is None else "Choose at least one method.")
with window:
    key = repr((source and source.key, methods))
    if go and source is not None:
        st.session_state.pop("aligned", None)
        try:
            st.session_state["aligned"] = align(source, methods, key)
        except InputError as error:
            st.error(str(error), icon=":material/error:")
    result: Result | None = st.session_state.get("aligned")
    if result is not None:
        if result.key != key:
            st.info("The settings have changed since; press Align to see what they give.", icon=":material/sync:")
        show(result)
    elif not go:
        st.info(
            "Press **Align**: the shifts of every view, and the sinogram and slice before and after, appear here.",
            icon=":material/align_horizontal_center:",
        )
