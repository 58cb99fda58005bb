"""How views change with a movement, and how much of that is the noise of what is known of them.

The templates of the views are not without noise. Where the object is round, a roll changes nothing but that noise: what
looks like a slope along its rim would count as knowledge of the roll.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomoalign_core.align.field import FILL_ROUNDS, Field
from tomoalign_core.geometry import Float, centred_axis

LEVER_PX = 20.0  # a roll is counted as the movement this far from the centre
FINE_PX = 0.9  # what a blur of this width takes away are fine details
DIFFERENCE = np.array([1, -8, 0, 8, -1]) / 12  # of fourth order: that of neighbours alone takes fine details for less
NEAR_PX, NEAR_VIEWS = 1.5, 3.0  # over which slopes are compared with their noise
LEAST_NOISE = 1e-9  # of stacks in units of their largest values
NOISE_BLUR_PX = 3.0
LEAST_SLOPE = 0.1  # of what slopes and noise come to: less is not told from none
NOISE_MARGIN = 1.5  # times the variance of the noise that is taken out of slopes
BEND = 0.01  # of the square of slopes across an edge: less along it is what pixels make of an edge that bends

Stack = NDArray[np.floating]
SlopeNoise = tuple[Float | float, Float | float]  # along u and along v
NO_NOISE: SlopeNoise = (LEAST_NOISE, LEAST_NOISE)


class Slopes(NamedTuple):
    """How the slopes of templates are told, along u and along v.

    Attributes
    ----------
    sharp : the share of fine details that is kept: of those that are noise, none.
    noise : what noise leaves in the slopes, standard deviation: one for all pixels, or by pixel (V, U).
    bend : of the square of slopes across an edge, what pixels may make of it along the edge.
    """

    sharp: tuple[float, float] = (1.0, 1.0)
    noise: SlopeNoise = NO_NOISE
    bend: float = BEND


PLAIN = Slopes(sharp=(0.0, 0.0))  # of blurred templates, which show nothing of what the model errs by


def ways_of(told: Stack, seen: NDArray[np.bool_], *, row: float, slopes: Slopes) -> list[Stack]:
    """How views change with dx, dy, roll, gain and offset: each (N, V, U), 0 where not seen.

    Parameters
    ----------
    told : (N, V, U) each view as the others foretell it. A view's own noise, which is not in it, would be taken for a
        change of its gain, more in some views than in others, and where the border cuts the object off for dy as well.
    row : about which the views roll, from the centre.
    slopes : how they are told, see ``learn_slopes``; their noise is taken out of what a roll changes.
    """
    across, down = _slopes_of(told, slopes.sharp)
    v, u = centred_axis(told.shape[1])[:, None] - row, centred_axis(told.shape[2])
    clear_across, clear_down = _without_noise(across, down, slopes.noise, slopes.bend)
    roll = (v * clear_across - u * clear_down) / LEVER_PX
    return [way * seen for way in (-across, -down, roll, told, np.ones_like(across))]


def learn_slopes(field: Field, whole: Stack, share: Stack, *, noise: float, clear: float, even: bool) -> Slopes:
    """How the slopes of views (N, V, U) are to be told from what all others foretell of each.

    Noise in the views leaves its own in what they foretell. Of fine details that share is kept which is not noise, as
    by Wiener's filter; and less where the noise is hardly more than what pixels leave of sharp edges, which passes for
    details that no other view shows. Where there is no noise but that, all that is along edges is kept.

    Parameters
    ----------
    share : what the noise, the least of all pixels, is of that of each, in variance, and 0 where not seen.
    clear : the share of the noise that is not its floor, in variance.
    even : whether one noise goes for all pixels; else it is told by pixel, as the views show it in the mean.
    """
    pixels = np.random.default_rng(0).normal(0, noise, whole.shape).astype(np.float32)
    if not even:
        pixels /= np.sqrt(np.where(share > 0, share, 1))
        pixels = field.fill(pixels, share, np.zeros_like(pixels), rounds=FILL_ROUNDS)
    noise_told = field.foretell_by_others(pixels)
    noise_in_fine, in_fine = (
        [float(np.mean(slope[share > 0] ** 2, dtype=float)) for slope in _slopes_of(_fine(each), (1.0, 1.0))]
        for each in (noise_told, field.foretell_by_others(whole))
    )
    sharp_across, sharp_down = (
        clear * max(0.0, 1 - of_noise / max(of_all, 1e-30))
        for of_noise, of_all in zip(noise_in_fine, in_fine, strict=True)
    )
    sharp, bend = (sharp_across, sharp_down), BEND if clear > 0 else 0.0
    slopes = _slopes_of(noise_told, sharp)
    if even:
        across, down = (max(float(slope.std()), LEAST_NOISE) for slope in slopes)
        return Slopes(sharp, (across, down), bend)
    power = (ndimage.gaussian_filter((slope**2).mean(0), NOISE_BLUR_PX) for slope in slopes)
    across_by_pixel, down_by_pixel = (np.sqrt(one).clip(LEAST_NOISE) for one in power)
    return Slopes(sharp, (across_by_pixel, down_by_pixel), bend)


def noise_in_slope(slope: Stack, seen: NDArray[np.bool_], noise: Float | float) -> float:
    """What noise adds to the square of a slope (N, V, U), over what is left without it.

    A movement is told by a slope with its noise held against a view with its own. Of slopes S² and noise in them N²,
    summed over the pixels, the information is taken for S² + N², but their product has the variance of S² + N² and
    changes by S² with the movement: its error is (S² + N²) / S² times what that information allows.
    """
    of_noise = float((np.broadcast_to(np.square(noise), slope.shape) * seen).sum())
    whole = float((slope.astype(float) ** 2).sum())
    return of_noise / max(whole - of_noise, LEAST_SLOPE * whole, 1e-30)


def _slopes_of(told: Stack, sharp: tuple[float, float]) -> tuple[Stack, Stack]:
    """Along u and along v, with such shares of the fine details."""
    fine = _fine(told)
    across, down = (
        ndimage.correlate1d(told - (1 - share) * fine, DIFFERENCE, axis=axis, mode="nearest")
        for share, axis in zip(sharp, (2, 1), strict=True)
    )
    return across, down


def _fine(told: Stack) -> Stack:
    found: Stack = told - ndimage.gaussian_filter(told, (0, FINE_PX, FINE_PX))
    return found


def _without_noise(across: Stack, down: Stack, noise: SlopeNoise, bend: float) -> tuple[Stack, Stack]:
    """Slopes shrunk to what stands out of the noise, along an edge and across it each by itself.

    By Wiener's filter in the axes of the structure tensor (Förstner 1987), the mean of the outer product of the slopes
    over near pixels and views. Along an edge, slopes that are faint beside those across it are what the pixels make of
    it, which cut it into steps: along a round rim a roll would pass for known that changes nothing.
    """
    a, d = across / noise[0], down / noise[1]
    aa, dd, ad = (ndimage.gaussian_filter(part, (NEAR_VIEWS, NEAR_PX, NEAR_PX)) for part in (a * a, d * d, a * d))
    middle, half = (aa + dd) / 2, (aa - dd) / 2
    apart = np.hypot(half, ad)
    across_edge, along_edge = middle + apart, middle - apart
    faintest = NOISE_MARGIN + bend * across_edge
    most, least = (
        1 - NOISE_MARGIN / np.maximum(across_edge, NOISE_MARGIN),
        1 - faintest / np.maximum(along_edge, faintest),
    )
    # the matrix with these as its eigenvalues, in the axes of the tensor
    mean, share = (most + least) / 2, (most - least) / 2 / np.maximum(apart, 1e-30)
    return (
        noise[0] * ((mean + share * half) * a + share * ad * d),
        noise[1] * (share * ad * a + (mean - share * half) * d),
    )
