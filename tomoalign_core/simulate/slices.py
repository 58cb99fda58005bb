"""One slice of a scan to look at: level a row's background, find the rotation axis, reconstruct."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tomoalign_core.config import Engine
from tomoalign_core.geometry import Shifts, centred_axis, gauge_functions, rotation
from tomoalign_core.simulate.project import fbp
from tomoalign_core.simulate.resample import sample
from tomoalign_core.simulate.tomopy_engine import gridrec

Image = NDArray[np.float32]
EDGE_COLUMNS = 0.03  # share of the columns, on each side, that is taken for background
REWEIGHTED = 10  # times, a fit that views far off it do not pull along
FAR_OFF = 4.0  # times the median distance from it
LEAST_MASS = 0.3  # views with less than this share of the median mass say nothing of their centre


def sinogram_of(proj: NDArray[np.floating], row: int) -> Image:
    """Detector row ``row`` of a stack (N, V, U) over the views, (N, U), each view's background at 0."""
    return _level(np.asarray(proj[:, row], np.float32))


def find_axis(proj: NDArray[np.floating], angle_rad: ArrayLike) -> float:
    """The column of the rotation axis of an aligned stack (N, V, U), px.

    It is the constant in the path of the centre of mass, ``c + a cos + b sin``, of all rows together: at 10 % noise
    within half a pixel, where single rows and the sharpness of slices are several pixels off. An object wider than
    the view pulls it towards the middle.
    """
    middle = (proj.shape[2] - 1) / 2
    return float(np.clip(path_of_mass(proj, angle_rad)[0] + middle, 0, proj.shape[2] - 1))


def path_of_mass(proj: NDArray[np.floating], angle_rad: ArrayLike) -> NDArray[np.float64]:
    """(c, a, b) of the path ``c + a cos + b sin`` of the centre of mass of an aligned stack (N, V, U).

    In px from the middle of the detector; all 0 where no view shows a mass.
    """
    return fitted_path(centre_of_mass(proj), angle_rad)


def centre_of_mass(proj: NDArray[np.floating]) -> NDArray[np.float64]:
    """Where the mass of each view of a stack (N, V, U) lies along u, px from the middle (N,); NaN if it shows none.

    What is brighter and darker than the background alike, as of counts, has its centre anywhere: beyond the view there
    is none.
    """
    mass_over_u = _level(np.mean(proj, axis=1, dtype=np.float32))
    mass = mass_over_u.sum(axis=1, dtype=float)
    seen = mass > LEAST_MASS * np.median(mass)
    centre = np.full(len(proj), np.nan)
    centre[seen] = (mass_over_u[seen] @ centred_axis(proj.shape[2])) / mass[seen]
    centre[np.abs(centre) > proj.shape[2] / 2] = np.nan
    return centre


def fitted_path(centre: NDArray[np.float64], angle_rad: ArrayLike) -> NDArray[np.float64]:
    """(c, a, b) of the path ``c + a cos + b sin`` that centres (N,) follow, px; NaN are left out, of none it is 0.

    Views far off it, as where the border cuts off a part of the object, count less: reweighted least squares, weights
    1 / (1 + (r / s)²), s = 4 medians of |r|.
    """
    seen = np.isfinite(centre)
    if not seen.any():
        return np.zeros(3)
    path = centre[seen]
    basis, weight = gauge_functions(angle_rad, axis="dx")[seen], np.ones((len(path), 1))
    for _ in range(REWEIGHTED):
        fit, *_ = np.linalg.lstsq(weight * basis, weight[:, 0] * path, rcond=1e-9)
        off = np.abs(path - basis @ fit)
        weight = 1 / np.hypot(1, off / (FAR_OFF * np.median(off) + 1e-6))[:, None]  # the square root of what is said
    return np.asarray(fit, float)


def slice_of(sinogram: NDArray[np.floating], angle_rad: ArrayLike, *, axis_px: float | None = None) -> Image:
    """The slice (U, U) that a sinogram (N, U) shows, by filtered backprojection about column ``axis_px``."""
    lines = torch.from_numpy(np.ascontiguousarray(sinogram, np.float32))[:, None]
    return fbp(lines, torch.from_numpy(np.asarray(angle_rad, float)), axis_px=axis_px)[0].numpy()


def slices_of(
    sinograms: Mapping[str, NDArray[np.floating]],
    angle_rad: ArrayLike,
    *,
    axis_px: float | None = None,
    engine: Engine = "torch",
) -> dict[str, Image]:
    """The slices of several sinograms (N, U) of the same angles, by name; quicker than one after another.

    By filtered backprojection, or by gridrec if the engine is tomopy.
    """
    if engine == "tomopy":
        return {name: gridrec(lines, angle_rad, axis_px=axis_px) for name, lines in sinograms.items()}
    lines = torch.from_numpy(np.stack(list(sinograms.values()), axis=1).astype(np.float32))
    volume = fbp(lines, torch.from_numpy(np.asarray(angle_rad, float)), axis_px=axis_px).numpy()
    return dict(zip(sinograms, volume, strict=True))


def realigned_sinogram(proj: NDArray[np.floating], shifts: Shifts, row: int) -> Image:
    """The sinogram of detector row ``row`` once the movement of each view is undone, (N, U), background at 0.

    Only this row is resampled, by cubic convolution: to look at, not to keep.
    """
    _, n_rows, n_cols = proj.shape
    across, down = centred_axis(n_cols), row - (n_rows - 1) / 2
    turn = rotation(shifts.roll_deg)
    u = turn[:, 0, :1] * across + turn[:, 0, 1:] * down + shifts.dx_px[:, None] + (n_cols - 1) / 2
    v = turn[:, 1, :1] * across + turn[:, 1, 1:] * down + shifts.dy_px[:, None] + (n_rows - 1) / 2
    views = torch.from_numpy(np.ascontiguousarray(proj, np.float32))
    at = (torch.from_numpy(values).float()[:, None] for values in (u, v))
    return _level(sample(views, *at)[:, 0].numpy())


def _level(lines: NDArray[np.float32]) -> Image:
    width = max(1, round(lines.shape[1] * EDGE_COLUMNS))
    edges = np.concatenate([lines[:, :width], lines[:, -width:]], axis=1)
    return lines - edges.mean(axis=1, keepdims=True)
