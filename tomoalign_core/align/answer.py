"""What a network answers of a stack: what it sees, and the steps of all views together that begin there.

A network sees views of an upright axis. How far the axis is tilted is told by the first of those steps; where that is
far, the network looks once more, at views that are turned back by as much.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np

from tomoalign_core.align import finer, refine
from tomoalign_core.align.apply import Progress
from tomoalign_core.align.joint import can_step, settled
from tomoalign_core.align.lost import leave_out_lost, with_a_place
from tomoalign_core.align.predict import can_look_finer, predict_shifts
from tomoalign_core.align.upright import as_measured, stood_up
from tomoalign_core.geometry import Float, Shifts
from tomoalign_core.learn.weights import TrainedModel

MOST_LOOKS = 4  # each at views turned back by what the steps before told of the tilt of the axis
FAR_TILTED_DEG = 1.0  # views that are turned by less are seen as if the axis were upright
ENOUGH_VIEWS = 200  # spread over a stack of too many for a step, to tell the tilt of its axis
LEAST_TILT_DEG = 0.02  # for which such a stack is looked at again, as no step turns it


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
    tilt_deg = axis_tilt_deg
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
    if refined:
        found = refine.refine_shifts(proj, angle_rad, found, settled=joint, on_round=on_round).shifts
    elif joint is not None:
        found = joint.table
    return leave_out_lost(proj, found)


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
