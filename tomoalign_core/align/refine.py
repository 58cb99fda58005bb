"""Refinement: all movements together, by the likelihood of all views together, without a reconstruction.

Steps of all views together, see ``joint``, each judged by the held-out residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoalign_core.align.joint import LEAST_VIEWS, MOST_VIEWS, Joint
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Float, Shifts

ROUNDS = 6
TRIES = 2  # rounds that raise the residual before it is tried once more, without dx
STILL_PX = 0.003  # a round that moves views by less is the last
EVEN = 2e-4  # of the residual: two that differ by less do not tell which table is better, and the later one is taken


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a refinement; number 0 is the start.

    residual : the held-out residual after it, see ``residual``.
    step_px : how far it moved the views, root mean square over dx and dy.
    kept : whether it is taken for the best so far.
    """

    number: int
    residual: float
    step_px: float
    kept: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """What a refinement found; ``gain`` and ``offset`` (N,) are those of each view against the mean, 1 and 0 if even.

    Both stay 1 and 0 for views that took no part, and where a start that is not settled could not be bettered.
    """

    shifts: Shifts
    gain: Float
    offset: Float
    rounds: tuple[Round, ...]


def refine_shifts(
    proj: NDArray[np.floating],
    angle_rad: ArrayLike,
    start: Shifts,
    *,
    settled: Joint | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Refined:
    """Refine a table of shifts of a stack (N, V, U) of attenuation; the result is gauge-free.

    It ends when a round moves nothing any more, or raises the held-out residual, at the latest after six rounds; if the
    first two do, it begins once more and leaves dx where it is. Given back is the last round whose held-out residual is
    the lowest, or above that by no more than 0.02 %, and in any case below that of round 0; else that one is. Views
    not ``used`` take no part, and stay as they are; so do those that lie more than half of the width aside, or half of
    the height up or down. Where the top or the bottom cuts the object off, dx stays, and so do rolls of zero;
    dx stays in stacks without noise, too. Rolls of a start that has none are found only where they explain more than
    chance does; those of a start that explain no more are dropped before it begins. σ of dy is what the likelihood
    leaves; that of dx, in which it has little say, is not above the start's; neither is far below that. Both are of the
    place of what the views show, which may stand off the centre about which they roll.

    Parameters
    ----------
    start : with σ, px, which says how far each view may be moved.
    settled : begin where the first steps have brought the start, see ``joint.settled``, as the network's own answer
        does: that is round 0 then, with which a residual may be even, to 0.02 %, where it is below that of the start.
    on_round : called with each round as it ends.

    Raises
    ------
    InputError
        If there are too many views, or fewer than three are used; if values are not finite, or all the same.
    """
    angle = np.asarray(angle_rad, float)
    _check(proj, start.used)
    joint = Joint(proj, angle, start) if settled is None else settled
    rounds: list[Round] = []
    most = np.inf  # the residual must be lower
    best, gain, offset = start, np.ones(len(angle)), np.zeros(len(angle))

    def judge(table: Shifts, step_px: float) -> bool:
        residual = held_out_residual(proj, angle, table).overall
        lowest = (1 + EVEN) * min((r.residual for r in rounds), default=np.inf)
        kept = not rounds or (residual < most and residual <= lowest)
        rounds.append(Round(number=len(rounds), residual=residual, step_px=step_px, kept=kept))
        if on_round is not None:
            on_round(rounds[-1])
        return kept

    if settled is not None:
        best, gain, offset = joint.table, joint.gain, joint.offset
        judge(best, 0.0)
        most = max(rounds[0].residual, held_out_residual(proj, angle, joint.start).overall)
    for _ in range(ROUNDS):
        step = joint.improve()
        if not rounds:
            # of rolls that are chance the residual of a small stack would say that they should stay
            best = joint.start
            judge(best, 0.0)
            most = rounds[0].residual
        table = joint.table
        if not judge(table, step):
            tried = len(rounds) - 1
            if any(r.kept for r in rounds[1:]) or tried > TRIES or (tried == TRIES and not joint.moves_dx):
                break
            if tried == TRIES:
                joint.leave_dx()
            continue
        best, gain, offset = table, joint.gain, joint.offset
        if step < STILL_PX:
            break
    return Refined(shifts=best, gain=gain, offset=offset, rounds=tuple(rounds))


def _check(proj: NDArray[np.floating], used: NDArray[np.bool_]) -> None:
    if used.sum() > MOST_VIEWS:
        raise InputError(f"a refinement takes up to {MOST_VIEWS} views, not {used.sum()}; use the network alone")
    if used.sum() < LEAST_VIEWS:
        raise InputError(f"{used.sum()} views are used; a refinement needs three at least")
    if not np.isfinite(proj).all() or np.ptp(proj[used]) == 0:
        raise InputError("a refinement needs views of finite values that are not all the same; see what was read")
