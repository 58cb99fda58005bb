"""Commands that tell: what this machine has, all of it once, a report, how well each method does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomoalign_core.cli.root import app, check_kind, check_tilt_axis, tell_axis
from tomoalign_core.config import InputError

if TYPE_CHECKING:
    from tomoalign_core.bench import Row, ScanRow


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, devices, memory, the optional tomopy, the trained aligner."""
    from tomoalign_core.doctor import findings

    for name, value in findings().items():
        typer.echo(f"{name:<12} {value}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results")] = Path("workspace/demo"),
    epochs: Annotated[int, typer.Option(help="How long to train, in epochs of 20 steps", min=1)] = 10,
) -> None:
    """All of it, small: simulate, train, align, compare; leaves a report.html to look at. Under 3 minutes on a CPU."""
    from tomoalign_core.demo import run_demo

    run_demo(out, epochs=epochs, say=typer.echo)


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
    angles: Annotated[Path | None, typer.Option(help="Text file, one angle a line, degrees")] = None,
    data_path: Annotated[str | None, typer.Option(help="Data set of the projections inside an HDF5 file")] = None,
    angles_path: Annotated[str | None, typer.Option(help="Data set of the angles inside an HDF5 file, degrees")] = None,
    kind: Annotated[str, typer.Option(help="auto, attenuation or counts")] = "auto",
    tilt_axis: Annotated[
        str, typer.Option(help="vertical, or horizontal: along the detector's rows; views are then transposed")
    ] = "vertical",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Write one HTML file about a run or about the alignment of a stack: it needs no network and fits into a mail."""
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.learn.runs import find_run, named_run
    from tomoalign_core.report import aligned_report, run_report
    from tomoalign_core.show.report import write_report

    check_kind(kind)
    check_tilt_axis(tilt_axis)
    if not out.resolve().parent.is_dir():
        raise InputError(f"{out}: the folder {out.resolve().parent} does not exist; make it first")
    run = find_run(what) or (None if Path(what).exists() else named_run(what))
    if run is not None:
        if method or shifts:
            raise InputError(f"{run.id}: is a run, which takes neither --method nor --shifts; give a stack, or neither")
        write_report(out, run_report(run))
    else:
        if not Path(what).exists():
            raise InputError(f"{what}: no such run and no such file; give a run's id or folder, or the path of a stack")
        stack = read_stack(
            what,
            angles_path=angles,
            data_path=data_path,
            angles_data_path=angles_path,
            kind=kind,  # type: ignore[arg-type]
            tilt_axis=tilt_axis,  # type: ignore[arg-type]
        )
        tell_axis(stack.proj, tilt_axis)
        write_report(out, aligned_report(stack, methods=method, model=model, shifts_path=shifts, device=device))
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


bench = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Measure every method, on simulated stacks or on your scan."
)
app.add_typer(bench, name="bench")


@bench.callback()
def _bench() -> None:
    """Measure every method, on simulated stacks or on your scan."""


@bench.command("accuracy")
def bench_accuracy(
    case: Annotated[
        list[str] | None, typer.Option(help="Only the cases whose name holds this; may be repeated")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated")] = None,
    model: Annotated[str, typer.Option(help="Network: pretrained, a run, or a .safetensors file")] = "pretrained",
    stacks: Annotated[int, typer.Option(help="Stacks a case, each of its own seed", min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One stack a case, and no large ones")] = False,
    scan: Annotated[
        Path | None, typer.Option(help="A well aligned real scan too, with known movements injected")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="File for all figures")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "cpu",
) -> None:
    """Errors of every method on one suite of stacks, dx / dy in px without their gauge, beside the Cramér-Rao bound."""
    from tomoalign_core.bench import SUITE, as_table, measure, method_names, on_a_scan
    from tomoalign_core.bench.suite import LARGEST_QUICK

    methods, number = method_names(method), 1 if quick else stacks
    chosen = [c for c in SUITE.values() if not case or any(part in c.name for part in case)]
    if not chosen:
        raise InputError(f"--case {case[0] if case else ''}: no case of that name; there are {'; '.join(SUITE)}")
    if quick:
        chosen = [c for c in chosen if c.pixels <= LARGEST_QUICK]
    _check_folder(json_path)
    rows: list[Row] = []
    for done, one in enumerate(chosen, 1):
        rows += measure(one, methods, stacks=number, model=model, device=device)
        typer.echo(f"{done} of {len(chosen)}: {one.name}", err=True)
    if scan is not None:
        rows += on_a_scan(scan, methods, stacks=number, model=model, device=device)
    typer.echo(as_table(rows, methods))
    _write_rows(json_path, rows)


@bench.command("scan")
def bench_scan(
    stack: Annotated[Path, typer.Argument(help="HDF5 (Data Exchange, NXtomo), TIFF stack or folder, NPZ, NPY")],
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated")] = None,
    model: Annotated[
        str, typer.Option(help="For the network: pretrained, a run, or a .safetensors file")
    ] = "pretrained",
    reference: Annotated[
        Path | None, typer.Option(help="A shift table to compare with, CSV; goes before a truth in the file")
    ] = None,
    angles: Annotated[Path | None, typer.Option(help="Text file, one angle a line, degrees")] = None,
    data_path: Annotated[str | None, typer.Option(help="Data set of the projections inside an HDF5 file")] = None,
    angles_path: Annotated[str | None, typer.Option(help="Data set of the angles inside an HDF5 file, degrees")] = None,
    kind: Annotated[str, typer.Option(help="auto, attenuation or counts")] = "auto",
    tilt_axis: Annotated[
        str, typer.Option(help="vertical, or horizontal: along the detector's rows; views are then transposed")
    ] = "vertical",
    json_path: Annotated[Path | None, typer.Option("--json", help="File for all figures")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Every method on your scan as it is: what its own views say of each, and how far it is from a reference."""
    from tomoalign_core.bench import as_lines, judge_scan, method_names
    from tomoalign_core.files.shifts import read_csv
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.learn.train import choose_device
    from tomoalign_core.learn.weights import load_weights

    methods, chosen = method_names(method), str(choose_device(device))
    check_kind(kind)
    check_tilt_axis(tilt_axis)
    _check_folder(json_path)
    load_weights(model, chosen)  # a fault in it is told before minutes are spent
    table = None if reference is None else read_csv(reference)
    scan = read_stack(
        stack,
        angles_path=angles,
        data_path=data_path,
        angles_data_path=angles_path,
        kind=kind,  # type: ignore[arg-type]
        tilt_axis=tilt_axis,  # type: ignore[arg-type]
    )
    for words in scan.notes:
        typer.echo(f"note: {words}", err=True)
    tell_axis(scan.proj, tilt_axis, err=True)

    def on_row(row: ScanRow) -> None:
        typer.echo(f"{row.method}: " + (f"no answer: {row.why}" if row.why else f"{row.held_out:.4f}"), err=True)

    rows = judge_scan(scan, methods, model=model, device=chosen, reference=table, on_row=on_row)
    typer.echo(as_lines(rows))
    _write_rows(json_path, rows)


def _check_folder(path: Path | None) -> None:
    if path is not None and not path.resolve().parent.is_dir():
        raise InputError(f"{path}: the folder {path.resolve().parent} does not exist; make it first")


def _write_rows(path: Path | None, rows: Sequence[Row | ScanRow]) -> None:
    """All figures as JSON, if there is a file to write."""
    import json
    from dataclasses import asdict

    from tomoalign_core.files.atomic import atomic_path

    if path is not None:
        with atomic_path(path) as beside:
            beside.write_text(json.dumps([_known(asdict(row)) for row in rows], indent=1), encoding="utf-8")


def _known(row: dict[str, object]) -> dict[str, object]:
    """A row for JSON, which has no word for "not a number": what is not known is null."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
