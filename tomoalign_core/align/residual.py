"""How well each view is foretold by all the others: the judge of an alignment whose truth is not known.

Every view is predicted from the *other* views, as a table of shifts corrects them (``foretell``); the prediction is
moved to where the table says the view lies, and compared with the view as measured. Views wrongly placed blur what
they say of the others, and miss their own predictions.

The comparison is fair. It is made on the measured pixels, the same for every table: the middle of the detector.
Views and predictions are blurred alike, so that a table of half pixels does not win by smoothing the noise (a Gaussian
blur passes through all of it unchanged). The gauge is taken out first, and the rotation axis is found anew. Few views
do not give the right scale, hence a gain and an offset are fitted to each prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, optimize

from tomoalign_core.align.apply import move_views, undo_shifts
from tomoalign_core.align.binning import binned, binned_shifts, full_column, in_units
from tomoalign_core.align.foretell import Images, Progress, foretell_by_backprojection, foretell_by_field
from tomoalign_core.align.noise import noise_of
from tomoalign_core.align.outline import background_of, place_of_object
from tomoalign_core.geometry import Float, Shifts, gauge_functions, is_wedge
from tomoalign_core.metrics import rms
from tomoalign_core.simulate.slices import find_axis

LARGEST_WORK = 4e8  # views squared times pixels: beyond, views are binned; about 2 s on one core
BLUR_PX = 1.5  # lifts the object out of the noise: sharper, the noise of the view itself is most of the residual
INSET_ROWS, INSET_COLUMNS = 0.1, 0.05  # what is not compared on each side: there, other views may have seen nothing
AXIS_CIRCLE = 0.75  # radius of reconstruction by the width, the same about any axis: or the best lies too far inwards
MOST_IN_FIELD = 600  # views that are foretold by their field; the more there are, the better backprojection serves
AXIS_BANDS = 8  # rows are averaged in bands to find the axis
AXIS_REACH = 0.06  # of the width, on both sides of the first guess
UNEXPLAINED = 0.5  # of a view: beyond, the views do not seem to be of one object that turns
# Less than that is as bad where noise explains little of it; but of few views, or an object far wider than they are.
DOUBTFUL, OVER_NOISE, LEAST_VIEWS_OF_DOUBT = 0.2, 4.0, 24
SUSPICIOUS = 5.0  # robust standard deviations above its neighbours
LEAST_SUSPICIOUS = 0.01  # of a view: what less is left above its neighbours is worth nobody's look
NEIGHBOURS = 11
SEE_THAT = (
    "See that the angles are right and in degrees, that the tilt axis is vertical, and that counts come with their "
    "flat fields."
)
DOUBT = (
    f"The views leave over half of each other unexplained: this did not align, or noise hides the object. {SEE_THAT}"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewCheck:
    """One view as measured and as the others foretell it, in place and scale, and the residual of this view."""

    measured: Images
    foretold: Images
    residual: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Residual:
    """The held-out residual of a stack under a table of shifts.

    Attributes
    ----------
    per_view : (N,), root mean square of view minus prediction, as a fraction of the view's own about its mean:
        0 is a view foretold exactly, 1 one of which nothing is.
    overall : root mean square over the used views.
    noise : what noise alone would leave of them, about.
    axis_px : the rotation axis of the stack once it is corrected by the table, gauge and all: column of the detector.
    factor : pixels were binned by this.
    measured, foretold : (N, V', U'), blurred and binned: the views, and what the others say of them, where a perfect
        stage would have put it.
    table : the shifts, without their gauge, in binned pixels.
    """

    per_view: Float
    overall: float
    noise: float
    axis_px: float
    factor: int
    measured: Images
    foretold: Images
    table: Shifts

    def view(self, number: int, *, ddx_px: float = 0.0, ddy_px: float = 0.0, droll_deg: float = 0.0) -> ViewCheck:
        """Look at one view, as it is or moved further by hand: what the others say of it does not depend on it."""
        place = self.table.taken([number])
        place = replace(
            place,
            dx_px=place.dx_px + ddx_px / self.factor,
            dy_px=place.dy_px + ddy_px / self.factor,
            roll_deg=place.roll_deg + droll_deg,
        )
        measured = self.measured[number]
        moved = move_views(self.foretold[number : number + 1], place)[0]
        gain, offset, residual = _match(measured, moved)
        # a view that shows nothing of it has no scale: then what the others say is given as they say it
        said = gain * moved + offset if gain > 0 else moved
        return ViewCheck(measured=measured, foretold=said, residual=residual)

    def doubt(self) -> str:
        """A warning where the views, aligned so, do not go together; empty where they do."""
        if self.overall > UNEXPLAINED:
            return DOUBT
        if self.table.used.sum() < LEAST_VIEWS_OF_DOUBT or self.overall < max(DOUBTFUL, OVER_NOISE * self.noise):
            return ""
        return (
            f"The views leave {100 * self.overall:.0f} % of each other unexplained, where noise would leave "
            f"{100 * self.noise:.0f} %: this may not have aligned, whatever σ says. {SEE_THAT}"
        )

    def suspects(self) -> NDArray[np.intp]:
        """The views, among those used, that are foretold far worse than the views around them."""
        order = np.argsort(self.table.angle_rad, kind="stable")
        used = order[self.table.used[order]]
        values = self.per_view[used]
        above = values - ndimage.median_filter(values, NEIGHBOURS, mode="nearest")
        spread = 1.4826 * np.median(np.abs(above))
        # a view that stands far off spoils what is foretold of those beside it
        own = values > ndimage.maximum_filter(values, 5, mode="nearest") / 2
        # and beside a view that is left out, or at the edge of a gap, views are foretold worse of themselves
        out = np.flatnonzero(~self.table.used[order])
        beside = np.isin(used, order[np.concatenate([out - 1, out + 1]).clip(0, len(order) - 1)])
        least = np.maximum(SUSPICIOUS * spread, 0.1 * values).clip(min=LEAST_SUSPICIOUS)
        found: NDArray[np.intp] = used[(above > least) & own & ~beside]
        return np.sort(found)


def held_out_residual(
    proj: NDArray[np.floating], angle_rad: ArrayLike, shifts: Shifts, *, progress: Progress | None = None
) -> Residual:
    """Judge a table of shifts by how well each view is foretold by the others.

    Parameters
    ----------
    proj : array, shape (N, V, U)
        Attenuation, as measured.
    angle_rad : array, shape (N,)
    shifts : Shifts
        What the stage did, up to its gauge. Views not ``used`` are foretold, but foretell nothing.
    progress : callable, optional
        Called with (views foretold, views in all).

    Raises
    ------
    ValueError
        If there are not as many views as shifts, or fewer than two are used.
    """
    angle = np.asarray(angle_rad, float)
    if len(proj) != len(shifts):
        raise ValueError(f"{len(proj)} views but {len(shifts)} shifts")
    if shifts.used.sum() < 2:
        raise ValueError(f"{shifts.used.sum()} views are used; none could be foretold by others")
    factor = binning(*proj.shape)
    stack, unit = in_units(binned(proj, factor))
    measured = _blurred(stack, factor)
    table = _without_gauge(shifts, factor)
    aligned, _ = undo_shifts(measured, replace(table, used=np.ones(len(table), bool)))
    axis = best_axis(aligned, angle, shifts.used)
    if len(angle) <= MOST_IN_FIELD:
        level = background_of(measured)[shifts.used, None, None].astype(np.float32)
        path = place_of_object(measured[shifts.used] - level, table.taken(shifts.used))[:3]
        foretold = _blurred(foretell_by_field(stack, angle, table, path=path, progress=progress), factor)
    else:
        foretold = foretell_by_backprojection(aligned, angle, used=shifts.used, axis_px=axis, progress=progress)
    moved = move_views(foretold, table)
    gauge = (shifts.dx_px - shifts.gauge_free().dx_px)[shifts.used]
    gauge_constant = float(np.linalg.lstsq(gauge_functions(angle[shifts.used], axis="dx"), gauge, rcond=1e-9)[0][0])
    per_view = np.array([_match(view, said)[2] for view, said in zip(measured, moved, strict=True)])
    return Residual(
        per_view=per_view,
        overall=rms(per_view[shifts.used]),
        noise=_noise_share(stack[shifts.used], measured[shifts.used], factor),
        axis_px=full_column(axis, proj.shape[2], factor) - gauge_constant,
        factor=factor,
        measured=unit * measured,
        foretold=unit * foretold,
        table=table,
    )


def best_axis(aligned: Images, angle_rad: Float, used: NDArray[np.bool_]) -> float:
    """The column of the rotation axis of an aligned stack (N, V, U) about which the views foretell each other best.

    The search begins where the centre of mass says, and sees at most 32 views, in bands of rows. A wedge, whose
    reconstruction is smeared along its missing angles, foretells its views best about a wrong axis: there the centre
    of mass has the last word.
    """
    _, rows, cols = aligned.shape
    kept = np.flatnonzero(used)
    edges = np.linspace(0, rows, min(AXIS_BANDS, rows) + 1).round().astype(int)
    bands = np.stack([aligned[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)
    some = kept[:: ceil(len(kept) / 32)]

    def badness(axis: float) -> float:
        said = foretell_by_backprojection(
            bands, angle_rad, used=used, axis_px=float(axis), radius_px=AXIS_CIRCLE * cols, views=some
        )
        return rms([_match(view, one)[2] for view, one in zip(bands[some], said, strict=True)])

    first = find_axis(aligned[kept], angle_rad[kept])
    if is_wedge(angle_rad[kept]):
        return first
    reach = max(2.0, AXIS_REACH * cols)
    low, high = max(first - reach, 0.0), min(first + reach, cols - 1.0)
    return float(optimize.minimize_scalar(badness, bounds=(low, high), method="bounded", options={"xatol": 0.03}).x)


def binning(n_views: int, n_rows: int, n_cols: int) -> int:
    """The whole factor by which a stack is binned before it is judged.

    >>> binning(91, 135, 160), binning(180, 256, 366)
    (1, 3)
    """
    return max(1, ceil(sqrt(n_views**2 * n_rows * n_cols / LARGEST_WORK)))


def _noise_share(stack: Images, measured: Images, factor: int) -> float:
    """What noise is of blurred views about their mean, root mean square: white noise by 1 / (2 √π blur) of its σ."""
    sigma = noise_of(stack) / (2 * sqrt(pi) * _blur_px(factor))
    contrast = measured.std(axis=(1, 2), dtype=float)
    return rms(np.minimum(sigma / np.maximum(contrast, 1e-30), 1.0))


def _blur_px(factor: int) -> float:
    return max(BLUR_PX / factor, BLUR_PX / 2)


def _blurred(stack: Images, factor: int) -> Images:
    blur = _blur_px(factor)
    return ndimage.gaussian_filter(stack, (0, blur, blur), mode="nearest")


def _without_gauge(shifts: Shifts, factor: int) -> Shifts:
    """In binned pixels; unknown movements are none."""
    free = binned_shifts(shifts.gauge_free(), factor)
    dx, dy, roll = (np.nan_to_num(values) for values in (free.dx_px, free.dy_px, free.roll_deg))
    return replace(free, dx_px=dx, dy_px=dy, roll_deg=roll)


def _match(view: Images, said: Images) -> tuple[float, float, float]:
    """Gain and offset that bring a prediction nearest to a view, in its middle, and the residual that is left."""
    rows, cols = (round(n * inset) for n, inset in zip(view.shape, (INSET_ROWS, INSET_COLUMNS), strict=True))
    middle = (slice(rows, view.shape[0] - rows), slice(cols, view.shape[1] - cols))
    a, b = view[middle].astype(float), said[middle].astype(float)
    mean_a, mean_b = a.mean(), b.mean()
    a, b = a - mean_a, b - mean_b
    power = float((a * a).sum())
    gain = max(0.0, float((a * b).sum()) / max(float((b * b).sum()), 1e-30))  # a negative of the view foretells nothing
    left_over = float(((a - gain * b) ** 2).sum())
    return gain, float(mean_a - gain * mean_b), sqrt(left_over / power) if power > 0 else 1.0
