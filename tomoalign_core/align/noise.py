"""The noise of a stack, and whether it is louder where the object is denser.

Counts are few behind what absorbs much: their attenuation is noisy there, by the root of exp(p). Electron micrographs
are noisy where they are bright. Pixels count the less for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from tomoalign_core.geometry import Float

Stack = NDArray[np.floating]

LEAST_NOISE = 0.02  # of the standard deviation of the views
MASK = np.outer([1, -2, 1], [1, -2, 1])
SIGMAS = 1.4826 / 6  # of a pixel, in the median of what the mask leaves of it
LEVELS = 12  # of the brightness, evenly between
ENDS = (0.02, 0.998)  # these quantiles
FEWEST = 400  # pixels of a level that tell its noise
BLUR_PX = 1.0
UNEVEN = 2.0  # times the variance, in the loudest: edges that are not foretold well look like less
ABOVE_FLOOR = 2.0  # times the variance of the floor: nearer to it, what the model errs by is louder than the noise


class UnevenNoise(NamedTuple):
    """Standard deviation of a pixel (K,) by brightness (K,), neither of which falls."""

    brightness: Float
    sigma: Float

    def share(self, views: Stack) -> Stack:
        """The least variance over that of each pixel of views as they are without noise."""
        found: Stack = (self.sigma[0] / np.interp(views, self.brightness, self.sigma)) ** 2
        return found.astype(views.dtype)


def noise_of(proj: Stack) -> float:
    """Standard deviation of the noise of a stack: the median over views of Immerkær's estimate (1996), by medians.

    Not less than its ``noise_floor``.
    """
    each = [np.median(np.abs(ndimage.convolve(view, MASK))) for view in np.asarray(proj, float)]
    return max(SIGMAS * float(np.median(each)), noise_floor(proj))


def noise_floor(proj: Stack) -> float:
    """What pixels and their resampling leave of the slice theorem in a stack; less noise makes no difference."""
    return max(LEAST_NOISE * float(np.std(proj)), 1e-12)


def uneven_noise(proj: Stack, foretold: Stack) -> UnevenNoise | None:
    """How loud the noise is by the brightness of the object, where that makes a difference, and stands off its floor.

    By the same estimate, of what is left of the views (N, V, U) without what is foretold of them; rising with the
    brightness by isotonic regression.
    """
    left = np.abs(ndimage.convolve(proj - foretold, MASK[None]))
    brightness = ndimage.gaussian_filter(foretold, (0, BLUR_PX, BLUR_PX))
    low, high = np.quantile(brightness, ENDS)
    edges = np.linspace(low, high, LEVELS + 1)[1:-1]
    level = np.digitize(brightness, edges)
    found = [
        (brightness[one].mean(), np.median(left[one]), one.sum())
        for one in (level == k for k in range(LEVELS))
        if one.sum() >= FEWEST
    ]
    at, middle, pixels = np.array(found, float).reshape(-1, 3).T
    if len(at) < 2:
        return None
    variance = optimize.isotonic_regression((SIGMAS * middle) ** 2, weights=pixels).x
    if variance[-1] < UNEVEN * variance[0] or variance[0] < ABOVE_FLOOR * noise_floor(proj) ** 2:
        return None
    return UnevenNoise(at, np.sqrt(variance))
