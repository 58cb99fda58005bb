"""How good is it: shift errors with the gauge removed, the Cramér-Rao bound, quality of a reconstruction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoalign_core.geometry import Shifts, centred_axis, shift_error

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShiftScore:
    """Errors of a shift table against the truth, px and degrees; all but the raw ones are gauge-removed.

    Those of roll are about the tilt of the axis, which all views have in common and whose error stands by itself.
    """

    dx_rmse_px: float
    dy_rmse_px: float
    dx_median_px: float
    dy_median_px: float
    dx_worst_px: float
    dy_worst_px: float
    dx_raw_rmse_px: float
    dy_raw_rmse_px: float
    roll_rmse_deg: float
    axis_tilt_error_deg: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def score_shifts(found: Shifts, truth: Shifts) -> ShiftScore:
    """Compare a shift table with the truth over the views it calls used.

    Raises
    ------
    ValueError
        If the tables differ in length, or no view is used.
    """
    used = found.used
    if not used.any():
        raise ValueError("no view is used, so there is no error of any")
    error = shift_error(found, truth)
    dx, dy, roll = error.dx_px[used], error.dy_px[used], error.roll_deg[used]
    return ShiftScore(
        dx_rmse_px=rms(dx),
        dy_rmse_px=rms(dy),
        dx_median_px=float(np.median(np.abs(dx))),
        dy_median_px=float(np.median(np.abs(dy))),
        dx_worst_px=float(np.abs(dx).max()),
        dy_worst_px=float(np.abs(dy).max()),
        dx_raw_rmse_px=rms((found.dx_px - truth.dx_px)[used]),
        dy_raw_rmse_px=rms((found.dy_px - truth.dy_px)[used]),
        roll_rmse_deg=float(np.std(roll)),
        axis_tilt_error_deg=float(roll.mean()),
    )


def label_variance(truth: Shifts) -> float:
    """What a network that knows nothing scores: mean square of the gauge-removed true dx and dy, px²."""
    free = truth.gauge_free()
    return (rms(free.dx_px) ** 2 + rms(free.dy_px) ** 2) / 2


def overall_rmse(cases: Mapping[str, Mapping[str, float]]) -> float:
    """One figure for all validation cases: the geometric mean of their RMSE in dx and dy, so that each counts alike.

    >>> easy, hard = {"rmse_dx_px": 0.1, "rmse_dy_px": 0.1}, {"rmse_dx_px": 4, "rmse_dy_px": 1}
    >>> round(overall_rmse({"easy": easy, "hard": hard}), 3)
    0.447
    """
    return geometric_mean([case[name] for case in cases.values() for name in ("rmse_dx_px", "rmse_dy_px")])


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of what is compared by ratio; a value of zero counts as 1e-9."""
    return math.exp(math.fsum(math.log(max(v, 1e-9)) for v in values) / len(values))


def rms(values: ArrayLike) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(np.asarray(values, float)))))


def cramer_rao(clean: ArrayLike, *, gaussian: float = 0.0, counts: float | None = None) -> tuple[Float, Float]:
    """The least standard deviation of an unbiased estimate of each view's dx and dy, px: two arrays (N,).

    One view against a known template: ``1 / σ_dx² = Σ (∂p/∂u)² / var(p)`` with var = ``gaussian``² and, for
    ``counts`` photons a pixel of the open beam, exp(p) / counts more, the variance of ``-log`` of a Poisson count.
    Derivatives are central differences, as of a template that is known on its pixels only; between them views of sharp
    edges change by more (``tests/benchmarks/pixels.py``). See Kay (1993), *Estimation Theory*, section 3.5.

    Parameters
    ----------
    clean : (N, V, U) attenuation without noise.

    Raises
    ------
    ValueError
        If there is no noise: then there is no bound.
    """
    p = np.asarray(clean, float)
    variance = _variance(p, gaussian, counts)
    information = [(np.gradient(p, axis=axis) ** 2 / variance).sum(axis=(1, 2)) for axis in (2, 1)]
    dx, dy = (1 / np.sqrt(np.maximum(i, 1e-30)) for i in information)
    return dx, dy


def cramer_rao_roll(clean: ArrayLike, *, gaussian: float = 0.0, counts: float | None = None) -> Float:
    """The least standard deviation of an unbiased estimate of each view's roll, degrees: (N,).

    As ``cramer_rao``, for a turn about the detector's centre, dx and dy known: ∂p/∂roll = v ∂p/∂u - u ∂p/∂v.

    Raises
    ------
    ValueError
        If there is no noise: then there is no bound.
    """
    p = np.asarray(clean, float)
    *_, turned = _ways(p, np.zeros(len(p)), np.zeros(len(p)))
    information = (turned**2 / _variance(p, gaussian, counts)).sum(axis=(1, 2))
    return np.rad2deg(1 / np.sqrt(np.maximum(information, 1e-30)))


def cramer_rao_together(
    clean: ArrayLike, truth: Shifts, *, gaussian: float = 0.0, counts: float | None = None
) -> tuple[Float, Float, Float]:
    """As ``cramer_rao``, with dx, dy and roll of each view all unknown, px and degrees: three arrays (N,).

    A roll turns a view about where the middle of the stage has moved to, and moves what lies off it. So who finds all
    three from one view errs in dx and dy also by the error of the roll times the distance of what the view shows: the
    diagonal of the inverse of the information (3, 3), against that of the information on each alone (Kay 1993,
    section 3.6).

    Raises
    ------
    ValueError
        If there is no noise: then there is no bound.
    """
    p = np.asarray(clean, float)
    ways = np.stack(_ways(p, truth.dx_px, truth.dy_px), 1)
    # a roll counts by what it moves at a corner, for numbers of one size
    lever = np.hypot(*p.shape[1:]) / 2
    ways[:, 2] /= lever
    weighted = ways / np.broadcast_to(_variance(p, gaussian, counts), p.shape)[:, None]
    information = np.einsum("nkvu,nlvu->nkl", ways, weighted)
    known = np.diagonal(information, axis1=1, axis2=2)
    information = information + 1e-9 * known.max(1)[:, None, None] * np.eye(3)
    least = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))
    least[:, 2] *= np.rad2deg(1 / lever)
    dx, dy, roll = least.T
    return dx, dy, roll


def _ways(p: Float, middle_u: Float, middle_v: Float) -> tuple[Float, Float, Float]:
    """How views (N, V, U) change along u, along v, and with a turn, radians, about a middle, px from the centre."""
    along_v, along_u = (np.gradient(p, axis=axis) for axis in (1, 2))
    v = centred_axis(p.shape[1])[:, None] - middle_v[:, None, None]
    u = centred_axis(p.shape[2]) - middle_u[:, None, None]
    return along_u, along_v, v * along_u - u * along_v


def _variance(p: Float, gaussian: float, counts: float | None) -> float | Float:
    """Of each pixel of attenuation ``p``."""
    if gaussian == 0 and counts is None:
        raise ValueError("give gaussian, counts or both")
    return gaussian**2 if counts is None else gaussian**2 + np.exp(p) / counts


def scan_bound(clean: ArrayLike, *, gaussian: float, counts: float | None) -> tuple[float, float]:
    """The bound of a whole scan in dx and dy: the root mean square over views; 0 for a scan without noise."""
    if gaussian == 0 and counts is None:
        return 0.0, 0.0
    dx, dy = cramer_rao(clean, gaussian=gaussian, counts=counts)
    return rms(dx), rms(dy)


def scan_roll_bound(clean: ArrayLike, *, gaussian: float, counts: float | None) -> float:
    """The bound of a whole scan in roll, degrees: the root mean square over views; 0 for a scan without noise."""
    if gaussian == 0 and counts is None:
        return 0.0
    return rms(cramer_rao_roll(clean, gaussian=gaussian, counts=counts))


def loss_levels(loss: str, case: Mapping[str, float], *, passes: int) -> dict[str, float]:
    """What a loss in px² is to be read against, px²; nothing for a loss that is not the mean square of an error.

    *Label variance* is the loss of a network that knows nothing, *gauge* that of a perfect network which places the
    object elsewhere (a loss on raw labels only), *bound²* what noise leaves to the best of networks.

    Parameters
    ----------
    case : the figures of a validation case, as a training notes them.
    passes : how many passes of the network the loss sums.
    """
    if loss not in ("mse", "raw-mse"):
        return {}
    gauge = case.get("gauge_px2", 0.0) if loss == "raw-mse" else 0.0
    levels = {
        "label variance": case["label_variance_px2"] + gauge,
        "gauge": gauge,
        "bound²": (case["bound_dx_px"] ** 2 + case["bound_dy_px"] ** 2) / 2,
    }
    return {name: passes * level for name, level in levels.items() if level > 0}


def share_within(error: ArrayLike, sigma: ArrayLike, factor: float) -> float:
    """The share of errors that are smaller than ``factor`` times their predicted standard deviations."""
    return float(np.mean(np.abs(np.asarray(error, float)) < factor * np.asarray(sigma, float)))


def psnr(truth: ArrayLike, image: ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB, infinite for identical images; the peak is the range of the truth."""
    from skimage.metrics import peak_signal_noise_ratio

    truth = np.asarray(truth, float)
    if np.array_equal(truth, image):
        return np.inf
    return float(peak_signal_noise_ratio(truth, np.asarray(image, float), data_range=np.ptp(truth)))


def ssim(truth: ArrayLike, image: ArrayLike) -> float:
    """Structural similarity (Wang et al., 2004) of slices or volumes; 1 is identical."""
    from skimage.metrics import structural_similarity

    truth = np.asarray(truth, float)
    return float(structural_similarity(truth, np.asarray(image, float), data_range=np.ptp(truth)))
