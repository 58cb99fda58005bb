"""The layers of a network as torchinfo sees them: a table to read, and rows to sort."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torchinfo import ModelStatistics, summary
from torchinfo.layer_info import LayerInfo

from tomoalign_core.config import Cnn3dConfig, ModelConfig
from tomoalign_core.learn.describe.parts import part_of_layer
from tomoalign_core.learn.models import build_model


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer, or a parameter that stands by itself.

    ``multiply_adds`` is over all ``calls``: layers of ``centroid`` work once or twice a pass.
    """

    name: str
    kind: str
    part: str
    kernel: tuple[int, ...] | None
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    calls: int


@dataclass(frozen=True, kw_only=True)
class LayerTable:
    """What torchinfo tells of a network: its table as text, the same as rows, and sums."""

    text: str = field(repr=False)
    rows: tuple[Layer, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def layer_table(config: ModelConfig, shape: tuple[int, int, int], batch: int = 1) -> LayerTable:
    """The layers of a network at work on a batch of stacks (N, V, U), as when it finds shifts.

    Raises
    ------
    InputError
        If the network cannot be built for the shape.
    """
    with torch.device("meta"):
        network = build_model(config, shape)
        # the notebook's network is called as the notebook called it: with a channel axis, and no angles
        given = [torch.empty(batch, 1, *shape)] if isinstance(config, Cnn3dConfig) else _stacks(batch, shape)
    found = summary(
        network,
        input_data=given,
        depth=4,
        col_names=("output_size", "num_params", "mult_adds"),
        row_settings=("depth", "var_names"),
        mode="eval",
        verbose=0,
    )
    return LayerTable(
        text=str(found),
        rows=_rows(found, network),
        parameters=found.total_params,
        trainable=found.trainable_params,
        multiply_adds=found.total_mult_adds,
        input_shape=tuple(given[0].shape),
        output_shape=tuple(found.summary_list[0].output_size),
    )


def _stacks(batch: int, shape: tuple[int, int, int]) -> list[torch.Tensor]:
    return [torch.empty(batch, *shape), torch.empty(batch, shape[0])]


def _rows(found: ModelStatistics, network: nn.Module) -> tuple[Layer, ...]:
    """One row a layer, however often it is called, and one a parameter that is in no layer."""
    rows: dict[str, Layer] = {}
    path: list[str] = []
    for info in found.summary_list[1:]:
        path = [*path[: info.depth - 1], info.var_name]
        name = ".".join(path)
        if info.children:
            continue
        if name in rows:
            done = rows[name]
            rows[name] = replace(done, calls=done.calls + 1, multiply_adds=done.multiply_adds + info.macs)
        else:
            rows[name] = _row(info, name, part_of_layer(network, name))
    for name, parameter in network.named_parameters(recurse=False):
        rows[name] = Layer(
            name=name,
            kind="parameter",
            part=part_of_layer(network, name),
            kernel=None,
            output_shape=tuple(parameter.shape),
            parameters=parameter.numel(),
            multiply_adds=0,
            calls=1,
        )
    return tuple(rows.values())


def _row(info: LayerInfo, name: str, part: str) -> Layer:
    return Layer(
        name=name,
        kind=info.class_name,
        part=part,
        kernel=tuple(info.kernel_size) if isinstance(info.kernel_size, list) and "Conv" in info.class_name else None,
        output_shape=tuple(info.output_size),
        parameters=info.num_params,
        multiply_adds=info.macs,
        calls=1,
    )
