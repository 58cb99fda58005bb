"""One slice of a scan to look at: level a row's background, find the rotation axis, reconstruct."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tomoalign_core.geometry import centred_axis, gauge_functions
from tomoalign_core.simulate.project import fbp

Image = NDArray[np.float32]
EDGE_COLUMNS = 0.03  # share of the columns, on each side, that is taken for background
AXIS_REACH = 0.06  # how far from the first guess the axis is looked for, share of the columns
COARSE_COLUMNS = 128  # the search runs on sinograms of about this width


def sinogram_of(proj: NDArray[np.floating], row: int) -> Image:
    """Detector row ``row`` of a stack (N, V, U) over the views, (N, U), each view's background (its outer columns) at 0."""
    lines = np.asarray(proj[:, row], np.float32)
    width = max(1, round(lines.shape[1] * EDGE_COLUMNS))
    edges = np.concatenate([lines[:, :width], lines[:, -width:]], axis=1)
    return lines - edges.mean(axis=1, keepdims=True)


def find_axis(sinogram: NDArray[np.floating], angle_rad: ArrayLike) -> float:
    """The column of the rotation axis, px, from an aligned sinogram (N, U).

    First the constant in the path of the centre of mass, ``c + a cos + b sin``. Then, around it, the axis whose slice
    has the least sum of absolute values: misplaced axes smear matter into rings and negative fringes (Donath et al.
    2006, J. Opt. Soc. Am. A 23, 1048). Steps of half a pixel of a sinogram binned to 128 columns, then a parabola.
    """
    angle = np.asarray(angle_rad, float)
    columns = sinogram.shape[1]
    middle = (columns - 1) / 2
    mass = sinogram.sum(axis=1, dtype=float)
    path = (sinogram @ centred_axis(columns)) / np.where(np.abs(mass) > 1e-9, mass, np.inf)
    guess = float(np.clip(np.linalg.lstsq(gauge_functions(angle, axis="dx"), path, rcond=1e-9)[0][0], -middle, middle))
    factor = max(1, columns // COARSE_COLUMNS)
    width = columns - columns % factor
    binned = torch.from_numpy(np.ascontiguousarray(sinogram[:, :width], np.float32)).reshape(len(sinogram), -1, factor)
    # pixel j of the binned row is centred on column factor * j + (factor - 1) / 2
    centre = (middle + guess - (factor - 1) / 2) / factor
    steps = np.arange(-max(4, round(2 * AXIS_REACH * width / factor)), max(4, round(2 * AXIS_REACH * width / factor)) + 1) / 2
    coarse, turn = binned.mean(-1)[:, None], torch.from_numpy(angle)
    score = np.array([float(fbp(coarse, turn, axis_px=centre + step).abs().sum()) for step in steps])
    best = centre + _lowest(steps, score)
    return float(best * factor + (factor - 1) / 2)


def slice_of(sinogram: NDArray[np.floating], angle_rad: ArrayLike, *, axis_px: float | None = None) -> Image:
    """The slice (U, U) that a sinogram (N, U) shows, by filtered backprojection about column ``axis_px``."""
    lines = torch.from_numpy(np.ascontiguousarray(sinogram, np.float32))[:, None]
    return fbp(lines, torch.from_numpy(np.asarray(angle_rad, float)), axis_px=axis_px)[0].numpy()


def _lowest(steps: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """Where the score is least: the best step, moved to the bottom of the parabola through it and its neighbours."""
    i = int(score.argmin())
    if i in (0, len(score) - 1):
        return float(steps[i])
    left, mid, right = score[i - 1 : i + 2]
    return float(steps[i] + (steps[1] - steps[0]) * (left - right) / (2 * (left - 2 * mid + right)))
