"""The networks between ``cnn3d`` and ``centroid``: each is the one before it with one thing changed."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from tomoalign_core.learn.models import Estimate
from tomoalign_core.learn.models.cnn3d import GROUPS

Shape = tuple[int, int, int]


class Mended(nn.Module):
    """The notebook's six groups of convolutions with ReLU and GroupNorm, and no dropout.

    Parameters
    ----------
    shape : (N, V, U) of all stacks.
    width : factor of the channels of all groups, but for the 16 that come out.
    angles : whether the angle axis is pooled with the others.
    read : "all views", flattened together as in the notebook; "each view", flattened by itself, all through the same
        layers.
    mended : ReLU and GroupNorm; else sigmoid and BatchNorm, as the notebook has them.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        width: float,
        angles: Literal["pooled", "kept"],
        read: Literal["all views", "each view"],
        mended: bool = True,
    ) -> None:
        super().__init__()
        groups = [[round(channels * width) for channels in group] for group in GROUPS]
        groups[0][0], groups[-1][-1] = 1, GROUPS[-1][-1]
        layers: list[nn.Module] = []
        for number, group in enumerate(groups, 1):
            for before, after in pairwise(group):
                layers += block(before, after, mended=mended)
            if number < len(groups):
                layers.append(nn.MaxPool3d(2 if angles == "pooled" else (1, 2, 2)))
        self.convolutions = nn.Sequential(*layers)
        self.read = read
        n_views, n_rows, n_cols = shape
        of_a_view = groups[-1][-1] * (n_rows // 32) * (n_cols // 32)
        of_all = of_a_view * (n_views if angles == "kept" else n_views // 32)
        into, out = (of_all, 2 * n_views) if read == "all views" else (of_a_view, 2)
        self.linear = nn.Sequential(nn.Linear(into, 512), nn.ReLU(), nn.Linear(512, 256), nn.Linear(256, out))

    def forward(self, proj: torch.Tensor, _angle_rad: torch.Tensor) -> list[Estimate]:
        """Stacks (B, N, V, U) to one estimate."""
        x = self.convolutions(scaled(proj)[:, None])
        if self.read == "each view":
            return [Estimate(self.linear(x.transpose(1, 2).flatten(2)))]
        return [Estimate(self.linear(x.flatten(1)).view(len(proj), 2, -1).transpose(1, 2))]


class Places(nn.Module):
    """Where each of 16 maps of a view is brightest (soft arg-max, px), and one linear layer from these to dx and dy.

    The first three groups of ``Mended`` at half their channels, pooled twice, in v and u alone, then the maps.
    """

    def __init__(self) -> None:
        super().__init__()
        half = nn.MaxPool3d((1, 2, 2))
        self.maps = nn.Sequential(
            *block(1, 8), half, *block(8, 16), half, *block(16, 32), *block(32, 32), nn.Conv3d(32, 16, 3, padding=1)
        )
        self.linear = nn.Linear(32, 2)
        self.px = 4  # of the detector, a pixel of the maps

    def forward(self, proj: torch.Tensor, _angle_rad: torch.Tensor) -> list[Estimate]:
        """Stacks (B, N, V, U) to one estimate."""
        maps = self.maps(scaled(proj)[:, None])
        share = maps.flatten(3).softmax(-1).view_as(maps)
        v, u = (self.px * (torch.arange(size).to(proj) - (size - 1) / 2) for size in maps.shape[3:])
        place_px = torch.cat([(share.sum(3) * u).sum(-1), (share.sum(4) * v).sum(-1)], 1)
        return [Estimate(self.linear(place_px.transpose(1, 2)))]


def block(before: int, after: int, *, mended: bool = True) -> list[nn.Module]:
    """A convolution; a mended one is normalised without the other stacks, and never saturates."""
    follow = [nn.GroupNorm(8, after), nn.ReLU()] if mended else [nn.BatchNorm3d(after), nn.Sigmoid()]
    return [nn.Conv3d(before, after, 3, padding=1), *follow]


def scaled(proj: torch.Tensor) -> torch.Tensor:
    """Each stack (B, N, V, U) from 0 to 1, as the notebook's network has it."""
    low, high = proj.amin(dim=(1, 2, 3), keepdim=True), proj.amax(dim=(1, 2, 3), keepdim=True)
    return (proj - low) / (high - low)
