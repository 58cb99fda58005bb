"""Commands that measure: every method on one suite of stacks, on a scan as it is, and what was measured before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tomoalign_core.cli import root
from tomoalign_core.cli.root import app, check_axis_tilt, check_kind, check_output, check_tilt_axis, read_asked
from tomoalign_core.config import InputError

if TYPE_CHECKING:
    from tomoalign_core.bench import Row, ScanRow

STACKS_OF_SCAN = 5

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
    stacks: Annotated[
        int | None,
        typer.Option(
            help="Stacks a case, each of its own seed; left out, 7 (of large ones 3), and 5 of a real scan", min=1
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One stack a case, and no large ones")] = False,
    scan: Annotated[
        Path | None, typer.Option(help="A well aligned real scan too, with known movements injected")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="File for all figures, written after each case")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "cpu",
) -> None:
    """Errors of every method on one suite of stacks, dx / dy in px without their gauge, beside the Cramér-Rao bound."""
    from tomoalign_core.bench import SUITE, as_table, measure, method_names, on_a_scan
    from tomoalign_core.learn.train import choose_device

    methods, where = method_names(method), str(choose_device(device))
    number, of_scan = (1, 1) if quick else (stacks, stacks or STACKS_OF_SCAN)
    chosen = [c for c in SUITE.values() if not case or any(part in c.name for part in case)]
    if not chosen:
        raise InputError(f"--case {case[0] if case else ''}: no case of that name; there are {'; '.join(SUITE)}")
    if quick:
        chosen = [c for c in chosen if not c.is_large]
    check_output("--json", json_path, scan)
    rows: list[Row] = []
    for done, one in enumerate(chosen, 1):
        rows += measure(one, methods, stacks=number or one.stacks, model=model, device=where)
        _write_rows(json_path, rows)
        typer.echo(f"{done} of {len(chosen)}: {one.name}", err=True)
    if scan is not None:
        rows += on_a_scan(scan, methods, stacks=of_scan, model=model, device=where)
    typer.echo(as_table(rows, methods))
    _write_rows(json_path, rows)


@bench.command("scan")
def bench_scan(
    stack: Annotated[Path, typer.Argument(help="HDF5 (Data Exchange, NXtomo), TIFF stack or folder, MRC, NPZ, NPY")],
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated")] = None,
    model: Annotated[
        str, typer.Option(help="For the network: pretrained, a run, or a .safetensors file")
    ] = "pretrained",
    reference: Annotated[
        Path | None, typer.Option(help="A shift table to compare with, CSV; goes before a truth in the file")
    ] = None,
    angles: root.Angles = None,
    flats: root.Flats = None,
    darks: root.Darks = None,
    data_path: root.DataPath = None,
    angles_path: root.AnglesPath = None,
    kind: root.Kind = "auto",
    tilt_axis: root.TiltAxis = "vertical",
    axis_tilt: root.AxisTilt = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="File for all figures")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Every method on your scan as it is: what its own views say of each, and how far it is from a reference."""
    from tomoalign_core.bench import as_lines, judge_scan, method_names
    from tomoalign_core.files.shifts import read_csv
    from tomoalign_core.learn.train import choose_device
    from tomoalign_core.learn.weights import load_weights

    methods, chosen = method_names(method), str(choose_device(device))
    check_kind(kind)
    check_tilt_axis(tilt_axis)
    check_axis_tilt("bench scan", axis_tilt, methods)
    check_output("--json", json_path, stack, reference, angles, flats, darks)
    load_weights(model, chosen)  # a fault in it is told before minutes are spent
    table = None if reference is None else read_csv(reference, of_transposed=tilt_axis == "horizontal")
    scan = read_asked(
        stack,
        angles=angles,
        flats=flats,
        darks=darks,
        data_path=data_path,
        angles_path=angles_path,
        kind=kind,
        tilt_axis=tilt_axis,
        err=True,
    )

    def on_row(row: ScanRow) -> None:
        typer.echo(f"{row.method}: " + (f"no answer: {row.why}" if row.why else f"{row.held_out:.4f}"), err=True)

    rows = judge_scan(
        scan, methods, model=model, device=chosen, reference=table, axis_tilt_deg=axis_tilt or 0.0, on_row=on_row
    )
    typer.echo(as_lines(rows))
    _write_rows(json_path, rows)


@bench.command("show")
def bench_show(
    figures: Annotated[list[Path], typer.Argument(help="What bench accuracy --json wrote; several are joined")],
    details: Annotated[
        list[str] | None, typer.Option("--details", help="All figures of this method; may be repeated")
    ] = None,
) -> None:
    """The tables of figures that were kept, as Markdown: errors of every method, all figures of some, the sum of it.

    Errors are dx / dy in px, medians over the stacks. In details, dx and dy are multiples of the Cramér-Rao bound (of a
    known template) and of the limit (of an object that nobody knows), stack by stack; roll stands beside its own bound
    and limit; "within σ" counts the views that lie within the σ that is stated for them, "left out" those that the
    method leaves out, "s" are seconds a stack.
    """
    from tomoalign_core.bench import METHODS, as_table
    from tomoalign_core.bench.tables import in_words, method_table, read_rows

    rows = read_rows(figures)
    there = {row.method for row in rows}
    methods = [method for method in METHODS if method in there] + sorted(there - set(METHODS))
    typer.echo(as_table(rows, methods))
    for method in details or ():
        if method not in there:
            raise InputError(f"--details {method}: these files hold {', '.join(methods)}")
        typer.echo(f"\n{method_table(rows, method)}")
        typer.echo(f"\n{in_words(rows, method)}")


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
