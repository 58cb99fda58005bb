"""Try several values: one run for each combination of what is typed for some fields."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.shared.address import put_back
from pages.shared.looks import STATES
from pages.shared.train_form import COURSE, FINE, METHOD, NETWORK
from tomoalign_core.config import InputError, RunConfig
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.runs import Outcome, Run, known_run, launch
from tomoalign_core.learn.sweep import MOST, Value, expand, kind_of, parse_values

Known = tuple[Run, Outcome] | None


def grid_section(config: RunConfig) -> None:
    """Choose fields, type values, see the runs, queue them."""
    put_back({str(name): [] if name == "grid" else "" for name in st.session_state if _of_the_grid(name)})
    with st.expander("Try several values", icon=":material/apps:", expanded="grid" in st.query_params):
        paths = _paths(config)
        chosen = st.multiselect(
            "Fields", list(paths), key="grid", bind="query-params", placeholder="learning_rate, channels, …",
            help=f"Each combination of their values is a run; {MOST} at most. All else is as in the form.",
        )  # fmt: skip
        if not chosen:
            st.caption("Choose one field or more, and type the values to try: one run each is queued.")
            return
        try:
            tried = {name: paths[name] for name in chosen}
            values = _values(config, tried)
            if values:
                _runs(expand(config, values), tried)
        except InputError as error:
            st.error(str(error), icon=":material/error:")


def _of_the_grid(key: object) -> bool:
    return str(key) == "grid" or str(key).startswith("try_")


def _paths(config: RunConfig) -> dict[str, str]:
    """The fields of the form that make another training, by name."""
    train = [*COURSE, *METHOD, "precision", *FINE]
    model = [name for name in NETWORK if name in type(config.model).model_fields]
    fields = {name: f"train.{name}" for name in train} | {"network": "model.name"}
    return fields | {name: f"model.{name}" for name in model}


def _values(config: RunConfig, paths: dict[str, str]) -> dict[str, list[Value]]:
    """What is typed for each field; nothing until there is something for all of them."""
    values: dict[str, list[Value]] = {}
    columns = st.columns(max(2, min(len(paths), 4)))
    for number, (name, path) in enumerate(paths.items()):
        kind = kind_of(path)
        hint = ", ".join(kind) if isinstance(kind, tuple) else f"now {_value(config, path)}"
        text = columns[number % len(columns)].text_input(
            f"Values of {name}", key=f"try_{name}", bind="query-params", placeholder=hint,
            help="With commas or blanks between them; whole numbers also as a range, 0-4.",
        )  # fmt: skip
        if text.strip():
            values[path] = parse_values(text, path)
    return values if len(values) == len(paths) else {}


def _runs(configs: list[RunConfig], paths: dict[str, str]) -> None:
    """The runs of the grid, and the button that queues those that are not trained yet."""
    known: list[Known] = [known_run(config) for config in configs]
    st.dataframe(
        [_row(config, paths, one) for config, one in zip(configs, known, strict=True)],
        width="stretch",
        height="auto" if len(configs) <= 8 else 320,
        hide_index=True,
        key="grid-runs",
    )
    todo = [config for config, one in zip(configs, known, strict=True) if one is None or one[1] == "resumed"]
    done = sum(one is not None and one[1] == "opened" for one in known)
    words = f"{len(configs)} run{'s' * (len(configs) > 1)}" + (f", {done} of them already trained" if done else "")
    if read_only():
        st.caption(words)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        label = f"Queue {len(todo)} run{'s' * (len(todo) > 1)}" if todo else "Nothing left to queue"
        if st.button(label, type="primary", icon=":material/playlist_add:", key="queue", disabled=not todo):
            _queue(todo)
        order = "They train one after another on a device, in this order." if todo else "The table says where they are."
        st.caption(f"{words}. {order}")


def _queue(configs: list[RunConfig]) -> None:
    bar = st.progress(0.0, "Queueing …")
    for number, config in enumerate(configs, 1):
        launch(config)
        bar.progress(number / len(configs), f"Queued {number} of {len(configs)}")
    st.session_state["said"] = f"{len(configs)} runs are in the queue." if len(configs) > 1 else "Queued."
    st.rerun()


def _row(config: RunConfig, paths: dict[str, str], known: Known) -> dict[str, Any]:
    tried = {name: _value(config, path) for name, path in paths.items()}
    return {"name": config.name, **tried, "state": "new" if known is None else _state_words(known)}


def _value(config: RunConfig, path: str) -> Any:
    part, _, name = path.partition(".")
    return getattr(getattr(config, part), name, None)


def _state_words(known: tuple[Run, Outcome]) -> str:
    run, outcome = known
    state = run.status().state
    return "already trained" if outcome == "opened" else f"{state}: {STATES[state].meaning}"
