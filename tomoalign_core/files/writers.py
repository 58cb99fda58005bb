"""Stacks as Data Exchange HDF5, which ``stacks.read_stack`` gives back: as simulated, and aligned.

Angles are degrees in the file. Views are written one at a time, and the file appears whole or not at all.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tomoalign_core.config import SCHEMA
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.geometry import Shifts

Views = NDArray[Any] | Iterable[NDArray[Any]]


def write_stack(
    path: str | Path,
    *,
    proj: NDArray[Any],
    angle_rad: NDArray[Any],
    truth: Shifts | None = None,
    config_json: str | None = None,
) -> None:
    """Write a stack of attenuation, (N, V, U), as Data Exchange HDF5; ``read_stack`` gives it back.

    True shifts go to ``/tomoalign/true_shifts``, the configuration to the attribute ``config`` of ``/tomoalign``.
    The file appears whole or not at all.
    """
    with atomic_path(path) as beside, h5py.File(beside, "w") as file:
        ours = write_views(file, proj, None, angle_rad)
        if truth is not None:
            write_shifts(ours.create_group("true_shifts"), truth)
        if config_json is not None:
            ours.attrs["config"] = config_json


def write_aligned(
    path: str | Path,
    *,
    proj: Views,
    angle_rad: NDArray[Any],
    shifts: Shifts,
    mask: Views | None,
    model: str,
    axis_px: float | None = None,
) -> None:
    """Write an aligned stack as Data Exchange HDF5, with the shifts that were undone and what found them.

    Parameters
    ----------
    path : path
        Appears whole or not at all.
    proj : array (N, V, U), or iterable of N views
        An iterable is taken one view at a time, so that a stack larger than memory passes through.
    angle_rad : array, shape (N,)
    shifts : Shifts
        Written to ``/tomoalign/shifts``, in the columns of the shift table.
    mask : bool array (N, V, U), iterable of N masks, or None
        Where the pixels are measured ones; written to ``/tomoalign/valid``. Advances in step with ``proj``.
    model : str
        Name and hash of the model, or name of the method; an attribute of ``/tomoalign``, as are the versions.
    axis_px : float, optional
        Column of the rotation axis in the aligned views, from 0; the attribute ``rotation_axis_px`` of ``/tomoalign``.

    Raises
    ------
    ValueError
        If there are not as many views (or masks) as angles.
    """
    with atomic_path(path) as beside, h5py.File(beside, "w") as file:
        ours = write_views(file, proj, mask, angle_rad)
        write_shifts(ours.create_group("shifts"), shifts)
        ours.attrs["model"] = model
        if axis_px is not None:
            ours.attrs["rotation_axis_px"] = axis_px


def write_views(file: h5py.File, proj: Views, mask: Views | None, angle_rad: NDArray[Any]) -> h5py.Group:
    """Write views, masks and angles one view at a time, and give the group that holds what is ours."""
    n = len(angle_rad)
    done = 0
    for view, valid in zip(proj, mask if mask is not None else (None for _ in angle_rad), strict=True):
        if done == 0:
            size: dict[str, Any] = {"shape": (n, *view.shape), "chunks": (1, *view.shape)}
            data = file.create_dataset("exchange/data", dtype="f4", **size)
            data.attrs.update(kind="attenuation", axes="theta:y:x")
            if valid is not None:
                # masks are mostly True: compressed they cost nothing
                file.create_dataset("tomoalign/valid", dtype="?", compression="gzip", compression_opts=1, **size)
        if done < n:
            data[done] = view
            if valid is not None:
                file["tomoalign/valid"][done] = valid
        done += 1
    if done != n:
        raise ValueError(f"{done} views but {n} angles")
    theta = file.create_dataset("exchange/theta", data=np.rad2deg(np.asarray(angle_rad, float)))
    theta.attrs["units"] = "deg"
    file["implements"] = "exchange"
    ours = file.require_group("tomoalign")
    ours.attrs.update(schema=SCHEMA, python=platform.python_version())
    ours.attrs.update({name: metadata.version(name) for name in ("numpy", "scipy", "torch", "h5py")})
    return ours


def write_shifts(group: h5py.Group, shifts: Shifts) -> None:
    """Write a shift table into a group of an HDF5 file, in the columns of the CSV, with its convention."""
    group.attrs["convention"] = (
        "what the stage did: roll_deg from +u to +v about the centre, then dx_px right, dy_px down"
    )
    for column in fields(shifts):
        value = getattr(shifts, column.name)
        if column.name == "angle_rad":
            group["angle_deg"] = np.rad2deg(value)
        elif column.name == "reason":
            group.create_dataset("reason", data=value.astype(object), dtype=h5py.string_dtype())
        else:
            group[column.name] = value
