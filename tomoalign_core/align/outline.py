"""Where the object leaves the view, and how far from the rotation axis it stands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.align.field import noise_of
from tomoalign_core.geometry import gauge_functions
from tomoalign_core.simulate.slices import path_of_mass

BLUR_PX = 1.5
EDGE_PX = 3
SIGMAS = 3.0  # of the noise of the blurred views, above their emptiest part
CUT = 0.1  # of what the middle shows stands at the border

Stack = NDArray[np.floating]


class Cut(NamedTuple):
    """Whether the object runs into the borders: at both sides, and at the top or at the bottom."""

    sides: bool
    ends: bool


def cut_of(proj: Stack) -> Cut:
    """Where the object of a stack (N, V, U) is cut, in most of its views; each view's background is free."""
    smooth = ndimage.gaussian_filter(np.asarray(proj, np.float32), (0, BLUR_PX, BLUR_PX), mode="nearest")
    spread = blurred_noise(noise_of(proj[:32]))
    empty = np.quantile(smooth, 0.01, axis=(1, 2)) + SIGMAS * spread
    middle = np.array_split(np.array_split(smooth, 3, axis=1)[1], 3, axis=2)[1].mean((1, 2)) - empty
    left, right, top, bottom = (
        np.median((part.mean((1, 2)) - empty) / np.maximum(middle, spread))
        for part in (smooth[..., :EDGE_PX], smooth[..., -EDGE_PX:], smooth[:, :EDGE_PX], smooth[:, -EDGE_PX:])
    )
    return Cut(sides=bool(min(left, right) > CUT), ends=bool(max(top, bottom) > CUT))


def blurred_noise(noise: float) -> float:
    """The standard deviation that is left of white noise under a Gaussian blur of ``BLUR_PX``."""
    return noise / (2 * np.sqrt(np.pi) * BLUR_PX)


def off_axis_px(aligned: Stack, angle_rad: ArrayLike) -> NDArray[np.float64]:
    """How far the mass of the object of an aligned stack stands from the middle column in each view, px (N,)."""
    away: NDArray[np.float64] = gauge_functions(angle_rad, axis="dx") @ path_of_mass(aligned, angle_rad)
    return away
