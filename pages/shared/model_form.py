"""The form of a network: which, how wide, from which weights, for which scan and batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import streamlit as st
from pydantic import ValidationError

from pages.shared.address import Address
from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    InputError,
    ModelConfig,
    TrainConfig,
    first_fault,
)
from tomoalign_core.learn.runs import list_runs

NETWORKS = ("centroid", "cnn3d")
NEW, PRETRAINED = "none", "pretrained"
LABELS = {
    "channels": "Channels",
    "maps": "Feature maps",
    "profiles": "Row profiles",
    "head": "Channels of the head",
    "search_rows": "Row search reach",
    "passes": "Passes",
}
# views, rows, columns and batch of the trainings of those names, at their largest
SCANS = {"quick": (76, 88, 112, 3), "full": (120, 112, 144, 8), "notebook": (180, 256, 366, 1)}


class Asked(NamedTuple):
    """A whole number that is asked for."""

    name: str
    label: str
    about: str
    default: int
    low: int
    high: int


SCAN = (
    Asked("views", "Views", "Projections in a stack.", 72, 2, 4000),
    Asked("rows", "Rows, px", "Height of the detector.", 80, 8, 4096),
    Asked("cols", "Columns, px", "Width of the detector.", 104, 8, 4096),
    Asked("batch", "Batch, stacks", "Stacks a training step learns from at once.", 3, 1, 1024),
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is described: a network on stacks (N, V, U), and the name of its weights if they are trained."""

    config: ModelConfig
    shape: tuple[int, int, int]
    batch: int
    weights: str | None = None

    @property
    def train(self) -> TrainConfig:
        """A training of it; only ``centroid`` gives the confidence that the likelihood needs."""
        return TrainConfig(batch=self.batch, loss="mse" if self.config.name == "cnn3d" else "laplace")

    def query(self) -> dict[str, str]:
        """The same in an address, for the Train page; ``centroid`` is trained there on stacks of many sizes."""
        values: dict[str, Any] = {"network": self.config.name, "batch": self.batch, "loss": self.train.loss}
        values |= self.config.model_dump(exclude={"name"})
        if self.config.name == "cnn3d":
            values |= dict(zip(("all_n_views", "all_n_rows", "all_n_cols"), self.shape, strict=True))
        return {name: str(value) for name, value in values.items()}


def choose_network(address: Address) -> Choice:
    """The form.

    Raises
    ------
    InputError
        If the weights asked for cannot be read, or a setting cannot be.
    """
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    options = _weights()
    weights = right.selectbox(
        "Weights", options, key=address.choice("weights", options, NEW),
        help="None: a new network, set up below. Pretrained: the aligner in the box. Or those of a training here. "
        "Trained weights bring their settings with them.",
    )  # fmt: skip
    try:
        return _new(left, address) if weights == NEW else _trained(left, address, weights)
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _weights() -> list[str]:
    """A new network, the one in the box, the runs that have weights, and the run that the address names."""
    runs = [run.id for run in list_runs() if (run.path / "best.safetensors").exists()]
    asked = st.query_params.get("weights", "")
    # a run that is gone, or has no weights yet, is told so; paths of the server are nobody's business here
    extra = [asked] if asked and "/" not in asked and asked not in (NEW, PRETRAINED, *runs) else []
    return [NEW, PRETRAINED, *runs, *extra]


def _new(left: Any, address: Address) -> Choice:
    name = left.segmented_control(
        "Network", NETWORKS, required=True, key=address.choice("network", NETWORKS, NETWORKS[0]),
        help="centroid: ours, for stacks of any size. cnn3d: the notebook's, for one size only; the baseline.",
    )  # fmt: skip
    with st.container(border=True):
        config = _centroid(address) if name == "centroid" else _cnn3d(address)
        *shape, batch = _numbers(address, SCAN)
        _scan_buttons(address)
    return Choice(config=config, shape=(shape[0], shape[1], shape[2]), batch=batch)


def _trained(left: Any, address: Address, weights: str) -> Choice:
    from tomoalign_core.learn.weights import look_into

    file = look_into(weights)
    name = file.config.name
    left.segmented_control(
        "Network", [name], default=name, disabled=True, key=f"network-of-{weights}", help="As it was trained."
    )
    with st.container(border=True):
        if name == "cnn3d":
            st.caption(f"It takes stacks of one shape only, which it was trained on: {words_of(file.shape)}.")
            (batch,) = _numbers(address, SCAN[3:])
            return Choice(config=file.config, shape=file.shape, batch=batch, weights=weights)
        *shape, batch = _numbers(address, SCAN)
        _scan_buttons(address)
    return Choice(config=file.config, shape=(shape[0], shape[1], shape[2]), batch=batch, weights=weights)


def _centroid(address: Address) -> CentroidConfig:
    asked = []
    for name, label in LABELS.items():
        field = CentroidConfig.model_fields[name]
        ends = {type(bound).__name__: bound for bound in field.metadata}
        asked.append(Asked(name, label, f"{field.description}.", field.default, ends["Ge"].ge, ends["Le"].le))
    return CentroidConfig(**dict(zip(LABELS, _numbers(address, asked), strict=True)))


def _cnn3d(address: Address) -> Cnn3dConfig:
    about = Cnn3dConfig.model_fields["force_std"].description
    key = address.switch("force_std")
    force = st.toggle("Force a spread of 10", key=key, help=f"{about}. It has no other setting.")
    return Cnn3dConfig(force_std=force)


def _numbers(address: Address, asked: Sequence[Asked]) -> list[int]:
    """Whole numbers beside each other."""
    with st.container(horizontal=True):
        return [
            st.number_input(
                a.label, a.low, a.high, key=address.number(a.name, a.default, a.low, a.high), help=a.about, width=150
            )
            for a in asked
        ]


def _scan_buttons(address: Address) -> None:
    """Scans to start from."""

    def take(values: tuple[int, ...]) -> None:
        st.session_state.update({address.key(a.name): value for a, value in zip(SCAN, values, strict=True)})

    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Scan and batch as in the training", width="content")
        for name, values in SCANS.items():
            st.button(name, key=f"scan-{name}", on_click=take, args=(values,), help=words_of(values))


def words_of(shape: tuple[int, ...]) -> str:
    """A stack's shape in words."""
    return f"{shape[0]} views of {shape[1]} × {shape[2]} px"
