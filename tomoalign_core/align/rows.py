"""What the mass of each row tells of roll: where it lies goes with the angle as that of a slice that turns.

Of a row v of an aligned view, the first moment is Σ_u u p(u, v) = X(v) cos α + Y(v) sin α, with the centre of mass of
that slice (the consistency condition of first order: Ludwig 1966, Helgason 1980). A roll moves the rows apart, each by
its height, and what lies aside up or down. The random field of ``field``, whose frequencies are independent of each
other, does not know this, and takes slow rolls for another object; slow movements in dx the start knew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomoalign_core.geometry import Float, centred_axis

FAINTEST = 0.05  # of the brightest of the object in the mean over the views: where it is taken to end
BESIDE_PX = 4.0  # that are counted beyond
BLUR_PX = 1.0
RIDGE = 1e-3  # of dx, of which the mass of rows without contrast tells nothing

Stack = NDArray[np.floating]


def roll_told_by_rows(
    aligned: Stack, seen: NDArray[np.bool_], foretold: Stack, angle: Float, *, noise: float, row: float
) -> tuple[Float, Float]:
    """The information (N, N) on the roll of each view, rad⁻², and the slope (N,) of the log-likelihood with it.

    Both are of a dx of each view that is not known, and of the residuals that are there, where these are larger than
    the noise. Rows of a view in which a part of the object was not seen are left out.

    Parameters
    ----------
    aligned, seen, foretold : (N, V, U) the views without background, which pixels of them were seen, and the views
        without their noise.
    noise : standard deviation of a pixel.
    row : about which the views roll, from the centre.
    """
    v, u = centred_axis(aligned.shape[1]) - row, centred_axis(aligned.shape[2])
    window = _window(foretold)
    counted = (seen | (window == 0)).all(2) & window.any(1)
    far = ((window * u) ** 2).sum(1)
    root = np.sqrt(counted / np.maximum(far, 1)) / noise
    mass, square = (np.asarray((foretold * (window * u**power)).sum(2), float) for power in (0, 2))
    by_dx, by_roll = mass * root, -(v * mass + np.gradient(square, axis=1)) * root
    found = np.asarray((aligned * (window * u)).sum(2), float) * root
    path = np.stack([np.cos(angle), np.sin(angle)], -1)
    free = np.linalg.svd(root.T[..., None] * path, full_matrices=False)[0].transpose(1, 0, 2)  # (N, V, 2)
    rest = found - (free * np.einsum("nvk,nv->vk", free, found)).sum(2)
    dx, roll = ((way[..., None] * free).reshape(len(angle), -1) for way in (by_dx, by_roll))
    on_dx = np.diag((by_dx**2).sum(1)) - dx @ dx.T
    both = np.diag((by_dx * by_roll).sum(1)) - dx @ roll.T
    on_roll = np.diag((by_roll**2).sum(1)) - roll @ roll.T
    slope_dx, slope = (by_dx * rest).sum(1), (by_roll * rest).sum(1)
    on_dx += RIDGE * max(np.diag(on_dx).mean(), 1e-30) * np.eye(len(angle))
    share = np.linalg.solve(on_dx, np.column_stack([both, slope_dx]))
    information, slope = on_roll - both.T @ share[:, :-1], slope - both.T @ share[:, -1]
    explained = slope_dx @ share[:, -1] + slope @ np.linalg.lstsq(information, slope, rcond=RIDGE)[0]
    freedom = counted.sum() - 2 * counted.any(0).sum() - 2 * len(angle)
    unlike = max(((rest**2).sum() - explained) / max(freedom, 1), 1.0)
    return information / unlike, slope / unlike


def _window(foretold: Stack) -> Float:
    """Of each row, how far the columns count in which it shows the object in any view: (V, U), 1 to 0."""
    shown = ndimage.gaussian_filter(np.abs(foretold).mean(0, dtype=float), BLUR_PX)
    shown = np.maximum(shown, shown[:, ::-1])
    reach = np.abs(centred_axis(foretold.shape[2]))
    extent = np.where(shown > FAINTEST * shown.max(), reach, -np.inf).max(1, keepdims=True)
    window: Float = np.clip((extent + BESIDE_PX - reach) / BESIDE_PX + 0.5, 0, 1)
    return window
