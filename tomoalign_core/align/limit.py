"""The least error of those who do not know the object: the bound that is left where templates come from the views.

The Cramér-Rao bound of ``metrics`` is that of one view against a template that is known. Nobody who aligns a scan has
one: what a view should look like has to be told from the other views, which have moved as well. Of slow movements,
which near views share, they tell little. How much is lost by that does not depend on the method, as long as it knows
no more of the object than ``field`` does: its extent and the power of its details.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.align.field import Field
from tomoalign_core.geometry import Float, Shifts, centred_axis, gauge_functions
from tomoalign_core.metrics import rms

LEVER_PX = 20.0  # a roll is counted as the movement this far from the centre
ROLL_PX, GAIN = 3.0, 0.3  # hardly known beforehand: 9 degrees, a third


def unknown_object_bound(
    proj: NDArray[np.floating], clean: NDArray[np.floating], angle_rad: ArrayLike, truth: Shifts
) -> tuple[float, float]:
    """The bound of a whole scan in dx and dy, px, of an object that is not known; the gauge is taken out.

    Bayesian Cramér-Rao (Van Trees 1968, section 2.4) of dx, dy, roll, gain and offset of all views together, the object
    a random field with the power and the extent that the views show. Who knows more of the object can do better: that
    it has an outline, say.

    Parameters
    ----------
    proj, clean : (N, V, U), with its noise, and without; some noise there must be.
    truth : the movements of the views.
    """
    angle, n = np.asarray(angle_rad, float), len(proj)
    edge = np.concatenate([clean[..., :4], clean[..., -4:]], -1).reshape(n, -1)
    level = np.median(edge, axis=1)[:, None, None]
    aligned, seen = undo_shifts(proj - level, truth)
    still, _ = undo_shifts(clean - level, truth)
    noise = max(rms(proj - clean), 1e-9)
    down, across = np.gradient(still.astype(float), axis=(1, 2))
    v, u = centred_axis(proj.shape[1])[:, None], centred_axis(proj.shape[2])
    ways = [-across, -down, (v * across - u * down) / LEVER_PX, still.astype(float), np.ones_like(across)]
    information = Field(angle, aligned.astype(float), noise).information([way * seen for way in ways]) / noise**2
    largest = float(np.abs(clean).max())
    spread = np.array([1e3, 1e3, ROLL_PX, GAIN, GAIN * largest])
    covariance = linalg.inv(information + np.diag(np.repeat(1 / spread**2, n))).reshape(5, n, 5, n)
    dx, dy = (_rms_without_gauge(covariance[k, :, k], angle, axis) for k, axis in enumerate(("dx", "dy")))
    return dx, dy


def _rms_without_gauge(covariance: Float, angle_rad: Float, axis: str) -> float:
    q, _ = np.linalg.qr(gauge_functions(angle_rad, axis=axis))
    free = np.eye(len(angle_rad)) - q @ q.T
    return float(np.sqrt(np.trace(free @ covariance @ free) / len(angle_rad)))
