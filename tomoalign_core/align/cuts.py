"""Three cuts through the reconstruction, at right angles, without the rest of it.

Backprojection makes each point by itself, so a cut costs a cut, not a volume: sliders can move at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tomoalign_core.geometry import Float, centred_axis
from tomoalign_core.simulate.project import ramp_filter

Image = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Filtered:
    """The ramp-filtered views (N, V, U + 2) of an aligned stack, an empty column on each side, and their geometry."""

    views: NDArray[np.float32]
    angle_rad: Float
    axis_px: float


class Cuts(NamedTuple):
    """Axial [y, x] at one row, coronal [z, x] at one y, sagittal [z, y] at one x."""

    axial: Image
    coronal: Image
    sagittal: Image


def filtered(
    aligned: NDArray[np.floating], angle_rad: ArrayLike, *, axis_px: float, used: NDArray[np.bool_] | None = None
) -> Filtered:
    """Prepare an aligned stack (N, V, U) for cuts about column ``axis_px``, from the views that are used."""
    angle = np.asarray(angle_rad, float)
    keep = np.ones(len(angle), bool) if used is None else used
    views = ramp_filter(torch.from_numpy(np.ascontiguousarray(aligned[keep], np.float32))).numpy()
    span = np.ptp(angle[keep]) * keep.sum() / max(keep.sum() - 1, 1)
    views = np.pad(views, ((0, 0), (0, 0), (1, 1))) * np.float32(min(span, np.pi) / keep.sum())
    return Filtered(views=views, angle_rad=angle[keep], axis_px=axis_px)


def cuts(source: Filtered, *, x: int, y: int, z: int) -> Cuts:
    """The cuts through pixel (x, y) and row z; x and y count from 0 to U - 1, the axis stands in their middle."""
    _, n_rows, width = source.views.shape
    grid = centred_axis(width - 2)
    every = np.arange(n_rows)
    flat_x, flat_y = (a.ravel() for a in np.meshgrid(grid, grid))
    return Cuts(
        _points(source, flat_x, flat_y, every[z : z + 1])[0].reshape(width - 2, width - 2),
        _points(source, grid, np.full_like(grid, grid[y]), every),
        _points(source, np.full_like(grid, grid[x]), grid, every),
    )


def _points(source: Filtered, x: Float, y: Float, rows: NDArray[np.intp]) -> Image:
    """Backproject onto points (P,) of some rows: (rows, P)."""
    last = source.views.shape[2] - 1
    found = np.zeros((len(rows), len(x)), np.float32)
    for view, angle in zip(source.views, source.angle_rad, strict=True):
        u = (x * np.cos(angle) + y * np.sin(angle) + source.axis_px + 1).clip(0, last)
        low = np.minimum(u.astype(int), last - 1)
        part = (u - low).astype(np.float32)
        lines = view[rows]
        found += lines[:, low] * (1 - part) + lines[:, low + 1] * part
    return found
