"""The file formats of stacks, one reader each: HDF5 (Data Exchange, NXtomo, FXI), TIFF, MRC, NumPy.

Pixels and angles come as they are in the file, counts or attenuation, in degrees; ``stacks`` checks and converts them.
"""

from __future__ import annotations

import re
import struct
import textwrap
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import h5py
import hdf5plugin  # noqa: F401 (registers the compression filters that beamline files use)
import mrcfile
import numpy as np
import tifffile
from numpy.typing import NDArray

from tomoalign_core.config import InputError
from tomoalign_core.files.angles import angles_from_text
from tomoalign_core.geometry import Shifts

MRC_SUFFIXES = (".mrc", ".mrcs", ".st", ".ali", ".preali")
ANGLES_BESIDE = (".tlt", ".rawtlt", ".mdoc")  # IMOD's of its alignment, as recorded, SerialEM's; the first there is
SUPPORTED = (
    "HDF5 (.h5 .hdf5 .hdf .nxs), a TIFF stack or a folder of TIFFs (.tif .tiff), "
    f"MRC ({' '.join(MRC_SUFFIXES)}), .npz, .npy"
)
# data, flat field, dark field, angles: Data Exchange; NSLS-II FXI
LAYOUTS = (
    ("/exchange/data", "/exchange/data_white", "/exchange/data_dark", "/exchange/theta"),
    ("/img_tomo", "/img_bkg", "/img_dark", "/angle"),
)
FAULTS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, tifffile.TiffFileError)


@dataclass(kw_only=True)
class RawStack:
    """What a reader finds in a file, before it is checked and made attenuation: ``data``, views first, and the rest."""

    data: NDArray[Any]
    angle_deg: Any = None
    angles_from: str | None = None  # where they are from, if not from where the data is
    flat: NDArray[Any] | None = None
    dark: NDArray[Any] | None = None
    says_attenuation: bool = False
    notes: tuple[str, ...] = ()
    truth: Shifts | None = None
    config_json: str | None = None


def read_raw(path: Path, data_path: str | None, angles_data_path: str | None) -> RawStack:
    """Read a file or folder by the reader of its format, without a look at the values.

    Parameters
    ----------
    path : Path
        The suffix tells the format; an HDF5 file may have any.
    data_path, angles_data_path : str or None
        Names of the data sets inside an HDF5 or NPZ file, where they are not the usual ones.

    Raises
    ------
    InputError
        If there is no such file, it is of no known format, is damaged, or lacks what was named.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give the path of a stack")
    try:
        return _reader(path)(path, data_path, angles_data_path)
    except InputError:
        raise
    except FAULTS as error:
        raise _unreadable(path, error) from None


def read_field(path: Path, name: Literal["flat", "dark"]) -> NDArray[Any]:
    """Flat or dark fields from a file or folder of their own: those that it names so, else all that it holds.

    Raises
    ------
    InputError
        As ``read_raw``, or if it holds attenuation.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give the {name} fields")
    try:
        named = _named_field(path, name)
        raw = None if named is not None else _reader(path)(path, None, None)
    except InputError:
        raise
    except FAULTS as error:
        raise _unreadable(path, error) from None
    if raw is None:
        assert named is not None
        return named
    of_its_own = raw.flat if name == "flat" else raw.dark
    if of_its_own is None and raw.says_attenuation:
        raise InputError(f"{path}: says itself that its pixels are attenuation; expected {name} fields, in counts")
    return raw.data if of_its_own is None else of_its_own


def _named_field(path: Path, name: Literal["flat", "dark"]) -> NDArray[Any] | None:
    """The fields of that name in an HDF5 or NPZ file, which need not hold views beside them."""
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as loaded:
            return loaded[name] if name in loaded.files else None
    if path.is_file() and h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            of_name = [layout[1 if name == "flat" else 2] for layout in LAYOUTS]
            return next((file[at][...] for at in of_name if at in file and file[at].size), None)
    return None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    short = textwrap.shorten(reason, 160, placeholder=" …")
    closed = short + ")" * (short.count("(") - short.count(")"))
    return InputError(f"{path}: cannot be read: {closed}; is it damaged, cut short or of another format?")


def _reader(path: Path) -> Callable[[Path, str | None, str | None], RawStack]:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".tif", ".tiff"):
        return _read_tiff
    if suffix in MRC_SUFFIXES:
        return _read_mrc
    if suffix in (".npz", ".npy"):
        return _read_numpy
    if suffix in (".h5", ".hdf5", ".hdf", ".nxs") or h5py.is_hdf5(path):
        return _read_hdf5
    kind = f"{suffix} is not a known kind of stack" if suffix else "its name has no ending that says what it holds"
    if suffix == ".csv":
        kind = "this is a table and not a stack"
    raise InputError(f"{path}: {kind}; give {SUPPORTED}")


# ---------------------------------------------------------------- HDF5


def _read_hdf5(path: Path, data_path: str | None, angles_data_path: str | None) -> RawStack:
    """Data Exchange, FXI, or the data sets that are named; NXtomo goes on to its own reader."""
    with h5py.File(path, "r") as file:
        if data_path is None and not any(layout[0] in file for layout in LAYOUTS):
            image_key = _find(file, "image_key")
            if image_key is not None:
                return _read_nxtomo(file, image_key, angles_data_path)
        known = [layout for layout in LAYOUTS if layout[0] in file and data_path in (None, layout[0])]
        data, flat, dark, theta = known[0] if known else (data_path or LAYOUTS[0][0], None, None, None)
        aligned_by = file["tomoalign"].attrs.get("model") if "tomoalign/shifts" in file else None
        return RawStack(
            data=_dataset(file, data, 3).astype(np.float32)[...],
            angle_deg=_angles_from_hdf5(file, angles_data_path or theta, required=angles_data_path is not None),
            flat=file[flat][...] if flat and flat in file and file[flat].size else None,
            dark=file[dark][...] if dark and dark in file and file[dark].size else None,
            says_attenuation=file[data].attrs.get("kind") == "attenuation",
            notes=(f"this stack was aligned before, by {aligned_by}",) if aligned_by else (),
            truth=read_shifts(file["tomoalign/true_shifts"]) if "tomoalign/true_shifts" in file else None,
            config_json=file["tomoalign"].attrs.get("config") if "tomoalign" in file else None,
        )


def _read_nxtomo(file: h5py.File, image_key: h5py.Dataset, angles_data_path: str | None) -> RawStack:
    """NXtomo: all frames in one data set; image_key says 0 projection, 1 flat, 2 dark, 3 invalid."""
    key = image_key[...]
    frames = _dataset(file, f"{image_key.parent.name}/data", 3)
    if len(frames) != len(key):
        raise InputError(f"{file.filename}: {len(frames)} frames but {len(key)} image keys; expected one key per frame")
    found = _find(file, "rotation_angle")
    angle = _angles_from_hdf5(file, angles_data_path or (found.name if found is not None else None), required=False)
    if angle is not None and len(angle) == len(key):
        angle = angle[key == 0]
    flat, dark = (frames[key == k] if (key == k).any() else None for k in (1, 2))
    return RawStack(data=frames.astype(np.float32)[key == 0], angle_deg=angle, flat=flat, dark=dark)


def _dataset(file: h5py.File, name: str, ndim: int) -> h5py.Dataset:
    """The data set of that name; where there is none, the error lists those with ``ndim`` axes."""
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


def read_shifts(group: h5py.Group) -> Shifts:
    """The shift table as ``stacks`` writes it: the columns of ``Shifts``, but the angles in degrees."""
    columns = {f.name: group[f.name][...] for f in fields(Shifts) if f.name not in ("angle_rad", "reason")}
    if "reason" in group:  # older files have none
        columns["reason"] = group["reason"].asstr()[...]
    return Shifts.from_arrays(angle_rad=np.deg2rad(group["angle_deg"][...]), **columns)


# ---------------------------------------------------------------- MRC


def _read_mrc(path: Path, data_path: str | None, angles_data_path: str | None) -> RawStack:
    """Each section is a view; angles from the file of that name beside it, else from its extended header."""
    _no_names_inside(path, data_path, angles_data_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with mrcfile.open(path, mode="r") as file:
            data = np.array(file.data)
            angle = _angles_from_extended_header(file)
    notes = tuple(str(each.message) for each in said)
    # SerialEM names a.mrc.mdoc what IMOD calls a.mdoc
    names = [path.with_suffix(suffix) for suffix in ANGLES_BESIDE] + [path.with_name(f"{path.name}.mdoc")]
    beside = next((name for name in names if name.is_file()), None)
    if beside is not None:
        return RawStack(data=data, angle_deg=angles_from_text(beside), angles_from=beside.name, notes=notes)
    source = None if angle is None else "the extended header"
    return RawStack(data=data, angle_deg=angle, angles_from=source, notes=notes)


def _angles_from_extended_header(file: mrcfile.mrcfile.MrcFile) -> Any:
    """Tilt angles in degrees that FEI or SerialEM wrote for each section, or None."""
    kind = bytes(file.header.exttyp)
    if kind in (b"FEI1", b"FEI2"):
        return np.array(file.indexed_extended_header["Alpha tilt"])
    if kind == b"SERI":
        # bytes for each section, and what is in them: bit 1 is a tilt angle, of a hundredth of a degree, at the start
        # (the MRC format as IMOD describes it)
        order = file.header.nz.dtype.byteorder
        size, flags = np.frombuffer(bytes(file.header.extra2)[16:20], np.dtype("i2").newbyteorder(order))
        sections = file.extended_header.tobytes()[: int(size) * int(file.header.nz)]
        if flags & 1 and len(sections) == int(size) * int(file.header.nz):
            first = [sections[at : at + 2] for at in range(0, len(sections), int(size))]
            return np.frombuffer(b"".join(first), np.dtype("i2").newbyteorder(order)) / 100
    return None


# ---------------------------------------------------------------- TIFF and NumPy


def _read_tiff(path: Path, data_path: str | None, angles_data_path: str | None) -> RawStack:
    """One file of many pages, or a folder of one view a file in natural order (2 before 10)."""
    _no_names_inside(path, data_path, angles_data_path)
    if not path.is_dir():
        with tifffile.TiffFile(path) as tiff:
            if "S" in tiff.series[0].axes:
                raise InputError(f"{path}: is in colour (axes {tiff.series[0].axes}); give a grey-scale stack")
            return RawStack(data=tiff.asarray())
    pages = [p for p in path.iterdir() if p.suffix.lower() in (".tif", ".tiff") and not p.name.startswith(".")]
    if not pages:
        raise InputError(f"{path}: a folder without .tif or .tiff files; give a folder of TIFFs, or {SUPPORTED}")
    pages.sort(key=lambda p: [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", p.name)])
    views = [_page(page) for page in pages]
    for page, view in zip(pages, views, strict=True):
        if view.ndim != 2 or view.shape != views[0].shape:
            raise InputError(
                f"{page}: has the shape {view.shape}, but {pages[0].name} has {views[0].shape}; one view a file"
            )
    return RawStack(data=np.stack(views))


def _page(path: Path) -> NDArray[Any]:
    try:
        return tifffile.imread(path)
    except FAULTS as error:
        raise _unreadable(path, error) from None


def _read_numpy(path: Path, data_path: str | None, angles_data_path: str | None) -> RawStack:
    """The one array of an NPY file; from an NPZ, data, angles and fields by their names. Pickles are never run."""
    with path.open("rb") as file:  # numpy leaves a damaged file open if it opened it itself
        begins = file.read(6)
        if begins and begins != b"\x93NUMPY" and not begins.startswith(b"PK"):
            raise InputError(f"{path}: is no NumPy file, whatever its name says; give {SUPPORTED}")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            _no_names_inside(path, data_path, angles_data_path)
            return RawStack(data=loaded)
        names = set(loaded.files)

        def first(*candidates: str) -> NDArray[Any] | None:
            return next((loaded[name] for name in candidates if name in names), None)

        data = first(data_path) if data_path else first("proj", "data", "raw")
        if data is None:
            wanted = data_path or "proj, data or raw"
            raise InputError(f"{path}: holds no array {wanted}; it holds {', '.join(sorted(names)) or 'nothing'}")
        if angles_data_path and angles_data_path not in names:
            raise InputError(f"{path}: holds no array {angles_data_path}; it holds {', '.join(sorted(names))}")
        angle = first(angles_data_path) if angles_data_path else first("angles_deg", "angle_deg", "angles", "theta")
        return RawStack(data=data, angle_deg=angle, flat=first("flat"), dark=first("dark"))


def _no_names_inside(path: Path, *names: str | None) -> None:
    if any(names):
        raise InputError(f"{path}: holds one unnamed array; a data path is for HDF5 and NPZ files, leave it out")
