"""Undo a table of shifts, or do it: the one place where measured views are resampled.

Each view is resampled once, from the original, by a quintic spline: on an image blurred by 1.5 px its error is an
eighth of the cubic one's, for half as much time again. Nothing wraps around: what comes from outside the detector
takes the nearest edge value and is marked invalid.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tomoalign_core.geometry import Float, Shifts, centred_axis, invert, rotation

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]

EDGE_TOLERANCE_PX = 1e-6  # rounding must not make a pixel that lies on the border an invalid one


def undo_view(
    view: NDArray[np.floating], dx_px: float, dy_px: float, roll_deg: float = 0.0, *, order: int = 5
) -> tuple[Image, Mask]:
    """Put one view back to where it was before the stage turned it by ``roll_deg`` and then moved it.

    Parameters
    ----------
    view : array, shape (V, U)
        The view as measured.
    dx_px, dy_px, roll_deg : float
        What the stage did, px to the right, px down, degrees from +u towards +v (see ``geometry``).
    order : int
        Order of the spline: 5 is quintic, 3 cubic.

    Returns
    -------
    corrected : float32 array, shape (V, U)
    valid : bool array, shape (V, U)
        False where the value comes from outside the detector and is the nearest edge value.

    >>> view = np.zeros((5, 5)); view[2, 3] = 1
    >>> corrected, valid = undo_view(view, dx_px=1, dy_px=0)
    >>> corrected[2].round().astype(int).tolist(), valid[2].tolist()
    ([0, 0, 1, 0, 0], [True, True, True, True, False])
    """
    return _resample(view, rotation(roll_deg)[0], np.array([dx_px, dy_px], float), order)


def undo_views(views: Iterable[NDArray[np.floating]], shifts: Shifts) -> Iterator[tuple[Image, Mask]]:
    """Undo the shifts view by view, lazily, so that a stack larger than memory passes through.

    A view that is not ``used`` comes out as measured, with nothing valid in it.

    Raises
    ------
    ValueError
        If there are not as many views as shifts.
    """
    columns = (shifts.dx_px, shifts.dy_px, shifts.roll_deg, shifts.used)
    for view, dx, dy, roll, used in zip(views, *columns, strict=True):
        if used:
            yield undo_view(view, float(dx), float(dy), float(roll))
        else:
            yield np.asarray(view, np.float32), np.zeros(view.shape, bool)


def undo_shifts(proj: NDArray[np.floating], shifts: Shifts, *, progress: Progress | None = None) -> tuple[Image, Mask]:
    """Align a stack: undo the movement of every view.

    Parameters
    ----------
    proj : array, shape (N, V, U)
    shifts : Shifts
        What the stage did to each view.
    progress : callable, optional
        Called with (views done, views in all) after each view.

    Returns
    -------
    aligned : float32 array, shape (N, V, U)
    valid : bool array, shape (N, V, U)
        False outside the detector, and everywhere in views that are not ``used``.

    Raises
    ------
    ValueError
        If there are not as many views as shifts.
    """
    if len(proj) != len(shifts):
        raise ValueError(f"{len(proj)} views but {len(shifts)} shifts")
    aligned = np.empty(proj.shape, np.float32)
    valid = np.empty(proj.shape, bool)

    def undo(i: int) -> None:
        aligned[i], valid[i] = next(undo_views(proj[i : i + 1], shifts.taken([i])))

    pool = ThreadPoolExecutor(os.cpu_count())  # splines let go of the interpreter
    try:
        for done, view in enumerate([pool.submit(undo, i) for i in range(len(proj))], 1):
            view.result()
            if progress is not None:
                progress(done, len(proj))
    finally:
        pool.shutdown(cancel_futures=True)  # whoever gives up does not wait for the rest
    return aligned, valid


def move_views(proj: NDArray[np.floating], shifts: Shifts) -> Image:
    """Do to each view what the stage would have done: turn it by its roll, then move it.

    This is how a known shift is injected into a real scan. What comes from outside takes the nearest edge value.

    Raises
    ------
    ValueError
        If there are not as many views as shifts.
    """
    back = replace(invert(shifts), used=np.ones(len(shifts), bool))
    return undo_shifts(proj, back)[0]  # undoing the inverse movement is doing the movement


def _resample(view: NDArray[np.floating], turn: Float, move: Float, order: int) -> tuple[Image, Mask]:
    """The image whose value at p, (u, v) from the centre, is that of ``view`` at ``turn @ p + move``."""
    v, u = centred_axis(view.shape[0]), centred_axis(view.shape[1])
    u_from = turn[0, 0] * u + turn[0, 1] * v[:, None] + move[0]
    v_from = turn[1, 0] * u + turn[1, 1] * v[:, None] + move[1]
    valid = (np.abs(u_from) <= u[-1] + EDGE_TOLERANCE_PX) & (np.abs(v_from) <= v[-1] + EDGE_TOLERANCE_PX)
    # scipy counts (row, column) from the corner: the axes swap, and pixel (0, 0) comes from (v_from, u_from)[0, 0].
    corner = (v_from[0, 0] + v[-1], u_from[0, 0] + u[-1])
    image = ndimage.affine_transform(
        np.asarray(view, float), turn[::-1, ::-1], offset=corner, order=order, mode="nearest"
    )
    return image.astype(np.float32), valid
