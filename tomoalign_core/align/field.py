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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy import fft, interpolate, linalg, ndimage, optimize, special

from tomoalign_core.geometry import Float, centred_axis

Complex = NDArray[np.complexfloating]
Stack = NDArray[np.floating]

DISCS = 24
FILL_ROUNDS = 10  # conjugate gradients: what was not seen of a view that moved
LEAST_SIGNAL = 0.02  # of the noise: frequencies below tell nothing
SMOOTH = 5  # frequencies over which the power is averaged, along and across
KNOT = 0.1  # of the product of frequency and radius: between the knots of a spline
STEP = 0.7  # of the natural logarithm of the signal: frequencies across that differ by less are taken for alike


@dataclass(frozen=True, eq=False)
class _Parts:
    """The real or the imaginary parts of the views, at each of J frequencies along u that tell something.

    modes : (J, N, N), the modes of their covariance.
    noise : (J, N, V), of each mode, at each frequency across, 1 / (1 + signal to noise).
    """

    modes: Stack
    noise: Stack

    def noise_in(self, views: Stack) -> Stack:
        """Of values (J, N, V), what the covariance takes for noise: the inverse covariance times them, over noise²."""
        found: Stack = self.modes @ (self.noise * (self.modes.mT @ views))
        return found

    def told_by_others(self, views: Stack) -> Stack:
        """Of values (J, N, V), what all other views say of each: the mean of the one given the others."""
        return views - self.noise_in(views) / (self.modes**2 @ self.noise)


class Field:
    """The random object of aligned views (N, V, U), in a space where one frequency says nothing of another.

    It works in the precision of these views: what is foretold in single precision errs by far less than the noise, in
    half the time. Covariances and information are double all the same.
    """

    def __init__(self, angle: Float, aligned: Stack, noise: float) -> None:
        self._cols = aligned.shape[2]
        self._width = fft.next_fast_len(int(1.25 * self._cols), real=True)
        omega = 2 * np.pi * np.arange(self._width // 2 + 1) / self._width
        phase = np.exp(1j * omega * (self._cols - 1) / 2)
        self._phase = phase.astype(np.complex64 if aligned.dtype == np.float32 else complex)
        twice = np.full(len(omega), 2.0)  # ω and -ω
        twice[0] = 1.0
        if self._width % 2 == 0:
            twice[-1] = 1.0
        self._weight = twice / self._width
        signal = self._signal(aligned, noise)
        near, far = np.abs(np.sin((angle[:, None] - angle) / 2)), np.abs(np.cos((angle[:, None] - angle) / 2))
        alike_at = _transform(*_discs(aligned, noise), 2 * omega[-1])
        self._told = np.flatnonzero(signal.max(0) * len(angle) > LEAST_SIGNAL)  # frequencies along u
        self._bands = [_bands(signal[:, j]) for j in self._told]
        covariances = [(alike_at(2 * omega[j] * near), alike_at(2 * omega[j] * far)) for j in self._told]
        self._real, self._odd = (
            _parts(
                [alike + sign * mirrored for alike, mirrored in covariances],
                signal[:, self._told],
                self._bands,
                aligned.dtype,
            )
            for sign in (1, -1)
        )

    def _signal(self, aligned: Stack, noise: float) -> Float:
        """Power of the object over that of the noise, (V, frequencies along u); it does not rise with frequency."""
        power = (np.abs(self._spectrum(aligned)) ** 2).mean(0, dtype=float) / self._width
        power = ndimage.uniform_filter(power, SMOOTH, mode="nearest")
        floor = noise**2 * self._cols / self._width
        signal = np.maximum(power / floor - 1, 1e-3)
        falling: Float = np.minimum.accumulate(np.minimum.accumulate(signal, 1), 0)
        return falling

    def _spectrum(self, x: Stack) -> Complex:
        found: Complex = fft.rfft(fft.dct(x, axis=-2, norm="ortho"), self._width, axis=-1) * self._phase
        return found

    def _at_told(self, x: Stack) -> Complex:
        """The spectrum of views (N, V, U) at the frequencies that tell something: (J, N, V)."""
        return np.ascontiguousarray(np.moveaxis(self._spectrum(x)[..., self._told], -1, 0))

    def _by_part(self, x: Stack, what: Callable[[_Parts, Stack], Stack]) -> Stack:
        """Views (N, V, U) of which ``what`` is made of each part; frequencies that tell nothing come out as 0."""
        told = self._at_told(x)
        made = what(self._real, told.real) + 1j * what(self._odd, told.imag)
        spectrum = np.zeros((*x.shape[:2], len(self._phase)), self._phase.dtype)
        spectrum[..., self._told] = np.moveaxis(made, 0, -1)
        back = fft.irfft(spectrum * self._phase.conj(), self._width, axis=-1)[..., : self._cols]
        found: Stack = fft.idct(back, axis=-2, norm="ortho")
        return found

    def foretell(self, x: Stack) -> Stack:
        """The object in views (N, V, U), without their noise: of each what it and all others say."""
        return self._by_part(x, lambda part, views: views - part.noise_in(views))

    def foretell_by_others(self, x: Stack) -> Stack:
        """The object in views (N, V, U): of each what all others say, and not itself."""
        return self._by_part(x, _Parts.told_by_others)

    def fill(self, x: Stack, share: NDArray[np.floating] | NDArray[np.bool_], guess: Stack, *, rounds: int) -> Stack:
        """Views (N, V, U) as they are to be counted where pixels do not tell alike: what they lack is put in.

        ``share`` is what the noise of the field is of that of each pixel, in variance: 1 for one that is as good as
        any, 0 for one that was not seen. Each is brought so far towards what all of them foretell that views made so
        say of the object what the pixels do, each weighed by its own noise (the fixed point of an EM algorithm, whose
        missing data is the noise that is more than the least). The most likely values, by conjugate gradients from a
        ``guess``, which end early: at 0.1 % of what is missing.
        """
        share = np.asarray(share, x.dtype)
        lacks = 1 - share
        filled = np.where(lacks == 0, x, share * x + lacks * guess)
        # where a pixel lacks something, filled = share x + lacks foretell(filled), made symmetric by 1 / lacks
        own = np.where(lacks == 0, 0, 1 / np.where(lacks == 0, 1, lacks))
        left = np.where(lacks == 0, 0, self.foretell(filled) - own * (filled - share * x))
        way = lacks * left
        size = _product(left, way)
        enough = 1e-6 * size
        for _ in range(rounds):
            if size <= enough:
                break
            pulled = np.where(lacks == 0, 0, own * way - self.foretell(way))
            step = size / _product(way, pulled)
            filled, left = filled + step * way, left - step * pulled
            before, size = size, _product(left, lacks * left)
            way = lacks * left + size / before * way
        return filled

    def information(self, ways: Sequence[Stack]) -> Float:
        """The information (K N, K N), over noise², on K ways in which each of N views (N, V, U) may change."""
        n, k = len(ways[0]), len(ways)
        told = [self._at_told(way) for way in ways]
        total = np.zeros((k, n, k, n))
        for number, (j, bands) in enumerate(zip(self._told, self._bands, strict=True)):
            columns = [each[number].astype(complex) for each in told]
            for part, across in (
                (self._real, [c.real for c in columns]),
                (self._odd, [c.imag for c in columns]),
            ):
                modes, noise = part.modes[number].astype(float), part.noise[number]
                for band in bands:
                    unlike = self._weight[j] * (modes * noise[:, band[0]]) @ modes.T
                    some = [values[:, band] for values in across]
                    for p, q in combinations_with_replacement(range(k), 2):
                        total[p, :, q] += some[p] @ some[q].T * unlike
        for p, q in combinations(range(k), 2):
            total[q, :, p] = total[p, :, q].T
        return total.reshape(k * n, k * n)


def _product(a: Stack, b: Stack) -> float:
    return float(np.sum(a * b, dtype=float))


def _parts(covariances: list[Float], signal: Float, bands: list[list[NDArray[np.intp]]], dtype: np.dtype) -> _Parts:
    """Of J covariances (N, N) of views and the signal to noise (V, J) by which they are scaled across, in its bands."""
    n, rows = len(covariances[0]) if covariances else 0, len(signal)
    modes, noise = np.empty((len(covariances), n, n), dtype), np.empty((len(covariances), n, rows), dtype)
    for j, covariance in enumerate(covariances):
        size, modes[j] = linalg.eigh(covariance)
        level = np.log(signal[:, j])
        for band in bands[j]:
            noise[j][:, band] = 1 / (1 + np.maximum(size, 0) * np.exp(level[band].mean()))[:, None]
    return _Parts(modes, noise)


def _bands(signal: Float) -> list[NDArray[np.intp]]:
    """Frequencies across, of signals (V,), in groups with nearly the same signal."""
    level = np.log(signal)
    group = ((level.max() - level) / STEP).astype(int)
    return [np.flatnonzero(group == number) for number in np.unique(group)]


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


def _transform(radii: Float, share: Float, highest: float) -> interpolate.CubicSpline:
    """M(k), the Fourier transform of the variance, 1 at k = 0: as a spline up to the ``highest`` k, for speed.

    Its knots are so near that it errs by less than 1e-7.
    """
    k = np.linspace(0, highest, max(int(highest * radii.max() / KNOT), 8))
    x = np.maximum(k[:, None] * radii, 1e-6)
    return interpolate.CubicSpline(k, (2 * special.j1(x) / x) @ share)
