"""How far the sinograms of an aligned stack are from those that any object could have, whatever it looks like.

The views of one slice are not free. The k-th moment of a view over u is a homogeneous polynomial of degree k in the
cosine and the sine of its angle (Helgason, 1965; Ludwig, 1966; Natterer, 1986, *The Mathematics of Computerized
Tomography*, II.4). Put for all moments at once, in the Fourier transform of the views over u: at frequency ω the real
part is a series of even, the imaginary part one of odd multiples of the angle, which ends at the radius of the view
times ω (Edholm, Lewitt and Lindholm, 1986, Proc. SPIE 671). Vo et al. (2014, Opt. Express 22, 19078) find rotation axes
by what lies outside that double wedge. Here the series is fitted to the angles there are, so that a missing wedge and
uneven steps are no harm, and what no series explains is counted.

As there, the axis is taken where the figure is least, near the centre of mass.

Nothing is reconstructed, and no method here makes this figure small by construction. What it leans to: moment 0 is what
profile correlation matches, and moment 1 of all rows together what the centre of mass follows, but here every row
answers for itself, and moment 0 alone (ω = 0) is left out. Reprojection, in the network and its refinement, rests on
the same laws in another form. With few views fine detail does not count: only frequencies are looked at whose series
take up half of the views at most. It does not see what the gauge allows, and in a wedge hardly where the axis is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from tomoalign_core.align.residual import AXIS_REACH, INSET_ROWS
from tomoalign_core.geometry import Float, centred_axis
from tomoalign_core.simulate.slices import find_axis, sinogram_of

FINEST = np.pi / 2  # rad a pixel: finer, resampling smooths the noise, and a table that moves anything would gain by it
TAIL = 2  # terms beyond radius times ω, where the series does not end at once but fades


def sinogram_residual(
    aligned: NDArray[np.floating], angle_rad: ArrayLike, *, used: NDArray[np.bool_] | None = None
) -> float:
    """The part of an aligned stack (N, V, U) that no object at rest could show, root mean square.

    0 is a stack that some object explains, 1 one whose views have no more to do with each other than noise. Taken over
    the middle four fifths of the rows, the same for every table of shifts, and over frequencies along u. The terms of
    the series are made up for as in any fit: noise alone comes to 1 however many they are. Not a number where the views
    are so few that no frequency tells anything.

    Parameters
    ----------
    used : bool array (N,), the views that count; all by default.
    """
    _, rows, cols = aligned.shape
    keep = np.ones(len(aligned), bool) if used is None else used
    angle = np.asarray(angle_rad, float)[keep]
    first = find_axis(aligned[keep], angle)
    inset = round(rows * INSET_ROWS)
    lines = np.stack([sinogram_of(aligned[keep], row) for row in range(inset, rows - inset)], axis=1)  # N, V, U
    radius = max(first, cols - 1 - first) + 0.5
    omega = 2 * np.pi * np.arange(1, cols // 2) / cols
    degree = np.ceil(radius * omega).astype(int) + TAIL
    telling = (omega <= FINEST) & (degree + 1 <= len(angle) / 2)
    if not telling.any():
        return float("nan")
    omega, degree = omega[telling], degree[telling]
    middle = (cols - 1) / 2
    spectrum = lines @ np.exp(-1j * np.outer(centred_axis(cols), omega))
    even, odd = ([_series(angle, np.arange(start, last + 1, 2)) for last in degree] for start in (0, 1))
    total = float((np.abs(spectrum) ** 2).sum()) / len(angle)

    def residual(axis_px: float) -> float:
        about = spectrum * np.exp(1j * omega * (axis_px - middle))
        left = sum(_rest(about[..., j].real, even[j]) + _rest(about[..., j].imag, odd[j]) for j in range(len(omega)))
        return float(np.sqrt(left / max(total, 1e-30)))

    reach = max(2.0, AXIS_REACH * cols)
    bounds = (max(first - reach, 0.0), min(first + reach, cols - 1.0))
    found = optimize.minimize_scalar(residual, bounds=bounds, method="bounded", options={"xatol": 0.01})
    return float(found.fun)


def _rest(part: Float, basis: Float) -> float:
    """What a basis (N, K) leaves of N numbers for each row (N, V): squares, by the freedom that is left."""
    rest = part - basis @ (basis.T @ part)
    return float((rest**2).sum()) / (len(basis) - basis.shape[1])


def _series(angle: Float, multiples: NDArray[np.intp]) -> Float:
    """An orthonormal basis (N, K) of the cosines and sines of multiples of the angles (N,)."""
    turns = np.outer(angle, multiples)
    basis, size, _ = np.linalg.svd(np.concatenate([np.cos(turns), np.sin(turns)], axis=1), full_matrices=False)
    return basis[:, size > 1e-6 * size[0]]
