"""Stacks in small, with the tables and columns that belong to them, and in units in which they are about 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.geometry import Shifts


def binned(proj: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    """Means over ``factor`` × ``factor`` pixels of each view, about the same centre; what is left over is cut off."""
    if factor == 1:
        return np.ascontiguousarray(proj, np.float32)
    n, rows, cols = proj.shape
    v, u = rows // factor, cols // factor
    top, left = (rows - v * factor) // 2, (cols - u * factor) // 2
    middle = proj[:, top : top + v * factor, left : left + u * factor]
    return middle.reshape(n, v, factor, u, factor).mean(axis=(2, 4), dtype=np.float32)


def in_units(proj: NDArray[np.floating]) -> tuple[NDArray[np.floating], float]:
    """A stack (N, V, U) in units in which its largest size is about 1, and the unit.

    A power of two, so that nothing is rounded: attenuation by the nanometre is aligned as it is by the centimetre.

    >>> in_units(np.full((1, 1, 1), 2.0**-20))[1] == 2.0**-20, in_units(np.ones((1, 1, 1)))[1]
    (True, 1.0)
    """
    largest = float(np.abs(proj).max(initial=0.0))
    unit = 2.0 ** round(np.log2(largest)) if 0 < largest < np.inf else 1.0
    return (proj if unit == 1 else proj / np.asarray(unit, proj.dtype)), unit


def binned_shifts(shifts: Shifts, factor: float) -> Shifts:
    """The same movements in binned pixels; with 1 / factor, back in those of the detector."""
    lengths = {name: getattr(shifts, name) / factor for name in ("dx_px", "dy_px", "dx_sigma_px", "dy_sigma_px")}
    return replace(shifts, **lengths)


def binned_column(column: float, n_cols: int, factor: int) -> float:
    """Where a column of the detector, of ``n_cols``, lies in binned views.

    >>> binned_column(49.5, 100, 4), full_column(12.0, 100, 4)
    (12.0, 49.5)
    """
    left = n_cols % factor // 2
    return (column - left + 0.5) / factor - 0.5


def full_column(column: float, n_cols: int, factor: int) -> float:
    """Where a column of binned views lies on the detector, of ``n_cols``."""
    return n_cols % factor // 2 + (column + 0.5) * factor - 0.5
