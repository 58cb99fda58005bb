"""The form of a training: where it begins, and what one would change of it. Limits and help come from the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import ValidationError

from pages.shared.address import leave_out, put_back
from pages.shared.train_start import Beginning, remember, settle
from pages.shared.words import HELP_RECIPES
from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    DatasetConfig,
    InputError,
    RunConfig,
    ScanConfig,
    Settings,
    TrainConfig,
    ValidationCase,
    first_fault,
)

NETWORKS: dict[str, type[CentroidConfig] | type[Cnn3dConfig]] = {"centroid": CentroidConfig, "cnn3d": Cnn3dConfig}
COURSE = {"epochs": "Epochs", "steps_per_epoch": "Steps per epoch", "batch": "Batch, stacks", "seed": "Seed"}
METHOD = {
    "loss": "Loss",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate",
    "schedule": "Schedule of the rate",
    "clip": "Gradient clip, norm",
}
MACHINE = {"precision": "Precision", "profiler": "Profiler trace"}
FINE = {
    "warm_up": "Warm-up, share of the steps",
    "momentum": "Momentum",
    "weight_decay": "Weight decay",
}
WATCHING = {
    "checkpoint_every": "Checkpoint every, steps",
    "log_every": "Log every, steps",
}
NETWORK = {
    "channels": "Channels",
    "maps": "Feature maps",
    "profiles": "Row profiles",
    "head": "Channels of the head",
    "search_rows": "Row search reach",
    "passes": "Passes",
    "force_std": "Force spread 10",
}
SIZES = {"n_views": "Views", "n_rows": "Rows, px", "n_cols": "Columns, px"}
ONE_SIZE = {"n_views": "all_n_views", "n_rows": "all_n_rows", "n_cols": "all_n_cols"}  # where stacks have one size
STEPS = {"learning_rate": 1e-4, "momentum": 0.05, "weight_decay": 1e-4, "warm_up": 0.05, "clip": 0.5}
USED_BY = {  # settings that only count with a choice of another one
    "momentum": ("optimizer", ("sgd",)),
    "weight_decay": ("optimizer", ("adamw",)),
    "warm_up": ("schedule", ("one-cycle", "cosine")),
}
DRAWN = "Each batch draws its own between the two ends."


@dataclass(frozen=True)
class Form:
    """What stands in the form: the settings, and what was changed of its beginning, as (label, before, now)."""

    config: RunConfig
    changes: list[tuple[str, Any, Any]]


@dataclass
class Fields:
    """Draws the fields, each in the address under its name, and keeps an eye on what was changed."""

    begin: Mapping[str, Any]
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)

    def ask(self, model: type[Settings], name: str, label: str, *, disabled: bool = False) -> Any:
        """A field of the config, with the limits and the words that stand there."""
        about = model.model_fields[name]
        value, kind = self.begin[name], about.annotation
        common: dict[str, Any] = {"key": name, "bind": "query-params", "help": f"{about.description}."}
        if get_origin(kind) is Literal:
            options = get_args(kind)
            answer = st.selectbox(label, options, index=options.index(value), disabled=disabled, **common)
        elif kind is bool:
            answer = st.toggle(label, value, disabled=disabled, **common)
        else:
            low, high = _limits(about.metadata, whole=kind is int)
            step = 1 if kind is int else STEPS[name]
            shape = "%d" if kind is int else "%g"
            answer = st.number_input(label, low, high, value, step, shape, disabled=disabled, **common)
        return self.note(name, label, answer)

    def note(self, name: str, label: str, answer: Any) -> Any:
        """Note that it was drawn, and a change."""
        self.drawn.add(name)
        if answer != self.begin[name]:
            self.changes.append((label.split(",")[0], self.begin[name], answer))
        return answer


def training_form(start: Beginning) -> Form:
    """The settings that stand in the form, which begins as ``start``; what it does not show is kept from there.

    Raises
    ------
    InputError
        With the first setting that cannot be, and why.
    """
    base, begin = start.config, begin_of(start.config)
    settle(start, begin)
    put_back(begin)
    fields = Fields(begin)
    try:
        left, middle, right = st.columns(3, gap="medium")
        with left:
            st.markdown("**Course**")
            run_name = _name(fields)
            train = {name: fields.ask(TrainConfig, name, label) for name, label in COURSE.items()}
        with middle:
            st.markdown("**Method**")
            train |= {name: fields.ask(TrainConfig, name, label) for name, label in METHOD.items()}
        with right:
            st.markdown("**Network and machine**")
            network, model = _network(fields)
            train["device"] = _device(fields)
            train |= {name: fields.ask(TrainConfig, name, label) for name, label in MACHINE.items()}
        with st.expander("Further settings", icon=":material/tune:"):
            more, model_more = _further(fields, network, train)
        dataset = base.dataset
        if start.on_a_set:
            _about(dataset)
        else:
            with st.expander("Training stacks", icon=":material/dataset:"):
                dataset = _data(fields, dataset, one_size=network is Cnn3dConfig)
        remember(begin)
        leave_out(begin.keys() - fields.drawn)
        course, net = base.train.changed(**train, **more), network(**model, **model_more)
        return Form(RunConfig(name=run_name, dataset=dataset, model=net, train=course), fields.changes)
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def begin_of(base: RunConfig) -> dict[str, Any]:
    """What each field shows at first, by its key."""
    shown: dict[str, Any] = {"name": base.name, "network": base.model.name}
    shown |= {name: getattr(base.train, name) for name in (*COURSE, *METHOD, *MACHINE, *FINE, *WATCHING, "device")}
    for kind in NETWORKS.values():
        model = base.model if isinstance(base.model, kind) else kind()
        shown |= {name: getattr(model, name) for name in kind.model_fields if name != "name"}
    for name, key in ONE_SIZE.items():
        ends = _ends(getattr(base.dataset.scan, name))
        shown |= {name: ends, key: ends[1]}
    shown["noise_percent"] = tuple(round(100.0 * end, 1) for end in _ends(base.dataset.train[0].noise.gaussian))
    return shown


def _name(fields: Fields) -> str:
    about = RunConfig.model_fields["name"].description
    answer = st.text_input("Name", fields.begin["name"], 60, key="name", bind="query-params", help=f"{about}.")
    return fields.note("name", "Name", answer)


def _device(fields: Fields) -> str:
    value = fields.begin["device"]
    typed = st.session_state.get("device") or st.query_params.get("device") or value
    options = list(dict.fromkeys(["auto", "cpu", "cuda", value, typed]))
    answer = st.selectbox(
        "Device", options, options.index(value), key="device", bind="query-params", accept_new_options=True,
        help=f"{TrainConfig.model_fields['device'].description}.",
    )  # fmt: skip
    return fields.note("device", "Device", answer)


def _network(fields: Fields) -> tuple[type[CentroidConfig] | type[Cnn3dConfig], dict[str, Any]]:
    """The network, and the one setting of it that people try first."""
    names = list(NETWORKS)
    name = st.selectbox(
        "Network", names, names.index(fields.begin["network"]), key="network", bind="query-params",
        help="centroid: ours, for stacks of any size. cnn3d: the notebook's, for one size only; the baseline.",
    )  # fmt: skip
    fields.note("network", "Network", name)
    first = "channels" if name == "centroid" else "force_std"
    return NETWORKS[name], {first: fields.ask(NETWORKS[name], first, NETWORK[first])}


def _further(
    fields: Fields, network: type[Settings], train: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that are seldom changed: of the method and of what is written, and of the network."""

    def idle(name: str) -> bool:
        other, choices = USED_BY.get(name, ("", ()))
        return bool(other) and train[other] not in choices

    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.markdown("**Method**")
        more = {name: fields.ask(TrainConfig, name, label, disabled=idle(name)) for name, label in FINE.items()}
    with middle:
        st.markdown("**Network**")
        rest = [name for name in list(NETWORK)[1:] if name in network.model_fields and name != "force_std"]
        model = {name: fields.ask(network, name, NETWORK[name]) for name in rest}
        if not rest:
            st.caption("cnn3d has no further setting: its sizes follow from the stacks.")
    with right:
        st.markdown("**What is written**")
        more |= {name: fields.ask(TrainConfig, name, label) for name, label in WATCHING.items()}
    return more, model


def _data(fields: Fields, base: DatasetConfig, *, one_size: bool) -> DatasetConfig:
    """The sizes and the noise of the training stacks; as in the beginning where they were not touched."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        size = _one_size(fields) if one_size else _sizes(fields)
    with right:
        before = fields.begin["noise_percent"]
        noise = st.slider(
            "Noise from – to, % of the maximum", 0.0, max(50.0, before[1]), before, 0.5,
            key="noise_percent", bind="query-params", help=f"Standard deviation of the Gaussian noise. {DRAWN}",
        )  # fmt: skip
        _about(base)
    recipes, checks, scan = base.train, base.validation, base.scan.changed(**size)
    if fields.note("noise_percent", "Noise", tuple(noise)) != before:
        span = _span((noise[0] / 100, noise[1] / 100))
        recipes = tuple(recipe.changed(noise=recipe.noise.changed(gaussian=span)) for recipe in recipes)
    if one_size:  # such a network can be scored on stacks of its own size only
        checks = tuple(_resized(case, scan) for case in checks)
    return base.changed(scan=scan, train=recipes, validation=checks)


def _about(dataset: DatasetConfig) -> None:
    """What is learnt from, and what it is scored on."""
    kind = f"Fixed set of {dataset.fixed}" if dataset.fixed else "Endless: no stack is seen twice"
    kinds = ", ".join(recipe.name for recipe in dataset.train)
    st.caption(f"{kind}. Drawn from {kinds}.", help=HELP_RECIPES)
    seen = "stacks of the same object" if dataset.one_phantom else "phantoms never trained on"
    st.caption(f"Scored on {seen}: {', '.join(case.name for case in dataset.validation)}.")


def _sizes(fields: Fields) -> dict[str, Any]:
    size = {}
    for name, label in SIZES.items():
        low, high = fields.begin[name]
        ends = st.slider(
            label.replace(",", " from – to,") if "," in label else f"{label} from – to", min(8, low), max(512, high),
            (low, high), 4, key=name, bind="query-params", help=f"{ScanConfig.model_fields[name].description}. {DRAWN}",
        )  # fmt: skip
        size[name] = _span(fields.note(name, label, tuple(ends)))
    return size


def _one_size(fields: Fields) -> dict[str, int]:
    return {
        name: fields.note(
            key, SIZES[name],
            st.number_input(
                SIZES[name], 8, 4000, fields.begin[key], 8, key=key, bind="query-params",
                help=f"{ScanConfig.model_fields[name].description}; cnn3d takes stacks of one size only.",
            ),
        )
        for name, key in ONE_SIZE.items()
    }  # fmt: skip


def _resized(case: ValidationCase, scan: ScanConfig) -> ValidationCase:
    size = {name: getattr(scan, name) for name in SIZES}
    return case.changed(simulation=case.simulation.changed(scan=case.simulation.scan.changed(**size)))


def _limits(metadata: list[Any], *, whole: bool) -> tuple[Any, Any]:
    """The least and the greatest value that the config allows, as far as it says."""
    said = {name: getattr(m, name) for m in metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}
    hair = 1 if whole else 1e-7
    low = said.get("ge", said["gt"] + hair if "gt" in said else None)
    high = said.get("le", said["lt"] - hair if "lt" in said else None)
    kind = int if whole else float
    return tuple(end if end is None else kind(end) for end in (low, high))


def _ends(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, value)


def _span(ends: tuple[Any, Any]) -> Any:
    """A range, or the one number that both ends are: so that an untouched form gives the beginning's own key."""
    return ends[0] if ends[0] == ends[1] else ends
