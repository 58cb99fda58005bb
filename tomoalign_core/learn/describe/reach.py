"""How far a part of a network sees: measured, as the extent of a gradient that is not zero, on small inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from tomoalign_core.config import CentroidConfig, Cnn3dConfig, ModelConfig
from tomoalign_core.geometry import angles
from tomoalign_core.learn.models.centroid import STRIDE, Centroid
from tomoalign_core.learn.models.cnn3d import GROUPS, Cnn3d

Function = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What one output of a part depends on, in views, detector rows and columns; None is all of them."""

    part: str
    views: int | None
    rows: int | None
    cols: int | None


def reaches(config: ModelConfig) -> tuple[Reach, ...]:
    """The receptive field of each part, up to the whole network."""
    # neither depends on the other settings: they widen layers, and make no kernel larger
    return _of_cnn3d() if isinstance(config, Cnn3dConfig) else _of_centroid()


def reach_of(part: str, function: Function, *, least: int, most: int) -> Reach:
    """Measure a function of stacks (N, V, U) to (C, N', V', U'), whose middle output is looked at.

    Parameters
    ----------
    least : size of the other axes while one is measured: the smallest that the function takes.
    most : what reaches both ends of an axis of this size is taken to see all of any.
    """
    views, rows, cols = (_extent(function, axis, least, most) for axis in range(3))
    return Reach(part=part, views=views, rows=rows, cols=cols)


def _extent(function: Function, axis: int, least: int, most: int) -> int | None:
    length = least
    while length <= most:
        size = [least] * 3
        size[axis] = length
        stack = torch.rand(size, generator=torch.Generator().manual_seed(0)).requires_grad_()
        out = function(stack)
        middle = out[:, out.shape[1] // 2, out.shape[2] // 2, out.shape[3] // 2]
        gradient = torch.autograd.grad(middle.sum(), stack)[0]
        seen = (gradient != 0).sum(dim=[d for d in range(3) if d != axis]).nonzero()
        first, last = int(seen.min()), int(seen.max())
        if first > 0 and last < length - 1:
            return last - first + 1
        length *= 2
    return None


@lru_cache(maxsize=1)
def _of_cnn3d() -> tuple[Reach, ...]:
    """Each group with all before it; then the whole, whose linear layers see everything."""
    network = Cnn3d(Cnn3dConfig(), (32, 32, 32))
    groups = [_thin(getattr(network, f"group{i}")) for i in range(1, len(GROUPS) + 1)]

    def up_to(last: int) -> Function:
        return lambda stack: nn.Sequential(*groups[:last])(stack[None, None])[0]

    def whole(stack: torch.Tensor) -> torch.Tensor:
        flat = up_to(len(GROUPS))(stack).flatten()
        return nn.Linear(len(flat), 1)(flat)[:, None, None, None]

    measured = [reach_of(f"group {i}", up_to(i), least=32, most=256) for i in range(1, len(GROUPS) + 1)]
    return (*measured, reach_of("linear layers", whole, least=32, most=64))


def _thin(group: nn.Module) -> nn.Sequential:
    """The same kernels, strides and paddings with one channel, for speed; pooled by the mean, which hides no input."""
    layers: list[nn.Module] = []
    for layer in group.children():
        if isinstance(layer, nn.Conv3d):
            thin = copy.deepcopy(layer)
            thin.weight, thin.bias = nn.Parameter(layer.weight[:1, :1].detach()), None
            layers.append(thin)
        elif isinstance(layer, nn.MaxPool3d):
            layers.append(nn.AvgPool3d(layer.kernel_size, layer.stride, layer.padding))
        elif isinstance(layer, nn.Sigmoid):
            layers.append(layer)
    return nn.Sequential(*layers)


@lru_cache(maxsize=1)
def _of_centroid() -> tuple[Reach, ...]:
    """The learned filters of each part; then one whole pass, whose gauge fit sees everything."""
    network = Centroid(CentroidConfig(passes=1)).eval()
    with torch.no_grad():  # fresh weights are zero in places
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    network.requires_grad_(False)

    def encoder(stack: torch.Tensor) -> torch.Tensor:
        return network.filters(stack[None])[0]

    def rows(stack: torch.Tensor) -> torch.Tensor:
        profile = F.pad(stack.mean(2)[:, None], (4, 4), mode="replicate")
        return network.to_profiles(profile).transpose(0, 1)[..., None]

    def neighbours(stack: torch.Tensor) -> torch.Tensor:
        clean = F.avg_pool2d(stack, STRIDE, ceil_mode=True) + network.to_clean(encoder(stack))[0]
        return network.to_local(clean[:, None]).transpose(0, 1)

    def head(stack: torch.Tensor) -> torch.Tensor:
        numbers = next(network.head.parameters()).shape[1]
        return network.head(stack.mean(dim=(1, 2)).expand(numbers, -1))[..., None, None]

    def whole(stack: torch.Tensor) -> torch.Tensor:
        angle = torch.from_numpy(angles(len(stack))).float()
        return network(stack[None], angle[None])[-1].shift[0].T[..., None, None]

    measured = (("encoder", encoder), ("row profiles", rows), ("views against views", neighbours), ("head", head))
    parts = [reach_of(name, function, least=16, most=128) for name, function in measured]
    return (*parts, reach_of("whole network", whole, least=16, most=32))
