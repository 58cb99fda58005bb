"""How views change with a movement, and how much of that is the noise of what is known of them.

The templates of the views are not without noise. Where the object is round, a roll changes nothing but that noise: what
looks like a slope along its rim would count as knowledge of the roll.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomoalign_core.align.field import FILL_ROUNDS, Field
from tomoalign_core.geometry import Float, centred_axis

LEVER_PX = 20.0  # a roll is counted as the movement this far from the centre
TEMPLATE_BLUR_PX = 0.7
NEAR_PX, NEAR_VIEWS = 1.5, 3.0  # over which slopes are compared with their noise
LEAST_NOISE = 1e-9  # of stacks in units of their largest values
NOISE_BLUR_PX = 3.0
LEAST_SLOPE = 0.1  # of what slopes and noise come to: less is not told from none
NOISE_MARGIN = 3.0  # times the variance of the noise that is taken out of slopes

Stack = NDArray[np.floating]
SlopeNoise = tuple[Float | float, Float | float]  # along u and along v


def ways_of(told: Stack, seen: NDArray[np.bool_], *, row: float, noise: SlopeNoise | None) -> list[Stack]:
    """How views change with dx, dy, roll, gain and offset: each (N, V, U), 0 where not seen.

    Parameters
    ----------
    told : (N, V, U) each view as the others foretell it. A view's own noise, which is not in it, would be taken for a
        change of its gain, more in some views than in others, and where the border cuts the object off for dy as well.
    row : about which the views roll, from the centre.
    noise : of the slopes along u and v, see ``noise_of_slopes``, which is taken out of what a roll changes; or None.
    """
    across, down = _slopes(told)
    v, u = centred_axis(told.shape[1])[:, None] - row, centred_axis(told.shape[2])
    clear_across, clear_down = (across, down) if noise is None else _without_noise(across, down, noise)
    roll = (v * clear_across - u * clear_down) / LEVER_PX
    return [way * seen for way in (-across, -down, roll, told, np.ones_like(across))]


def noise_of_slopes(field: Field, share: Stack, noise: float, *, even: bool) -> SlopeNoise:
    """The standard deviation that the noise of all other views leaves in the slopes of each, along u and v.

    One for all pixels where the noise is ``even``; else by pixel (V, U), as the views (N, V, U) show it in the mean.
    ``share`` is what the noise, the least of all pixels, is of that of each, in variance, and 0 where not seen.
    """
    pixels = np.random.default_rng(0).normal(0, noise, share.shape).astype(np.float32)
    if even:
        across, down = _slopes(field.foretell_by_others(pixels))
        return max(float(across.std()), LEAST_NOISE), max(float(down.std()), LEAST_NOISE)
    pixels /= np.sqrt(np.where(share > 0, share, 1))
    whole = field.fill(pixels, share, np.zeros_like(pixels), rounds=FILL_ROUNDS)
    power = ((slopes**2).mean(0) for slopes in _slopes(field.foretell_by_others(whole)))
    across, down = (np.sqrt(ndimage.gaussian_filter(one, NOISE_BLUR_PX)).clip(LEAST_NOISE) for one in power)
    return across, down


def noise_in_slope(slope: Stack, seen: NDArray[np.bool_], noise: Float | float) -> float:
    """What noise adds to the square of a slope (N, V, U), over what is left without it.

    A movement is told by a slope with its noise held against a view with its own. Of slopes S² and noise in them N²,
    summed over the pixels, the information is taken for S² + N², but their product has the variance of S² + N² and
    changes by S² with the movement: its error is (S² + N²) / S² times what that information allows.
    """
    of_noise = float((np.broadcast_to(np.square(noise), slope.shape) * seen).sum())
    whole = float((slope.astype(float) ** 2).sum())
    return of_noise / max(whole - of_noise, LEAST_SLOPE * whole, 1e-30)


def _slopes(told: Stack) -> tuple[Stack, Stack]:
    down, across = np.gradient(ndimage.gaussian_filter(told, (0, TEMPLATE_BLUR_PX, TEMPLATE_BLUR_PX)), axis=(1, 2))
    return across, down


def _without_noise(across: Stack, down: Stack, noise: SlopeNoise) -> tuple[Stack, Stack]:
    """Slopes shrunk to what stands out of the noise, along an edge and across it each by itself.

    By Wiener's filter in the axes of the structure tensor (Förstner 1987), the mean of the outer product of the slopes
    over near pixels and views.
    """
    a, d = across / noise[0], down / noise[1]
    aa, dd, ad = (ndimage.gaussian_filter(part, (NEAR_VIEWS, NEAR_PX, NEAR_PX)) for part in (a * a, d * d, a * d))
    middle, half = (aa + dd) / 2, (aa - dd) / 2
    apart = np.hypot(half, ad)
    most, least = (
        np.clip(1 - NOISE_MARGIN / np.maximum(size, 1e-30), 0, 1) for size in (middle + apart, middle - apart)
    )
    # the matrix with these as its eigenvalues, in the axes of the tensor
    mean, share = (most + least) / 2, (most - least) / 2 / np.maximum(apart, 1e-30)
    return (
        noise[0] * ((mean + share * half) * a + share * ad * d),
        noise[1] * (share * ad * a + (mean - share * half) * d),
    )
