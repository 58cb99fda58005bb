"""A second look, in twice the sampling, at stacks that show more than the network sees in them as they are.

The network sees views at half their resolution. That is enough where noise hides what this loses. Where it does not, as
in many real scans, twice the sampling brings it into sight; but what the network learned from is coarser, and it may do
worse as well. So the held-out residual says which of the two answers foretells the views better.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from tomoalign_core.align.binning import in_units
from tomoalign_core.align.foretell import Progress
from tomoalign_core.align.noise import noise_of
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.geometry import Float, Shifts

SAMPLED = 24  # views, spread over the stack, are enough to see what it shows
LOST = (0.25, 0.3)  # cycles a pixel: the coarsest of what is lost at half the resolution
BESIDE = 0.02  # cycles a pixel: the axes of a spectrum are left out, where what the border cuts off lies
LEAST_VIEWS = 2  # used, for one to foretell the other
STANDS_OUT = 3.0  # of the power of the noise


def shows_details(proj: NDArray[np.floating]) -> bool:
    """Whether a stack (N, V, U) shows details, lost at half its resolution, that stand out of its noise."""
    some, _ = in_units(np.asarray(proj[:: max(len(proj) // SAMPLED, 1)], float))
    rows, cols = some.shape[1:]
    window = np.outer(signal.windows.hann(rows), signal.windows.hann(cols))
    seen = (some - some.mean((1, 2), keepdims=True)) * window
    power = (np.abs(fft.fft2(seen)) ** 2).mean(0) / (window**2).sum()
    down, across = np.abs(fft.fftfreq(rows))[:, None], np.abs(fft.fftfreq(cols))
    size = np.hypot(down, across)
    lost = (size >= LOST[0]) & (size < LOST[1]) & (down > BESIDE) & (across > BESIDE)
    return bool(lost.any() and power[lost].mean() > STANDS_OUT * noise_of(some) ** 2)


def better_of(
    proj: NDArray[np.floating],
    angle_rad: Float,
    found: Shifts,
    look_finer: Callable[[], Shifts],
    progress: Progress | None = None,
) -> Shifts:
    """What was found of a stack (N, V, U), or what a finer look finds if that foretells the views better.

    ``look_finer`` is asked only where the stack shows details, of two views or more. One that leaves out more views is
    not taken: without the worst of its views any stack is foretold better. ``progress`` is called as the two are
    judged.
    """
    if found.used.sum() < LEAST_VIEWS or not shows_details(proj):
        return found
    finer = look_finer()
    if (found.used & ~finer.used).any():
        return found
    before, after = (held_out_residual(proj, angle_rad, table, progress=progress).overall for table in (found, finer))
    return finer if after < before else found
