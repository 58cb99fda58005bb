"""What a network answers of a stack: what it sees, and the steps of all views together that begin there.

A network sees views of an upright axis. How far the axis is tilted is told by the first of those steps; where that is
far, the network looks once more, at views that are turned back by as much. Steps see as far as some 25 degrees; where
the common line of the views lies elsewhere, see ``tilt_axis``, it is looked at from there as well, and that answer is
taken if it foretells the views better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np

from tomoalign_core.align import finer, refine
from tomoalign_core.align.apply import Progress
from tomoalign_core.align.joint import Joint, can_step, settled
from tomoalign_core.align.lost import leave_out_lost, with_a_place
from tomoalign_core.align.predict import can_look_finer, predict_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.align.tilt_axis import common_line
from tomoalign_core.align.upright import as_measured, from_transposed, stood_up
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Float, Shifts
from tomoalign_core.learn.weights import TrainedModel

MOST_LOOKS = 4  # each at views turned back by what the steps before told of the tilt of the axis
FAR_TILTED_DEG = 1.0  # views that are turned by less are seen as if the axis were upright
ENOUGH_VIEWS = 200  # spread over a stack of too many for a step, to tell the tilt of its axis
LEAST_TILT_DEG = 0.02  # for which such a stack is looked at again, as no step turns it
NEARER_THE_ROWS_DEG = 45.0
SAME_AXIS_DEG = 3.0  # by which two answers with one axis may be apart
NARROW_RAD = np.deg2rad(60)


class _Begun(NamedTuple):
    """What a network sees of views, and the steps of all views together from there, where they can be.

    across : whether the views are those of a stack that was transposed, as its axis lies nearer to the rows.
    """

    proj: np.ndarray
    found: Shifts
    joint: Joint | None
    across: bool

    @property
    def table(self) -> Shifts:
        """The movements of these views."""
        return self.found if self.joint is None else self.joint.table

    @property
    def measured(self) -> Shifts:
        """The movements of the views as measured."""
        return from_transposed(self.table) if self.across else self.table

    @property
    def tilt_deg(self) -> float:
        """The tilt of the axis, of the stack as measured."""
        return self.measured.axis_tilt_deg


def answer(
    proj: np.ndarray,
    angle_rad: Float,
    network: TrainedModel,
    *,
    refined: bool,
    axis_tilt_deg: float,
    progress: Progress | None,
    on_round: Callable[[refine.Round], None] | None,
) -> Shifts:
    """The movements of a stack (N, V, U), gauge-free; for the rest see ``find_shifts``.

    Raises
    ------
    InputError
        If no view can be aligned, or a refinement is asked for of too many or too few.
    """

    def begin(tilt_deg: float) -> _Begun:
        return _from_tilt(proj, angle_rad, tilt_deg, network, refined=refined, progress=progress)

    begun = begin(axis_tilt_deg) if axis_tilt_deg else _from_where_it_is(proj, angle_rad, begin)
    if axis_tilt_deg and abs(begun.tilt_deg) < FAR_TILTED_DEG:
        begun = begin(0.0)  # what is no more than chance is told from an upright axis alone
    found = begun.table
    if refined:
        found = refine.refine_shifts(
            begun.proj, angle_rad, begun.found, settled=begun.joint, on_round=on_round
        ).shifts  # fmt: skip
    found = leave_out_lost(begun.proj, found)
    return _within_half_a_turn(from_transposed(found) if begun.across else found)


def _from_where_it_is(proj: np.ndarray, angle_rad: Float, begin: Callable[[float], _Begun]) -> _Begun:
    """Begin with an upright axis; and along the common line where that lies elsewhere, if so views are foretold better.

    Where both come to the same axis, the views are better seen along it: their two frames lose others of them, and
    what is foretold of those cannot be compared. In a narrow wedge views are alike on every line, and show none.
    """
    line = common_line(proj)
    if not line.is_clear or line.is_near(0.0) or np.ptp(angle_rad) < NARROW_RAD:
        return begin(0.0)
    along = begin(line.tilt_deg)
    try:
        upright = begin(0.0)
    except InputError:
        return along
    apart = along.tilt_deg - upright.tilt_deg
    if abs(apart - 180 * np.round(apart / 180)) < SAME_AXIS_DEG:
        return along
    return min(along, upright, key=lambda begun: _unexplained(proj, angle_rad, begun.measured))


def _within_half_a_turn(found: Shifts) -> Shifts:
    """With a tilt of -90 to 90 degrees: half a turn more is that of the object's mirror image, which looks the same."""
    return replace(found, roll_deg=found.roll_deg - 180 * np.round(found.axis_tilt_deg / 180))


def _from_tilt(
    proj: np.ndarray,
    angle_rad: Float,
    tilt_deg: float,
    network: TrainedModel,
    *,
    refined: bool,
    progress: Progress | None,
) -> _Begun:
    """What the network sees in the end, where it begins at such a tilt."""
    if across := abs(tilt_deg) > NEARER_THE_ROWS_DEG:
        # turned back by so much, the views would no longer fit into their frame
        proj, tilt_deg = np.ascontiguousarray(proj.swapaxes(1, 2)), np.copysign(90 - abs(tilt_deg), tilt_deg)
    for _ in range(MOST_LOOKS):
        looks = progress if refined or progress is None else _Counted(progress)
        found = _look(proj, angle_rad, tilt_deg, network, refined=refined, progress=looks)
        joint = settled(proj, angle_rad, found) if can_step(found, sure=not refined) else None
        if isinstance(looks, _Counted):
            looks.end()
        if joint is None and refined:
            break  # the refinement will say why it cannot be
        further_deg = (_tilt_of(proj, found) if joint is None else joint.table.axis_tilt_deg) - tilt_deg
        if abs(further_deg) < (LEAST_TILT_DEG if joint is None else FAR_TILTED_DEG):
            break
        tilt_deg += further_deg
    return _Begun(proj, found, joint, across)


def _unexplained(proj: np.ndarray, angle_rad: Float, table: Shifts) -> float:
    """What others do not explain of a view (V, U), in the mean; of one that is left out, all of it.

    They are seen with their longer side across, where most fits in once it is stood up, however they were aligned: of
    what is cut off at the sides the others foretell little.
    """
    if not table.used.any():
        return 1.0
    if proj.shape[1] > proj.shape[2]:
        proj, table = np.ascontiguousarray(proj.swapaxes(1, 2)), from_transposed(table)
    share = table.used.mean()
    return float(share * held_out_residual(proj, angle_rad, table).overall + 1 - share)


def _look(
    proj: np.ndarray,
    angle_rad: Float,
    tilt_deg: float,
    network: TrainedModel,
    *,
    refined: bool,
    progress: Progress | None,
) -> Shifts:
    """What the network sees of views turned back by a tilt; or in twice the sampling, if that is better: ``finer``."""
    upright = stood_up(proj, tilt_deg)
    seen = as_measured(predict_shifts(upright, angle_rad, network, progress), tilt_deg)
    found = with_a_place(proj, seen, by="the network")
    if not refined or not can_look_finer(proj, network):
        return found

    def look_finer() -> Shifts:
        seen = predict_shifts(upright, angle_rad, network, progress, finer=True)
        return leave_out_lost(proj, as_measured(seen, tilt_deg))

    return finer.better_of(proj, angle_rad, found, look_finer, progress)


def _tilt_of(proj: np.ndarray, found: Shifts) -> float:
    """The tilt of the axis of a stack of too many views for a step, from some; that of the table if they cannot."""
    views = np.flatnonzero(found.used)
    views = views[:: max(ceil(len(views) / ENOUGH_VIEWS), 1)]
    some = found.taken(views)
    if not can_step(some, sure=True):
        return found.axis_tilt_deg
    return settled(proj[views], some.angle_rad, some).table.axis_tilt_deg


class _Counted:
    """Progress over the passes of a network, with one more for the step that ends it."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._of = progress, 0

    def __call__(self, done: int, of: int) -> None:
        self._of = of + 1
        self._progress(done, self._of)

    def end(self) -> None:
        if self._of:
            self._progress(self._of, self._of)
