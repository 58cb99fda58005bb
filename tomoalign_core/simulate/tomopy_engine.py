"""The border with tomopy: the only place that imports it, and the only one that knows its conventions.

tomopy is optional (``conda install -c conda-forge tomopy``). What it does otherwise than ``geometry`` says, in 1.15.2:

- Its volumes are ``[z, -y, x]``, with densities per voxel; ours ``[z, y, x]``. Both take line integrals in px.
- ``angles(n)`` measures both ends of the range.
- ``project`` pads the width to the next even number above √2·n + 2, with the axis in the middle.
- ``shift_images`` takes rows first, moves content to *lower* index for positive numbers, and writes into what it gets.
- ``align_joint`` gives back the unaligned stack, shifts with rows first, and the caller's stack divided by its maximum.
- A centre of 10 is column 9.5 for all algorithms but ``gridrec``, for which it is column 10. ``gridrec`` puts the axis
  half a pixel (even widths) or one pixel (odd ones) beside the middle of its image, pads too little, and gives values
  2/√π times too large.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tomoalign_core.config import InputError
from tomoalign_core.engines import HOW_TO_GET_TOMOPY, require_tomopy
from tomoalign_core.geometry import Shifts
from tomoalign_core.simulate.phantoms import Ellipsoids

Image = NDArray[np.float32]
JOINT_ROUNDS = 20  # more find the same (Shepp-Logan, 64 px, 60 views)
SPLINE = 5  # of the roll: as shift_images, which is quintic
GRIDREC_SCALE = np.sqrt(np.pi) / 2  # measured on uniform discs, in the limit of wide padding


def _tomopy() -> Any:
    require_tomopy("the engine tomopy")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of libraries that nothing here asks for
            import tomopy
    except (ImportError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"tomopy is installed but cannot be loaded ({reason}); {HOW_TO_GET_TOMOPY}") from None
    return tomopy


# ---------------------------------------------------------------- simulation


@lru_cache(maxsize=2)
def shepp3d(size: int) -> torch.Tensor:
    """tomopy's 3-D Shepp-Logan head as a volume [z, y, x] of ``size`` voxels, with densities as ``phantoms.shepp3d``.

    Two of its ten ellipsoids, turned by 18° within the slice in the table, are turned by 10° in it and lean by 18° out
    of it here, which changes 0.4 % of the voxels. Voxels below zero are zero.
    """
    return torch.from_numpy(np.ascontiguousarray(_tomopy().shepp3d(size)[:, ::-1])) / ((size - 1) / 2)


def angles(n_views: int, *, range_deg: float = 180.0, start_deg: float = 0.0, include_end: bool = False) -> np.ndarray:
    """Equally spaced angles in radians, as ``geometry.angles``."""
    n = n_views if include_end else n_views + 1
    return np.asarray(_tomopy().angles(n, start_deg, start_deg + range_deg))[:n_views]


def project(volume: torch.Tensor, angle_rad: ArrayLike) -> Image:
    """Project a volume [z, y, x] of Z × n × n voxels: float32 (N, Z, W), W even and wide enough for its diagonal."""
    theirs = np.ascontiguousarray(volume.numpy()[:, ::-1], np.float32)
    return np.ascontiguousarray(_tomopy().project(theirs, np.asarray(angle_rad)), np.float32)


def scan(
    phantom: Ellipsoids | torch.Tensor, angle_rad: np.ndarray, *, n_rows: int, n_cols: int, shifts: Shifts | None = None
) -> Image:
    """What a detector of n_rows × n_cols px sees of a phantom, as the stage moved: float32 (N, n_rows, n_cols).

    Ellipsoids are sampled on voxels of one px first. Views are moved on a frame with room for the largest movement,
    so that what comes into view from above or below is there.
    """
    room = 0 if shifts is None else _room(shifts, n_rows, n_cols)
    if isinstance(phantom, Ellipsoids):
        width = 2 * int(np.ceil(_reach(phantom))) + 2
        views = project(phantom.voxelize(width, n_rows + 2 * room), angle_rad)
    else:
        views = _cached_project(phantom, np.asarray(angle_rad, float).tobytes())
    odd_row, odd_col = (views.shape[1] - n_rows) % 2, (views.shape[2] - n_cols) % 2
    frame = _framed(views, n_rows + 2 * room + odd_row, n_cols + 2 * room + odd_col)
    move = shifts or Shifts.from_arrays(angle_rad=angle_rad, dx_px=0 * angle_rad, dy_px=0 * angle_rad)
    # where the middle of the frame lies between two pixels of the detector, half a pixel more
    move = replace(move, dx_px=move.dx_px - odd_col / 2, dy_px=move.dy_px - odd_row / 2)
    if np.any([move.dx_px, move.dy_px, move.roll_deg]):
        frame = move_views(frame, move)
    return np.ascontiguousarray(frame[:, room : room + n_rows, room : room + n_cols])


def move_views(proj: NDArray[np.floating], shifts: Shifts) -> Image:
    """Do to each view what the stage would have done; zeros come from outside. The given stack stays as it is.

    tomopy does not turn views: the roll is scikit-image's ``rotate``, as in the notebook, which turns from +u to -v.
    """
    from skimage.transform import rotate

    views = np.array(proj, np.float32)
    for i in np.flatnonzero(shifts.roll_deg):
        views[i] = rotate(views[i], -shifts.roll_deg[i], order=SPLINE)
    return np.asarray(_tomopy().shift_images(views, sx=-shifts.dy_px, sy=-shifts.dx_px))


def _room(shifts: Shifts, n_rows: int, n_cols: int) -> int:
    """The farthest that a pixel of the detector moves, px, and a little for the spline."""
    turned = np.deg2rad(np.abs(shifts.roll_deg).max()) * np.hypot(n_rows, n_cols) / 2
    return int(np.ceil(max(np.abs(shifts.dx_px).max(), np.abs(shifts.dy_px).max()) + turned)) + 3


def _reach(phantom: Ellipsoids) -> float:
    """The farthest that a part comes from the axis, px."""
    half = np.sqrt(np.linalg.eigvalsh(phantom.form[:, :2, :2])[:, -1])
    return float((np.linalg.norm(phantom.center[:, :2], axis=1) + half).max())


def _framed(views: Image, n_rows: int, n_cols: int) -> Image:
    """Views about whose middle there are zeros, or less, so that they have that size (whose parity is theirs)."""
    for axis, n in ((1, n_rows), (2, n_cols)):
        more = (n - views.shape[axis]) // 2
        pad = [(0, 0)] * 3
        pad[axis] = (max(more, 0),) * 2
        views = np.pad(views, pad).take(range(max(-more, 0), max(-more, 0) + n), axis=axis)
    return views


@lru_cache(maxsize=2)
def _cached_project(volume: torch.Tensor, angle_bytes: bytes) -> Image:
    """Stacks of a data set show the same volume under the same angles; volumes are known by identity, not by value."""
    return project(volume, np.frombuffer(angle_bytes))


# ---------------------------------------------------------------- reconstruction and alignment


def gridrec(sinogram: NDArray[np.floating], angle_rad: ArrayLike, *, axis_px: float | None = None) -> Image:
    """The slice (U, U) that a sinogram (N, U) shows, by tomopy's gridrec with a Shepp-Logan filter.

    Oriented, centred and scaled as ``slices.slice_of``: about column ``axis_px``, by default (U - 1) / 2.
    """
    n = sinogram.shape[1]
    room = n // 2
    wide = np.pad(np.asarray(sinogram, np.float32), ((0, 0), (room, room)), mode="edge")
    axis = room + ((n - 1) / 2 if axis_px is None else axis_px)
    found = _tomopy().recon(
        wide[:, None], np.asarray(angle_rad), center=axis, algorithm="gridrec", filter_name="shepp"
    )[0]
    beside = 0.5 if n % 2 == 0 else 1.0
    image = ndimage.shift(found[::-1], (-beside, -beside), order=3, mode="nearest")
    return GRIDREC_SCALE * image[room : room + n, room : room + n]


def align_joint(proj: NDArray[np.floating], angle_rad: ArrayLike, *, rounds: int = JOINT_ROUNDS) -> Shifts:
    """Shifts by tomopy's joint reprojection (Gürsoy et al., 2017): reconstruct a little, reproject, register, repeat.

    Gauge-free, in our signs; roll is left at zero and sigma unknown. The given stack stays as it is. It takes minutes
    for stacks of 256 px.
    """
    views = np.array(proj, np.float32)  # it divides what it gets by its maximum
    _, rows, cols, _ = _tomopy().align_joint(views, np.asarray(angle_rad), iters=rounds, debug=False)
    return Shifts.from_arrays(angle_rad=angle_rad, dx_px=cols, dy_px=rows).gauge_free()
