"""Where the object leaves the view, and how far from the rotation axis it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.align.noise import noise_of
from tomoalign_core.geometry import Float, Shifts, gauge_functions, gauge_vectors, rotation
from tomoalign_core.metrics import rms
from tomoalign_core.simulate.slices import centre_of_mass, fitted_path, path_of_mass

BLUR_PX = 1.5
EDGE_PX = 3
BACKGROUND_PX = 4  # columns on each side that are taken for background
SIGMAS = 3.0  # of the noise of the blurred views, above their emptiest part
CUT = 0.1  # of what the middle shows stands at the border
SLANTED_DEG = 0.5  # root mean square, of views that the border cuts off otherwise from one to the next
LEAST_ROWS = 0.1  # of the rows, that are whole in all views, to tell where the mass is

Stack = NDArray[np.floating]


class Cut(NamedTuple):
    """Whether the object runs into the borders: at both sides, at the top or at the bottom, and at both of these."""

    sides: bool
    ends: bool
    through: bool = False


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
    return Cut(
        sides=bool(min(left, right) > CUT), ends=bool(max(top, bottom) > CUT), through=bool(min(top, bottom) > CUT)
    )


def whole_views(proj: Stack) -> NDArray[np.bool_]:
    """The views (N,) of a stack (N, V, U) in which the object has not moved out at a side: both show alike."""
    across = ndimage.gaussian_filter1d(np.mean(proj, axis=1, dtype=float), BLUR_PX, axis=1, mode="nearest")
    left, right = across[:, :EDGE_PX].mean(1), across[:, -EDGE_PX:].mean(1)
    chance = SIGMAS * noise_of(proj[:32]) * np.sqrt(2 / (EDGE_PX * proj.shape[1]))
    cut = CUT * (across.max(1) - np.minimum(left, right))
    found: NDArray[np.bool_] = np.abs(left - right) <= np.maximum(cut, chance)
    return found


def place_of_object(stack: Stack, table: Shifts) -> Float:
    """Where the mass of the object of a stack (N, V, U) without background lies as ``table`` aligns it, px.

    As the columns of ``gauge_vectors``, for ``with_object_aside``. It is found on the views as measured: aligned by a
    table that puts the object aside they would show less of it. Views in which it has moved out at a side have no say,
    if half have not; of those, it is looked at once more in the middle, where what is left of it at a border does not
    pass for background. And of views that are turned, whose top or bottom cuts it off slantwise, in rows of which all
    is seen.
    """
    centre = np.stack([centre_of_mass(stack), centre_of_mass(stack.transpose(0, 2, 1))], 1)
    centre[:, 1] = np.nan_to_num(centre[:, 1])
    moved = centre - np.stack([table.dx_px, table.dy_px], 1)
    along = np.einsum("nk,nk->n", rotation(table.roll_deg)[:, :, 0], moved)  # the roll undone
    whole = whole_views(stack)
    some_moved_out = len(stack) / 2 <= whole.sum() < len(stack)
    if some_moved_out:
        along[~whole] = np.nan
    place = np.append(fitted_path(along, table.angle_rad), 0.0)
    if some_moved_out:
        aligned, _ = undo_shifts(stack[whole], with_object_aside(table.taken(whole), place))
        place[:3] += path_of_mass(aligned, table.angle_rad[whole])
    if rms(table.roll_deg) > SLANTED_DEG and cut_of(stack).ends:
        aligned, seen = undo_shifts(stack, with_object_aside(table, place))
        shown = np.abs(aligned).mean(0)
        rows = (seen | (shown < CUT * shown.max())).all((0, 2))
        if rows.mean() > LEAST_ROWS:
            place[:3] += path_of_mass(aligned[:, rows], table.angle_rad)
    return place


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
