"""What the moments of each row tell of the movements: over the angles they go as a few waves, whatever the object is.

Of a row v of an aligned view, Σ_u P_k(u) p(u, v) with a polynomial P of order k goes with the angle as a trigonometric
polynomial of order k and of its parity (the consistency conditions of Ludwig 1966 and Helgason 1980). Order 0 is the
mass, which stays; order 1 where it lies, which goes as a cosine and a sine. What does not go so has moved. That rests
on nothing but the extent of the object, where the random field of ``field``, whose frequencies are independent of
each other, takes slow movements for another object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy import linalg, ndimage

from tomoalign_core.geometry import Float, centred_axis

ORDER = 24  # the highest; the slices of higher ones are fast waves, which the field knows as well
FAINTEST = 0.005  # of the brightest of the object in the mean of the views: where it is taken to end
SURELY = 1.5  # times what noise leaves in the mean of so many pixels: less is not told from it
BESIDE_PX = 1.0  # that are counted beyond
BLUR_PX = 1.0
RIDGE = 1e-4  # of what is known of each movement: those that all objects allow are not told

Stack = NDArray[np.floating]


def told_by_moments(
    aligned: Stack, seen: NDArray[np.bool_], foretold: Stack, ways: Sequence[Stack], angle: Float, *, noise: float
) -> tuple[Float, Float]:
    """The information (K N, K N), over noise², on K ways in which each of N views may change, and the likeliest (K N,).

    Where residuals are larger than the noise the information is the less. Rows of a view in which a part of the object
    was not seen are left out.

    Parameters
    ----------
    aligned, seen, foretold : (N, V, U) the views without background, which pixels of them were seen, and the views
        without their noise.
    ways : K arrays (N, V, U).
    noise : standard deviation of a pixel.
    """
    n = len(angle)
    polynomials, window = _polynomials(foretold, noise / np.sqrt(n))
    shown = (seen | ~window).all(2) & window.any(1)
    orders = polynomials.shape[2]
    moments = _moments(aligned, polynomials)
    by_way = np.stack([_moments(way, polynomials) for way in ways])
    total, slope = np.zeros((len(ways), n, len(ways), n)), np.zeros((len(ways), n))
    left, freedom = 0.0, -slope.size
    patterns, of_row = np.unique(shown, axis=1, return_inverse=True)
    for number, views in enumerate(patterns.T):
        rows = np.flatnonzero(of_row == number)
        for order in range(min(orders, int(views.sum()) - 1)):
            other = np.diag(views.astype(float)) - _consistent(order, angle, views)
            rest = other @ moments[:, rows, order]
            some = by_way[:, :, rows, order]
            flat = some.reshape(-1, len(rows))
            total += (flat @ flat.T).reshape(total.shape) * other[:, None]
            slope += (some * rest).sum(2)
            left += float((rest**2).sum())
            freedom += len(rows) * round(np.trace(other))
    information = total.reshape(slope.size, slope.size)
    own = np.diag(information)
    ridge = np.diag(RIDGE * own + 1e-9 * max(own.max(), 1e-30))
    likeliest: Float = linalg.solve(information + ridge, slope.ravel(), assume_a="pos")
    unlike = max(float(left - slope.ravel() @ likeliest) / max(freedom, 1) / noise**2, 1.0)
    believed: Float = information / unlike
    return believed, likeliest


def share_in_view(foretold: Stack, *, noise: float) -> float:
    """The share of the rows of an object in which it ends on both sides of the view.

    Parameters
    ----------
    foretold, noise : as for ``told_by_moments``.
    """
    extent = _extent(foretold, noise / np.sqrt(len(foretold)))
    rows = np.isfinite(extent)
    return float((extent[rows] < foretold.shape[2] / 2).mean()) if rows.any() else 0.0


def _extent(foretold: Stack, noise_in_mean: float) -> Float:
    """How far from the middle each row shows the object, px, and ``BESIDE_PX`` more: (V,), -inf where nowhere."""
    shown = ndimage.gaussian_filter(foretold.mean(0, dtype=float), BLUR_PX)
    shown = np.maximum(shown, shown[:, ::-1])
    faintest = max(FAINTEST * shown.max(), SURELY * noise_in_mean)
    column = np.abs(centred_axis(foretold.shape[2]))
    found: Float = np.where(shown > faintest, column, -np.inf).max(1) + BESIDE_PX
    return found


def _consistent(order: int, angle: Float, views: NDArray[np.bool_]) -> Float:
    """The projector (N, N) onto how a moment of this order may go over the angle, in the views in which it is known."""
    waves = [np.exp(1j * frequency * angle) for frequency in range(order % 2, order + 1, 2)]
    basis = np.stack([part for wave in waves for part in (wave.real, wave.imag)], 1) * views[:, None]
    modes, size, _ = np.linalg.svd(basis, full_matrices=False)
    modes = modes[:, size > 1e-6 * size[0]]
    found: Float = modes @ modes.T
    return found


def _polynomials(foretold: Stack, noise_in_mean: float) -> tuple[Float, NDArray[np.bool_]]:
    """Orthonormal polynomials (V, U, orders) over the columns where each row shows the object, and those (V, U).

    Legendre's, but for the pixels. Rows that are too narrow for an order have zeros there.
    """
    column, extent = centred_axis(foretold.shape[2]), _extent(foretold, noise_in_mean)
    ends = extent < len(column) / 2  # else it goes on beside the view, and what of it is seen changes
    window = (np.abs(column) <= extent[:, None]) & ends[:, None]
    width = window.sum(1)
    scaled = np.clip(column / np.maximum(extent, 1.0)[:, None], -1, 1)
    polynomials = np.linalg.qr(legendre.legvander(scaled, ORDER) * window[..., None])[0]
    polynomials *= window[..., None] & (np.arange(ORDER + 1) < width[:, None])[:, None]
    return polynomials, window


def _moments(views: Stack, polynomials: Float) -> Float:
    """Of views (N, V, U): (N, V, orders)."""
    found: Float = (views.transpose(1, 0, 2) @ polynomials).transpose(1, 0, 2)
    return found
