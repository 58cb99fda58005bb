"""Is a stack of the kind that a network learned from? Told before it is aligned, from the stack alone; of rolls after.

A network says something about any stack. What its answer is worth is known for stacks like those it learned from, and
for those on which it was measured (its model card); beyond, nobody knows. Nothing here changes an answer.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.align.binning import binned, in_units
from tomoalign_core.align.classical import profile_correlation
from tomoalign_core.align.noise import noise_of
from tomoalign_core.align.outline import BLUR_PX, blurred_noise, cut_of, whole_views
from tomoalign_core.align.predict import binning
from tomoalign_core.config import DatasetConfig
from tomoalign_core.geometry import Float, Shifts

LARGEST_PX, MOST_VIEWS = 96, 240  # a quick look is enough
OBJECT = 5.0  # times the noise of the blurred views: where an object stands out
LEAST_OBJECT = 1e-3  # of all pixels; fewer stand out by chance
FREE = 2.0  # from half to twice the sizes learned from is nothing to be told: by the bench, it carries over
MARGIN, NOISE_MARGIN = 1.2, 1.5  # on shifts and noise, which are estimated
MOVED_OUT = 0.25  # of the views show only a part; up to so many, dx is as sure as its σ says
DARK = 0.5  # of the object's contrast lies below the background
INSIDE = 0.9  # share of the views that must lie in the learned range of shifts; some outliers are nothing unusual
FAR_ROLLS = 8.0  # times those learned from; up to so many, shifts are found as well as of others
LOST_DEG = 25  # and more: views that turn so far are lost, some of them
SIGMAS = 1.64  # of a normal jitter: so many move no farther

Stack = NDArray[np.floating]


def outside_domain(proj: Stack, angle_rad: ArrayLike, learned_from: DatasetConfig) -> tuple[str, ...]:
    """How a stack (N, V, U) of attenuation differs from what a network learned from; a line each, none if it does not.

    Looked at are the size (after the binning that ``predict`` does), the angles, how far views have moved, and the
    image: noise, contrast, and whether the object is whole from left to right.
    """
    angle = np.asarray(angle_rad, float)
    proj, _ = in_units(proj)
    small = _looked_at(proj)
    return tuple(
        line
        for line in (
            _size(proj.shape, learned_from),
            _angles(angle, learned_from),
            _shifts(proj, angle, learned_from),
            *_image(small, learned_from),
        )
        if line
    )


def beyond_domain(found: Shifts, learned_from: DatasetConfig) -> tuple[str, ...]:
    """How what a network found goes beyond what it learned from; a line each, none if it does not.

    That is of rolls, which cannot be told beforehand.
    """
    learned = max(_span(recipe.misalign.roll_sigma_deg)[1] for recipe in learned_from.train)
    rolls = float(np.std(found.roll_deg[found.used])) if found.used.any() else 0.0
    if rolls <= FAR_ROLLS * learned:
        return ()
    return (
        f"rolls: views seem to turn by {rolls:.0f}° (rms); it learned from up to {learned:g}°: of those that turn by "
        f"over {LOST_DEG}° some are lost or wrong, and σ is too small",
    )


def _size(shape: tuple[int, ...], data: DatasetConfig) -> str:
    n, rows, cols = shape
    factor = binning(n, rows, cols)
    given = (n, rows // factor, cols // factor)
    learned = [_span(getattr(data.scan, name)) for name in ("n_views", "n_rows", "n_cols")]
    if all(low / FREE <= value <= FREE * high for value, (low, high) in zip(given, learned, strict=True)):
        return ""
    views, *sides = (_range(low, high) for low, high in learned)
    by = f", binned by {factor}," if factor > 1 else ""
    return f"size: {n} views of {given[1]} × {given[2]} px{by}; it learned from {views} views of {' × '.join(sides)} px"


def _angles(angle: Float, data: DatasetConfig) -> str:
    low, high = _span(data.scan.range_deg)
    step = np.rad2deg(np.median(np.diff(np.sort(angle))))
    span = float(np.rad2deg(np.ptp(angle)) + step)
    if span < 0.98 * low or span > 1.02 * high:
        return f"angles: they span {span:.0f}°; it learned from {_range(low, high)}°"
    widest = high / _span(data.scan.n_views)[0]
    return f"angles: {step:.1f}° from view to view; it learned from at most {widest:.1f}°" if step > widest else ""


def _shifts(proj: Stack, angle: Float, data: DatasetConfig) -> str:
    """By a classical method: how far most views have moved, and how far as many did in the training."""
    every = math.ceil(len(proj) / MOST_VIEWS)
    factor = math.ceil(max(proj.shape[1:]) / LARGEST_PX)
    found = profile_correlation(binned(proj[::every], factor), angle[::every])
    if not found.used.any():
        return ""
    moved = np.quantile(np.abs(np.stack([found.dx_px, found.dy_px])[:, found.used]), INSIDE, axis=1) * factor
    moved = moved / binning(*proj.shape)
    stages = [recipe.misalign for recipe in data.train]
    far = [
        max(
            max(SIGMAS * _span(getattr(s, sigma))[1], INSIDE * _span(s.uniform_px)[1], SIGMAS * _span(s.drift_px)[1])
            for s in stages
        )
        for sigma in ("dx_sigma_px", "dy_sigma_px")
    ]
    if moved[0] <= MARGIN * far[0] and moved[1] <= MARGIN * far[1]:
        return ""
    return (
        f"shifts: most views seem to move by up to {moved[0]:.0f} px sideways and {moved[1]:.0f} px up and down; "
        f"it learned from up to {far[0]:.0f} and {far[1]:.0f} px"
    )


def _image(small: Stack, data: DatasetConfig) -> list[str]:
    edges = np.concatenate([small[..., :3], small[..., -3:]], -1)
    flat = small - np.median(edges, axis=(1, 2), keepdims=True)
    smooth = ndimage.gaussian_filter(flat, (0, BLUR_PX, BLUR_PX), mode="nearest")
    noise = noise_of(small[:32])
    spread = max(blurred_noise(noise), 1e-3 * float(np.abs(smooth).max()), 1e-30)
    there, below = smooth > OBJECT * spread, smooth < -OBJECT * spread
    if (there | below).mean() < LEAST_OBJECT:
        return ["image: no object stands out of the noise"]
    lines = []
    light, dark = float(smooth[there].sum()), float(-smooth[below].sum())
    if dark > DARK * (light + dark):
        lines.append("image: darker than what is around it; attenuation is wanted: is it counts, or a transmission?")
    share, known = noise / float(np.quantile(np.abs(smooth), 0.999)), _most_noise(data)
    if share > NOISE_MARGIN * known:
        lines.append(f"image: noise of {share:.0%} of the object's largest value; it learned from up to {known:.0%}")
    if cut_of(small).sides:
        lines.append("image: the object is wider than the view: slow movements sideways are hardly known then")
    elif (out := 1 - whole_views(small).mean()) > MOVED_OUT:
        lines.append(
            f"image: in {out:.0%} of the views a part of the object has moved out at a side: dx is less sure than its σ"
        )
    return lines


def _most_noise(data: DatasetConfig) -> float:
    """Standard deviation as a fraction of the largest attenuation, which is 1 there; of counts that behind it."""
    found = [0.0]
    for recipe in data.train:
        noise = recipe.noise
        fewest = None if noise.counts is None else _span(noise.counts)[0]
        found.append(math.hypot(_span(noise.gaussian)[1], math.sqrt(math.e / fewest) if fewest else 0.0))
    return max(found)


def _looked_at(proj: Stack) -> NDArray[np.float32]:
    every = math.ceil(len(proj) / MOST_VIEWS)
    return binned(proj[::every], binning(*proj.shape))


def _span(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (value, value)


def _range(low: float, high: float) -> str:
    """As words.

    >>> _range(40, 72), _range(180.0, 180.0)
    ('40–72', '180')
    """
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
