"""The notebook's ``CNN_3D_aligner``: 3-D convolutions, pooling, a flat layer. The baseline that teaches."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from tomoalign_core.config import Cnn3dConfig, InputError
from tomoalign_core.learn.models.estimate import Estimate
from tomoalign_core.learn.models.precision import full_precision

GROUPS = ((1, 16), (16, 32), (32, 64, 64), (64, 128, 128), (128, 256, 256), (256, 16))


class Cnn3d(nn.Module):
    """Six groups of Conv3d + BatchNorm3d + Sigmoid, then three linear layers to (dx of each view, dy of each view).

    Its sizes follow from the scan, so it takes stacks of one shape only. For (180, 256, 366) the flat layer is 7040.
    """

    def __init__(self, config: Cnn3dConfig, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.force_std = config.force_std
        for i, channels in enumerate(GROUPS, 1):
            layers: list[nn.Module] = []
            for before, after in pairwise(channels):
                layers += [nn.Conv3d(before, after, 3, padding=1), nn.BatchNorm3d(after), nn.Sigmoid()]
            if i < len(GROUPS):
                layers.append(nn.MaxPool3d(2))
            setattr(self, f"group{i}", nn.Sequential(*layers))
        n_views, n_rows, n_cols = shape
        flat = 16 * (n_views // 32) * (n_rows // 32) * (n_cols // 32)
        if flat == 0:
            raise InputError(
                f"cnn3d halves each axis five times; {shape} is smaller than 32 somewhere; use larger stacks"
            )
        self.flatten = nn.Flatten()
        self.fc1 = nn.Sequential(nn.Linear(flat, 512), nn.Sigmoid(), nn.Dropout(0.25), nn.Linear(512, 256))
        self.fc2 = nn.Linear(256, 2 * n_views)

    def flat_output(self, proj: torch.Tensor) -> torch.Tensor:
        """Stacks (B, 1, N, V, U) to (B, 2N), as the notebook's network."""
        low, high = proj.amin(dim=(1, 2, 3, 4), keepdim=True), proj.amax(dim=(1, 2, 3, 4), keepdim=True)
        x = (proj - low) / (high - low).clamp(min=1e-12)
        for i in range(1, len(GROUPS) + 1):
            x = getattr(self, f"group{i}")(x)
        with full_precision(proj):  # from here on, px
            x = self.fc2(self.fc1(self.flatten(x.to(proj.dtype))))
            if self.force_std:
                x = 10 * (x - x.mean()) / x.std()
            return x

    def forward(self, proj: torch.Tensor, angle_rad: torch.Tensor | None = None) -> list[Estimate] | torch.Tensor:
        """Stacks (B, N, V, U) to one estimate; a stack with a channel axis (B, 1, N, V, U) to the flat (B, 2N)."""
        if proj.ndim == 5:
            return self.flat_output(proj)
        if tuple(proj.shape[1:]) != self.shape:
            raise ValueError(f"this cnn3d was built for stacks of {self.shape}, not {tuple(proj.shape[1:])}")
        out = self.flat_output(proj[:, None])
        return [Estimate(out.view(len(proj), 2, -1).transpose(1, 2))]


Cnn3d.__name__ = "CNN_3D_aligner"  # what torchinfo's table calls it, in the notebook as here
