"""Views that an alignment has lost: they do not look like the views beside them once all are corrected.

Of an object that turns, near views are alike. How alike differs from scan to scan (noise, steps between views, fine
structures), so each view is held against those around it: where it is far less like its neighbours than these are like
theirs, it lies elsewhere than found, or does not show the object.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.align.binning import binned, binned_shifts
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Float, Shifts

LARGEST_PX = 96  # wider or taller stacks are binned for it
BLUR_PX = 1.5
NEAR = 3  # views to either side that a view is held against
NEAR_STEPS = 5.0  # and no farther than so many usual steps of the angle: across a gap, an object looks otherwise
AROUND = 11  # views whose likeness is what is to be expected here
UNLIKE = 3.0  # times as unlike as the views around it
LEAST_UNLIKE = 0.01  # of 1, the unlikeness of views that have nothing in common: below, it is a matter of fine detail
LEAST_COMMON = 0.1  # of the pixels, that two views must both show to be compared
LEAST_SEEN = 0.5  # of a view, once it is corrected
OUTSIDE = "more than half of it lies outside the detector"
LOST = "once aligned, it does not look like the views beside it"

Stack = NDArray[np.floating]


def leave_out_lost(proj: Stack, shifts: Shifts) -> Shifts:
    """The table with the views left out that are lost, or lie outside the detector for the most part.

    Parameters
    ----------
    proj : array, shape (N, V, U)
    shifts : what the stage did, gauge and all. Views not ``used`` are held against nothing.
    """
    shifts = shifts.left_out(_seen(proj, shifts) < LEAST_SEEN, OUTSIDE)
    return shifts.left_out(lost_views(proj, shifts), LOST)


def with_a_place(proj: Stack, found: Shifts, *, by: str) -> Shifts:
    """What was found, by whom, without the views that are lost or lie outside.

    Raises
    ------
    InputError
        If all do.
    """
    found = leave_out_lost(proj, found)
    if not found.used.any():
        raise InputError(
            f"{by} found no place for any view ({found.reason[0]}); try another method, and see that the angles and "
            "the tilt axis are right"
        )
    return found


def lost_views(proj: Stack, shifts: Shifts) -> NDArray[np.bool_]:
    """Which of the used views are far less like their neighbours than the views around them: bool (N,)."""
    aligned, seen, _ = _small(proj, shifts)
    order = _used_in_order(shifts)
    step = float(np.median(np.diff(np.sort(shifts.angle_rad))))
    unlike = np.array(
        [1 - _likeness(aligned, seen, _beside(order, place, shifts.angle_rad, step)) for place in range(len(order))]
    )
    lost = np.zeros(len(shifts), bool)
    if len(order) > NEAR:
        unlike = np.where(np.isnan(unlike), np.nanmedian(unlike), unlike)  # with none beside it, nobody can say
        expected = ndimage.median_filter(unlike, AROUND, mode="nearest")
        lost[order] = unlike > np.maximum(UNLIKE * expected, LEAST_UNLIKE)
    return lost


def places_again(proj: Stack, shifts: Shifts) -> NDArray[np.int_]:
    """Where to look for lost views: how much farther than found, whole px (N, 2) in dx and dy; 0 for all others.

    Each is registered with the mean of the nearest views that are not lost, once these are corrected, by phase
    correlation. Where that leads outside the detector, or to no better likeness, the view stays where it was found.
    """
    views = lost_views(proj, shifts)
    further = np.zeros((len(shifts), 2), int)
    kept = shifts.used & ~views
    if not views.any() or not kept.any():
        return further
    aligned, _, factor = _small(proj, shifts)
    rank = np.argsort(np.argsort(shifts.angle_rad, kind="stable"))
    for view in np.flatnonzero(views):
        near = np.flatnonzero(kept)
        near = near[np.argsort(np.abs(rank[near] - rank[view]), kind="stable")[: 2 * NEAR]]
        pads = [(side // 2, side // 2) for side in aligned.shape[1:]]
        padded = [np.pad(part - np.median(part), pads) for part in (aligned[near].mean(0), aligned[view])]
        back, _, _ = phase_cross_correlation(*padded, normalization=None)
        further[view] = np.round(-back[::-1] * factor)  # skimage gives (row, column), and what brings the view back
    there = replace(shifts, dx_px=shifts.dx_px + further[:, 0], dy_px=shifts.dy_px + further[:, 1])
    found = ~lost_views(proj, there) & (_seen(proj, there) >= LEAST_SEEN)
    return further * found[:, None]


def _seen(proj: Stack, shifts: Shifts) -> Float:
    """The share of each view that is on the detector once it is corrected; roll aside."""
    rows, cols = proj.shape[1:]
    part = np.clip(1 - np.abs(shifts.dx_px) / cols, 0, 1) * np.clip(1 - np.abs(shifts.dy_px) / rows, 0, 1)
    return np.nan_to_num(part)


def _small(proj: Stack, shifts: Shifts) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
    factor = math.ceil(max(proj.shape[1:]) / LARGEST_PX)
    blurred = ndimage.gaussian_filter(binned(proj, factor), (0, BLUR_PX, BLUR_PX), mode="nearest")
    return *undo_shifts(blurred, binned_shifts(shifts, factor)), factor


def _used_in_order(shifts: Shifts) -> NDArray[np.intp]:
    order = np.argsort(shifts.angle_rad, kind="stable")
    return order[shifts.used[order]]


def _beside(order: NDArray[np.intp], place: int, angle_rad: Float, step_rad: float) -> NDArray[np.intp]:
    """The view at a place of the order, and then its neighbours."""
    view = order[place]
    around = order[max(place - NEAR, 0) : place + NEAR + 1]
    near = np.abs(angle_rad[around] - angle_rad[view]) <= NEAR_STEPS * step_rad + 1e-9
    return np.append(view, around[near & (around != view)])


def _likeness(aligned: Stack, seen: NDArray[np.bool_], views: NDArray[np.intp]) -> float:
    """The median correlation coefficient of the first view with the others, over what both show.

    It is 0 for a view of which too little is seen, and not a number where there are no others.
    """
    view, *others = views
    if not others:
        return float("nan")
    found = []
    for other in others:
        common = seen[view] & seen[other]
        if common.mean() > LEAST_COMMON:
            found.append(_correlation(aligned[view][common], aligned[other][common]))
    return float(np.median(found)) if found else 0.0


def _correlation(a: Float, b: Float) -> float:
    a, b = a - a.mean(dtype=float), b - b.mean(dtype=float)
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-30))
