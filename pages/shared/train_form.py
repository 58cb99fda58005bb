"""The form of a training: a preset, and what one would change of it."""

from __future__ import annotations

from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    InputError,
    RunConfig,
    ScanConfig,
    TrainConfig,
    first_fault,
)
from tomoalign_core.learn.presets import preset

PRESET_WORDS = {
    "quick": "**quick** reaches a tenth of a pixel in minutes on two CPU cores.",
    "full": "**full** is how the shipped weights are made: hours on a GPU, days without.",
    "notebook": "**notebook** is the origin of this project, faults and all: its loss never falls. It needs a GPU.",
}
LOSSES = {
    "laplace": "likelihood with confidence (laplace)",
    "smooth-l1": "smooth L1",
    "mse": "mean square (mse)",
    "raw-mse": "mean square with the gauge (raw-mse)",
}


def training_form(name: str) -> RunConfig:
    """The settings that stand in the form, which begins as the preset ``name``.

    Raises
    ------
    InputError
        With the first setting that cannot be, and why.
    """
    base = preset(name)
    try:
        left, middle, right = st.columns(3, gap="medium")
        with left:
            run_name, train = _course(base, name)
        with middle:
            train |= _method(base, name)
            model = _model(base, name)
        with right:
            dataset = _data(base, name, one_shape=model.name == "cnn3d")
        return RunConfig(name=run_name, dataset=dataset, model=model, train=base.train.changed(**train))
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _course(base: RunConfig, preset_name: str) -> tuple[str, dict[str, Any]]:
    st.markdown("**Course**")
    key, train = preset_name, base.train
    run_name = st.text_input(
        "Name", base.name, key=f"{key}-name", max_chars=60, help="Letters, digits, dot, dash, underscore."
    )
    values = {
        "epochs": st.number_input(
            "Epochs", 1, 100_000, train.epochs, key=f"{key}-epochs", help="Scored at the end of each."
        ),
        "steps_per_epoch": st.number_input(
            "Steps per epoch",
            1,
            1_000_000,
            train.steps_per_epoch,
            key=f"{key}-steps",
            help="Weight updates in an epoch.",
        ),
        "batch": st.number_input(
            "Batch, stacks", 1, 1024, train.batch, key=f"{key}-batch", help="Stacks seen in one step."
        ),
        "seed": st.number_input(
            "Seed", 0, 2**31, train.seed, key=f"{key}-seed", help="Another number, other first weights."
        ),
        "device": st.selectbox(
            "Device",
            ["auto", "cpu", "cuda"],
            key=f"{key}-device",
            accept_new_options=True,
            help="auto takes the GPU if there is one; cuda:1 is the second. One training at a time on each.",
        ),
    }
    return run_name, values


def _method(base: RunConfig, key: str) -> dict[str, Any]:
    st.markdown("**Method**")
    train = base.train
    options = get_args(TrainConfig.model_fields["optimizer"].annotation)
    return {
        "loss": st.selectbox(
            "Loss",
            list(LOSSES),
            index=list(LOSSES).index(train.loss),
            format_func=LOSSES.get,
            key=f"{key}-loss",
            help="Of the error without its gauge, but for raw-mse, which no network can bring to zero.",
        ),
        "optimizer": st.selectbox(
            "Optimizer",
            options,
            index=options.index(train.optimizer),
            key=f"{key}-optimizer",
            help="How weights are moved.",
        ),
        "learning_rate": st.number_input(
            "Learning rate",
            1e-7,
            10.0,
            train.learning_rate,
            1e-3,
            format="%.2g",
            key=f"{key}-rate",
            help=f"Largest step of the weights; schedule: {train.schedule}.",
        ),
    }


def _model(base: RunConfig, key: str) -> CentroidConfig | Cnn3dConfig:
    names = ["centroid", "cnn3d"]
    name = st.selectbox(
        "Network",
        names,
        index=names.index(base.model.name),
        key=f"{key}-model",
        help="centroid: ours, for stacks of any size. cnn3d: the notebook's, for one size only; the baseline.",
    )
    if name == "centroid":
        channels = st.number_input("Channels", 2, 256, 16, key=f"{key}-channels", help="Width of the encoder.")
        return CentroidConfig(channels=channels)
    forced = base.model.name == "cnn3d" and base.model.force_std
    force = st.toggle(
        "Force a spread of 10", forced, key=f"{key}-force", help="As the notebook did; it keeps the loss at 100 + σ²."
    )
    return Cnn3dConfig(force_std=force)


def _data(base: RunConfig, key: str, *, one_shape: bool) -> Any:
    st.markdown("**Training stacks**")
    scan = base.dataset.scan
    if one_shape:
        size = {
            field: st.number_input(
                words, 8, 1024, _ends(getattr(scan, field))[1], 8, key=f"{key}-one-{field}", help=about
            )
            for field, words, about in SIZES
        }
    else:
        size = {
            field: _span(
                st.slider(
                    words.replace(",", " from – to,"),
                    8,
                    512,
                    _ends(getattr(scan, field)),
                    4,
                    key=f"{key}-{field}",
                    help=about + DRAWN,
                )
            )
            for field, words, about in SIZES
        }
    low, high = (round(100 * end, 1) for end in _ends(base.dataset.train[0].noise.gaussian))
    noise = st.slider(
        "Noise, % of the maximum", 0.0, 50.0, (low, high), 0.5, key=f"{key}-noise", help=f"Standard deviation. {DRAWN}"
    )
    span = _span((noise[0] / 100, noise[1] / 100))
    recipes = tuple(recipe.changed(noise=recipe.noise.changed(gaussian=span)) for recipe in base.dataset.train)
    checks = base.dataset.validation
    new_scan = scan.changed(**size)
    if one_shape:  # such a network can be scored on stacks of its own size only
        checks = tuple(_resized(case, new_scan) for case in checks)
    kind = f"Fixed set of {base.dataset.fixed}" if base.dataset.fixed else "Endless: no stack is seen twice"
    st.caption(f"{kind}. Scored on phantoms never trained on: {', '.join(case.name for case in checks)}.")
    return base.dataset.changed(scan=new_scan, train=recipes, validation=checks)


DRAWN = " Each batch draws its own between the two ends."
SIZES = (
    ("n_views", "Views, number", "Projections in a stack."),
    ("n_rows", "Rows, px", "Height of the stack."),
    ("n_cols", "Columns, px", "Width of the stack."),
)


def _resized(case: Any, scan: ScanConfig) -> Any:
    size = {name: getattr(scan, name) for name in ("n_views", "n_rows", "n_cols")}
    return case.changed(simulation=case.simulation.changed(scan=case.simulation.scan.changed(**size)))


def _ends(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, value)


def _span(ends: tuple[Any, Any]) -> Any:
    """A range, or the one number that both ends are: so that an untouched form gives the preset's own key."""
    return ends[0] if ends[0] == ends[1] else tuple(ends)
