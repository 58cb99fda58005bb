"""Stacks of projections as files: read what beamlines write, check it, write Data Exchange HDF5.

Angles are degrees in every file, and radians in Python. Whatever is wrong with a file is said in one line.
"""

from __future__ import annotations

import platform
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import h5py
import hdf5plugin  # noqa: F401 (registers the compression filters that beamline files use)
import numpy as np
import tifffile
from numpy.typing import NDArray

from tomoalign_core.config import SCHEMA, InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.geometry import Float, Shifts

Kind = Literal["auto", "attenuation", "counts"]
Views = NDArray[Any] | Iterable[NDArray[Any]]

SUPPORTED = "HDF5 (.h5 .hdf5 .hdf .nxs), a TIFF stack or a folder of TIFFs (.tif .tiff), .npz, .npy"
# data, flat field, dark field, angles: Data Exchange; NSLS-II FXI
LAYOUTS = (
    ("/exchange/data", "/exchange/data_white", "/exchange/data_dark", "/exchange/theta"),
    ("/img_tomo", "/img_bkg", "/img_dark", "/angle"),
)
MIN_VIEWS, MIN_PIXELS = 3, 8  # a sinusoid has three unknowns; the smallest detector a scan can be set to
MIN_TRANSMISSION = 1e-4  # less is noise or no light at all, and its logarithm would outshine the object
OPEN_BEAM_PERCENTILE = 99.0
FAULTS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, tifffile.TiffFileError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """A stack as read: ``proj`` (N, V, U) float32 attenuation, ``angle_rad`` (N,), and what is known about it.

    ``notes`` say what was done on reading; ``truth`` are the true shifts, where the file holds them (ours do).
    """

    proj: NDArray[np.float32]
    angle_rad: Float
    source: str
    notes: tuple[str, ...] = ()
    truth: Shifts | None = None


@dataclass(kw_only=True)
class _Raw:
    """What a reader finds in a file, before it is checked and made attenuation."""

    data: NDArray[Any]
    angle_deg: Any = None
    flat: NDArray[Any] | None = None
    dark: NDArray[Any] | None = None
    says_attenuation: bool = False
    notes: tuple[str, ...] = ()
    truth: Shifts | None = None


# ---------------------------------------------------------------- reading


def read_stack(
    path: str | Path,
    *,
    angles_path: str | Path | None = None,
    data_path: str | None = None,
    angles_data_path: str | None = None,
    kind: Kind = "auto",
) -> Stack:
    """Read a stack of projections and make it attenuation.

    Parameters
    ----------
    path : path
        Data Exchange, NXtomo, FXI or any other HDF5; a TIFF stack or a folder of TIFFs (in natural order); NPZ with
        ``proj``, ``data`` or ``raw``, ``angles_deg`` (or ``angle_deg``, ``theta``), ``flat`` and ``dark``; NPY.
    angles_path : path, optional
        Text file with one angle in degrees a line; goes before the angles in the stack's own file.
    data_path, angles_data_path : str, optional
        Names of the data sets inside an HDF5 or NPZ file, where they are not the usual ones.
    kind : 'auto', 'attenuation' or 'counts'
        'auto': counts where there is a flat field, else attenuation. 'counts' without a flat field takes the 99th
        percentile of each view as its open beam.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or ``check_stack`` refuses what is in it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give the path of a stack")
    try:
        raw = _reader(path)(path, data_path, angles_data_path)
    except InputError:
        raise
    except FAULTS as error:
        reason = (str(error).splitlines() or [""])[0][:100] or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); is it damaged, cut short or of another format?") from None
    if angles_path is not None:
        raw.angle_deg = _angles_from_text(Path(angles_path))
    angle_rad = _radians(raw.angle_deg, path)
    if raw.data.dtype.kind not in "biuf":
        raise InputError(f"{path}: the pixels are of type {raw.data.dtype}; expected real numbers")
    raw.data = np.asarray(raw.data, np.float32)
    check_stack(raw.data, angle_rad, str(path))
    notes = raw.notes + _make_attenuation(raw, kind, path)
    check_stack(raw.data, angle_rad, f"{path} as attenuation")
    if np.ptp(angle_rad) < np.deg2rad(6.3):
        notes += (f"the angles span only {np.rad2deg(np.ptp(angle_rad)):.2f} degrees: are they radians?",)
    if raw.truth is not None and len(raw.truth) != len(angle_rad):
        raise InputError(f"{path}: holds {len(angle_rad)} views but true shifts of {len(raw.truth)}; write it anew")
    return Stack(proj=raw.data, angle_rad=angle_rad, source=str(path), notes=notes, truth=raw.truth)


def check_stack(proj: NDArray[Any], angle_rad: NDArray[Any], where: str) -> None:
    """Refuse a stack that no method could align, in one line that begins with ``where``.

    Raises
    ------
    InputError
        If the stack is not 3-D, has fewer than 3 views or 8 rows or columns, another number of views than angles, an
        angle or a pixel that is not finite, or a view that is the same everywhere.
    """
    if proj.ndim != 3:
        raise InputError(
            f"{where}: has the shape {proj.shape}; expected three axes: view, detector row, detector column"
        )
    if len(proj) < MIN_VIEWS:
        views = "one view" if len(proj) == 1 else f"{len(proj)} views"
        raise InputError(f"{where}: holds {views}, shape {proj.shape}; aligning needs {MIN_VIEWS} or more, views first")
    if min(proj.shape[1:]) < MIN_PIXELS:
        raise InputError(
            f"{where}: views of {proj.shape[1]} rows and {proj.shape[2]} columns; expected {MIN_PIXELS} or more"
        )
    if len(proj) != len(angle_rad):
        raise InputError(f"{where}: {len(proj)} views but {len(angle_rad)} angles; give one angle per view")
    if not np.isfinite(angle_rad).all():
        view = int(np.argmin(np.isfinite(angle_rad)))
        raise InputError(f"{where}: the angle of view {view} is {angle_rad[view]}; give a finite number")
    broken = [view.size - int(np.count_nonzero(np.isfinite(view))) for view in proj]
    if any(broken):
        first = next(i for i, n in enumerate(broken) if n)
        raise InputError(
            f"{where}: {sum(broken)} pixels are NaN or infinite, the first in view {first}; "
            "replace them or leave the view out"
        )
    flat = [i for i, view in enumerate(proj) if view.min() == view.max()]
    if flat:
        level = "all zero" if not proj[flat[0]].any() else f"constant ({proj[flat[0]].flat[0]:g})"
        listed = ", ".join(map(str, flat[:5])) + (f" and {len(flat) - 5} more" if len(flat) > 5 else "")
        names = f"view {listed} is" if len(flat) == 1 else f"views {listed} are"
        raise InputError(f"{where}: {names} {level}; leave out what shows nothing, with its angle (views count from 0)")


def _reader(path: Path) -> Callable[[Path, str | None, str | None], _Raw]:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".tif", ".tiff"):
        return _read_tiff
    if suffix in (".npz", ".npy"):
        return _read_numpy
    if suffix in (".h5", ".hdf5", ".hdf", ".nxs") or h5py.is_hdf5(path):
        return _read_hdf5
    raise InputError(f"{path}: {suffix or 'no suffix'} is not a known kind of stack; give {SUPPORTED}")


def _read_hdf5(path: Path, data_path: str | None, angles_data_path: str | None) -> _Raw:
    with h5py.File(path, "r") as file:
        if data_path is None and not any(layout[0] in file for layout in LAYOUTS):
            image_key = _find(file, "image_key")
            if image_key is not None:
                return _read_nxtomo(file, image_key, angles_data_path)
        known = [layout for layout in LAYOUTS if layout[0] in file and data_path in (None, layout[0])]
        data, flat, dark, theta = known[0] if known else (data_path or LAYOUTS[0][0], None, None, None)
        aligned_by = file["tomoalign"].attrs.get("model") if "tomoalign/shifts" in file else None
        return _Raw(
            data=_dataset(file, data, 3).astype(np.float32)[...],
            angle_deg=_angles_from_hdf5(file, angles_data_path or theta, required=angles_data_path is not None),
            flat=file[flat][...] if flat and flat in file and file[flat].size else None,
            dark=file[dark][...] if dark and dark in file and file[dark].size else None,
            says_attenuation=file[data].attrs.get("kind") == "attenuation",
            notes=(f"this stack was aligned before, by {aligned_by}",) if aligned_by else (),
            truth=_read_shifts(file["tomoalign/true_shifts"]) if "tomoalign/true_shifts" in file else None,
        )


def _read_nxtomo(file: h5py.File, image_key: h5py.Dataset, angles_data_path: str | None) -> _Raw:
    """NXtomo: all frames in one data set; image_key says 0 projection, 1 flat, 2 dark, 3 invalid."""
    key = image_key[...]
    frames = _dataset(file, f"{image_key.parent.name}/data", 3)
    if len(frames) != len(key):
        raise InputError(f"{file.filename}: {len(frames)} frames but {len(key)} image keys; expected one key per frame")
    found = _find(file, "rotation_angle")
    angle = _angles_from_hdf5(file, angles_data_path or (found.name if found is not None else None), required=False)
    if angle is not None and len(angle) == len(key):
        angle = angle[key == 0]
    fields_by_key = [frames[key == k] if (key == k).any() else None for k in (1, 2)]
    return _Raw(data=frames.astype(np.float32)[key == 0], angle_deg=angle, flat=fields_by_key[0], dark=fields_by_key[1])


def _dataset(file: h5py.File, name: str, ndim: int) -> h5py.Dataset:
    found = file.get(name)
    if isinstance(found, h5py.Dataset) and found.dtype.kind in "biuf":
        return found
    others: list[str] = []

    def note(other: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == ndim:
            others.append(f"/{other} {item.shape}")

    file.visititems(note)
    advice = (
        f"name one of its {ndim}-D data sets: {', '.join(others[:8])}" if others else f"it has no {ndim}-D data set"
    )
    raise InputError(f"{file.filename}: no data set of numbers at {name}; {advice}")


def _angles_from_hdf5(file: h5py.File, name: str | None, *, required: bool) -> Any:
    """Angles in degrees, or None; a data set whose ``units`` say radians is converted."""
    if name is None or (name not in file and not required):
        return None
    angles = _dataset(file, name, 1)
    units = angles.attrs.get("units", "")
    in_radians = (units.decode() if isinstance(units, bytes) else str(units)).lower().startswith("rad")
    return np.rad2deg(angles[...]) if in_radians else angles[...]


def _find(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The first data set of that name, wherever it is (NXtomo files name their entry as they like)."""

    def matches(path: str, item: Any) -> h5py.Dataset | None:
        return item if path.rsplit("/", 1)[-1] == name and isinstance(item, h5py.Dataset) and item.ndim == 1 else None

    found: h5py.Dataset | None = file.visititems(matches)
    return found


def _read_tiff(path: Path, data_path: str | None, angles_data_path: str | None) -> _Raw:
    _no_names_inside(path, data_path, angles_data_path)
    if not path.is_dir():
        with tifffile.TiffFile(path) as tiff:
            if "S" in tiff.series[0].axes:
                raise InputError(f"{path}: is in colour (axes {tiff.series[0].axes}); give a grey-scale stack")
            return _Raw(data=tiff.asarray())
    pages = [p for p in path.iterdir() if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".")]
    if not pages:
        raise InputError(f"{path}: a folder without .tif or .tiff files; give a folder of TIFFs, or {SUPPORTED}")
    pages.sort(key=lambda p: [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", p.name)])
    views = [tifffile.imread(page) for page in pages]
    for page, view in zip(pages, views, strict=True):
        if view.ndim != 2 or view.shape != views[0].shape:
            raise InputError(
                f"{page}: has the shape {view.shape}, but {pages[0].name} has {views[0].shape}; one view a file"
            )
    return _Raw(data=np.stack(views))


def _read_numpy(path: Path, data_path: str | None, angles_data_path: str | None) -> _Raw:
    with path.open("rb") as file:  # numpy leaves a damaged file open if it opened it itself
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            _no_names_inside(path, data_path, angles_data_path)
            return _Raw(data=loaded)
        names = set(loaded.files)

        def first(*candidates: str) -> NDArray[Any] | None:
            return next((loaded[name] for name in candidates if name in names), None)

        data = first(data_path) if data_path else first("proj", "data", "raw")
        if data is None:
            wanted = data_path or "proj, data or raw"
            raise InputError(f"{path}: holds no array {wanted}; it holds {', '.join(sorted(names)) or 'nothing'}")
        if angles_data_path and angles_data_path not in names:
            raise InputError(f"{path}: holds no array {angles_data_path}; it holds {', '.join(sorted(names))}")
        angle = first(angles_data_path) if angles_data_path else first("angles_deg", "angle_deg", "theta")
        return _Raw(data=data, angle_deg=angle, flat=first("flat"), dark=first("dark"))


def _no_names_inside(path: Path, *names: str | None) -> None:
    if any(names):
        raise InputError(f"{path}: holds one unnamed array; a data path is for HDF5 and NPZ files, leave it out")


def _angles_from_text(path: Path) -> list[float]:
    if not path.is_file():
        raise InputError(f"{path}: no such angle file; give a text file with one angle in degrees a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text; give one angle in degrees a line") from None
    angles = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        try:
            angles += [float(text)] if text else []
        except ValueError:
            fault = f"{path}, line {number}: {text[:40]!r} is not a number"
            raise InputError(f"{fault}; give one angle in degrees a line") from None
    return angles


def _radians(angle_deg: Any, path: Path) -> Float:
    if angle_deg is None:
        raise InputError(
            f"{path}: holds no angles; give an angle file (one per line, degrees) or where they are inside"
        )
    try:
        return np.deg2rad(np.asarray(angle_deg, float).ravel())
    except ValueError:
        raise InputError(f"{path}: its angles are not numbers; give them in degrees") from None


# ---------------------------------------------------------------- counts


def _make_attenuation(raw: _Raw, kind: Kind, path: Path) -> tuple[str, ...]:
    """Turn the data of ``raw`` (float32) into attenuation in place, and say how."""
    if kind == "attenuation" or (kind == "auto" and raw.flat is None):
        if raw.flat is not None:
            return ("taken as attenuation, as asked: the flat field was not used",)
        return () if raw.says_attenuation or kind == "attenuation" else ("no flat field: taken as attenuation",)
    shape = raw.data.shape[1:]
    dark, n_dark = _mean_field(raw.dark, "dark", shape, path)
    raw.data -= dark
    if raw.flat is None:
        open_beam = np.percentile(raw.data, OPEN_BEAM_PERCENTILE, axis=(1, 2))
        if open_beam.min() <= 0:
            raise InputError(f"{path}: view {open_beam.argmin()} has no counts above the dark field; leave it out")
        raw.data /= open_beam[:, None, None]
        how, dead = f"the {OPEN_BEAM_PERCENTILE:g}th percentile of each view as its open beam", np.zeros(shape, bool)
    else:
        flat, n_flat = _mean_field(raw.flat, "flat", shape, path)
        dead = ~((flat > dark) & np.isfinite(flat))
        if dead.mean() > 0.5:
            raise InputError(
                f"{path}: {dead.mean():.0%} of the flat field is no brighter than the dark; are they swapped?"
            )
        raw.data /= np.where(dead, 1, flat - dark)
        how = f"{n_flat} flat, {n_dark} dark"
    dim = int(np.count_nonzero((raw.data < MIN_TRANSMISSION) & ~dead))
    np.maximum(raw.data, MIN_TRANSMISSION, out=raw.data)
    np.negative(np.log(raw.data, out=raw.data), out=raw.data)
    _mend(raw.data, dead)
    notes = [f"counts to attenuation with {how}"]
    if dead.any():
        n_dead = int(np.count_nonzero(dead))
        notes.append(f"{n_dead} dead pixel{'s'[: n_dead != 1]} replaced by the median of their neighbours")
    if dim:
        notes.append(f"{dim} pixel{'s'[: dim != 1]} with a transmission below {MIN_TRANSMISSION:g} set to that")
    return tuple(notes)


def _mean_field(
    field: NDArray[Any] | None, name: str, shape: tuple[int, ...], path: Path
) -> tuple[NDArray[np.float32], int]:
    """Average of the flat or dark frames, (k, V, U) or (V, U), and how many there are; none: zero."""
    if field is None:
        return np.zeros(shape, np.float32), 0
    frames = field[None] if field.ndim == 2 else field
    if frames.shape[1:] != shape:
        raise InputError(f"{path}: the {name} field has the shape {field.shape}, the views {shape}; give one that fits")
    return frames.mean(0, dtype=float).astype(np.float32), len(frames)


def _mend(proj: NDArray[np.float32], dead: NDArray[np.bool_]) -> None:
    """Replace dead pixels, in all views, by the median of the live ones in the smallest square that has any."""
    for row, col in np.argwhere(dead):
        reach, window = 0, (slice(0), slice(0))  # empty, of which all() is true
        while dead[window].all():
            reach += 1
            window = (slice(max(row - reach, 0), row + reach + 1), slice(max(col - reach, 0), col + reach + 1))
        proj[:, row, col] = np.median(proj[:, *window][:, ~dead[window]], axis=1)


# ---------------------------------------------------------------- writing


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
        ours = _write_views(file, proj, None, angle_rad)
        if truth is not None:
            _write_shifts(ours.create_group("true_shifts"), truth)
        if config_json is not None:
            ours.attrs["config"] = config_json


def write_aligned(
    path: str | Path, *, proj: Views, angle_rad: NDArray[Any], shifts: Shifts, mask: Views | None, model: str
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

    Raises
    ------
    ValueError
        If there are not as many views (or masks) as angles.
    """
    with atomic_path(path) as beside, h5py.File(beside, "w") as file:
        ours = _write_views(file, proj, mask, angle_rad)
        _write_shifts(ours.create_group("shifts"), shifts)
        ours.attrs["model"] = model


def _write_views(file: h5py.File, proj: Views, mask: Views | None, angle_rad: NDArray[Any]) -> h5py.Group:
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


def _write_shifts(group: h5py.Group, shifts: Shifts) -> None:
    group.attrs["convention"] = (
        "what the stage did: roll_deg from +u to +v about the centre, then dx_px right, dy_px down"
    )
    for column in fields(shifts):
        value = getattr(shifts, column.name)
        if column.name == "angle_rad":
            group["angle_deg"] = np.rad2deg(value)
        else:
            group[column.name] = value


def _read_shifts(group: h5py.Group) -> Shifts:
    columns = {f.name: group[f.name][...] for f in fields(Shifts) if f.name != "angle_rad"}
    return Shifts.from_arrays(angle_rad=np.deg2rad(group["angle_deg"][...]), **columns)
