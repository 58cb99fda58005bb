"""What stays where it is on the detector while the object moves: a fixed pattern, stripes, dust."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.geometry import Float

STANDS_OUT = 2.0  # of the variance that noise leaves in the mean of all views


def fixed_pattern(views: NDArray[np.floating], foretold: NDArray[np.floating]) -> Float:
    """The pattern (V, U) that all views (N, V, U) have in common beyond what is foretold of each, in its place.

    The mean over the views of what is left, as far as it is no noise: by Wiener's filter, with one share for all
    pixels. Nothing but zeros where it does not stand out: of an object alone it is 0.0 times what noise leaves.
    """
    left = np.asarray(views, float) - foretold
    left -= left.mean((1, 2), keepdims=True)
    mean = left.mean(0)
    noise = float(left.var(0, ddof=1).mean()) / len(left)
    power = float(mean.var()) - noise
    return mean * power / (power + noise) if power > STANDS_OUT * noise else np.zeros_like(mean)
