"""Where the object leaves the view, and how far from the rotation axis it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.align.field import noise_of
from tomoalign_core.geometry import Float, Shifts, gauge_functions, gauge_vectors
from tomoalign_core.simulate.slices import path_of_mass

BLUR_PX = 1.5
EDGE_PX = 3
BACKGROUND_PX = 4  # columns on each side that are taken for background
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


def background_of(stack: Stack) -> Float:
    """The background of each view of a stack (N, V, U): the median of its outer columns (N,)."""
    outer = np.concatenate([stack[..., :BACKGROUND_PX], stack[..., -BACKGROUND_PX:]], -1)
    found: Float = np.median(outer.reshape(len(stack), -1), axis=1).astype(float)
    return found


def with_object_aside(table: Shifts, place: Float) -> Shifts:
    """The same movements of an object that sits elsewhere, by ``place``: as the columns of ``gauge_vectors``, px."""
    aside = gauge_vectors(table.angle_rad, table.roll_deg) @ place
    return replace(table, dx_px=table.dx_px + aside[:, 0], dy_px=table.dy_px + aside[:, 1])


def off_axis_px(aligned: Stack, angle_rad: ArrayLike) -> Float:
    """How far the mass of the object of an aligned stack stands from the middle column in each view, px (N,)."""
    away: Float = gauge_functions(angle_rad, axis="dx") @ path_of_mass(aligned, angle_rad)
    return away
