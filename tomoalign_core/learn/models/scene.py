"""What a stack shows before any filter is learned: background, noise, object, borders."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tomoalign_core.learn.models.matching import blurred

EDGE = 4  # outer columns whose median is the background, px
SUPPORTS = ((1.0, 2.0), (2.0, 1.5), (2.0, 2.5), (3.0, 1.5))  # blur in feature px, threshold in noise levels


def level_of(proj: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each view's background, the median of its outer columns, and each stack's standard deviation about it.

    Neither changes when content moves through empty space.
    """
    edges = torch.cat([proj[..., :EDGE], proj[..., -EDGE:]], -1).flatten(2)
    background = edges.median(-1).values[..., None, None]
    return background, (proj - background).square().mean(dim=(1, 2, 3), keepdim=True).add(1e-20).sqrt()


def common_of(inside: torch.Tensor, axis: int, stride: int, reach: int) -> torch.Tensor:
    """Weights (B, length) of the rows (axis 2) or columns (axis 3): 1 where all views show them, 0 where 85 % do.

    Rows within ``reach`` px of one that is not shown, beyond the frame too, count as it does: filters mix them.
    """
    shown = inside.any(dim=5 - axis).float().mean(dim=1)
    weight = ((shown - 0.85) / 0.15).clamp(0, 1)
    least = -F.max_pool1d(F.pad(-weight[:, None], (reach, reach)), 2 * reach + 1, stride=1)
    return F.avg_pool1d(least, stride, ceil_mode=True)[:, 0]


def noise_of(image: torch.Tensor) -> torch.Tensor:
    """The noise (B, S) under the blur of each support: the median over the views of that of their outer columns."""
    found = []
    for blur, _ in SUPPORTS:
        smooth = blurred(image, blur)
        edge = torch.cat([smooth[..., :3], smooth[..., -3:]], -1)
        found.append(edge.square().mean(dim=(2, 3)).sqrt().median(dim=1).values + 0.01)
    return torch.stack(found, 1)


def cut_of(image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """How much of what stands out of the noise lies in the outer two rows and columns: 0 free, 1 as in the middle."""
    mass = supports_of(image, noise)[:, 1].sum(dim=1)  # B, V', U'
    ends = []
    for lines in (mass.sum(dim=2), mass.sum(dim=1)):
        middle = lines.mean(1).clamp(min=1e-6)
        ends += [lines[:, :2].mean(1) / middle, lines[:, -2:].mean(1) / middle]
    return torch.stack(ends, 1).clamp(0, 3)


def middle_row_of(image: torch.Tensor, px: float) -> torch.Tensor:
    """The row (B,) about which stacks (B, N, V', U') tell dx and roll apart, in detector px from the frame's centre.

    The mean of the rows, each by the energy of its slopes along u, less that of noise: there a roll moves what tells
    dx as far to one side as to the other. The centre, where nothing stands out.
    """
    smooth = blurred(image, 1.0)
    energy = (smooth[..., 2:] - smooth[..., :-2]).square()
    noise = torch.cat([energy[..., :3], energy[..., -3:]], -1).mean(dim=(2, 3)).median(dim=1).values
    above = (energy.mean(dim=3).median(dim=1).values - noise[:, None]).clamp(min=0)
    v = (torch.arange(image.shape[2], device=image.device) - (image.shape[2] - 1) / 2) * px
    return (above * v).sum(1) / above.sum(1).clamp(min=1e-9)


def supports_of(image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The image (B, N, V', U') where it, blurred, stands out of the noise (B, S): (B, S, N, V', U')."""
    kept = []
    for number, (blur, sigmas) in enumerate(SUPPORTS):
        height = blurred(image, blur) / noise[:, number, None, None, None]
        kept.append(((height - sigmas) / 2).clamp(0, 1) * image)
    return torch.stack(kept, 1)
