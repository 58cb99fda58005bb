"""The aligned stack as a file, written view by view as it is made: it is never in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.align.apply import Image, Mask, undo_views
from tomoalign_core.config import InputError
from tomoalign_core.files.writers import write_aligned
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.jobs import refuse_when_read_only

Progress = Callable[[int, int], None]


def write_undone(
    path: str | Path,
    proj: NDArray[np.floating],
    shifts: Shifts,
    *,
    made_by: str,
    axis_px: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Undo the shifts of a stack (N, V, U) and write it as Data Exchange HDF5, with the table inside.

    Parameters
    ----------
    made_by : str
        What found the shifts; said in the file.
    axis_px : float, optional
        Column of the rotation axis in the aligned views; said in the file.
    progress : callable, optional
        Called with (views done, views in all).
    """

    def counted() -> Iterator[tuple[Image, Mask]]:
        for done, pair in enumerate(undo_views(proj, shifts), 1):
            yield pair
            if progress is not None:
                progress(done, len(shifts))

    views, masks = tee(counted())  # taken in step, so that one view is held at a time
    write_aligned(
        path,
        proj=(view for view, _ in views),
        mask=(mask for _, mask in masks),
        angle_rad=shifts.angle_rad,
        shifts=shifts,
        model=made_by,
        axis_px=axis_px,
    )


def save_on_server(
    path: str | Path,
    proj: NDArray[np.floating],
    shifts: Shifts,
    *,
    made_by: str,
    axis_px: float | None = None,
    progress: Progress | None = None,
) -> None:
    """``write_undone`` for a page: nothing is replaced, and nothing is written where the dashboard is only shown.

    Raises
    ------
    InputError
        If the dashboard is read-only, the name is not one of an HDF5 file, or there is such a file.
    """
    refuse_when_read_only()
    path = Path(path)
    if path.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{path}: give a name that ends in .h5")
    if path.exists():
        raise InputError(f"{path}: there is such a file already; give another name")
    write_undone(path, proj, shifts, made_by=made_by, axis_px=axis_px, progress=progress)
