"""The least error of those who do not know the object: the bound that is left where templates come from the views.

The Cramér-Rao bound of ``metrics`` is that of one view against a template that is known. Nobody who aligns a scan has
one: what a view should look like has to be told from the other views, which have moved as well. Of slow movements,
which near views share, they tell little: an object of another shape would look the same.

Let the object be Gaussian, of known extent and known power of its details, and nothing else of it be known. Then all
views together are one Gaussian vector whose covariance depends on the movements, and what they tell of these is its
Fisher information, see ``ring``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.align.ring import (
    Information,
    Ring,
    by_views,
    harmonics,
    information,
    information_of_part,
    ring_of,
)
from tomoalign_core.geometry import Float, Shifts, centred_axis, gauge_functions, gauge_vectors
from tomoalign_core.metrics import cramer_rao
from tomoalign_core.simulate.slices import path_of_mass

SEEN = 0.01  # of the largest value: where the object ends
LEVEL = 1.0  # rows whose powers lie within a factor e are taken together
FAINTEST = 1e-3  # of the noise, summed over the views: rows below tell nothing


class Limit(NamedTuple):
    """What dx and dy, px, and roll, degrees, can be had to at best: root mean square over the views, without gauge."""

    dx_px: float
    dy_px: float
    roll_deg: float


class _Known(NamedTuple):
    """What is known of the object.

    rows : those of one power each: how many, the sum of their slopes along v squared, and their spectrum.
    above, beside : how far rows with slopes along u stand off the middle of these, and columns with slopes along v off
        the axis, root mean square, px.
    turns : what a roll changes of it, over what these two would if they were free of each other: of a round object,
        one undoes the other.
    cols, extent : columns of the detector, and how far the object reaches from the axis, px.
    whole : whether all of it was shown.
    """

    rows: list[tuple[int, float, Float]]
    above: float
    beside: float
    turns: float
    cols: int
    extent: float
    whole: bool

    @classmethod
    def of(
        cls, clean: NDArray[np.floating], truth: Shifts, *, gaussian: float, counts: float | None, cols: int | None
    ) -> _Known:
        """Of views (N, V, U) without noise, of which the detector saw the middle columns."""
        beyond = 0 if cols is None else (clean.shape[2] - cols) // 2
        seen = np.asarray(clean[..., beyond : clean.shape[2] - beyond], float)
        known, _ = cramer_rao(seen, gaussian=gaussian, counts=counts)
        noise = float(np.sqrt((np.gradient(seen, axis=2) ** 2).sum() / (1 / known**2).sum()))
        still = _in_the_middle(clean, truth) / noise
        slopes = np.sin(np.pi * np.arange(still.shape[1]) / still.shape[1]) ** 2
        levels = _levels(fft.dct(still, axis=1, norm="ortho"))
        extent = _extent(still)
        rows = [(len(one), float(slopes[one].sum()), power) for one, power in levels]
        down, along = np.gradient(still, axis=(1, 2))
        v, u = (centred_axis(size) for size in still.shape[1:])
        v = v - np.average(v, weights=(along**2).sum((0, 2)))
        above, beside = v[:, None] * along, u * down
        high, wide = (float(np.sqrt((one**2).sum() / (by**2).sum())) for one, by in ((above, along), (beside, down)))
        turns = ((above - beside) ** 2).sum() / (above**2 + beside**2).sum()
        return cls(rows, high, wide, float(turns), seen.shape[2], extent, extent < still.shape[2] / 2)

    def told(self, by_row: Callable[[Float], Information]) -> Information:
        """The information of all rows in dx, dy, px⁻², and in roll, rad⁻², from that of one row of a power."""
        each = [(count, slopes, by_row(power)) for count, slopes, power in self.rows]
        dx = np.sum([count * one.dx for count, _, one in each], 0)
        dy = np.sum([slopes * one.dy for _, slopes, one in each], 0)
        roll = np.sum([slopes * one.roll for _, slopes, one in each], 0)
        in_disc = self.extent / 2  # where dots all over a disc stand beside the axis
        return Information(dx, dy, self.turns * (self.above**2 * dx + (self.beside / in_disc) ** 2 * roll))


def unknown_object_bound(
    clean: NDArray[np.floating],
    angle_rad: ArrayLike,
    truth: Shifts,
    *,
    gaussian: float = 0.0,
    counts: float | None = None,
    cols: int | None = None,
) -> Limit:
    """The bound of a whole scan in dx, dy and roll, of an object that is not known; the gauge is taken out.

    Extent and power of the details are those of the stack. Of the three, and of gain and offset, each is found with
    all others known: in an object whose middle is that of the stage one does not look like the other. Who knows more
    of the object, that it has sharp outlines, say, can do better. Slopes are central differences, as in the bound of
    a known template; noise that differs from pixel to pixel is taken as even, such that a known template would do as
    well.

    Parameters
    ----------
    clean : (N, V, U) attenuation without noise, moved.
    truth : the movements of the views.
    gaussian, counts : the noise, as for ``metrics.cramer_rao``.
    cols : columns of the detector, in the middle of ``clean``, where that shows more of an object that is wider.

    Returns
    -------
    Not numbers where the object is wider than ``clean``: then there is no extent.

    Raises
    ------
    ValueError
        If there is no noise, or the angles are not evenly spaced.
    """
    angle = np.asarray(angle_rad, float)
    ring = ring_of(angle)
    known = _Known.of(clean, truth, gaussian=gaussian, counts=counts, cols=cols)
    if not known.whole:
        return Limit(np.nan, np.nan, np.nan)
    if ring.is_part(len(angle)):
        of_views = known.told(lambda power: information_of_part(power, known.cols, known.extent, ring, len(angle)))
    else:
        by_harmonic = known.told(lambda power: information(power, known.cols, known.extent, ring))
        of_views = Information(*(by_views(one, ring, axis) for axis, one in by_harmonic._asdict().items()))
    place = np.argsort(np.argsort(angle))
    each = np.ix_(place, place)
    dx, dy, roll = (_without_gauge(one[each], angle, axis) for axis, one in of_views._asdict().items())
    return Limit(dx, dy, float(np.rad2deg(roll)))


def harmonic_bounds(
    clean: NDArray[np.floating],
    angle_rad: ArrayLike,
    truth: Shifts,
    *,
    gaussian: float = 0.0,
    counts: float | None = None,
    cols: int | None = None,
) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
    """The same for each movement that goes like a harmonic of the view angle: dx, dy, px, and roll, degrees.

    Each is the bound of the amplitude of a movement of norm 1 over the views, as an error of every view would be if all
    harmonics had it. The harmonic h and the one that is as far from the end are sine and cosine of one frequency.
    Harmonics that are the gauge are left out; a constant dx or roll over half a turn is none.
    """
    ring = ring_of(np.asarray(angle_rad, float))
    known = _Known.of(clean, truth, gaussian=gaussian, counts=counts, cols=cols)
    if known.whole:
        told = known.told(lambda power: information(power, known.cols, known.extent, ring))
    else:
        told = Information(*np.full((3, ring.harmonics), np.nan))
    dx, dy, roll = (_bounds(one, ring, axis) for axis, one in told._asdict().items())
    return dx, dy, {harmonic: float(np.rad2deg(error)) for harmonic, error in roll.items()}


def _extent(still: Float) -> float:
    """How far the object reaches from the axis, px: in most of the views, some of which may have lost a part of it."""
    reach = np.abs(centred_axis(still.shape[2]))
    shown = (np.abs(still) > SEEN * np.abs(still).max()).any(1)
    return float(np.median([reach[view].max(initial=0.5) for view in shown])) + 0.5


def _levels(rows: Float) -> list[tuple[NDArray[np.intp], Float]]:
    """Rows (N, V, U) of one power, those that tell anything, and its spectrum."""
    spectrum = np.abs(np.fft.rfft(rows, 2 * rows.shape[2], axis=2)) ** 2
    power = spectrum.mean(0)
    loud = power.mean(1)
    level = np.floor(np.log(np.maximum(loud, 1e-30) / loud.max()) / LEVEL)
    groups = [np.flatnonzero(level == one) for one in np.unique(level)]
    return [(g, power[g].mean(0)) for g in groups if loud[g].max() * len(rows) > FAINTEST * rows.shape[2]]


def _in_the_middle(clean: NDArray[np.floating], truth: Shifts) -> Float:
    """The object as it would be seen by a still stage, its mass on the axis, its background taken away."""
    edge = np.concatenate([clean[..., :4], clean[..., -4:]], -1).reshape(len(clean), -1)
    object_ = clean - np.median(edge, axis=1)[:, None, None]
    aligned, _ = undo_shifts(object_, truth)
    aside = gauge_vectors(truth.angle_rad, truth.roll_deg) @ np.append(path_of_mass(aligned, truth.angle_rad), 0.0)
    middle, _ = undo_shifts(object_, replace(truth, dx_px=truth.dx_px + aside[:, 0], dy_px=truth.dy_px + aside[:, 1]))
    return np.asarray(middle, float)  # where nothing was seen, the border goes on: no edge that was not there


def _without_gauge(information_of: Float, angle: Float, axis: str) -> float:
    """The bound of all views from the information (N, N) on each, px; what the gauge may do is no error."""
    gauge = gauge_functions(angle, axis=axis)
    rest = np.linalg.svd(gauge)[0][:, gauge.shape[1] :]
    return float(np.sqrt(np.trace(np.linalg.inv(rest.T @ information_of @ rest)) / len(angle)))


def _bounds(information_of: Float, ring: Ring, axis: str) -> dict[int, float]:
    """Of every harmonic that there is, but for the gauge."""
    gauge = {"dx": (0, 1, ring.harmonics - 1), "dy": (0,), "roll": (0,)}[axis]
    there = [m for m in harmonics(ring, axis) if m not in gauge]
    return {m: float(1 / np.sqrt(np.maximum(information_of[m], 1e-12))) for m in there}
