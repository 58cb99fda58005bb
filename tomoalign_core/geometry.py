"""Axes, angles, signs and the gauge: the conventions of the whole package, stated once.

A *stack* is ``proj[angle, v, u]``: view, detector row (down), detector column (right). Angles are radians in Python
(``angle_rad``) and degrees in files and on screen. The rotation axis is vertical, at column ``(U - 1) / 2``. A point
(x, y, z) of the sample appears at ``u = x cos(angle) + y sin(angle)``, ``v = z``, counted from the detector's centre.

A *shift* is what the stage did: content was first turned by ``roll_deg`` (from +u towards +v, about the detector's
centre) and then moved by ``dx_px`` to the right and ``dy_px`` down. The *correction* is the inverse.

The *gauge* is what no method can know from the data alone: in dx the combination ``c + a cos + b sin`` (the axis is
elsewhere, the object sits elsewhere), in dy a constant. An object that sits elsewhere is turned by the roll of each
view with its place, so that they are counted before the roll: in the shift, they are turned by it. With 1 degree of
roll and an object 3 px aside that is 0.05 px in dy, a view.

The *tilt of the axis* is the roll that all views have in common: the axis is not along the columns of the detector. It
is no gauge, as what lies off the axis bobs up and down then, once around. It is told and judged by itself, and the
rolls of the views about it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import torch

Float = NDArray[np.float64]
REASON = np.dtype("U100")  # one short line; of fixed width, so that a longer one may take its place


@dataclass(frozen=True, kw_only=True, eq=False)
class Shifts:
    """The movement of each view: the table that every aligner returns and every file format writes.

    All arrays have shape (N,). ``used`` is False where a view could not be aligned and is to be left out; ``reason``
    says why, in a few words, and is empty elsewhere.

    >>> s = Shifts.from_arrays(angle_rad=[0.0, 1.57], dx_px=[1.0, -1.0], dy_px=[0.0, 0.5])
    >>> len(s), s.roll_deg.tolist(), s.used.tolist()
    (2, [0.0, 0.0], [True, True])
    """

    angle_rad: Float
    dx_px: Float
    dy_px: Float
    roll_deg: Float
    dx_sigma_px: Float
    dy_sigma_px: Float
    used: NDArray[np.bool_]
    reason: NDArray[np.str_]

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value.shape != (len(self.angle_rad),):
                raise ValueError(f"{f.name} has shape {value.shape}, but there are {len(self.angle_rad)} angles")

    @classmethod
    def from_arrays(
        cls,
        *,
        angle_rad: ArrayLike,
        dx_px: ArrayLike,
        dy_px: ArrayLike,
        roll_deg: ArrayLike | None = None,
        dx_sigma_px: ArrayLike | None = None,
        dy_sigma_px: ArrayLike | None = None,
        used: ArrayLike | None = None,
        reason: ArrayLike | None = None,
    ) -> Shifts:
        """Build the table; what is not given is 0 (roll), not a number (sigma: unknown), True (used) or empty."""
        angle = np.asarray(angle_rad, float)
        n = len(angle)

        def column(value: ArrayLike | None, default: float) -> Float:
            return np.full(n, default) if value is None else np.asarray(value, float)

        return cls(
            angle_rad=angle,
            dx_px=column(dx_px, 0.0),
            dy_px=column(dy_px, 0.0),
            roll_deg=column(roll_deg, 0.0),
            dx_sigma_px=column(dx_sigma_px, np.nan),
            dy_sigma_px=column(dy_sigma_px, np.nan),
            used=np.ones(n, bool) if used is None else np.asarray(used, bool),
            reason=np.full(n, "", REASON) if reason is None else np.asarray(reason, REASON),
        )

    def __len__(self) -> int:
        return len(self.angle_rad)

    def taken(self, views: ArrayLike) -> Shifts:
        """The table of these views alone, in their order: bool (N,), or their numbers."""
        return Shifts(**{name: column[np.asarray(views)] for name, column in vars(self).items()})

    def put(self, views: ArrayLike, part: Shifts) -> Shifts:
        """The same table with the rows of ``part`` for these views, in their order.

        >>> s = Shifts.from_arrays(angle_rad=[0.0, 1.0, 2.0], dx_px=[1.0, 2.0, 3.0], dy_px=[0.0, 0.0, 0.0])
        >>> s.put([0, 1], s.taken([2, 0])).dx_px.tolist()
        [3.0, 1.0, 3.0]
        """
        columns = {name: column.copy() for name, column in vars(self).items()}
        for name, column in columns.items():
            column[np.asarray(views)] = getattr(part, name)
        return Shifts(**columns)

    def left_out(self, views: ArrayLike, reason: str) -> Shifts:
        """The same table with these views (bool (N,), or their numbers) not used, for this reason.

        Views that were left out before keep theirs.
        """
        out = np.zeros(len(self), bool)
        out[np.asarray(views)] = True
        news = out & self.used
        return replace(self, used=self.used & ~out, reason=np.where(news, np.asarray(reason, REASON), self.reason))

    def gauge_free(self) -> Shifts:
        """The same table with the unobservable part taken out of dx and dy (over the used views).

        It describes the same movement, of an object that sits elsewhere.
        """
        return _less_gauge(self, self.roll_deg)

    @property
    def axis_tilt_deg(self) -> float:
        """The roll that the used views have in common: how far the axis is tilted off the columns, from +u towards +v.

        >>> Shifts.from_arrays(angle_rad=[0, 1], dx_px=[0, 0], dy_px=[0, 0], roll_deg=[1.5, 0.5]).axis_tilt_deg
        1.0
        """
        return float(self.roll_deg[self.used].mean()) if self.used.any() else 0.0

    def rolled_about_axis(self) -> Shifts:
        """The same table with the tilt of the axis taken out of the rolls: what the stage did on its own."""
        return replace(self, roll_deg=self.roll_deg - self.axis_tilt_deg)


def shift_error(found: Shifts, truth: Shifts) -> Shifts:
    """Found minus true without the gauge, fitted over the views that ``found`` uses; its sigma and used are kept.

    The mean of its rolls is the error of the tilt of the axis.

    The data cannot tell the truth from the truth of an object that sits elsewhere, nor, where all views roll by half a
    turn more, from that of its mirror image: the error is the distance from the nearest of these.

    Raises
    ------
    ValueError
        If the tables differ in length.

    >>> angle, zero = angles(8), np.zeros(8)
    >>> truth = Shifts.from_arrays(angle_rad=angle, dx_px=zero, dy_px=zero, roll_deg=2 * np.sin(3 * angle))
    >>> aside = gauge_vectors(angle, truth.roll_deg) @ [1.0, 2.0, 0.0, 3.0]
    >>> error = shift_error(replace(truth, dx_px=aside[:, 0], dy_px=aside[:, 1]), truth)
    >>> bool(max(np.abs(error.dx_px).max(), np.abs(error.dy_px).max()) < 1e-9)
    True
    """
    if len(found) != len(truth):
        raise ValueError(f"{len(found)} views were found, the truth has {len(truth)}")
    names = ("dx_px", "dy_px", "roll_deg")
    error = replace(found, **{n: getattr(found, n) - getattr(truth, n) for n in names})
    nearest = replace(error, roll_deg=error.roll_deg - 180 * np.round(error.axis_tilt_deg / 180))
    return _less_gauge(nearest, truth.roll_deg)


def side_by_side(found: Shifts, truth: Shifts) -> tuple[Shifts, Shifts]:
    """Both tables without a gauge, the found one with that of the truth, so that they differ by the error alone."""
    return _plus(truth.gauge_free(), shift_error(found, truth)), truth.gauge_free()


def placed_as(found: Shifts, truth: Shifts) -> Shifts:
    """The found table with the gauge of the truth, so that a correction puts the object where the true one would."""
    return _plus(truth, shift_error(found, truth))


def _plus(table: Shifts, error: Shifts) -> Shifts:
    names = ("dx_px", "dy_px", "roll_deg")
    return replace(error, **{n: getattr(table, n) + getattr(error, n) for n in names})


def _less_gauge(table: Shifts, roll_deg: Float) -> Shifts:
    """A table, or the difference of two, without the gauge of a stage that rolled by ``roll_deg``."""
    moved = np.stack([table.dx_px, table.dy_px], -1)
    keep = table.used & np.isfinite(moved).all(axis=1)
    basis = gauge_vectors(table.angle_rad, np.nan_to_num(roll_deg))
    if keep.any():
        fit, *_ = np.linalg.lstsq(basis[keep].reshape(-1, 4), moved[keep].reshape(-1), rcond=1e-9)
        moved = moved - basis @ fit
    return replace(table, dx_px=moved[:, 0], dy_px=moved[:, 1])


def rotation(roll_deg: ArrayLike) -> Float:
    """Matrices (N, 2, 2) that turn (u, v) by ``roll_deg`` from +u towards +v."""
    angle = np.deg2rad(np.atleast_1d(np.asarray(roll_deg, float)))
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def compose(first: Shifts, then: Shifts) -> Shifts:
    """The one movement that equals ``first`` followed by ``then``: p → R₂(R₁p + s₁) + s₂.

    Raises
    ------
    ValueError
        If the two tables have different lengths.
    """
    if len(first) != len(then):
        raise ValueError(f"cannot compose shifts of {len(first)} and of {len(then)} views")
    moved = np.einsum("nij,nj->ni", rotation(then.roll_deg), np.stack([first.dx_px, first.dy_px], -1))
    return replace(
        then,
        dx_px=moved[:, 0] + then.dx_px,
        dy_px=moved[:, 1] + then.dy_px,
        roll_deg=first.roll_deg + then.roll_deg,
        used=first.used & then.used,
        reason=np.where(first.used, then.reason, first.reason),
    )


def invert(shifts: Shifts) -> Shifts:
    """The movement that undoes ``shifts``: p → R⁻¹(p − s)."""
    back = -np.einsum("nij,nj->ni", rotation(-shifts.roll_deg), np.stack([shifts.dx_px, shifts.dy_px], -1))
    return replace(shifts, dx_px=back[:, 0], dy_px=back[:, 1], roll_deg=-shifts.roll_deg)


def transposed(shifts: Shifts) -> Shifts:
    """The same movements in views whose rows and columns are exchanged: what moved to the right moves down.

    >>> s = Shifts.from_arrays(angle_rad=[0.0], dx_px=[3.0], dy_px=[-2.0], roll_deg=[1.0])
    >>> [float(x[0]) for x in (transposed(s).dx_px, transposed(s).dy_px, transposed(s).roll_deg)]
    [-2.0, 3.0, -1.0]
    """
    return replace(
        shifts,
        dx_px=shifts.dy_px,
        dy_px=shifts.dx_px,
        roll_deg=-shifts.roll_deg,
        dx_sigma_px=shifts.dy_sigma_px,
        dy_sigma_px=shifts.dx_sigma_px,
    )


def angles(n_views: int, *, range_deg: float = 180.0, start_deg: float = 0.0, include_end: bool = False) -> Float:
    """Equally spaced angles in radians, shape (n_views,).

    >>> np.rad2deg(angles(4)).round(6).tolist()
    [0.0, 45.0, 90.0, 135.0]
    """
    return np.deg2rad(start_deg + np.linspace(0.0, range_deg, n_views, endpoint=include_end))


def angle_gaps(angle_rad: ArrayLike) -> Float:
    """From each angle to the next, modulo 180°, in their order, radians (N,).

    >>> np.rad2deg(angle_gaps(np.deg2rad([0, 170, 50, 290]))).round().tolist()
    [50.0, 60.0, 60.0, 10.0]
    """
    turn = np.sort(np.mod(np.asarray(angle_rad, float), np.pi))
    gaps: Float = np.diff(np.append(turn, turn[0] + np.pi))
    return gaps


def is_wedge(angle_rad: ArrayLike) -> bool:
    """Whether angles leave over 20° out somewhere: a reconstruction is smeared along these.

    >>> is_wedge(angles(60)), is_wedge(angles(60, range_deg=150)), is_wedge(angles(60, range_deg=360))
    (False, True, False)
    """
    return bool(angle_gaps(angle_rad).max() > np.deg2rad(20.0))


def centred_axis(n: int) -> Float:
    """Pixel positions counted from the detector's centre: ``-(n-1)/2 … (n-1)/2``."""
    return np.arange(n, dtype=float) - (n - 1) / 2


def gauge_functions(angle_rad: ArrayLike, *, axis: str) -> Float:
    """The unobservable functions of the angle, shape (N, k): {1, cos, sin} for dx, {1} for dy.

    That of roll, {1}, is the tilt of the axis, which is told by itself.
    """
    angle = np.asarray(angle_rad, float)
    one = np.ones_like(angle)
    if axis == "dx":
        return np.stack([one, np.cos(angle), np.sin(angle)], -1)
    if axis in ("dy", "roll"):
        return one[:, None]
    raise ValueError(f"axis is {axis!r}; expected 'dx', 'dy' or 'roll'")


def remove_gauge(shift: ArrayLike, angle_rad: ArrayLike, *, axis: str, used: ArrayLike | None = None) -> Float:
    """Take the least-squares fit of the gauge functions out of a shift, shape (N,) in and out.

    The fit sees only the ``used`` views, and is taken out of all. Any angle set is allowed: where the functions are
    not independent (few views, a narrow wedge) the minimum-norm fit is used.

    >>> angle = angles(8)
    >>> bool(np.abs(remove_gauge(3 + 2 * np.cos(angle), angle, axis="dx")).max() < 1e-12)
    True
    """
    values = np.asarray(shift, float)
    basis = gauge_functions(angle_rad, axis=axis)
    keep = np.ones(len(values), bool) if used is None else np.asarray(used, bool)
    if not keep.any():
        return values
    fit, *_ = np.linalg.lstsq(basis[keep], values[keep], rcond=1e-9)
    return values - basis @ fit


def gauge_vectors(angle_rad: ArrayLike, roll_deg: ArrayLike) -> Float:
    """What (dx, dy) cannot be told from an object that sits elsewhere, shape (N, 2, 4), of a stage that rolls so.

    The columns: the axis aside by 1 px, the object aside by 1 px along x and along y, and up or down by 1 px; each
    turned by the roll of the view, as the stage turns before it moves.
    """
    level = gauge_functions(angle_rad, axis="dx")
    place = np.zeros((len(level), 2, 4))
    place[:, 0, :3], place[:, 1, 3] = level, 1.0
    return rotation(roll_deg) @ place


def turned_about(table: Shifts, row_px: float) -> Shifts:
    """The same movements, told as of views that turn about the middle of a row instead of the centre, px from it."""
    turn = np.deg2rad(table.roll_deg)
    dx, dy = table.dx_px - np.sin(turn) * row_px, table.dy_px + (np.cos(turn) - 1) * row_px
    return replace(table, dx_px=dx, dy_px=dy)


def gauge_projector(angle_rad: torch.Tensor, roll_rad: torch.Tensor | None = None) -> torch.Tensor:
    """An orthonormal basis Q (B, 2N, 4) of ``gauge_vectors``, for the dx and dy of all views in a row.

    ``x - Q Qᵀ x`` is free of the gauge. ``angle_rad`` and ``roll_rad`` (none: no roll) have shape (B, N). Built in
    double precision by SVD; directions below 1e-6 of the largest are dropped (set to zero).
    """
    import torch  # takes seconds; who only draws or reads files need not wait for it

    angle = angle_rad.double()
    roll = torch.zeros_like(angle) if roll_rad is None else roll_rad.double()
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    c, s = roll.cos(), roll.sin()
    aside = torch.stack([one, angle.cos(), angle.sin(), zero], -1)  # before the roll: along u, and along v
    up = torch.stack([zero, zero, zero, one], -1)
    turned = [c[..., None] * aside - s[..., None] * up, s[..., None] * aside + c[..., None] * up]
    q, size, _ = torch.linalg.svd(torch.stack(turned, -2).flatten(1, 2), full_matrices=False)
    return (q * (size > 1e-6 * size[..., :1])[..., None, :]).to(angle_rad.dtype)
