"""The movements of all views of a stack together: one least-squares problem, with what is known beforehand.

Views of one object are not free of each other: ``field`` says what each should look like given all others. A movement
changes a view along its own gradients; the most likely movements of all views are one least-squares problem with the
covariance of the field and the noise as its weight (generalised least squares), solved together for dx, dy, roll, gain
and offset of every view, and again around the result.

What the views alone cannot tell well, slow movements above all, is left where the start has it: its σ is the prior, see
``beforehand``. What the field does not know of them, the moments of the rows tell, see ``moments``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage, stats

from tomoalign_core.align.apply import move_views, undo_shifts
from tomoalign_core.align.beforehand import (
    LEAST_VIEWS_OF_TILT,
    belief_of,
    believed,
    moments_believed,
    moments_in_dx,
    prior_of,
)
from tomoalign_core.align.field import FILL_ROUNDS, Field
from tomoalign_core.align.moments import share_in_view, told_by_moments
from tomoalign_core.align.noise import UnevenNoise, noise_floor, noise_of, uneven_noise
from tomoalign_core.align.outline import background_of, cut_of, place_of_object, with_object_aside
from tomoalign_core.align.pattern import fixed_pattern
from tomoalign_core.align.ways import LEVER_PX, PLAIN, Slopes, learn_slopes, noise_in_slope, ways_of
from tomoalign_core.geometry import Float, Shifts, centred_axis, gauge_functions, turned_about
from tomoalign_core.metrics import rms

Stack = NDArray[np.floating]

FARTHEST_PX = 3.0  # in one round: gradients see no farther
BY_CHANCE = 0.01  # of stacks that do not roll, in which rolls are found all the same
UNLIKE = 6.0  # times more than that they must explain in a stack without noise, where the model errs by more
SURE = 5.0  # times what chance explains: rolls of a start that explain less are looked for from none
# Of the start's σ, what a refined one is not below: the model is not the object, and its errors no noise.
LEAST_SIGMA = 0.65
SLANTED_DEG = 10.0  # from here on a column that is as narrow as the view runs into its sides, until it is stood up
MOST_SIGMA = 0.93  # in dx, where views move: so much better than the start it is, whatever the likelihood is believed
MOST_ROWS = 0.8  # of the object end in view: fewer, and the moments have no say in dx
OWN_SHARE = 0.2  # of what the moments tell, that the field has not told already: so much counts in σ
SURE_OF_TILT = 1.5  # times what chance explains: a tilt of the axis
STANDS_DEG = 0.02  # less is left of it
MOST_TURNS, MOST_FURTHER = 6, 5.0  # and times what a look tells of it
MIDDLE_BLUR_PX = 2.0
ROWS_BEYOND = 3  # above and below the views, as nobody saw them: an object that the border cuts off goes on there


class Together:
    """The movements of a stack (N, V, U), all used, and what is known of them; ``improve`` is a Gauss-Newton round."""

    _noise: float
    _clear: float  # the share of the noise that is not its floor, in variance
    _field: Field
    _slopes: Slopes
    _foretold: Stack  # the object in the aligned views
    _misread: float  # of the slopes along v, see ``noise_in_slope``
    _explained = np.inf  # by rolls, over what chance would: by real ones ``_by_chance`` at least

    def __init__(self, stack: NDArray[np.float32], angle: Float, start: Shifts) -> None:
        n = len(stack)
        self._level = background_of(stack)
        self._proj = stack - self._level[:, None, None]
        self._angle = angle
        self.gain: Float = np.ones(n)
        self.offset: Float = self._level - self._level.mean()
        # where its mass is centred the object needs the smallest disc
        self._aside = place_of_object(self._proj, start)
        self._uneven: UnevenNoise | None = None
        self.table = self._start = with_object_aside(start, self._aside)
        whole = self._see()
        pattern = fixed_pattern(self._proj, self._in_place(self._field.foretell_by_others(whole)))
        if pattern.any():
            self._proj = self._proj - pattern.astype(np.float32)
            whole = self._see()
        self._uneven = uneven_noise(self._proj, self._in_place(self._foretold))
        if self._uneven is not None:
            whole = self._see()
        self._row = _middle_row_of(self._foretold)
        self._prior = prior_of(start, largest=float(np.abs(self._proj).max()))
        self._by_chance = 1 + UNLIKE * (1 - self._clear)
        self._cut = cut_of(whole[:, ROWS_BEYOND:-ROWS_BEYOND])
        if abs(start.axis_tilt_deg) < SLANTED_DEG and cut_of(self._proj).sides:
            self._cut = self._cut._replace(sides=True)  # what was not seen at a side is filled in fainter
        self._belief = belief_of(self._cut, start, clear=self._clear)
        in_view = share_in_view(self._foretold[:, ROWS_BEYOND:-ROWS_BEYOND], noise=self._noise)
        self._moments_in_dx = moments_in_dx(self._cut, clear=self._clear) if in_view > MOST_ROWS else 0
        self._asks_for_roll = self._belief[2] > 0
        # rolls have that of theirs; and three views show what they may of any
        self._asks_for_tilt = float(np.ptp(start.roll_deg)) == 0.0 and n >= LEAST_VIEWS_OF_TILT
        self._turns: list[tuple[float, float]] = []  # what was left of the tilt of the axis, and by how much it turned
        self._gauge_free = [_projector(gauge_functions(angle, axis=axis)) for axis in ("dx", "dy")]

    def improve(self) -> float:
        """One round; returns how far it moved the views, px, gauge removed."""
        n = len(self._angle)
        aligned, seen = self._aligned()
        # what was not seen is as foretold, and tells nothing
        share = self._share(seen)
        whole = self._field.fill(aligned, share, self._foretold, rounds=FILL_ROUNDS)
        self._foretold = self._field.foretell(whole)
        told = self._field.foretell_by_others(whole)
        ways = ways_of(told, seen, row=self._row, slopes=self._slopes)
        information, slope = self._told_by_field(whole, ways, share)
        if self._asks_for_tilt and self._stands_up(information, slope):
            return self.improve()
        self._misread = noise_in_slope(ways[1], seen, self._slopes.noise[1])
        if self._asks_for_roll:
            self._asks_for_roll = False
            # noise is taken out of slopes by what is near, the view itself included: then chance explains more; and by
            # fine details, in which the model errs most, it does as well
            plain = ways_of(told, seen, row=self._row, slopes=PLAIN._replace(bend=self._slopes.bend))
            self._explained = self._explained_by_roll(*self._told_by_field(whole, plain, share))
            if self._explained < self._by_chance:
                self._belief = (*self._belief[:2], 0.0, *self._belief[3:])
        ridge = 1e-9 * np.diag(information).max()
        information += np.diag(1e-6 * np.diag(information) + ridge)
        wanted = linalg.solve(information, slope, assume_a="pos")
        moments = not self._cut.sides and self._clear > 0
        information = believed(
            information, self._belief, self._angle, self._cut, pixels=self._proj.size, moments=moments
        )
        precision = information + self._noise**2 * self._prior + ridge * np.eye(len(slope))
        away = self._noise**2 * self._prior @ self._from_start().ravel()
        wanted = information @ wanted - away
        known = precision
        if moments:
            told, likeliest = self._told_by_moments(whole, seen, ways)
            known = precision + OWN_SHARE * told
            precision = precision + told
            wanted += told @ likeliest
        step = linalg.solve(precision, wanted, assume_a="pos").reshape(-1, n)
        self._move(step, self._noise**2 * linalg.inv(known).reshape(len(self._belief), n, len(self._belief), n))
        return rms([project @ way for project, way in zip(self._gauge_free, step, strict=False)])

    def _see(self) -> Stack:
        """Learn what the object is like from the aligned views; given back are those, what was not seen put in."""
        self._noise = noise_of(self._proj) if self._uneven is None else float(self._uneven.sigma[0])
        self._clear = 1 - (noise_floor(self._proj) / self._noise) ** 2
        aligned, seen = self._aligned()
        self._field = Field(self._angle, aligned, self._noise)
        if self._uneven is None:
            self._foretold = self._field.foretell(np.where(seen, aligned, 0.0))
        share = self._share(seen)
        whole = self._field.fill(aligned, share, self._foretold, rounds=FILL_ROUNDS)
        self._foretold = self._field.foretell(whole)
        self._slopes = learn_slopes(
            self._field, whole, share, noise=self._noise, clear=self._clear, even=self._uneven is None
        )
        return whole

    def _in_place(self, aligned: Stack) -> Stack:
        """Aligned views as the detector would have seen them."""
        return move_views(aligned[:, ROWS_BEYOND:-ROWS_BEYOND].astype(np.float32), self.table)

    def _aligned(self) -> tuple[Stack, NDArray[np.bool_]]:
        """The views as the table aligns them, and what of them was seen, with some rows more above and below."""
        beyond = ((0, 0), (ROWS_BEYOND, ROWS_BEYOND), (0, 0))
        aligned, seen = undo_shifts(self._proj, self.table)
        return np.pad(aligned, beyond, mode="reflect"), np.pad(seen, beyond)

    def _share(self, seen: NDArray[np.bool_]) -> Stack:
        """What the least noise is of that of each pixel as the table aligns them, in variance; 0 where not seen."""
        share = np.ones_like(self._foretold) if self._uneven is None else self._uneven.share(self._foretold)
        return share * seen

    def _told_by_field(self, whole: Stack, ways: list[Stack], share: Stack) -> tuple[Float, Float]:
        """What the field tells of all movements: information and slope of the log-likelihood, over noise²."""
        slope = np.stack([(way * (whole - self._foretold)).sum((1, 2), dtype=float) for way in ways]).ravel()
        return self._field.information([way * np.sqrt(share) for way in ways]), slope

    def _told_by_moments(self, whole: Stack, seen: NDArray[np.bool_], ways: list[Stack]) -> tuple[Float, Float]:
        """What the moments of rows tell of all movements, as far as they are believed, and the likeliest movements."""
        inside = np.s_[:, ROWS_BEYOND:-ROWS_BEYOND]
        information, likeliest = told_by_moments(
            whole[inside], seen[inside], self._foretold[inside], [way[inside] for way in ways], self._angle,
            noise=self._noise,
        )  # fmt: skip
        information = moments_believed(
            self._clear * information, self._angle, highest_in_dx=self._moments_in_dx, rolls=self._belief[2] > 0
        )
        return information, likeliest

    def _explained_by_roll(self, information: Float, slope: Float) -> float:
        """What rolls explain, over what chance would: by the likelihood ratio to none, which is χ² of N then."""
        roll_deg = self.table.roll_deg - self.table.roll_deg.mean()
        _, explained = self._told_of_rolls(information, slope, np.eye(len(roll_deg)), roll_deg)
        return explained / float(stats.chi2.isf(BY_CHANCE, len(roll_deg)))

    def _told_of_tilt(self, information: Float, slope: Float) -> tuple[float, float]:
        """The tilt of the axis, a roll that all views have in common, degrees; and what it explains, over chance."""
        n = len(self._angle)
        common = np.full((n, 1), 1 / np.sqrt(n))
        tilt, explained = self._told_of_rolls(information, slope, common, self.table.roll_deg)
        return np.rad2deg(float(tilt[0]) / np.sqrt(n) / LEVER_PX), explained / float(stats.chi2.isf(BY_CHANCE, 1))

    def _stands_up(self, information: Float, slope: Float) -> bool:
        """Turn all views by what is left of the tilt of the axis, if it is more than chance; False if nothing is."""
        tilt_deg, explained = self._told_of_tilt(information, slope)
        left = tilt_deg - float(self.table.roll_deg.mean())
        found = bool(self._turns) or explained > SURE_OF_TILT * self._by_chance
        if not found or abs(left) < STANDS_DEG or len(self._turns) == MOST_TURNS:
            self._asks_for_tilt = False
            return False
        turn = left
        if self._turns:
            # of an object that hardly shows how it is turned a step falls short; the one before tells by how much
            before, turned = self._turns[-1]
            turn *= np.clip(turned / (before - left), 0.5, MOST_FURTHER) if before * (before - left) > 0 else 1.0
        self._turns.append((left, turn))
        self.table, self._start = (self._turned(table, turn) for table in (self.table, self._start))
        self._see()
        return True

    def _turned(self, table: Shifts, deg: float) -> Shifts:
        """The table with all views rolled further, about the middle of what they show."""
        about = turned_about(table, self._row)
        return turned_about(replace(about, roll_deg=about.roll_deg + deg), -self._row)

    def _told_of_rolls(self, information: Float, slope: Float, ways: Float, now_deg: Float) -> tuple[Float, float]:
        """The likeliest rolls (K,) along ``ways`` (N, K), px, from none, and what they explain: χ² of K by chance.

        All else is as likely as can be with them; ``now_deg`` (N,) is what of them the table has.
        """
        n = len(self._angle)
        roll = np.zeros(len(slope), bool)
        roll[2 * n : 3 * n] = True
        both, rest = np.ix_(~roll, roll), np.ix_(~roll, ~roll)
        own = np.diag(information)
        ridge = np.diag(1e-6 * own + 1e-9 * max(own.max(), 1e-30))
        others = (information + ridge + self._noise**2 * self._prior)[rest]
        share = linalg.solve(others, information[both], assume_a="pos")
        known = ways.T @ ((information + ridge)[np.ix_(roll, roll)] - information[both].T @ share) @ ways
        left = ways.T @ (slope[roll] - share.T @ slope[~roll]) + known @ ways.T @ (np.deg2rad(now_deg) * LEVER_PX)
        rolls = linalg.solve(known, left, assume_a="pos")
        return rolls, float(left @ rolls) / self._noise**2

    @property
    def rolls(self) -> bool:
        """Whether views may roll."""
        return self._belief[2] > 0

    @property
    def stood_up(self) -> bool:
        """Whether views that do not roll were turned by the tilt of the axis."""
        return bool(self._turns)

    @property
    def may_not_roll(self) -> bool:
        """Whether the rolls of the start explain little: what views look like has been told from views so rolled."""
        return float(np.ptp(self._start.roll_deg)) > 0 and self._explained < max(SURE, self._by_chance)

    def start_without_roll(self) -> Shifts:
        """The start, with every view's object where it was, but not turned."""
        still = replace(turned_about(self._start, self._row), roll_deg=np.zeros(len(self._angle)))
        return with_object_aside(still, -self._aside)

    @property
    def moves_dx(self) -> bool:
        """Whether the likelihood or the moments have a say in dx."""
        return self._belief[0] > 0 or self._moments_in_dx > 0

    def leave_dx(self) -> None:
        """Go back to the start, and leave dx there from now on."""
        self.table, self._belief = self._start, (0.0, *self._belief[1:])
        self._moments_in_dx = 0

    def at_home(self) -> Shifts:
        """The table, of an object that sits where the start had it."""
        return with_object_aside(self.table, -self._aside)

    def _move(self, step: Float, covariance: Float) -> None:
        """Take the step, which was seen in the frame of the corrected views, into the table."""
        dx, dy = step[:2].clip(-FARTHEST_PX, FARTHEST_PX)
        turn = np.deg2rad(self.table.roll_deg)
        dx_sigma, dy_sigma = (np.sqrt(np.diag(p @ covariance[k, :, k] @ p)) for k, p in enumerate(self._gauge_free))
        before = self._start.dx_sigma_px, self._start.dy_sigma_px
        most = MOST_SIGMA if self.moves_dx else 1.0
        # an object that ends elsewhere shows the same views on a stage that moves otherwise: where no end is in sight,
        # what the likelihood knows, it supposes
        least = 1.0 if self._cut.sides else LEAST_SIGMA
        roll = step[2].clip(-FARTHEST_PX, FARTHEST_PX) / LEVER_PX
        dx = dx + self._row * roll
        self.gain = 1 + step[3] - step[3].mean()
        offset = self._level + step[4]
        self.offset = offset - offset.mean()
        self.table = replace(
            self.table,
            dx_px=self.table.dx_px + np.cos(turn) * dx - np.sin(turn) * dy,
            dy_px=self.table.dy_px + np.sin(turn) * dx + np.cos(turn) * dy,
            roll_deg=self.table.roll_deg + np.rad2deg(roll),
            # dx, in which the likelihood has little say, is known as well as at the start at least
            dx_sigma_px=np.fmax(np.fmin(dx_sigma, most * before[0]), least * before[0]),
            dy_sigma_px=np.fmax((1 + self._misread) * dy_sigma, least * before[1]),
        )

    def _from_start(self) -> Float:
        """How far the table has gone from its start, (5, N), in px; dx and dy in the frame of the corrected views."""
        now, before = (turned_about(table, self._row) for table in (self.table, self._start))
        moved = np.stack([now.dx_px - before.dx_px, now.dy_px - before.dy_px])
        turn = np.deg2rad(self.table.roll_deg)
        dx, dy = np.cos(turn) * moved[0] + np.sin(turn) * moved[1], np.cos(turn) * moved[1] - np.sin(turn) * moved[0]
        roll = np.deg2rad(self.table.roll_deg - self._start.roll_deg) * LEVER_PX
        return np.stack([dx, dy, roll, np.zeros_like(dx), np.zeros_like(dx)])


def _middle_row_of(views: Stack) -> float:
    """The row, from the centre, about which a roll moves what tells dx as far to one side as to the other.

    Rows count by the size of their slopes along u: by its square in what views tell of each other, and nearly alike in
    what the start has from centres of mass. The blur keeps what is left of noise in empty rows from counting.
    """
    smooth = ndimage.gaussian_filter(views, (0, MIDDLE_BLUR_PX, MIDDLE_BLUR_PX))
    slope = np.sqrt((np.gradient(smooth, axis=2) ** 2).sum((0, 2)))
    return float((slope * centred_axis(len(slope))).sum() / max(slope.sum(), 1e-30))


def _projector(basis: Float) -> Float:
    q, _ = np.linalg.qr(basis)
    out: Float = np.eye(len(basis)) - q @ q.T
    return out
