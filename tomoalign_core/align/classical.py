"""The classical aligners, beside which the network is shown: each takes a stack and gives a table of shifts.

All return what the stage did (see ``geometry``), free of the gauge, and leave roll at zero and sigma unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from tomoalign_core.geometry import Float, Shifts, centred_axis

Stack = NDArray[np.floating]
Progress = Callable[[int, int], None]

SMOOTHING_PX = 2.0  # Gaussian blur under which an object stands out of the noise
SUPPORT_SIGMAS = 4.0  # a pixel is the object where the blurred view exceeds this many times its noise
UPSAMPLING = 100  # phase correlation: steps of 0.01 px, because the rounding of each step adds up over the views
UNSEEN = "no object stands out of its noise"
PROFILE_ROUNDS = 12
PROFILE_STEP_PX = 2.0  # largest step of one Gauss-Newton round: profiles are locally linear only


def center_of_mass(proj: Stack, angle_rad: ArrayLike, progress: Progress | None = None) -> Shifts:
    """Follow the centroid of each view, which for a rigid object runs along ``a + b cos + c sin`` in u, constant in v.

    The background (median of the outer columns) is taken out, and the sum runs over the object only: where the view,
    blurred by 2 px, exceeds four times the spread of the outer columns, blurred alike. Inside, negative values stay:
    clipping them would turn noise into a weight at the middle of the frame. At 10 % noise the error is a quarter to a
    half of the plain centroid's. It needs an object that is whole in the view.

    Parameters
    ----------
    proj : array, shape (N, V, U)
        Attenuation.
    angle_rad : array, shape (N,)

    Returns
    -------
    Shifts
        dx and dy; a view in which no object stands out is not ``used``, with shift 0.
    """
    n = len(proj)
    dx, dy, seen = np.zeros(n), np.zeros(n), np.zeros(n, bool)
    u, v = centred_axis(proj.shape[2]), centred_axis(proj.shape[1])
    for i, view in enumerate(proj):
        flat = view.astype(float) - _background(view)[0]
        inside = np.where(_support(flat), flat, 0.0)
        mass = inside.sum()
        seen[i] = mass > 0
        if seen[i]:
            dx[i], dy[i] = inside.sum(0) @ u / mass, inside.sum(1) @ v / mass
        if progress is not None:
            progress(i + 1, n)
    return _gauge_free(angle_rad, dx, dy, seen)


def profile_correlation(proj: Stack, angle_rad: ArrayLike, progress: Progress | None = None) -> Shifts:
    """Match each view's vertical profile (sum over u) with the mean profile, for dy; dx is from the centre of mass.

    What a detector row sees of a rigid object does not change with the angle, so all profiles are one, moved by dy.
    They need not be whole: only rows that both show are compared, so that an object taller than the view is no harm.
    First whole rows, by the normalised correlation with the middle view; then rounds of a Gauss-Newton step for
    (dy, gain, offset) of each view against the mean of the profiles as registered so far. The centre of mass then runs
    over the rows that all registered views show, as rows that come and go at the border would pull it.

    Parameters
    ----------
    proj : array, shape (N, V, U)
        Attenuation.
    angle_rad : array, shape (N,)
    """
    profile = np.stack([view.mean(1, dtype=float) - _background(view)[0] for view in proj])
    dy = _whole_rows(profile, profile[len(profile) // 2])
    for _ in range(PROFILE_ROUNDS):
        dy = dy + _profile_step(profile, dy)
    across = center_of_mass(_common_rows(proj, dy), angle_rad, progress)
    return _gauge_free(angle_rad, across.dx_px, dy, across.used)


def phase_correlation(proj: Stack, angle_rad: ArrayLike, progress: Progress | None = None) -> Shifts:
    """Register each view on the one before by cross correlation to 0.01 px, and add the steps up.

    skimage's ``phase_cross_correlation``, without its default normalisation: whitening gives every frequency of the
    noise the same say, and finds nothing in noisy views. For the same reason views are blurred by 2 px. The object
    turns between two views, and the correlation takes part of that for movement: the errors add up to a false drift.

    Parameters
    ----------
    proj : array, shape (N, V, U)
        Attenuation.
    angle_rad : array, shape (N,)
    """
    steps = np.zeros((len(proj), 2))
    before = _smooth(proj[0])
    for i in range(1, len(proj)):
        view = _smooth(proj[i])
        back, _, _ = phase_cross_correlation(before, view, upsample_factor=UPSAMPLING, normalization=None)
        steps[i] = -back  # skimage gives the (row, column) move that brings the view back onto the one before
        before = view
        if progress is not None:
            progress(i + 1, len(proj))
    moved = steps.cumsum(0)
    return _gauge_free(angle_rad, moved[:, 1], moved[:, 0], np.ones(len(proj), bool))


METHODS: dict[str, Callable[[Stack, ArrayLike, Progress | None], Shifts]] = {
    "center-of-mass": center_of_mass,
    "profile-correlation": profile_correlation,
    "phase-correlation": phase_correlation,
}


def _gauge_free(angle_rad: ArrayLike, dx_px: Float, dy_px: Float, used: NDArray[np.bool_]) -> Shifts:
    shifts = Shifts.from_arrays(angle_rad=angle_rad, dx_px=dx_px, dy_px=dy_px).left_out(~used, UNSEEN).gauge_free()
    return replace(shifts, dx_px=np.where(used, shifts.dx_px, 0.0), dy_px=np.where(used, shifts.dy_px, 0.0))


def _background(view: Stack) -> tuple[float, float]:
    """Level and spread (as a standard deviation) of a view's outer columns, both by medians."""
    width = max(2, view.shape[1] // 20)
    outer = np.concatenate([view[:, :width], view[:, -width:]], axis=1)
    level = np.median(outer)
    return float(level), 1.4826 * float(np.median(np.abs(outer - level)))


def _smooth(view: Stack) -> Float:
    return ndimage.gaussian_filter(view.astype(float) - _background(view)[0], SMOOTHING_PX)


def _support(flat: Float) -> NDArray[np.bool_]:
    """Where an object stands out of the background's own unevenness, noise or texture, in a view without its level."""
    blurred = ndimage.gaussian_filter(flat, SMOOTHING_PX)
    return blurred > max(SUPPORT_SIGMAS * _background(blurred)[1], 1e-3 * blurred.max())


def _common_rows(proj: Stack, dy: Float) -> Stack:
    """The rows that all views show once dy is undone; all rows as they are, if that would leave less than half."""
    dy = dy - np.median(dy)
    first, last = int(np.ceil(max(0.0, -dy.min()))), int(np.floor(proj.shape[1] - 1 - max(0.0, dy.max())))
    if last - first + 1 < proj.shape[1] / 2:
        return proj
    return np.stack(
        [ndimage.shift(p, (-d, 0), mode="nearest")[first : last + 1] for p, d in zip(proj, dy, strict=True)]
    )


def _whole_rows(profile: Float, reference: Float) -> Float:
    """For each profile (N, V) the lag, in rows, at which its overlap with a reference (V,) correlates best."""
    rows = profile.shape[1]
    lags = np.arange(-(rows // 2), rows // 2 + 1)
    score = np.empty((len(lags), len(profile)))
    for i, lag in enumerate(lags):
        ours = profile[:, max(lag, 0) : rows + min(lag, 0)]
        theirs = reference[max(-lag, 0) : rows - max(lag, 0)]
        ours, theirs = ours - ours.mean(1, keepdims=True), theirs - theirs.mean()
        scale = np.sqrt((ours**2).sum(1) * (theirs**2).sum())
        score[i] = np.divide(ours @ theirs, scale, out=np.zeros(len(profile)), where=scale > 0)
    return lags[score.argmax(0)].astype(float)


def _profile_step(profile: Float, dy: Float) -> Float:
    """One Gauss-Newton step: how much further each profile (N, V) lies from the mean profile than ``dy`` (N,) says."""
    rows = np.arange(profile.shape[1])
    registered = np.stack([ndimage.shift(p, -d, order=3, mode="nearest") for p, d in zip(profile, dy, strict=True)])
    seen = (rows + dy[:, None] >= 0) & (rows + dy[:, None] <= rows[-1])
    mean = (registered * seen).sum(0) / np.maximum(seen.sum(0), 1)
    basis = np.stack([-np.gradient(mean), mean, np.ones_like(mean)], -1)
    step = np.zeros(len(profile))
    for i, (ours, keep) in enumerate(zip(registered, seen & (seen.sum(0) > 1), strict=True)):
        (slope, gain, _), *_ = np.linalg.lstsq(basis[keep], ours[keep], rcond=1e-9)
        # ours ~ gain * mean(row - step), so the coefficient of -mean' is gain * step
        step[i] = slope / gain if gain > 0 else 0.0
    step -= step.mean()  # a common move is the gauge: it would carry the mean profile along
    return np.clip(step, -PROFILE_STEP_PX, PROFILE_STEP_PX)
