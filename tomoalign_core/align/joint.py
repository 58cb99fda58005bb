"""One step of all views together, of a stack as it is measured: what the network's answer ends with.

The network says what each view looks like to it; ``together`` solves for the movements of all views at once, with that
answer and its σ as what is known beforehand. One step brings nearly all of it; a refinement goes on, and judges.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.align.binning import binned, binned_shifts, in_units
from tomoalign_core.align.together import Together
from tomoalign_core.geometry import Float, Shifts, placed_as
from tomoalign_core.metrics import rms

MOST_VIEWS = 800  # the equations of all views are solved at once
LEAST_VIEWS = 3
LARGEST_WORK = 1.2e9  # views squared times pixels; beyond, views are binned
# Root mean square, by a step: views so far from where it saw them are looked at from there once more; and the same of
# what all of them have in common, the tilt of the axis, which a step may see a part of only.
TURNED_DEG, TILTED_DEG = 1.0, 0.25
MOST_STEPS = 6
MOST_AWAY = 0.5  # of the width aside, or of the height up or down; views farther off take no part


class Joint:
    """The movements of a stack (N, V, U) that begin at a table with σ; ``improve`` is a step of all views together.

    Views not ``used`` take no part and stay as they are; so do those that lie more than half of the width aside, or
    half of the height up or down. Stacks of very many views and pixels are binned. ``start`` is where it begins,
    gauge-free; after the first step without its rolls, where these explain no more than chance would.
    """

    def __init__(self, proj: NDArray[np.floating], angle_rad: Float, start: Shifts) -> None:
        self._start = start
        self._used = start.used & _well_seen(proj.shape[1:], start)
        self._factor = int(np.ceil(np.sqrt(max(len(angle_rad) ** 2 * proj[0].size / LARGEST_WORK, 1.0))))
        self._stack, self._unit = in_units(binned(proj[self._used], self._factor))
        self._angle = angle_rad[self._used]
        self._problem = Together(self._stack, self._angle, binned_shifts(start.taken(self._used), self._factor))
        self._asks_for_roll = True
        self.start = start.gauge_free()

    def improve(self) -> float:
        """Take a step; returns how far it moved the views, px, gauge removed."""
        step = self._problem.improve()
        if self._asks_for_roll and self._problem.may_not_roll:
            still = Together(self._stack, self._angle, self._problem.start_without_roll())
            began = still.at_home()
            step_of_still = still.improve()
            if not (still.rolls and self._problem.rolls):
                self._problem, step = still, step_of_still
                self._start = replace(self._start, roll_deg=np.zeros(len(self._used)))
                self.start = self._placed(began)
        self._asks_for_roll = False
        return step * self._factor

    @property
    def table(self) -> Shifts:
        """Where the views stand now, gauge-free."""
        return self._placed(self._problem.at_home())

    @property
    def gain(self) -> Float:
        """Of each view (N,), against the mean."""
        return self._whole(1.0, self._problem.gain)

    @property
    def offset(self) -> Float:
        """Of each view (N,), against the mean, in units of the stack."""
        return self._whole(0.0, self._unit * self._problem.offset)

    @property
    def stood_up(self) -> bool:
        """Whether all views were turned by the tilt of the axis, on which they do not roll."""
        return self._problem.stood_up

    @property
    def moves_dx(self) -> bool:
        """Whether the likelihood has a say in dx."""
        return self._problem.moves_dx

    def leave_dx(self) -> None:
        """Go back to the start, and leave dx there from now on."""
        self._problem.leave_dx()

    def _placed(self, table: Shifts) -> Shifts:
        """The whole table, gauge-free, from that of the views that take part, in their binned pixels."""
        # views that took no part stay where they are: the others may not all move away from them
        full = binned_shifts(table, 1 / self._factor)
        return self._start.put(self._used, placed_as(full, self._start.taken(self._used))).gauge_free()

    def _whole(self, rest: float, of_used: Float) -> Float:
        whole = np.full(len(self._used), rest)
        whole[self._used] = of_used
        return whole


def step_together(proj: NDArray[np.floating], angle_rad: Float, start: Shifts) -> Shifts:
    """What one step of all views together makes of a table of a stack (N, V, U) of attenuation; gauge-free.

    While a step turns views by more than a degree (root mean square), or all of them by a quarter, another follows, up
    to six. A table that states no σ is given back as it is, as are those of fewer than 3
    and of more than 800 used views.
    """
    return settled(proj, angle_rad, start).table if can_step(start, sure=True) else start


def can_step(start: Shifts, *, sure: bool) -> bool:
    """Whether all views of a table can be solved for together: 3 to 800 are used; and, if asked, all state a σ."""
    known = np.isfinite(start.dx_sigma_px[start.used]).all() and np.isfinite(start.dy_sigma_px[start.used]).all()
    return bool(LEAST_VIEWS <= start.used.sum() <= MOST_VIEWS and (known or not sure))


def settled(proj: NDArray[np.floating], angle_rad: Float, start: Shifts) -> Joint:
    """A stack (N, V, U) that begins at a table and has taken its first step; the network's answer is where it stands.

    While one turns views by over a degree, or all of them by a quarter, another follows, up to six in all; and one
    where the axis was found to be tilted and views not to roll, as what bobs up and down was taken for dy before.
    """
    joint = Joint(proj, angle_rad, start)
    joint.improve()
    before = joint.start
    for number in range(1, MOST_STEPS):
        found = joint.table
        turned = (found.roll_deg - before.roll_deg)[found.used]
        looks_again = number == 1 and joint.stood_up
        if rms(turned) < TURNED_DEG and abs(turned.mean()) < TILTED_DEG and not looks_again:
            break
        joint.improve()
        before = found
    return joint


def _well_seen(shape: tuple[int, ...], table: Shifts) -> NDArray[np.bool_]:
    """Which views lie on the detector for the most part once they are corrected; all, where those would be too few."""
    rows, cols = shape
    seen = (np.abs(table.dx_px) < MOST_AWAY * cols) & (np.abs(table.dy_px) < MOST_AWAY * rows)
    return seen if (seen & table.used).sum() >= LEAST_VIEWS else np.ones_like(seen)
