"""The form of a data set: where it begins, and what one would change of it; what it will hold and take."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from pages.shared.sources import FROM_SIMULATE
from tomoalign_core.config import DatasetConfig, InputError, SimulationConfig, ValidationCase, first_fault
from tomoalign_core.learn.presets import PRESETS, like_simulation, preset, resized
from tomoalign_core.learn.room import Estimate, Shape, estimate, in_words
from tomoalign_core.learn.shapes import shapes
from tomoalign_core.learn.store import free_bytes

URL = "query-params"
BATCH = 3  # of stacks as set on Simulate, as the preset "quick" trains
KINDS = ("Endless", "Fixed")
SIZES = (
    ("n_views", "Views, from – to", "Projections in a stack."),
    ("n_rows", "Rows, px, from – to", "Height of the detector."),
    ("n_cols", "Columns, px, from – to", "Width of the detector."),
)
ENDLESS = (
    "**Endless**: training stacks are made anew while a network trains, and no stack is seen twice; none is kept. What "
    "is built are the validation stacks, on which every epoch is scored, and some training stacks to look at."
)
FIXED = (
    "**Fixed**: these training stacks and no others are seen, each once an epoch. They are built with the validation "
    "stacks, and trainings read them from disk."
)
HELP_KINDS = (
    "Endless: made anew while training, never the same twice; the way to a network that knows other stacks, too. "
    "Fixed: so many are kept on disk, and seen again each epoch."
)
HELP_VALIDATION = (
    "Every epoch is scored on these, always the same; of phantoms never trained on, unless all show one object."
)
DRAWN = " An endless set draws its own for each batch, a fixed one once; both ends the same: no range."
HELP_NAME = "For people; any words. “wide mix”, of the presets, means many kinds of object, movement and noise."
HELP_BASE = "Where the form begins: the data set of a training's preset, or stacks like the scan set on Simulate."


def dataset_form() -> tuple[DatasetConfig, int]:
    """The data set that stands in the form, and the stacks of a batch in the training it is meant for.

    Raises
    ------
    InputError
        With the first setting that cannot be, and why.
    """
    simulated = st.session_state.get("simulation")
    options = [*PRESETS, *([FROM_SIMULATE] if simulated else [])]
    name = st.selectbox("Begin from", options, key="base", bind=URL, help=HELP_BASE)
    if name == FROM_SIMULATE:
        scan = SimulationConfig.from_json(simulated)
        # its fields begin anew when the scan has changed
        base, batch, key = like_simulation(scan), BATCH, f"scan-{scan.key()[:6]}"
    else:
        base, batch, key = preset(name).dataset, preset(name).train.batch, name
    if not simulated:
        st.caption("Or set up a scan on Simulate and come back: stacks like it.")
    try:
        return _changed(base, key), batch
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _changed(base: DatasetConfig, key: str) -> DatasetConfig:
    """The data set ``base`` with what the visitor changed of it; untouched it has the key of ``base``."""
    left, right = st.columns([1.7, 1])
    with left:
        name = st.text_input("Name", base.name, key=f"{key}-name", bind=URL, max_chars=60, help=HELP_NAME)
    with right:
        seed = st.number_input(
            "Seed", 0, 2**31, base.seed, key=f"{key}-seed", bind=URL, help="Another number draws other stacks."
        )
    if not name.strip():
        raise InputError("the name is empty; give the data set one")
    fixed = _number_of_stacks(base, key)
    size = {
        field: _span(
            st.slider(
                words, 8, 512, _ends(getattr(base.scan, field)), key=f"{key}-{field}", bind=URL, help=about + DRAWN
            )
        )
        for field, words, about in SIZES
    }
    cases = _validation(base, key)
    return resized(base.changed(validation=cases), **size).changed(name=name.strip(), fixed=fixed, seed=seed)


def _number_of_stacks(base: DatasetConfig, key: str) -> int | None:
    """The number of training stacks, or None for endlessly many."""
    with st.container(horizontal=True):
        kind = st.segmented_control(
            "Training stacks", KINDS, default=KINDS[base.fixed is not None], required=True,
            key=f"{key}-kind", bind=URL, help=HELP_KINDS,
        )  # fmt: skip
        if kind == KINDS[0]:
            return None
        return st.number_input(
            "How many", 1, 10_000, base.fixed or 96, key=f"{key}-fixed", bind=URL, width=130, help="All that are seen."
        )


def _validation(base: DatasetConfig, key: str) -> tuple[ValidationCase, ...]:
    """The validation cases, of as many stacks as the visitor wants."""
    st.caption("**Validation stacks**", help=HELP_VALIDATION)
    columns = st.columns(max(2, len(base.validation)))
    return tuple(
        case.changed(
            stacks=column.number_input(
                case.name, 1, 1000, case.stacks, key=f"{key}-case-{number}", bind=URL, help="Stacks of this case."
            )
        )
        for number, (column, case) in enumerate(zip(columns, base.validation, strict=False))
    )


def _ends(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, value)


def _span(ends: tuple[Any, Any]) -> Any:
    """A range, or the one number that both ends are: so that an untouched form gives the preset's own key."""
    return ends[0] if ends[0] == ends[1] else tuple(ends)


# ---------------------------------------------------------------- what it takes


@st.cache_data(max_entries=64, show_spinner="Adding up what it takes …")
def estimate_of(config_json: str) -> Estimate:
    """What the set of these settings will take."""
    return estimate(DatasetConfig.from_json(config_json))


def takes(config: DatasetConfig, batch: int) -> Estimate:
    """Show what a set will hold and take, before it is built."""
    found = estimate_of(config.to_json(indent=None))
    st.markdown(ENDLESS if config.fixed is None else FIXED)
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "Stacks", f"{found.stacks:,}", help="Kept on disk: training and validation together.", width="content"
        )
        st.metric(
            "On disk", in_words(found.disk_bytes), f"{in_words(free_bytes())} free", delta_color="off",
            delta_arrow="off", help="Stacks with and without their noise; once where they have none.", width="content",
        )  # fmt: skip
        st.metric(
            "Stack, memory", in_words(found.stack_bytes), help="The largest, with and without noise.", width="content"
        )
        st.metric(
            "Batch, memory", in_words(found.batch_bytes(batch)), width="content",
            help=f"The {batch} largest stacks that a training step can meet; the network's own memory comes on top.",
        )  # fmt: skip
    parts_table(found)
    shapes_box(config)
    return found


def parts_table(found: Estimate) -> None:
    """Stacks, shapes, memory and disk of each part of a set."""
    rows = [
        {
            "part": part.name,
            "stacks": part.stacks,
            "shape": _shapes(part.smallest, part.largest),
            "a stack in memory": in_words(part.stack_bytes),
            "on disk": in_words(part.disk_bytes),
        }
        for part in found.parts
    ]
    st.dataframe(
        rows,
        width="stretch",
        hide_index=True,
        column_config={"shape": st.column_config.TextColumn("shape", help="Views × rows × columns.")},
    )


def shapes_box(config: DatasetConfig) -> None:
    """The shapes of a fixed set as the notebook printed them."""
    if config.fixed is None:
        return
    with st.expander("Shapes, as the notebook printed them", icon=":material/straighten:"):
        st.code("\n".join(f"{name:<16}{shape}" for name, shape in shapes(config).items()), language=None)
        st.caption("An entry: a stack (batch, channel, views, rows, columns) and its label, dx of all views, then dy.")


def _shapes(smallest: Shape, largest: Shape) -> str:
    """Views × rows × columns, of the smallest and the largest stack."""
    low, high = (" × ".join(map(str, shape)) for shape in (smallest, largest))
    return low if low == high else f"{low} … {high}"
