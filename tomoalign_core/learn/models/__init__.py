"""The networks, and how to build one from its configuration."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from tomoalign_core.config import CentroidConfig, Cnn3dConfig, ModelConfig
from tomoalign_core.learn.models.centroid import Centroid
from tomoalign_core.learn.models.cnn3d import Cnn3d
from tomoalign_core.learn.models.estimate import Estimate

__all__ = ["Aligner", "Centroid", "Cnn3d", "Estimate", "build_model"]


class Aligner(Protocol):
    """What a network is to the trainer: stacks (B, N, V, U) and angles (B, N) in, one estimate a pass out."""

    def __call__(self, proj: torch.Tensor, angle_rad: torch.Tensor) -> list[Estimate]: ...


def build_model(config: ModelConfig, shape: tuple[int, int, int]) -> nn.Module:
    """Build a network with fresh weights; ``shape`` (N, V, U) sizes ``cnn3d``, ``centroid`` takes any."""
    if isinstance(config, Cnn3dConfig):
        return Cnn3d(config, shape)
    assert isinstance(config, CentroidConfig)
    return Centroid(config)
