"""The parts that a network is told in: which layers each holds, and which calls it works in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from tomoalign_core.learn.models.centroid import Centroid
from tomoalign_core.learn.models.cnn3d import GROUPS


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a network.

    layers : names of its children and parameters. calls : names of the methods or children that do its work.
    """

    name: str
    layers: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


REST = "weighing together"  # what no part claims: the arithmetic between the parts, and the loss
_CENTROID = (
    Part(name="encoder", layers=("first", "second", "third", "to_clean"), calls=("encode",)),
    Part(name="centroids", layers=("to_maps", "threshold"), calls=("tracks",)),
    Part(name="row profiles", layers=("to_profiles",), calls=("match_rows",)),
    Part(name="views against views", layers=("to_local",), calls=("match_views",)),
    Part(name="head", layers=("head", "to_weights", "to_rest", "to_trust", "to_gain"), calls=("_weigh",)),
)
_CNN3D = (
    *(Part(name=f"group {i}", layers=(f"group{i}",), calls=(f"group{i}",)) for i in range(1, len(GROUPS) + 1)),
    Part(name="linear layers", layers=("flatten", "fc1", "fc2"), calls=("flatten", "fc1", "fc2")),
)


def parts_of(network: nn.Module) -> tuple[Part, ...]:
    """The parts of one of our networks, in the order in which data pass."""
    return _CENTROID if isinstance(network, Centroid) else _CNN3D


def part_of_layer(network: nn.Module, name: str) -> str:
    """The part that holds the layer or parameter of that dotted name."""
    top = name.split(".")[0]
    return next(part.name for part in parts_of(network) if top in part.layers)


def mixed_calls(network: nn.Module) -> tuple[str, ...]:
    """The methods and children that a network leaves open to mixed precision."""
    if isinstance(network, Centroid):
        return ("filters",)
    return tuple(f"group{i}" for i in range(1, len(GROUPS) + 1))
