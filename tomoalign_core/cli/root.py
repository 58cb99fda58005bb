"""The command line's root, which all commands hang on, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import check_writable

if TYPE_CHECKING:
    import numpy as np

    from tomoalign_core.files.stacks import Stack

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Find the stage movements that blur a tomography scan, and undo them.",
)


MOST_AXIS_TILT_DEG = 90.0

# what is asked of a stack, by every command that reads one
Angles = Annotated[Path | None, typer.Option(help="Text file, one angle a line, degrees, or .mdoc")]
Flats = Annotated[
    Path | None, typer.Option(help="Flat fields in a file or a folder of their own; the views are counts")
]
Darks = Annotated[Path | None, typer.Option(help="Dark fields in a file or a folder of their own")]
DataPath = Annotated[str | None, typer.Option(help="Data set of the projections inside an HDF5 file")]
AnglesPath = Annotated[str | None, typer.Option(help="Data set of the angles inside an HDF5 file, degrees")]
Kind = Annotated[str, typer.Option(help="auto, attenuation or counts")]
TiltAxis = Annotated[
    str, typer.Option(help="vertical, or horizontal: along the detector's rows; views are then transposed")
]
AxisTilt = Annotated[
    float | None,
    typer.Option(
        help="For the network: from where to look for the tilt of the rotation axis, degrees clockwise (in views that "
        "--tilt-axis transposes, as they lie then); else from where the views seem to agree"
    ),
]
# the options whose names are not those of the settings; the others are, with dashes
OPTIONS = {
    "n_views": "views",
    "n_rows": "rows",
    "n_cols": "cols",
    "kind": "phantom",
    "path": "volume",
    "dx_sigma_px": "dx-sigma",
    "dy_sigma_px": "dy-sigma",
    "roll_sigma_deg": "roll-sigma",
    "axis_tilt_deg": "axis-tilt",
    "drift_px": "drift",
    "gaussian": "noise",
}


def override(settings: Any, part: str | None, **values: Any) -> Any:
    """Settings with those values replaced that are given; a fault names the options that gave them."""
    from pydantic import ValidationError

    from tomoalign_core.config import fault_of

    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return settings
    try:
        if part is None:
            return settings.changed(**given)
        return settings.changed(**{part: getattr(settings, part).changed(**given)})
    except ValidationError as error:
        fault = fault_of(error)
        at_fault = [name for name in given if name in fault.names] or list(given)
        said = ", ".join(f"--{OPTIONS.get(name, name.replace('_', '-'))} {given[name]}" for name in at_fault)
        raise InputError(f"{said}: {fault.expected}") from None


def check_output(option: str, path: Path | None, *inputs: Path | None, endings: Sequence[str] = ()) -> None:
    """Refuse to write over what is read, into a folder that there is not, or under a name that says something else.

    Parameters
    ----------
    option : what gave the path, as it is told.
    endings : what the name may end in; anything if there are none.
    """
    if path is None:
        return
    if not path.resolve().parent.is_dir():
        raise InputError(f"{path}: the folder {path.resolve().parent} does not exist; make it first")
    if any(other is not None and other.resolve() == path.resolve() for other in inputs):
        raise InputError(f"{option} {path}: is named twice, and would be written over; give another name")
    if endings and path.suffix.lower() not in endings:
        raise InputError(
            f"{option} {path}: give a name that ends in {' or '.join(endings)}, as that is what is written"
        )
    check_writable(path)


def check_kind(kind: str) -> None:
    """Refuse a kind of pixels that there is not."""
    if kind not in ("auto", "attenuation", "counts"):
        raise InputError(f"--kind {kind}: choose auto, attenuation or counts")


def check_tilt_axis(tilt_axis: str) -> None:
    """Refuse an axis that there is not."""
    if tilt_axis not in ("vertical", "horizontal"):
        raise InputError(f"--tilt-axis {tilt_axis}: choose vertical or horizontal")


def check_axis_tilt(command: str, axis_tilt: float | None, methods: Sequence[str]) -> None:
    """Refuse a tilt of the axis that there is not, or where no network is to begin from it."""
    from tomoalign_core.align import NETWORKS

    if axis_tilt is None:
        return
    if not set(methods) & set(NETWORKS):
        looks = f"{methods[0]} looks" if methods else "a table looks"
        raise InputError(
            f"{command}: --axis-tilt {axis_tilt:g} is for a network, and {looks} for none; leave it out, or choose "
            f"--method {' or '.join(NETWORKS)}"
        )
    if not abs(axis_tilt) <= MOST_AXIS_TILT_DEG:
        raise InputError(
            f"{command}: --axis-tilt {axis_tilt:g} is outside -{MOST_AXIS_TILT_DEG:g} to {MOST_AXIS_TILT_DEG:g} "
            "degrees; leave it out, and the axis is looked for"
        )


def read_asked(
    stack: Path,
    *,
    angles: Path | None,
    flats: Path | None,
    darks: Path | None,
    data_path: str | None,
    angles_path: str | None,
    kind: str,
    tilt_axis: str,
    err: bool = False,
) -> Stack:
    """Read a stack as the options of a command ask for, and say what there is to note, on standard output or error."""
    from tomoalign_core.files.stacks import read_stack

    scan = read_stack(
        stack,
        angles_path=angles,
        flats_path=flats,
        darks_path=darks,
        data_path=data_path,
        angles_data_path=angles_path,
        kind=kind,  # type: ignore[arg-type]
        tilt_axis=tilt_axis,  # type: ignore[arg-type]
    )
    for note in scan.notes:
        typer.echo(f"note: {note}", err=err)
    tell_axis(scan.proj, tilt_axis, err=err)
    return scan


def tell_axis(proj: np.ndarray, tilt_axis: str, *, err: bool = False) -> None:
    """Say so, on standard output or error, if a stack, read with this tilt axis, looks as if it had the other one."""
    from tomoalign_core.align.tilt_axis import axis_evidence

    evidence = axis_evidence(proj)
    if evidence.turned:
        other = "horizontal" if tilt_axis == "vertical" else "vertical"
        typer.echo(
            f"note: the tilt axis seems to be the other one, try --tilt-axis {other}: {evidence.words()}. A network "
            "finds it as a tilt, but sees more of the views then; other methods take the turning for shifts",
            err=err,
        )
