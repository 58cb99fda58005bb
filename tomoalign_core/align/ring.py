"""What the views of a Gaussian object tell of how they moved: the Fisher information of evenly spaced views.

All views of a Gaussian object together are one Gaussian vector whose covariance C depends on the movements θ, and the
information is

    F_kl = tr(C⁻¹ ∂C/∂θ_k C⁻¹ ∂C/∂θ_l) / 2

(Slepian 1954, Bangs 1971). A view moves along u as p(u - dx), a row of frequency q along v by the phase exp(-i q dy).
A roll does both: it moves rows along u by how far they stand above or below the middle, and columns along v by how far
they stand beside it. In a disc, and with views that are spaced evenly, C is block-circulant in the view: the harmonics
l of the angle do not mix, each has a block of columns by columns, and a movement of harmonic m leads from l to l + m. A
view from behind is its mirror image: over half a turn the harmonics of dx and roll are odd, those of dy even.

The views of a wedge are a part of such a ring. Their covariance has the same blocks, by the difference of two views,
but is not circulant, and is written out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from tomoalign_core.geometry import Float, centred_axis

FINEST = 3.0  # of the noise, summed over the views: frequencies along a row below tell nothing; with 1.0 less by 0.3 %
AT_ONCE = 16  # radii of dots that are held at a time
OVERSAMPLED = 8


class Ring(NamedTuple):
    """Evenly spaced views: all of a half turn, or of a whole one."""

    views: int
    whole: bool

    @property
    def harmonics(self) -> int:
        """Harmonics of the angle that the views can tell from each other."""
        return self.views if self.whole else 2 * self.views

    def is_part(self, views: int) -> bool:
        """Whether so many views are only a part of the ring."""
        return views < self.views


class Information(NamedTuple):
    """What views tell of movements, by harmonic of the angle or by pairs of views.

    Of one row: in dx, px⁻²; in dy over its frequency squared; and in what a roll does along v: the same with a movement
    of each column as far as it is from the middle, px². Of all rows: in dx and dy, px⁻², and in roll, rad⁻².
    """

    dx: Float
    dy: Float
    roll: Float


def ring_of(angle_rad: Float) -> Ring:
    """The ring of evenly spaced views that a scan is, or is a part of.

    >>> ring_of(np.arange(60) * np.pi / 60), ring_of(np.arange(30) * np.deg2rad(4)).views
    (Ring(views=60, whole=False), 45)
    """
    steps = np.diff(np.sort(angle_rad))
    step = float(np.median(steps))
    if not np.allclose(steps, step, rtol=1e-3) or step <= 0:
        raise ValueError("the bound of an unknown object is that of evenly spaced views")
    half = max(round(np.pi / step), 2)
    return Ring(2 * half, True) if len(angle_rad) * step > 1.25 * np.pi else Ring(half, False)


def information(power: Float, cols: int, extent: float, ring: Ring) -> Information:
    """What one row of all views tells of a movement of each harmonic, see ``Information``.

    The movement has the norm 1 over the views of the ring, the noise of a pixel the variance 1.

    Parameters
    ----------
    power : E |P(ω)|² of a row at the frequencies of an rfft.
    cols, extent : columns of a view, and the radius of the object, px.
    """
    signal, slope, arm = blocks(power, cols, extent, ring)
    size = signal.shape[1]
    whole = signal + np.eye(size)
    inverse = np.asarray(np.linalg.inv(whole), float)

    def of(change: Float, sign: float) -> Float:
        """Of C that changes by such blocks and their transposes, with this sign."""
        moved = change @ inverse
        twice = _traces(inverse, moved @ change.transpose(0, 2, 1))
        found: Float = twice + twice.T + sign * 2 * _traces(moved.transpose(0, 2, 1), moved)
        return found

    in_dy = _traces(inverse, whole)
    in_dy = in_dy + in_dy.T - 2 * size
    count = np.arange(len(whole))
    step = (count[:, None] - count) % len(whole)
    pairs = (of(slope, 1), in_dy, of(arm, -1))
    sums = (np.bincount(step.ravel(), weights=x.ravel(), minlength=len(whole)) for x in pairs)
    return Information(*(one / (2 * ring.views) for one in sums))


def information_of_part(power: Float, cols: int, extent: float, ring: Ring, views: int) -> Information:
    """The same of the first views of a ring, of each two of them: (N, N).

    With the last view first nothing changes. So what is alike in a view and in its counterpart does not mix with what
    is opposite in them: in place of one matrix there are two of half its size.
    """
    of_object = blocks(power, cols, extent, ring)
    size = of_object[0].shape[1]
    signal, slope, arm = (_halves(one, ring, views) for one in of_object)
    wholes = [part + np.eye(len(part)) for part in signal]
    inverses = [np.asarray(np.linalg.inv(whole), float) for whole in wholes]

    def of(changes: list[Float], sign: float) -> Float:
        moved = [change @ inverse for change, inverse in zip(changes, inverses, strict=True)]
        twice = [one @ change.T for one, change in zip(moved, changes, strict=True)]
        by_pairs = _by_pairs(moved, [one.T for one in moved], size, views)
        return _by_pairs(inverses, twice, size, views) + sign * by_pairs

    in_dy = _by_pairs(inverses, wholes, size, views) - size * np.eye(views)
    return Information(of(slope, 1), in_dy, of(arm, -1))


def _halves(blocks: Float, ring: Ring, views: int) -> list[Float]:
    """Of a ring's blocks (harmonics, K, K) the matrices of what is alike in a view and its counterpart, and opposite.

    The view in the middle has none, and is alike.
    """
    size, many = blocks.shape[1], -(-views // 2)
    place, own = np.arange(many), np.ones(many)
    own[views // 2 :] = np.sqrt(0.5)
    by_difference = np.fft.fft(blocks, axis=0).real / ring.views
    near = by_difference[(place[:, None] - place) % len(blocks)]
    far = by_difference[(place[:, None] + place - views + 1) % len(blocks)]
    parts = (np.outer(own, own)[..., None, None] * (near + far), (near - far)[: views // 2, : views // 2])
    return [part.transpose(0, 2, 1, 3).reshape(len(part) * size, -1) for part in parts]


def _by_pairs(matrix: list[Float], other: list[Float], size: int, views: int) -> Float:
    """tr(A_kl B_lk) of each two views (N, N), of two matrices in halves, the other one transposed."""
    half, many = views // 2, -(-views // 2)

    def product(a: Float, b: Float) -> Float:
        found = np.zeros((many, many))
        few = min(len(a), len(b)) // size
        both = a[: few * size, : few * size] * b[: few * size, : few * size]
        found[:few, :few] = both.reshape(few, size, few, size).sum((1, 3))
        return found

    (alike, opposite), (alike_too, opposite_too) = matrix, other
    same = product(alike, alike_too) + product(opposite, opposite_too)
    mixed = product(alike, opposite_too) + product(opposite, alike_too)
    own = np.full(many, 0.5)
    own[half:] = 1.0
    found = np.empty((views, views))
    found[:many, :many] = np.outer(own, own) * (same + mixed)
    found[:many, ::-1][:, :many] = np.outer(own, own) * (same - mixed)
    found[::-1][:many] = found[:many, ::-1]
    return found


def written_out(blocks: Float, ring: Ring, views: int) -> Float:
    """Of a ring's blocks (harmonics, K, K) the matrix (views K, views K) of the first views, which are no ring."""
    size, apart = blocks.shape[1], (np.arange(views)[:, None] - np.arange(views)) % len(blocks)
    by_difference = np.fft.fft(blocks, axis=0).real / ring.views
    found: Float = by_difference[apart].transpose(0, 2, 1, 3).reshape(views * size, views * size)
    return found


def _traces(blocks: Float, others: Float) -> Float:
    """tr(A_lᵀ B_k) of all pairs of blocks (L, U, U): (L, L)."""
    found: Float = blocks.reshape(len(blocks), -1) @ others.reshape(len(others), -1).T
    return found


def blocks(power: Float, cols: int, extent: float, ring: Ring) -> tuple[Float, Float, Float]:
    """Covariance of the object in the views, its slope, and its product with the column, of each harmonic.

    Each is (harmonics, K, K): of a view with itself, of its slope with it, and of it times the distance from the middle
    column with it.

    The object is made of dots all over a disc; each is seen as the kernel whose spectrum is the root of the power. A
    row is told by its first K cosines, beyond which there is but noise.
    """
    amplitude = np.sqrt(np.maximum(power, 0)).astype(complex)
    width = 2 * (len(power) - 1)
    amplitude[-1] /= 2  # at the end of the band, where ω and -ω are one
    omega = 2 * np.pi * np.arange(len(power)) / width
    loud = np.flatnonzero(power / cols * ring.views > FINEST)
    cosines = fft.dct(np.eye(cols), axis=0, norm="ortho")[: int(loud.max(initial=0) * 2 * cols / width) + 2]
    kernels = [_fine(spectrum, width) for spectrum in (amplitude, -1j * np.sin(omega) * amplitude)]
    count = int(np.ceil(extent))
    radii = (np.arange(count) + 0.5) * extent / count
    turns = 1 << int(np.ceil(np.log2(8 * extent + 64)))
    turn = np.cos(2 * np.pi * np.arange(turns) / turns)
    signal, slope, arm = np.zeros((3, ring.harmonics, len(cosines), len(cosines)))
    for radius in np.array_split(radii, max(count // AT_ONCE, 1)):
        at = np.round((centred_axis(cols)[:, None, None] - radius[:, None] * turn) * OVERSAMPLED).astype(int)
        dots, moved = (np.fft.rfft(kernel[at % len(kernel)], axis=2).real / turns for kernel in kernels)
        beside = centred_axis(cols)[:, None, None] * dots
        seen, shifted, farther = (np.tensordot(cosines, part, 1) for part in (dots, moved, beside))
        share = ring.views * radius / radii.sum()
        for harmonic in range(-(turns // 2) + 1, turns // 2):
            of_harmonic = (share * seen[..., abs(harmonic)]).T
            for total, part in ((signal, seen), (slope, shifted), (arm, farther)):
                total[harmonic % ring.harmonics] += part[..., abs(harmonic)] @ of_harmonic
    return signal, slope, arm


def _fine(spectrum: NDArray[np.complex128], width: int) -> Float:
    wide = np.zeros(width * OVERSAMPLED // 2 + 1, complex)
    wide[: len(spectrum)] = spectrum
    found: Float = np.fft.irfft(wide, width * OVERSAMPLED) * OVERSAMPLED
    return found


def by_views(by_harmonic: Float, ring: Ring, axis: str) -> Float:
    """The information on each two views (N, N) of a whole ring, from that on the harmonics."""
    there = np.zeros(ring.harmonics)
    there[harmonics(ring, axis)] = 1
    by_difference = np.fft.fft(there * by_harmonic).real / ring.views
    found: Float = by_difference[(np.arange(ring.views)[:, None] - np.arange(ring.views)) % ring.harmonics]
    return found


def harmonics(ring: Ring, axis: str) -> list[int]:
    """Those that a movement may have."""
    first, step = (0, 1) if ring.whole else (0 if axis == "dy" else 1, 2)
    return list(range(first, ring.harmonics, step))
