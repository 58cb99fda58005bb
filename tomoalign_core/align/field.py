"""What views of one object say of each other, without a reconstruction: the object as a random field.

By the slice theorem the Fourier transform of a view along u is that of the object on a line through the origin, and the
lines of near angles lie near each other. Let the object be a random field without any preferred detail: uncorrelated
from point to point, its variance m a function of the radius alone. Then the transforms F of two aligned views, at
frequency ω, have the covariance

    E[F_i F_j*] = S(ω) M(2 ω |sin((α_i - α_j) / 2)|),    E[F_i F_j] = S(ω) M(2 ω |cos((α_i - α_j) / 2)|)

with M(k) = ∫ m(r) J₀(k r) r dr / ∫ m(r) r dr; for a disc of radius R that is 2 J₁(k R) / (k R). S is the power spectrum
of the views, measured. So the real and the imaginary parts are independent Gaussian vectors, one matrix of views by
views each, and what a view should look like given all the others is one linear map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, linalg, ndimage, optimize, special

from tomoalign_core.geometry import Float, centred_axis

Complex = NDArray[np.complex128]
Stack = NDArray[np.floating]

DISCS = 24
LEAST_SIGNAL = 0.02  # of the noise: frequencies below tell nothing
LEAST_NOISE = 0.02  # of the standard deviation of the views


class Field:
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

    Not less than what pixels and their resampling leave of the slice theorem.
    """
    mask = np.outer([1, -2, 1], [1, -2, 1])
    each = [np.median(np.abs(ndimage.convolve(view, mask))) for view in np.asarray(proj, float)]
    return max(1.4826 * float(np.median(each)) / 6, LEAST_NOISE * float(np.std(proj)), 1e-12)
