"""What no aligner can be surer of: σ of shifts is not below what the noise of the views allows.

A network states a σ of its own; of noise heavier than most that it learned from it thinks too little. The Cramér-Rao
bound of a known template, 1 / σ_dx² = Σ (∂p/∂u)² / noise², is under any unbiased estimate, and its sum can be had from
the views themselves: their slopes, less those of their noise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomoalign_core.align.noise import noise_of
from tomoalign_core.geometry import Float, Shifts

# Slopes are those of blurred views: of sharp ones, nearly all that is seen at 20 % noise is noise. What the blur takes
# from the object makes the bound larger by 5 to 15 %, which is less than not to know the object costs.
BLUR_PX = 1.0
SAMPLED = 48  # views, spread over the stack, are enough to see it
LEAST_SIGNAL = 1e-3  # of the slopes of the noise; fainter ones are not told from it


def as_sure_as_noise_allows(proj: NDArray[np.floating], table: Shifts) -> Shifts:
    """A table of a stack (N, V, U), where it states a σ, with one that is not below the least of ``least_sigma_px``."""
    dx, dy = least_sigma_px(proj)
    return replace(
        table,
        dx_sigma_px=np.maximum(table.dx_sigma_px, dx),
        dy_sigma_px=np.maximum(table.dy_sigma_px, dy),
    )


def least_sigma_px(proj: NDArray[np.floating]) -> tuple[float, float]:
    """The Cramér-Rao bound of dx and dy, px, of views (N, V, U) as measured: one for all, from their mean slopes."""
    views = np.asarray(proj[:: max(len(proj) // SAMPLED, 1)], float)
    noise = noise_of(views)
    of_noise = noise**2 * _slopes_of_noise(*views.shape[1:])
    seen = np.mean([_slopes(view) for view in views], axis=0)
    dx, dy = noise / np.sqrt(np.maximum(seen - of_noise, LEAST_SIGNAL * of_noise))
    return float(dx), float(dy)


def _slopes(view: Float) -> Float:
    """Sum of the squared slopes of a blurred view (V, U), along u and along v."""
    down, across = np.gradient(ndimage.gaussian_filter(view, BLUR_PX))
    return np.array([(across**2).sum(), (down**2).sum()])


def _slopes_of_noise(rows: int, cols: int) -> Float:
    """The same of a view of independent noise of variance 1, as expected."""
    down, across = (ndimage.gaussian_filter1d(np.eye(length), BLUR_PX, axis=0) for length in (rows, cols))
    steep_down, steep_across = np.gradient(down, axis=0), np.gradient(across, axis=0)
    return np.array([(down**2).sum() * (steep_across**2).sum(), (steep_down**2).sum() * (across**2).sum()])
