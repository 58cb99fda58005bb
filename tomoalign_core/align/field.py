"""What views of one object say of each other, without a reconstruction: the object as a random field.

By the slice theorem the Fourier transform of a view along u is that of the object on a line through the origin, and the
lines of near angles lie near each other. Let the object be a random field without any preferred detail: uncorrelated
from point to point, its variance m a function of the radius alone. Then the transforms F of two aligned views, at
frequency ω, have the covariance

    E[F_i F_j*] = S(ω) M(2 ω |sin((α_i - α_j) / 2)|),    E[F_i F_j] = S(ω) M(2 ω |cos((α_i - α_j) / 2)|)

with M(k) = ∫ m(r) J₀(k r) r dr / ∫ m(r) r dr; for a disc of radius R that is 2 J₁(k R) / (k R). S is the power spectrum
of the views, measured, and differs with the frequency along the rows (u) and across them (v). So the real and the
imaginary parts are independent Gaussian vectors, one matrix of views by views each, and what a view should look like
given all the others is one linear map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg, ndimage, optimize, special

from tomoalign_core.geometry import Float, centred_axis

Complex = NDArray[np.complex128]
Stack = NDArray[np.floating]

DISCS = 24
LEAST_SIGNAL = 0.02  # of the noise: frequencies below tell nothing
LEAST_NOISE = 0.02  # of the standard deviation of the views
SMOOTH = 5  # frequencies over which the power is averaged, along and across
STEP = 0.7  # of the natural logarithm of the signal: frequencies across that differ by less are taken for alike


@dataclass(frozen=True, eq=False)
class _Part:
    """The real or the imaginary part of the views at one frequency along u, and all across.

    modes : (N, N), the modes of their covariance.
    noise : (N, V), of each mode, at each frequency across, 1 / (1 + signal to noise).
    """

    modes: Float
    noise: Float

    def noise_in(self, views: Float) -> Float:
        """Of values (N, V), what the covariance takes for noise: the inverse covariance times them, over noise²."""
        found: Float = self.modes @ (self.noise * (self.modes.T @ views))
        return found

    def told_by_others(self, views: Float) -> Float:
        """Of values (N, V), what all other views say of each: the mean of the one given the others."""
        own = self.modes**2 @ self.noise
        return views - self.noise_in(views) / own


class Field:
    """The random object of aligned views (N, V, U), in a space where one frequency says nothing of another."""

    def __init__(self, angle: Float, aligned: Stack, noise: float) -> None:
        self._cols = aligned.shape[2]
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
        # for each frequency along u that tells something: its number, the frequencies across that are alike, its parts
        self._told: list[tuple[int, list[NDArray[np.intp]], tuple[_Part, _Part]]] = []
        for j in np.flatnonzero(signal.max(0) * len(angle) > LEAST_SIGNAL):
            alike, mirrored = (_transform(2 * omega[j] * part, radii, share) for part in (near, far))
            bands, across = _bands(signal[:, j])
            self._told.append((int(j), bands, (_part(alike + mirrored, across), _part(alike - mirrored, across))))

    def _signal(self, aligned: Stack, noise: float) -> Float:
        """Power of the object over that of the noise, (V, frequencies along u); it does not rise with frequency."""
        power = (np.abs(self._spectrum(aligned)) ** 2).mean(0) / self._width
        power = ndimage.uniform_filter(power, SMOOTH, mode="nearest")
        floor = noise**2 * self._cols / self._width
        signal = np.maximum(power / floor - 1, 1e-3)
        falling: Float = np.minimum.accumulate(np.minimum.accumulate(signal, 1), 0)
        return falling

    def _spectrum(self, x: Stack) -> Complex:
        found: Complex = fft.rfft(fft.dct(x, axis=-2, norm="ortho"), self._width, axis=-1) * self._phase
        return found

    def _by_part(self, x: Stack, what: Callable[[_Part, Float], Float]) -> Float:
        """Views (N, V, U) of which ``what`` is made of each part; frequencies that tell nothing come out as 0."""
        spectrum = self._spectrum(x)
        made = np.zeros_like(spectrum)
        for j, _, (real, odd) in self._told:
            views = spectrum[..., j]
            made[..., j] = what(real, views.real) + 1j * what(odd, views.imag)
        back = fft.irfft(made * self._phase.conj(), self._width, axis=-1)[..., : self._cols]
        found: Float = fft.idct(back, axis=-2, norm="ortho")
        return found

    def foretell(self, x: Stack) -> Float:
        """The object in views (N, V, U), without their noise: of each what it and all others say."""
        return self._by_part(x, lambda part, views: views - part.noise_in(views))

    def foretell_by_others(self, x: Stack) -> Float:
        """The object in views (N, V, U): of each what all others say, and not itself."""
        return self._by_part(x, _Part.told_by_others)

    def fill(self, x: Stack, seen: NDArray[np.bool_], guess: Stack, *, rounds: int) -> Float:
        """Views (N, V, U) with what was not ``seen`` put in, as all that was seen foretells it.

        The most likely values, by conjugate gradients from a ``guess``, which end early: at 0.1 % of what is missing.
        """
        filled = np.where(seen, x, guess).astype(float)
        left = np.where(seen, 0.0, self.foretell(filled) - filled)
        way, size = left, float((left**2).sum())
        enough = 1e-6 * size
        for _ in range(rounds):
            if size <= enough:
                break
            pulled = np.where(seen, 0.0, way - self.foretell(way))
            step = size / float((way * pulled).sum())
            filled, left = filled + step * way, left - step * pulled
            before, size = size, float((left**2).sum())
            way = left + size / before * way
        return filled

    def information(self, ways: list[Float]) -> Float:
        """The information (K N, K N), over noise², on K ways in which each of N views (N, V, U) may change."""
        n, k = len(ways[0]), len(ways)
        spectra = [self._spectrum(way) for way in ways]
        total = np.zeros((k, n, k, n))
        for j, bands, parts in self._told:
            columns = [spectrum[..., j] for spectrum in spectra]
            for part, across in zip(parts, ([c.real for c in columns], [c.imag for c in columns]), strict=True):
                for band in bands:
                    unlike = self._weight[j] * (part.modes * part.noise[:, band[0]]) @ part.modes.T
                    some = [values[:, band] for values in across]
                    for p, q in combinations_with_replacement(range(k), 2):
                        total[p, :, q] += some[p] @ some[q].T * unlike
        for p, q in combinations(range(k), 2):
            total[q, :, p] = total[p, :, q].T
        return total.reshape(k * n, k * n)


def _part(covariance: Float, signal: Float) -> _Part:
    """Of a covariance (N, N) of views and the signal to noise (V,) by which it is scaled across."""
    size, modes = linalg.eigh(covariance)
    return _Part(modes, 1 / (1 + np.maximum(size, 0)[:, None] * signal))


def _bands(signal: Float) -> tuple[list[NDArray[np.intp]], Float]:
    """Frequencies across (V,) with nearly the same signal, in groups, and the signal with one value for each group."""
    level = np.log(signal)
    group = ((level.max() - level) / STEP).astype(int)
    bands = [np.flatnonzero(group == number) for number in np.unique(group)]
    across = np.empty(len(signal))
    for band in bands:
        across[band] = np.exp(level[band].mean())
    return bands, across


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


def noise_of(proj: Stack) -> float:
    """Standard deviation of the noise of a stack: the median over views of Immerkær's estimate (1996), by medians.

    Not less than its ``noise_floor``.
    """
    mask = np.outer([1, -2, 1], [1, -2, 1])
    each = [np.median(np.abs(ndimage.convolve(view, mask))) for view in np.asarray(proj, float)]
    return max(1.4826 * float(np.median(each)) / 6, noise_floor(proj))


def noise_floor(proj: Stack) -> float:
    """What pixels and their resampling leave of the slice theorem in a stack; less noise makes no difference."""
    return max(LEAST_NOISE * float(np.std(proj)), 1e-12)
