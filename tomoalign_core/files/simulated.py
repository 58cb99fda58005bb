"""Simulated stacks as files: Data Exchange HDF5 that any program opens, with all that a training needs inside.

Beside what ``write_stack`` writes, ``/tomoalign`` holds ``clean``, the stack without its noise (a link to the stack
itself where there is none), the angles in radians to their last bit, and the noise that was drawn, as attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.files.readers import read_shifts
from tomoalign_core.files.writers import write_shifts, write_views
from tomoalign_core.geometry import Shifts

Stack = NDArray[np.float32]
DATA, OURS = "exchange/data", "tomoalign"


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedStack:
    """A simulated stack as read back, to the last bit: stacks (N, V, U), the truth, and σ and photons a pixel."""

    proj: Stack
    clean: Stack
    shifts: Shifts
    gaussian: float
    counts: float | None


def write_simulated(path: str | Path, stack: SimulatedStack, *, config_json: str) -> None:
    """Write a simulated stack and the settings it was made from; the file appears whole or not at all."""
    with atomic_path(path) as beside, h5py.File(beside, "w") as file:
        ours = write_views(file, stack.proj, None, stack.shifts.angle_rad)
        write_shifts(ours.create_group("true_shifts"), stack.shifts)
        ours["angle_rad"] = stack.shifts.angle_rad
        ours.attrs["config"] = config_json
        ours.attrs["gaussian"] = stack.gaussian
        if stack.counts is not None:
            ours.attrs["counts"] = stack.counts
        if np.array_equal(stack.proj, stack.clean):
            ours["clean"] = h5py.SoftLink(f"/{DATA}")
        else:
            ours["clean"] = stack.clean


def read_simulated(path: str | Path) -> SimulatedStack:
    """Read what ``write_simulated`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged.
    """
    with _opened(path) as file:
        attributes, proj = file[OURS].attrs, file[DATA][...]
        is_linked = isinstance(file[OURS].get("clean", getlink=True), h5py.SoftLink)
        return SimulatedStack(
            proj=proj,
            clean=proj if is_linked else file[OURS]["clean"][...],
            shifts=_truth(file),
            gaussian=float(attributes["gaussian"]),
            counts=float(attributes["counts"]) if "counts" in attributes else None,
        )


def is_simulated(path: str | Path) -> bool:
    """Whether ``read_simulated`` would find in a file what it reads; of other files no pixel is touched."""
    path = Path(path)
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return f"{OURS}/clean" in file


def read_truth(path: str | Path) -> tuple[Shifts, tuple[int, int, int]]:
    """The true shifts and the shape (N, V, U) of a stack, without its pixels; raises as ``read_simulated``."""
    with _opened(path) as file:
        return _truth(file), file[DATA].shape


def read_pictures(path: str | Path, *, view: int, row: int) -> tuple[Stack, Stack]:
    """One projection (V, U) and one detector row over the views (N, U); raises as ``read_simulated``."""
    with _opened(path) as file:
        return file[DATA][view], file[DATA][:, row]


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise
    except (OSError, KeyError) as error:
        fault = f"{path}: is not a whole simulated stack ({error})"
        raise InputError(f"{fault}; delete its data set and build it again") from None


def _truth(file: h5py.File) -> Shifts:
    written = read_shifts(file[OURS]["true_shifts"])
    columns = {name: getattr(written, name) for name in ("dx_px", "dy_px", "roll_deg")}
    return Shifts.from_arrays(angle_rad=file[OURS]["angle_rad"][...], **columns)
