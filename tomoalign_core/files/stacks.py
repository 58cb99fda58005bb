"""Stacks of projections as files: read what beamlines write, and check it.

Angles are degrees in every file, and radians in Python. Whatever is wrong with a file is said in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.config import InputError
from tomoalign_core.files.angles import angles_from_text
from tomoalign_core.files.counts import counts_to_attenuation
from tomoalign_core.files.dead import listed, mend_unwritten
from tomoalign_core.files.readers import RawStack, read_field, read_raw
from tomoalign_core.geometry import Float, Shifts, transposed

Kind = Literal["auto", "attenuation", "counts"]
TiltAxis = Literal["vertical", "horizontal"]

MOST_ATTENUATION = 50.0  # of which nothing would come through
SAY_SO = "if these are counts, give their flat fields (--flats) or say so (--kind counts); on Align, see Pixels are"
MIN_VIEWS, MIN_PIXELS = 3, 8  # a sinusoid has three unknowns; the smallest detector a scan can be set to


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """A stack as read: ``proj`` (N, V, U) float32 attenuation, ``angle_rad`` (N,), and what is known about it.

    ``notes`` say what was done on reading; ``truth`` are the true shifts and ``config_json`` the settings of the
    simulation, where the file holds them (ours do); ``transposed`` whether rows and columns are exchanged, truth too.
    """

    proj: NDArray[np.float32]
    angle_rad: Float
    source: str
    notes: tuple[str, ...] = ()
    truth: Shifts | None = None
    config_json: str | None = None
    transposed: bool = False


def read_stack(
    path: str | Path,
    *,
    angles_path: str | Path | None = None,
    flats_path: str | Path | None = None,
    darks_path: str | Path | None = None,
    data_path: str | None = None,
    angles_data_path: str | None = None,
    kind: Kind = "auto",
    tilt_axis: TiltAxis = "vertical",
) -> Stack:
    """Read a stack of projections and make it attenuation.

    Parameters
    ----------
    path : path
        Data Exchange, NXtomo, FXI or any other HDF5; a TIFF stack or a folder of TIFFs (in natural order); MRC, each
        section a view, with ``.tlt``, ``.rawtlt`` or ``.mdoc`` beside it or angles in its extended header; NPZ with
        ``proj``, ``data`` or ``raw``, ``angles_deg`` (or ``angle_deg``, ``theta``), ``flat`` and ``dark``; NPY.
    angles_path : path, optional
        Text file with one angle in degrees a line, or ``.mdoc``; goes before the angles in the stack's own file.
    flats_path, darks_path : path, optional
        Flat and dark fields, one or more, in a file or a folder of their own, of any format that a stack may have; they
        go before those in the stack's own file.
    data_path, angles_data_path : str, optional
        Names of the data sets inside an HDF5 or NPZ file, where they are not the usual ones.
    kind : 'auto', 'attenuation' or 'counts'
        'auto': counts where there is a flat field, else attenuation. 'counts' without a flat field takes the 99th
        percentile of each view as its open beam.
    tilt_axis : 'vertical' or 'horizontal'
        Where the sample turns about an axis along the detector's rows, as in many electron microscopes, the views are
        transposed, so that it is vertical here as everywhere.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or ``check_stack`` refuses what is in it.
    """
    path = Path(path)
    raw = read_raw(path, data_path, angles_data_path)
    if angles_path is not None:
        raw.angle_deg = angles_from_text(Path(angles_path))
    elif raw.angles_from is not None:
        raw.notes += (f"angles from {raw.angles_from}",)
    _take_fields(raw, path, flats_path, darks_path, kind)
    if tilt_axis == "horizontal":
        _transpose(raw)
    angle_rad = _radians(raw.angle_deg, path)
    if angles_path is not None and raw.data.ndim == 3 and len(raw.data) != len(angle_rad):
        check_stack(raw.data, angle_rad, f"{path} with the angles of {angles_path}")
    notes = raw.notes + _make_attenuation(raw, angle_rad, kind, path)
    notes += _told_empty(raw.data)
    if np.ptp(angle_rad) == 0:
        raise InputError(f"{path}: all its angles are the same; see the angle file, or where its angles are inside")
    turns = int((np.diff(np.sign(np.diff(angle_rad))) != 0).sum())
    if turns > 2:  # a full turn may begin anew
        notes += (f"the angles go back and forth {turns} times: are they in the order of the views?",)
    if np.ptp(angle_rad) < np.deg2rad(6.3):
        span = f"the angles span only {np.rad2deg(np.ptp(angle_rad)):.2f} degrees"
        notes += (f"{span}: are they radians? Degrees are wanted, 57.2958 times those",)
    if raw.truth is not None and len(raw.truth) != len(angle_rad):
        raise InputError(f"{path}: holds {len(angle_rad)} views but true shifts of {len(raw.truth)}; write it anew")
    return Stack(
        proj=raw.data,
        angle_rad=angle_rad,
        source=str(path),
        notes=notes,
        truth=raw.truth,
        config_json=raw.config_json,
        transposed=tilt_axis == "horizontal",
    )


def check_stack(proj: NDArray[Any], angle_rad: NDArray[Any], where: str) -> None:
    """Refuse a stack that no method could align, in one line that begins with ``where``.

    Raises
    ------
    InputError
        If the stack is not 3-D, has fewer than 3 views or 8 rows or columns, another number of views than angles, an
        angle or a pixel that is not finite, or fewer than 3 views that are not the same everywhere.
    """
    if proj.ndim != 3:
        raise InputError(
            f"{where}: has the shape {proj.shape}; expected three axes: view, detector row, detector column"
        )
    if len(proj) < MIN_VIEWS:
        views = "one view" if len(proj) == 1 else f"{len(proj)} views"
        raise InputError(f"{where}: holds {views}, shape {proj.shape}; aligning needs {MIN_VIEWS} or more, views first")
    if len(proj) != len(angle_rad):
        what = "give one angle per view"
        if len(angle_rad) in proj.shape:
            what = (
                f"axis {proj.shape.index(len(angle_rad))} of {proj.shape} is that long: put the views first, as axis 0"
            )
        raise InputError(f"{where}: {len(proj)} views but {len(angle_rad)} angles; {what}")
    if min(proj.shape[1:]) < MIN_PIXELS:
        raise InputError(
            f"{where}: views of {proj.shape[1]} rows and {proj.shape[2]} columns; expected {MIN_PIXELS} or more"
        )
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
    shown = len(proj) - len(empty_views(proj))
    if shown < MIN_VIEWS:
        words = "all views are" if shown == 0 else f"all but {shown} views are"
        raise InputError(f"{where}: {words} the same everywhere; see that these are the projections, and their kind")


def empty_views(proj: NDArray[Any]) -> list[int]:
    """The views that are the same everywhere: the shutter was closed, or the frame was never written."""
    return [i for i, view in enumerate(proj) if view.min() == view.max()]


def _told_empty(proj: NDArray[Any]) -> tuple[str, ...]:
    """A note of the views that show nothing."""
    empty = empty_views(proj)
    if not empty:
        return ()
    return (f"{listed(empty)} (from 0): the same everywhere, left out",)


def _take_fields(
    raw: RawStack, path: Path, flats_path: str | Path | None, darks_path: str | Path | None, kind: Kind
) -> None:
    """Put flat and dark fields from files of their own where those of the stack's own file are."""
    given: dict[Literal["flat", "dark"], Path] = {}
    if flats_path is not None:
        given["flat"] = Path(flats_path)
    if darks_path is not None:
        given["dark"] = Path(darks_path)
    if given and raw.says_attenuation:
        raise InputError(
            f"{path}: says itself that its pixels are attenuation; leave the {' and '.join(given)} fields out"
        )
    for name, field_path in given.items():
        field = read_field(field_path, name)
        if field.dtype.kind not in "biuf" or field.ndim not in (2, 3):
            raise InputError(
                f"{field_path}: holds pixels of type {field.dtype} in the shape {field.shape}; expected {name} fields"
            )
        if field.shape[-2:] != raw.data.shape[-2:]:
            sizes = " × ".join(map(str, field.shape[-2:])), " × ".join(map(str, raw.data.shape[-2:]))
            raise InputError(
                f"{field_path}: {name} fields of {sizes[0]} px, but the views of {path} have {sizes[1]} px"
            )
        if field_path.resolve() == path.resolve() and getattr(raw, name) is None:
            raise InputError(f"{field_path}: is the stack itself, and names no {name} fields; give those")
        if getattr(raw, name) is not None and field_path.resolve() != path.resolve():
            raw.notes += (f"the {name} fields in the file were not used, but those of {field_path}",)
        setattr(raw, name, field)
    if "dark" in given and raw.flat is None and kind == "auto":
        raise InputError(
            f"{given['dark']}: dark fields without flat fields; give those too (--flats, or Flat fields on Align); "
            f"{SAY_SO}"
        )


def _transpose(raw: RawStack) -> None:
    """Rows become columns, in views, fields and the truth."""
    if raw.data.ndim == 3:  # what is not is refused later
        raw.data = np.ascontiguousarray(raw.data.swapaxes(1, 2))
    raw.flat, raw.dark = (None if field is None else field.swapaxes(-1, -2) for field in (raw.flat, raw.dark))
    raw.notes += (
        "the tilt axis lay along the rows: the views are transposed; dx, dy and which way views turn are those of the "
        "new frame",
    )
    if raw.truth is not None:
        raw.truth = transposed(raw.truth)


def _radians(angle_deg: Any, path: Path) -> Float:
    if angle_deg is None:
        raise InputError(
            f"{path}: holds no angles that could be found; give a text file of them (--angles, or Angle file on "
            "Align: one a line, degrees) or their name inside the file (--angles-path, or Inside the file)"
        )
    try:
        return np.deg2rad(np.asarray(angle_deg, float).ravel())
    except ValueError:
        raise InputError(f"{path}: its angles are not numbers; give them in degrees") from None


def _make_attenuation(raw: RawStack, angle_rad: Float, kind: Kind, path: Path) -> tuple[str, ...]:
    """Make the data of ``raw`` float32 attenuation, checked as read and as made, and say how."""
    if raw.data.dtype.kind not in "biuf":
        raise InputError(f"{path}: the pixels are of type {raw.data.dtype}; expected real numbers")
    raw.data = np.asarray(raw.data, np.float32)
    if kind == "counts" and raw.says_attenuation:
        raise InputError(f"{path}: says itself that its pixels are attenuation; leave the kind to the file (auto)")
    mended = mend_unwritten(raw.data) if raw.data.ndim == 3 else ()
    check_stack(raw.data, angle_rad, str(path))
    if kind == "attenuation" or (kind == "auto" and raw.flat is None):
        if raw.flat is not None:
            return (*mended, "taken as attenuation, as asked: the flat field was not used")
        return mended if raw.says_attenuation or kind == "attenuation" else (*mended, _guess(raw.data))
    notes = mended + counts_to_attenuation(raw.data, raw.flat, raw.dark, str(path))
    check_stack(raw.data, angle_rad, f"{path} as attenuation")
    return notes


def _guess(proj: NDArray[np.float32]) -> str:
    """Say that pixels without a flat field were taken as attenuation, and whether they look like it."""
    guess = "no flat field: taken as attenuation"
    if proj.max() > MOST_ATTENUATION:
        return guess + f", though pixels reach {proj.max():.5g}: {SAY_SO}"
    cols = proj.shape[2]
    outside = np.median(np.concatenate([proj[..., : max(1, cols // 20)], proj[..., -max(1, cols // 20) :]], axis=2))
    if outside - np.median(proj[..., cols // 3 : -(cols // 3)]) > proj.std() / 2:
        guess += f", though it is brighter at the sides than in the middle: {SAY_SO}"
    return guess
