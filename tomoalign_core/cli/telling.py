"""Commands that tell: what this machine has, all of it once, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tomoalign_core.cli import root
from tomoalign_core.cli.root import (
    app,
    check_axis_tilt,
    check_kind,
    check_output,
    check_tilt_axis,
    read_asked,
)
from tomoalign_core.config import InputError


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, devices, memory, the optional tomopy, the trained aligner."""
    from tomoalign_core.doctor import findings

    for name, value in findings().items():
        typer.echo(f"{name:<12} {value}")


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results", show_default="demo in the workspace")
    ] = None,
    epochs: Annotated[int, typer.Option(help="How long to train, in epochs of 20 steps", min=1)] = 10,
) -> None:
    """All of it, small: simulate, train, align, compare; leaves a report.html to look at. Under 3 minutes on a CPU."""
    from tomoalign_core.demo import run_demo
    from tomoalign_core.learn.jobs import workspace

    run_demo(out or workspace() / "demo", epochs=epochs, say=typer.echo)


@app.command()
def report(
    what: Annotated[str, typer.Argument(metavar="RUN_OR_STACK", help="Id or folder of a run, or a stack as for align")],
    out: Annotated[Path, typer.Option(help="HTML file to write")],
    method: Annotated[
        list[str] | None, typer.Option(help="For a stack; several are compared, the first is looked at closely")
    ] = None,
    model: Annotated[
        str, typer.Option(help="For the network: pretrained, a run, or a .safetensors file")
    ] = "pretrained",
    shifts: Annotated[Path | None, typer.Option(help="For a stack: a shift table found before, CSV")] = None,
    angles: root.Angles = None,
    flats: root.Flats = None,
    darks: root.Darks = None,
    data_path: root.DataPath = None,
    angles_path: root.AnglesPath = None,
    kind: root.Kind = "auto",
    tilt_axis: root.TiltAxis = "vertical",
    axis_tilt: root.AxisTilt = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Write one HTML file about a run or about the alignment of a stack: it needs no network and fits into a mail."""
    from tomoalign_core.learn.runs import find_run, named_run
    from tomoalign_core.report import aligned_report, run_report
    from tomoalign_core.show.report import write_report

    check_kind(kind)
    check_tilt_axis(tilt_axis)
    check_output("--out", out, Path(what), shifts, angles, flats, darks)
    check_axis_tilt("report", axis_tilt, method or ([] if shifts else ["network"]))
    run = find_run(what) or (None if Path(what).exists() else named_run(what))
    if run is not None:
        if method or shifts or axis_tilt is not None:
            raise InputError(
                f"{run.id}: is a run, which takes neither --method, --shifts nor --axis-tilt; leave them out"
            )
        write_report(out, run_report(run))
    else:
        if not Path(what).exists():
            raise InputError(f"{what}: no such run and no such file; give a run's id or folder, or the path of a stack")
        stack = read_asked(
            Path(what),
            angles=angles,
            flats=flats,
            darks=darks,
            data_path=data_path,
            angles_path=angles_path,
            kind=kind,
            tilt_axis=tilt_axis,
        )
        said = aligned_report(
            stack, methods=method, model=model, shifts_path=shifts, axis_tilt_deg=axis_tilt or 0.0, device=device
        )
        write_report(out, said)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")
