"""Simulated stacks as files: Data Exchange HDF5 that any program opens, with all that a training needs inside.

Beside what ``write_stack`` writes, ``/tomoalign`` holds ``clean``, the stack without its noise (a link to the stack
itself where there is none), the angles in radians to their last bit, and the noise that was drawn, as attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.files.readers import read_shifts
from tomoalign_core.files.stacks import write_shifts, write_views
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
    try:
        with h5py.File(path, "r") as file:
            ours = file[OURS]
            return SimulatedStack(
                proj=file[DATA][...],
                clean=ours["clean"][...],
                shifts=_shifts(ours),
                gaussian=float(ours.attrs["gaussian"]),
                counts=float(ours.attrs["counts"]) if "counts" in ours.attrs else None,
            )
    except (OSError, KeyError) as error:
        raise _readable(path, error) from None


def read_truth(path: str | Path) -> Shifts:
    """The true shifts alone."""
    try:
        with h5py.File(path, "r") as file:
            return _shifts(file[OURS])
    except (OSError, KeyError) as error:
        raise _readable(path, error) from None


def read_pictures(path: str | Path, *, view: int, row: int) -> tuple[Stack, Stack]:
    """One projection (V, U) and one detector row over the views (N, U): what one looks at of a stack."""
    try:
        with h5py.File(path, "r") as file:
            data = file[DATA]
            return data[view], data[:, row]
    except (OSError, KeyError) as error:
        raise _readable(path, error) from None


def _shifts(ours: h5py.Group) -> Shifts:
    written = read_shifts(ours["true_shifts"])
    columns = {name: getattr(written, name) for name in ("dx_px", "dy_px", "roll_deg")}
    return Shifts.from_arrays(angle_rad=ours["angle_rad"][...], **columns)


def _readable(path: str | Path, error: Exception) -> Exception:
    if isinstance(error, FileNotFoundError):
        return error
    return InputError(f"{path}: is not a whole simulated stack ({error}); delete its data set and build it again")
