"""Where the rotation axis stands: not needed to find shifts, but to look at a slice."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.simulate.project import fbp

STEPS_PX = (4.0, 1.0, 0.25)
ROWS = 5  # rows of the stack that are averaged against noise


def rotation_axis(proj: NDArray[np.floating], angle_rad: ArrayLike, *, row: int | None = None) -> float:
    """The column of the rotation axis of an aligned stack (N, V, U), px, to a quarter of a pixel.

    An axis in the wrong place gives a slice with arcs below zero. The column whose slice has the least negative part
    is taken, coarse to fine over the middle half of the detector (after Donath, Beckmann & Schreyer, 2006).

    Parameters
    ----------
    row : the detector row to look at, with two on either side; by default the one with the most contrast.
    """
    if row is None:
        row = int(np.argmax(ndimage.uniform_filter1d(proj.std(axis=(0, 2)), ROWS)))
    low = max(row - ROWS // 2, 0)
    sinogram = proj[:, low : low + ROWS].mean(1)
    edge = np.median(np.concatenate([sinogram[:, :3], sinogram[:, -3:]], 1), axis=1, keepdims=True)
    stack = torch.from_numpy(ndimage.gaussian_filter1d(sinogram - edge, 1.0, axis=1).astype(np.float32))[:, None]
    angle = torch.from_numpy(np.asarray(angle_rad, np.float32))
    width = proj.shape[2]
    inside = _disc(width // 2)

    def below_zero(axis_px: float) -> float:
        return float(fbp(stack, angle, n=2 * (width // 2), axis_px=axis_px)[0][inside].clamp(max=0).square().sum())

    best, reach = (width - 1) / 2, width / 4
    for step in STEPS_PX:
        tried = np.arange(best - reach, best + reach + step / 2, step)
        best, reach = float(min(tried, key=below_zero)), step
    return best


def _disc(radius: int) -> torch.Tensor:
    axis = torch.arange(2 * radius) - radius + 0.5
    return axis.square() + axis[:, None].square() < (0.9 * radius) ** 2
