"""Refinement: all movements together, by the likelihood of all views together, without a reconstruction.

Views of one object are not free of each other. By the slice theorem the Fourier transform of a view along u is that of
the object on a line through the origin, and the lines of near angles lie near each other. Let the object be a random
field without any preferred detail: uncorrelated from point to point, its variance m a function of the radius alone.
Then the transforms F of two aligned views, at frequency ω, have the covariance

    E[F_i F_j*] = S(ω) M(2 ω |sin((α_i - α_j) / 2)|),    E[F_i F_j] = S(ω) M(2 ω |cos((α_i - α_j) / 2)|)

with M(k) = ∫ m(r) J₀(k r) r dr / ∫ m(r) r dr; for a disc of radius R that is 2 J₁(k R) / (k R). S is the power spectrum
of the views, measured. So the real and the imaginary parts are independent Gaussian vectors, one matrix of views by
views each, and what a view should look like given all the others is one linear map. A movement changes a view along
its own gradients; the most likely movements of all views are one least-squares problem with that covariance as its
weight (generalised least squares), solved together for dx, dy, roll, gain and offset of every view, and again around
the result.

What the views alone cannot tell well, slow movements above all, is left where the start has it: its σ is the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, linalg, ndimage, optimize, special

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.align.binning import binned, binned_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Float, Shifts, centred_axis, gauge_functions, gauge_vectors
from tomoalign_core.metrics import rms
from tomoalign_core.simulate.slices import path_of_mass

Complex = NDArray[np.complex128]
Stack = NDArray[np.floating]

ROUNDS = 6
STILL_PX = 0.003  # a round that moves views by less is the last
FARTHEST_PX = 3.0  # in one round: gradients see no farther
MOST_VIEWS = 800  # the equations of all views are solved at once
LARGEST_WORK = 1.2e9  # views squared times pixels; beyond, views are binned
LEVER_PX = 20.0  # a roll is counted as the movement this far from the centre
ROLL_SIGMA_DEG = 0.35  # of the start's roll
GAIN_SIGMA = 0.3
UNKNOWN_SIGMA_PX = 1.0  # of a start that states none
NEAR_VIEWS = 4  # the start errs alike on views so near
OWN_ERROR = 3.0  # of a view alone, in σ of the start; what near views have in common is trusted to 1 σ
# How far the likelihood is believed in dx, dy, roll, gain, offset. In dx it would mislead: the field of the model may
# lie anywhere in its disc, where a real object has an outline; that tells slow movements in dx, and the start knew it.
BELIEF = (0.1, 1.0, 1.0, 1.0, 1.0)
EDGE_PX = 4  # columns on each side that are taken for background
DISCS = 24
LEAST_SEEN = 5 / 6  # of a view once it is corrected
LEAST_SIGNAL = 0.02  # of the noise: frequencies below tell nothing
LEAST_NOISE = 0.02  # of the standard deviation of the views
TEMPLATE_BLUR_PX = 0.7


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a refinement; number 0 is the start.

    residual : the held-out residual after it, see ``residual``.
    step_px : how far it moved the views, root mean square over dx and dy.
    kept : whether it is the best so far.
    """

    number: int
    residual: float
    step_px: float
    kept: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """What a refinement found; ``gain`` and ``offset`` (N,) are those of each view against the mean, 1 and 0 if even.

    Both stay 1 and 0 for views that took no part, and where the start could not be bettered.
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
    on_round: Callable[[Round], None] | None = None,
) -> Refined:
    """Refine a table of shifts of a stack (N, V, U) of attenuation; the result is gauge-free.

    It ends when a round moves nothing any more, or raises the held-out residual, at the latest after six rounds. Of
    all rounds and the start, the one with the lowest held-out residual is given back: so the residual never rises.
    Views not ``used`` take no part, and stay as they are; so do those of which over a sixth lies outside the detector,
    which would pull their neighbours with them. No σ grows.

    Parameters
    ----------
    start : with σ, px, which says how far each view may be moved.
    on_round : called with each round as it ends.

    Raises
    ------
    InputError
        If there are too many views, or fewer than three are used; if values are not finite, or all the same.
    """
    angle, used = np.asarray(angle_rad, float), start.used
    if used.sum() > MOST_VIEWS:
        raise InputError(f"a refinement takes up to {MOST_VIEWS} views, not {used.sum()}; use the network alone")
    if used.sum() < 3:
        raise InputError(f"{used.sum()} views are used; a refinement needs three at least")
    if not np.isfinite(proj).all() or np.ptp(proj[used]) == 0:
        raise InputError("a refinement needs views of finite values that are not all the same; see what was read")
    used = used & _well_seen(proj.shape[1:], start)
    factor = int(np.ceil(np.sqrt(max(len(angle) ** 2 * proj[0].size / LARGEST_WORK, 1.0))))
    stack = binned(proj[used], factor)
    here = binned_shifts(_only(start, used), factor)
    problem = _Problem(stack, angle[used], here)
    rounds: list[Round] = []
    best, gain, offset = start.gauge_free(), np.ones(len(angle)), np.zeros(len(angle))

    def judge(table: Shifts, step_px: float) -> bool:
        residual = held_out_residual(proj, angle, table).overall
        kept = not rounds or residual < min(r.residual for r in rounds)
        rounds.append(Round(number=len(rounds), residual=residual, step_px=step_px * factor, kept=kept))
        if on_round is not None:
            on_round(rounds[-1])
        return kept

    judge(best, 0.0)
    for _ in range(ROUNDS):
        step = problem.improve()
        table = _put_back(start, binned_shifts(problem.at_home(), 1 / factor), used).gauge_free()
        if not judge(table, step):
            break
        best = table
        gain[used], offset[used] = problem.gain, problem.offset
        if step * factor < STILL_PX:
            break
    return Refined(shifts=best, gain=gain, offset=offset, rounds=tuple(rounds))


class _Problem:
    """The movements of a stack (N, V, U), all used, and what is known of them; ``improve`` is a Gauss-Newton round."""

    def __init__(self, stack: NDArray[np.float32], angle: Float, start: Shifts) -> None:
        n = len(stack)
        outer = np.concatenate([stack[..., :EDGE_PX], stack[..., -EDGE_PX:]], -1).reshape(n, -1)
        self._level = np.median(outer, axis=1).astype(float)
        self._proj = stack - self._level[:, None, None]
        self._angle, self._noise = angle, _noise_of(self._proj)
        self.gain: Float = np.ones(n)
        self.offset: Float = self._level - self._level.mean()
        aligned, _ = undo_shifts(self._proj, start)
        # where its mass is centred the object needs the smallest disc
        self._aside = np.append(path_of_mass(aligned, angle), 0.0)
        self.table = self._start = _with_object_aside(start, self._aside)
        aligned, seen = undo_shifts(self._proj, self.table)
        self._field = _Field(angle, aligned, self._noise)
        self._foretold = self._field.foretell(np.where(seen, aligned, 0.0))
        self._prior = self._prior_of(start)

    def improve(self) -> float:
        """One round; returns how far it moved the views, px."""
        n = len(self._angle)
        aligned, seen = undo_shifts(self._proj, self.table)
        whole = np.where(seen, aligned, self._foretold)  # what was not seen is as foretold, and tells nothing
        whole = np.where(seen, aligned, self._field.foretell(whole))
        self._foretold = self._field.foretell(whole)
        ways = self._ways(seen)
        information = self._field.information(ways)
        slope = np.stack([(way * (whole - self._foretold)).sum((1, 2)) for way in ways]).ravel()
        belief = np.repeat(np.sqrt(BELIEF), n)
        ridge = 1e-9 * np.diag(information).max()
        wanted = linalg.solve(information + np.diag(1e-6 * np.diag(information) + ridge), slope, assume_a="pos")
        information = belief[:, None] * information * belief
        precision = information + self._noise**2 * self._prior + ridge * np.eye(len(slope))
        away = self._noise**2 * self._prior @ self._from_start().ravel()
        step = linalg.solve(precision, information @ wanted - away, assume_a="pos").reshape(-1, n)
        self._move(step, self._noise**2 * linalg.inv(precision).reshape(len(BELIEF), n, len(BELIEF), n))
        return rms(step[:2])

    def at_home(self) -> Shifts:
        """The table, of an object that sits where the start had it."""
        return _with_object_aside(self.table, -self._aside)

    def _move(self, step: Float, covariance: Float) -> None:
        """Take the step, which was seen in the frame of the corrected views, into the table."""
        dx, dy = step[:2].clip(-FARTHEST_PX, FARTHEST_PX)
        turn = np.deg2rad(self.table.roll_deg)
        free = [_projector(gauge_functions(self._angle, axis=axis)) for axis in ("dx", "dy")]
        dx_sigma, dy_sigma = (np.sqrt(np.diag(p @ covariance[k, :, k] @ p)) for k, p in enumerate(free))
        roll = step[2].clip(-FARTHEST_PX, FARTHEST_PX) / LEVER_PX
        self.gain = 1 + step[3] - step[3].mean()
        offset = self._level + step[4]
        self.offset = offset - offset.mean()
        self.table = replace(
            self.table,
            dx_px=self.table.dx_px + np.cos(turn) * dx - np.sin(turn) * dy,
            dy_px=self.table.dy_px + np.sin(turn) * dx + np.cos(turn) * dy,
            roll_deg=self.table.roll_deg + np.rad2deg(roll),
            dx_sigma_px=np.fmin(self._start.dx_sigma_px, dx_sigma),
            dy_sigma_px=np.fmin(self._start.dy_sigma_px, dy_sigma),
        )

    def _ways(self, seen: NDArray[np.bool_]) -> list[Float]:
        """How each view changes with its dx, dy, roll, gain and offset: (N, V, U) each, 0 where it was not seen."""
        smooth = ndimage.gaussian_filter(self._foretold, (0, TEMPLATE_BLUR_PX, TEMPLATE_BLUR_PX))
        down, across = np.gradient(smooth, axis=(1, 2))
        v, u = centred_axis(seen.shape[1])[:, None], centred_axis(seen.shape[2])
        ways = [-across, -down, (v * across - u * down) / LEVER_PX, self._foretold, np.ones_like(across)]
        return [way * seen for way in ways]

    def _from_start(self) -> Float:
        """How far the table has gone from its start, (5, N), in px; dx and dy in the frame of the corrected views."""
        moved = np.stack([self.table.dx_px - self._start.dx_px, self.table.dy_px - self._start.dy_px])
        turn = np.deg2rad(self.table.roll_deg)
        dx, dy = np.cos(turn) * moved[0] + np.sin(turn) * moved[1], np.cos(turn) * moved[1] - np.sin(turn) * moved[0]
        roll = np.deg2rad(self.table.roll_deg - self._start.roll_deg) * LEVER_PX
        return np.stack([dx, dy, roll, np.zeros_like(dx), np.zeros_like(dx)])

    def _prior_of(self, start: Shifts) -> Float:
        """What is known beforehand, as an inverse covariance (5 N, 5 N)."""
        n = len(self._angle)
        place = np.argsort(np.argsort(self._angle))
        near = np.exp(-0.5 * ((place[:, None] - place) / NEAR_VIEWS) ** 2)
        blocks = []
        for sigma in (start.dx_sigma_px, start.dy_sigma_px):
            known = np.where(np.isfinite(sigma), np.maximum(sigma, 1e-3), UNKNOWN_SIGMA_PX)
            blocks.append(np.linalg.inv(known[:, None] * near * known + np.diag((OWN_ERROR * known) ** 2)))
        offset_sigma = GAIN_SIGMA * np.abs(self._proj).max()
        for expected in (np.deg2rad(ROLL_SIGMA_DEG) * LEVER_PX, GAIN_SIGMA, offset_sigma):
            blocks.append(np.eye(n) / expected**2)
        prior: Float = linalg.block_diag(*blocks)
        return prior


class _Field:
    """The random object of aligned views (N, V, U), in a space where one frequency says nothing of another."""

    def __init__(self, angle: Float, aligned: Stack, noise: float) -> None:
        n, _, self._cols = aligned.shape
        self._width = fft.next_fast_len(int(1.25 * self._cols), real=True)
        omega = 2 * np.pi * np.arange(self._width // 2 + 1) / self._width
        self._phase = np.exp(1j * omega * (self._cols - 1) / 2)
        twice = np.full(len(omega), 2.0)  # ω and -ω
        twice[0] = 1.0
        if self._width % 2 == 0:
            twice[-1] = 1.0
        self._weight = twice / self._width
        signal = self._signal(aligned, noise)
        near, far = np.abs(np.sin((angle[:, None] - angle) / 2)), np.abs(np.cos((angle[:, None] - angle) / 2))
        radii, share = _discs(aligned, noise)
        # for each frequency that tells something: its number, and how much of each mode of the real and the
        # imaginary parts is object: eigenvectors (N, N), and 1 / (1 + signal to noise) of each
        self._modes: list[tuple[int, list[tuple[Float, Float]]]] = []
        for j in np.flatnonzero(signal * n > LEAST_SIGNAL):
            alike, mirrored = (_transform(2 * omega[j] * part, radii, share) for part in (near, far))
            parts = []
            for matrix in (alike + mirrored, alike - mirrored):
                size, modes = linalg.eigh(matrix)
                parts.append((modes, 1 / (1 + np.maximum(size, 0) * signal[j])))
            self._modes.append((int(j), parts))

    def _signal(self, aligned: Stack, noise: float) -> Float:
        """Power of the object over that of the noise, at each frequency; it does not rise with frequency."""
        power = (np.abs(self._spectrum(aligned)) ** 2).mean((0, 1)) / self._width
        power = np.convolve(np.pad(power, 2, mode="edge"), np.ones(5) / 5, mode="valid")
        floor = noise**2 * self._cols / self._width
        signal: Float = np.minimum.accumulate(np.maximum(power / floor - 1, 1e-3))
        return signal

    def _spectrum(self, x: Stack) -> Complex:
        found: Complex = fft.rfft(fft.dct(x, axis=-2, norm="ortho"), self._width, axis=-1) * self._phase
        return found

    def foretell(self, x: Stack) -> Float:
        """The object in views (N, V, U), without their noise: of each what it and all others say."""
        spectrum = self._spectrum(x)
        object_ = np.zeros_like(spectrum)
        for j, ((real, noise_of_real), (odd, noise_of_odd)) in self._modes:
            views = spectrum[..., j]
            object_[..., j] = (real * (1 - noise_of_real)) @ (real.T @ views.real)
            object_[..., j] += 1j * ((odd * (1 - noise_of_odd)) @ (odd.T @ views.imag))
        back = fft.irfft(object_ * self._phase.conj(), self._width, axis=-1)[..., : self._cols]
        found: Float = fft.idct(back, axis=-2, norm="ortho")
        return found

    def information(self, ways: list[Float]) -> Float:
        """The information (K N, K N), over noise², on K ways in which each of N views (N, V, U) may change."""
        n = len(ways[0])
        spectra = [self._spectrum(way) for way in ways]
        total = np.zeros((len(ways) * n, len(ways) * n))
        for j, parts in self._modes:
            columns = np.concatenate([spectrum[..., j] for spectrum in spectra])
            for (modes, noise), column in zip(parts, (columns.real, columns.imag), strict=True):
                unlike = (modes * noise) @ modes.T
                total += self._weight[j] * (column @ column.T) * np.tile(unlike, (len(ways), len(ways)))
        return total


def _well_seen(shape: tuple[int, ...], table: Shifts) -> NDArray[np.bool_]:
    """Which views lie on the detector for the most part once they are corrected; all, where those would be too few."""
    rows, cols = shape
    seen = np.clip(1 - np.abs(table.dx_px) / cols, 0, 1) * np.clip(1 - np.abs(table.dy_px) / rows, 0, 1) > LEAST_SEEN
    return seen if (seen & table.used).sum() >= 3 else np.ones_like(seen)


def _discs(aligned: Stack, noise: float) -> tuple[Float, Float]:
    """Variance by radius as a sum of discs, their radii and shares: their views have the energy per column seen."""
    cols = aligned.shape[2]
    energy = np.maximum((aligned.astype(float) ** 2).mean((0, 1)) - noise**2, 0)
    energy = (energy + energy[::-1]) / 2
    radii = np.linspace(min(3.0, cols / 4), cols / 2, DISCS)
    chords = np.sqrt(np.clip(radii**2 - centred_axis(cols)[:, None] ** 2, 0, None))
    chords /= chords.sum(0)
    share, _ = optimize.nnls(chords, energy / max(energy.sum(), 1e-30))
    share[-1] += 0.01 * max(share.sum(), 1e-30)  # never sure that there is nothing outside
    return radii, share / share.sum()


def _transform(k: Float, radii: Float, share: Float) -> Float:
    """M(k): the Fourier transform of the variance, 1 at k = 0."""
    total = np.zeros_like(k)
    for radius, part in zip(radii, share, strict=True):
        if part > 1e-4:
            x = np.maximum(k * radius, 1e-6)
            total += part * 2 * special.j1(x) / x
    return total


def _noise_of(proj: Float) -> float:
    """Standard deviation of the noise of a stack: the median over views of Immerkær's estimate (1996), by medians.

    Not less than what pixels and their resampling leave of the slice theorem.
    """
    mask = np.outer([1, -2, 1], [1, -2, 1])
    each = [np.median(np.abs(ndimage.convolve(view, mask))) for view in np.asarray(proj, float)]
    return max(1.4826 * float(np.median(each)) / 6, LEAST_NOISE * float(np.std(proj)), 1e-12)


def _with_object_aside(table: Shifts, place: Float) -> Shifts:
    aside = gauge_vectors(table.angle_rad, table.roll_deg) @ place
    return replace(table, dx_px=table.dx_px + aside[:, 0], dy_px=table.dy_px + aside[:, 1])


def _projector(basis: Float) -> Float:
    q, _ = np.linalg.qr(basis)
    out: Float = np.eye(len(basis)) - q @ q.T
    return out


def _only(table: Shifts, views: NDArray[np.bool_]) -> Shifts:
    return Shifts(**{name: getattr(table, name)[views] for name in table.__dataclass_fields__})


def _put_back(table: Shifts, part: Shifts, views: NDArray[np.bool_]) -> Shifts:
    columns = {name: getattr(table, name).copy() for name in table.__dataclass_fields__}
    for name, column in columns.items():
        column[views] = getattr(part, name)
    return Shifts(**columns)
