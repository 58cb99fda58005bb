"""Shift tables as files: CSV, which is ours and is read back, and what IMOD and nabu take.

The CSV holds what the stage did (see ``geometry``). An IMOD transform is the correction. A nabu file is again the
movement: nabu's vertical shift gives row y what was recorded at row y + shift, and its backprojector adds the
horizontal one to the place where it reads (both as in nabu 2026.1).
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.geometry import Shifts, invert, rotation

HEADER = """\
# TomoAlign shift table
# views: {views}
# convention: what the stage did. Content was first turned by roll_deg about the detector's centre ((V-1)/2, (U-1)/2), \
from +u (right) towards +v (down), then moved dx_px to the right and dy_px down. Apply the inverse to align.
# units: angle_deg and roll_deg in degrees; dx_px, dy_px and their standard deviations, which leave \
the gauge out, in detector pixels; \
nan: unknown; used 0: leave this view out, and why
"""
AS_STORED = "as in the file"
TRANSPOSED = "transposed (--tilt-axis horizontal): right and down are those of views whose rows are the file's columns"
REASON = "reason"  # the one column of words
COLUMNS = ("view_index", "angle_deg", "dx_px", "dy_px", "roll_deg", "dx_sigma_px", "dy_sigma_px", "used", REASON)
REQUIRED = ("angle_deg", "dx_px", "dy_px")
SIGMAS = ("dx_sigma_px", "dy_sigma_px")


def to_csv(shifts: Shifts, *, of_transposed: bool = False) -> str:
    """The table as CSV text: ``#`` lines with convention and units, a line of names, one line per view.

    ``of_transposed``: whether the views were transposed on reading (``Stack.transposed``), which is said then.

    >>> s = Shifts.from_arrays(angle_rad=[0.0], dx_px=[1.5], dy_px=[-0.25], dx_sigma_px=[0.02])
    >>> print(to_csv(s).split("and why")[1].strip())
    view_index,angle_deg,dx_px,dy_px,roll_deg,dx_sigma_px,dy_sigma_px,used,reason
    0,0,1.5,-0.25,0,0.02,nan,1,
    """
    numbers = np.stack(
        [
            np.rad2deg(shifts.angle_rad),
            shifts.dx_px,
            shifts.dy_px,
            shifts.roll_deg,
            shifts.dx_sigma_px,
            shifts.dy_sigma_px,
        ],
        axis=1,
    )
    # Nine digits: a millionth of a pixel in a thousand, and a single-precision number still prints short.
    lines = [
        ",".join([str(i), *(f"{x + 0.0:.9g}" for x in row), str(int(used)), _quoted(reason)])
        for i, (row, used, reason) in enumerate(zip(numbers, shifts.used, shifts.reason.tolist(), strict=True))
    ]
    return (
        HEADER.format(views=TRANSPOSED if of_transposed else AS_STORED) + "\n".join([",".join(COLUMNS), *lines]) + "\n"
    )


def write_csv(path: str | Path, shifts: Shifts, *, of_transposed: bool = False) -> None:
    """Write the table as CSV, see ``to_csv``; the file appears whole or not at all."""
    with atomic_path(path) as beside:
        beside.write_text(to_csv(shifts, of_transposed=of_transposed), encoding="utf-8")


def read_csv(path: str | Path, *, of_transposed: bool | None = None) -> Shifts:
    """Read a shift table as ``to_csv`` writes it; only angle_deg, dx_px and dy_px must be there.

    ``of_transposed``: whether the views that it is for were transposed on reading. A table that says otherwise is
    refused, one that says nothing of it is taken.

    Raises
    ------
    InputError
        If the file is missing or no text, a column is missing or unknown, a line has another number of fields, a field
        is no number (with its line), a shift of a used view is not finite, the views are not numbered 0, 1, 2, …, or
        rows and columns are exchanged in the views of one and not of the other
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such shift table; give the path of a CSV file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: is not text; a shift table is a CSV file with the columns {', '.join(COLUMNS)}"
        ) from None
    _check_frame(path, text, of_transposed)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        raise InputError(f"{path}: holds no shifts; expected a line of column names and one line per view")
    names = _names(path, lines[0][1])
    rows = [_row(f"{path}, line {n}", names, line) for n, line in lines[1:]]
    if "view_index" in names and [row["view_index"] for row in rows] != list(range(len(rows))):
        raise InputError(
            f"{path}: view_index does not count 0, 1, 2, … line by line; sort the table, one line per view"
        )
    table: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in names}
    angle_rad = np.deg2rad(table["angle_deg"])
    return Shifts.from_arrays(
        angle_rad=angle_rad,
        **{k: v for k, v in table.items() if k not in ("view_index", "angle_deg")},
    )


def to_xf(shifts: Shifts) -> str:
    """The correction as an IMOD transform list: ``A11 A12 A21 A22 DX DY``, one line per view.

    IMOD takes a point x of the input, counted from the image centre, to ``A x + D`` in the output, so that
    A = R(−roll) and D = −R(−roll)·(dx, dy). X is the column and Y the row as stored: MRC files made with the rows in
    our order. A program that flips TIFFs on conversion (tif2mrc) needs A12, A21 and DY negated.

    >>> s = Shifts.from_arrays(angle_rad=[0.0], dx_px=[3.0], dy_px=[-2.0])
    >>> to_xf(s).split()
    ['1.0000000', '0.0000000', '0.0000000', '1.0000000', '-3.00000', '2.00000']
    """
    back = invert(shifts)
    turns = rotation(back.roll_deg).reshape(-1, 4)
    return "".join(
        "".join(f"{a + 0.0:12.7f}" for a in turn) + f"{dx + 0.0:12.5f}{dy + 0.0:12.5f}\n"
        for turn, dx, dy in zip(turns, back.dx_px, back.dy_px, strict=True)
    )


def to_nabu(shifts: Shifts) -> str:
    """The table for nabu's ``translation_movements_file``: "horizontal vertical" px, one line per view.

    nabu undoes these movements itself, and so takes what the stage did. It knows no roll: undo that first.

    >>> s = Shifts.from_arrays(angle_rad=[0.0], dx_px=[3.0], dy_px=[-2.0])
    >>> to_nabu(s)
    '3.00000 -2.00000\\n'
    """
    return "".join(f"{dx + 0.0:.5f} {dy + 0.0:.5f}\n" for dx, dy in zip(shifts.dx_px, shifts.dy_px, strict=True))


def _names(path: Path, line: str) -> list[str]:
    names = [name.strip() for name in next(csv.reader([line]))]
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or len(set(names)) < len(names):
        fault = f"has no column {missing[0]}" if missing else f"has a column {(unknown or ['twice'])[0]!r}"
        raise InputError(f"{path}: {fault}; the columns are {', '.join(COLUMNS)}")
    return names


def _check_frame(path: Path, text: str, of_transposed: bool | None) -> None:
    """Refuse a table of views that lie otherwise, where it says how they lie."""
    said = [line.partition("views:")[2].strip() for line in text.splitlines() if line.startswith("# views:")]
    if of_transposed is None or not said:
        return
    if said[0].startswith("transposed") and not of_transposed:
        raise InputError(
            f"{path}: is of transposed views, and the stack was read as it lies; read it with its axis along the rows "
            "(--tilt-axis horizontal)"
        )
    if not said[0].startswith("transposed") and of_transposed:
        raise InputError(
            f"{path}: is of views as they lie in the file, and those of the stack were transposed; read it with its "
            "axis along the columns (--tilt-axis vertical)"
        )


def _quoted(words: str) -> str:
    """A field of words: in quotes where they hold a comma or a quote."""
    return '"' + words.replace('"', '""') + '"' if {",", '"'} & set(words) else words


def _row(where: str, names: list[str], line: str) -> dict[str, Any]:
    fields = next(csv.reader([line]))
    if len(fields) != len(names):
        raise InputError(f"{where}: {len(fields)} fields, but there are {len(names)} columns; complete the line")
    row: dict[str, Any] = {}
    for name, field in zip(names, fields, strict=True):
        if name == REASON:
            row[name] = field.strip()
            continue
        try:
            row[name] = float(field)
        except ValueError:
            raise InputError(f"{where}: {name} is {field.strip()!r}; expected a number") from None
    if row.get("used", 1.0) not in (0.0, 1.0):
        raise InputError(f"{where}: used is {row['used']:g}; expected 1 or 0")
    needed = [name for name in names if name not in (*SIGMAS, REASON)] if row.get("used", 1.0) else ["angle_deg"]
    for name in needed:
        if not math.isfinite(row[name]):
            raise InputError(f"{where}: {name} is {row[name]}; give a finite number, or set used to 0")
    return row
