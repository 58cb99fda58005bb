"""What the mass of each row tells of roll and dx: where it lies goes with the angle as that of a slice that turns.

Of a row v of an aligned view, the first moment is Σ_u u p(u, v) = X(v) cos α + Y(v) sin α, with the centre of mass of
that slice (the consistency condition of first order: Ludwig 1966, Helgason 1980). A roll moves the rows apart, each by
its height, and what lies aside up or down. The random field of ``field``, whose frequencies are independent of each
other and whose mass may be anything, does not know this, and takes slow movements for another object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

from tomoalign_core.geometry import Float, centred_axis

FAINTEST = 0.05  # of the brightest of the object in the mean over the views: where it is taken to end
BESIDE_PX = 4.0  # that are counted beyond
BLUR_PX = 1.0
RIDGE = 1e-3  # of dx, of which the mass of rows without contrast tells nothing

Stack = NDArray[np.floating]


def told_by_rows(
    aligned: Stack,
    seen: NDArray[np.bool_],
    foretold: Stack,
    angle: Float,
    *,
    noise: float,
    row: float,
    slow: Float,
    rolls: bool,
) -> tuple[Float, Float]:
    """The information (2 N, 2 N) on dx, px, and roll, rad, of each view, and the slope (2 N,) of the log-likelihood.

    Of dx only the movements ``slow`` are told; all others are not known. Where residuals are larger than the noise,
    both are the less. Rows of a view in which a part of the object was not seen are left out.

    Parameters
    ----------
    aligned, seen, foretold : (N, V, U) the views without background, which pixels of them were seen, and the views
        without their noise.
    noise : standard deviation of a pixel.
    row : about which the views roll, from the centre.
    slow : (N, K) movements in dx, orthonormal; K may be 0.
    rolls : whether views may roll; else they are known not to.
    """
    n, kept = slow.shape
    found, by_dx, by_roll, counted = _moments(aligned, seen, foretold, noise=noise, row=row)
    path = np.stack([np.cos(angle), np.sin(angle)], -1)
    free = np.linalg.svd((counted / noise).T[..., None] * path, full_matrices=False)[0].transpose(1, 0, 2)  # (N, V, 2)
    rest = found - (free * np.einsum("nvk,nv->vk", free, found)).sum(2)
    ways = [by_dx, by_roll] if rolls else [by_dx]
    bound = np.concatenate([(way[..., None] * free).reshape(n, -1) for way in ways])
    own = np.block([[np.diag((one * other).sum(1)) for other in ways] for one in ways])
    slope = np.concatenate([(way * rest).sum(1) for way in ways])
    basis = linalg.block_diag(np.linalg.svd(slow)[0] if kept else np.eye(n), np.eye(len(slope) - n))
    information, slope = basis.T @ (own - bound @ bound.T) @ basis, basis.T @ slope
    asked = np.r_[:kept, n : len(slope)]
    fast = information[kept:n, kept:n] + RIDGE * max(float((by_dx**2).sum()) / n, 1e-30) * np.eye(n - kept)
    share = np.linalg.solve(fast, np.column_stack([information[kept:n, asked], slope[kept:n]]))
    explained = slope[kept:n] @ share[:, -1]
    told = information[np.ix_(asked, asked)] - information[asked, kept:n] @ share[:, :-1]
    slope = slope[asked] - information[asked, kept:n] @ share[:, -1]
    explained += slope @ np.linalg.lstsq(told, slope, rcond=RIDGE)[0]
    freedom = (counted > 0).sum() - 2 * (counted > 0).any(0).sum() - len(basis)
    unlike = max(((rest**2).sum() - explained) / max(freedom, 1), 1.0)
    back = np.zeros((2 * n, len(asked)))
    back[: len(basis)] = basis[:, asked]
    return back @ told @ back.T / unlike, back @ slope / unlike


def _moments(
    aligned: Stack, seen: NDArray[np.bool_], foretold: Stack, *, noise: float, row: float
) -> tuple[Float, Float, Float, Float]:
    """First moments of the rows (N, V), how they change with dx and with roll, and their weights.

    All are in units of the noise of the moment; where a row does not count, they are 0.
    """
    v, u = centred_axis(aligned.shape[1]) - row, centred_axis(aligned.shape[2])
    window = _window(foretold)
    counted = (seen | (window == 0)).all(2) & window.any(1)
    weight = np.sqrt(counted / np.maximum(((window * u) ** 2).sum(1), 1))
    mass, square = (np.asarray((foretold * (window * u**power)).sum(2), float) for power in (0, 2))
    moment = np.asarray((aligned * (window * u)).sum(2), float)
    by_roll = -(v * mass + np.gradient(square, axis=1))
    return moment * weight / noise, mass * weight / noise, by_roll * weight / noise, weight


def _window(foretold: Stack) -> Float:
    """Of each row, how far the columns count in which it shows the object in any view: (V, U), 1 to 0."""
    shown = ndimage.gaussian_filter(np.abs(foretold).mean(0, dtype=float), BLUR_PX)
    shown = np.maximum(shown, shown[:, ::-1])
    reach = np.abs(centred_axis(foretold.shape[2]))
    extent = np.where(shown > FAINTEST * shown.max(), reach, -np.inf).max(1, keepdims=True)
    window: Float = np.clip((extent + BESIDE_PX - reach) / BESIDE_PX + 0.5, 0, 1)
    return window
