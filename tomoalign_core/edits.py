"""Corrections by hand: a list of operations on a table of shifts, which undo shortens and JSON keeps.

The table that was found is never changed: what a list stands for is worked out from it, operation by operation, so
that undoing gives back exactly what was there.

>>> found = Shifts.from_arrays(angle_rad=[0.0, 1.0, 2.0], dx_px=[1, 2, 3], dy_px=[0, 0, 0])
>>> edits = Edits().then(Nudge(view=1, ddx_px=0.5)).then(Use(view=2, used=False))
>>> edits.apply(found).dx_px.tolist(), edits.undo().apply(found).used.tolist()
([1.0, 2.5, 3.0], [True, True, True])
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from tomoalign_core.config import InputError, Settings
from tomoalign_core.geometry import Float, Shifts, compose

ANGLE_TOLERANCE_DEG = 0.05  # tables are written with rounded angles
COLUMNS = ("dx_px", "dy_px", "roll_deg")


class Nudge(Settings):
    """Say that the stage moved one view further than was found. Its standard deviation is then no longer known."""

    kind: Literal["nudge"] = "nudge"
    view: int = Field(ge=0)
    ddx_px: float = 0.0
    ddy_px: float = 0.0
    droll_deg: float = 0.0

    def apply(self, shifts: Shifts) -> Shifts:
        """The table with this view moved."""
        more = dict(zip(COLUMNS, (self.ddx_px, self.ddy_px, self.droll_deg), strict=True))
        moved = {
            name: _with(getattr(shifts, name), self.view, getattr(shifts, name)[self.view] + more[name])
            for name in more
        }
        unknown = {name: _with(getattr(shifts, name), self.view, np.nan) for name in ("dx_sigma_px", "dy_sigma_px")}
        return replace(shifts, **moved, **unknown)

    def words(self) -> str:
        """In words."""
        parts = {"dx": (self.ddx_px, "px"), "dy": (self.ddy_px, "px"), "roll": (self.droll_deg, "°")}
        moves = [f"{name} {by:+.3g} {unit}".replace("-", "−") for name, (by, unit) in parts.items() if by]
        return f"view {self.view}: {', '.join(moves) or 'not moved'}"


class Use(Settings):
    """Leave one view out of the reconstruction, or take it in again."""

    kind: Literal["use"] = "use"
    view: int = Field(ge=0)
    used: bool

    def apply(self, shifts: Shifts) -> Shifts:
        """The table with this view left out or taken in."""
        if not self.used:
            return shifts.left_out([self.view], "left out by hand")
        return replace(shifts, used=_with(shifts.used, self.view, True), reason=_with(shifts.reason, self.view, ""))

    def words(self) -> str:
        """In words."""
        return f"view {self.view}: {'used' if self.used else 'left out'}"


class Compose(Settings):
    """Put another table of movements before or after: the sum of what the stage did in two goes."""

    kind: Literal["compose"] = "compose"
    name: str
    acts: Literal["first", "last"]
    angle_deg: tuple[float, ...]
    dx_px: tuple[float, ...]
    dy_px: tuple[float, ...]
    roll_deg: tuple[float, ...]
    used: tuple[bool, ...]
    reason: tuple[str, ...] | None = None

    @classmethod
    def of(cls, shifts: Shifts, *, name: str, acts: Literal["first", "last"]) -> Self:
        """The operation that adds this table; what is not known of a view left out counts as no movement."""
        columns = {column: tuple(np.nan_to_num(getattr(shifts, column)).tolist()) for column in COLUMNS}
        angle = tuple(np.rad2deg(shifts.angle_rad).tolist())
        out = {"used": tuple(shifts.used.tolist()), "reason": tuple(shifts.reason.tolist())}
        return cls(name=name, acts=acts, angle_deg=angle, **out, **columns)

    def apply(self, shifts: Shifts) -> Shifts:
        """The one movement that equals the two. The standard deviations stay those of the table that is added to."""
        angle = np.deg2rad(self.angle_deg)
        other = Shifts.from_arrays(
            angle_rad=angle, dx_px=self.dx_px, dy_px=self.dy_px, roll_deg=self.roll_deg, used=self.used,
            reason=self.reason,
        )  # fmt: skip
        check_same_scan(other, shifts.angle_rad, self.name)
        both = compose(other, shifts) if self.acts == "first" else compose(shifts, other)
        return replace(shifts, **{column: getattr(both, column) for column in (*COLUMNS, "used", "reason")})

    def words(self) -> str:
        """In words."""
        return f"{self.name} added, acting {self.acts}"


Edit = Annotated[Nudge | Use | Compose, Field(discriminator="kind")]


class Edits(Settings):
    """What was done by hand, and what of it was undone and can be done again."""

    done: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = ()

    def then(self, edit: Nudge | Use | Compose) -> Edits:
        """One more operation; what was undone before it is gone."""
        return Edits(done=(*self.done, edit))

    def undo(self) -> Edits:
        """Take the last operation back."""
        return Edits(done=self.done[:-1], undone=(*self.undone, *self.done[-1:]))

    def redo(self) -> Edits:
        """Do again what was undone last."""
        return Edits(done=(*self.done, *self.undone[-1:]), undone=self.undone[:-1])

    def reset(self) -> Edits:
        """Take all back; each can be done again."""
        return Edits(undone=(*self.undone, *reversed(self.done)))

    def apply(self, shifts: Shifts) -> Shifts:
        """The table with all operations done, in their order.

        Raises
        ------
        InputError
            If an operation is about a view that is not there, or adds a table of another scan.
        """
        for edit in self.done:
            if not isinstance(edit, Compose) and edit.view >= len(shifts):
                raise InputError(f"view {edit.view}: the stack has {len(shifts)} views, counted from 0")
            shifts = edit.apply(shifts)
        return shifts


def check_same_scan(table: Shifts, angle_rad: Float, name: str) -> None:
    """Refuse a table that was made for another scan than that of these angles.

    Raises
    ------
    InputError
        If it has another number of views, or another angle somewhere.
    """
    if len(table) != len(angle_rad):
        raise InputError(
            f"{name}: holds the shifts of {len(table)} views, but the stack has {len(angle_rad)}; give its own table"
        )
    here, there = np.rad2deg(angle_rad), np.rad2deg(table.angle_rad)
    apart = np.abs((there - here + 180) % 360 - 180)
    worst = int(apart.argmax())
    if apart[worst] > ANGLE_TOLERANCE_DEG:
        raise InputError(
            f"{name}: view {worst} stands at {there[worst]:.2f} degrees there, at {here[worst]:.2f} in the stack; "
            "give the table of this scan"
        )


def _with(values: np.ndarray, view: int, value: float | bool | str) -> np.ndarray:
    changed = values.copy()
    changed[view] = value
    return changed
