"""The command line: the same work without a browser.

Exit 0: done. 2: the input is at fault, said in one line on stderr. 1: a training that failed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from tomoalign_core.config import DatasetConfig, Engine, InputError, RunConfig, SimulationConfig
from tomoalign_core.engines import require_tomopy

if TYPE_CHECKING:
    from tomoalign_core.files.stacks import Stack
    from tomoalign_core.geometry import Shifts
    from tomoalign_core.learn.runs import Run
    from tomoalign_core.learn.store import BuiltSet

# typer exports its usage errors only by their commonest kind; what it is a kind of catches them all
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Find the stage movements that blur a tomography scan, and undo them.",
)


def main() -> None:
    """Run the command line; every fault of the user's input is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
    except UsageError as error:
        message = error.format_message().replace("\n", " ")  # type: ignore[attr-defined]
        typer.echo(f"error: {message} Try --help.", err=True)
    except typer.Abort:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(2)


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, devices, memory, the optional tomopy, the trained aligner."""
    from tomoalign_core.doctor import findings

    for name, value in findings().items():
        typer.echo(f"{name:<12} {value}")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Data Exchange HDF5 to write; the truth goes inside")],
    config: Annotated[
        Path | None, typer.Option(help="A simulation's settings as JSON; options below go before it")
    ] = None,
    sample: Annotated[str | None, typer.Option(help="Begin as the Simulate page does: easy, noisy, pillar …")] = None,
    scan: Annotated[Path | None, typer.Option(help="Misalign this real scan instead of a phantom")] = None,
    phantom: Annotated[str | None, typer.Option(help="ellipsoids, foam, pillar, shepp3d")] = None,
    volume: Annotated[
        str | None, typer.Option(help="Voxel volume [z, y, x] as the phantom: .npy .npz .tif .h5")
    ] = None,
    views: Annotated[int | None, typer.Option(help="Projections")] = None,
    rows: Annotated[int | None, typer.Option(help="Detector rows, px")] = None,
    cols: Annotated[int | None, typer.Option(help="Detector columns, px")] = None,
    range_deg: Annotated[float | None, typer.Option(help="Angular range, degrees")] = None,
    dx_sigma: Annotated[float | None, typer.Option(help="Jitter sideways, standard deviation, px")] = None,
    dy_sigma: Annotated[float | None, typer.Option(help="Jitter up and down, px")] = None,
    roll_sigma: Annotated[float | None, typer.Option(help="Jitter of the roll, degrees")] = None,
    noise: Annotated[float | None, typer.Option(help="Gaussian noise, fraction of the maximum")] = None,
    counts: Annotated[float | None, typer.Option(help="Photons per pixel of the open beam, Poisson noise")] = None,
    background: Annotated[
        float | None, typer.Option(help="Offset of each view, up to this fraction of the maximum")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same stack")] = None,
    engine: Annotated[
        str | None, typer.Option(help="torch (exact projections), or tomopy (from voxels) where it is installed")
    ] = None,
) -> None:
    """Simulate a misaligned scan with known truth, or misalign a real one (--scan) by a known amount."""
    settings = _simulation_settings(config, sample)
    kind = "voxels" if volume else phantom
    settings = _override(settings, "scan", n_views=views, n_rows=rows, n_cols=cols, range_deg=range_deg)
    settings = _override(settings, "phantom", kind=kind, path=volume)
    settings = _override(settings, "misalign", dx_sigma_px=dx_sigma, dy_sigma_px=dy_sigma, roll_sigma_deg=roll_sigma)
    settings = _override(settings, "noise", gaussian=noise, counts=counts, background=background)
    settings = _override(settings, None, seed=seed, engine=engine)
    from tomoalign_core.files.stacks import write_stack

    if scan is not None:
        proj, truth = _misaligned_scan(scan, settings)
    else:
        from tomoalign_core.simulate import simulate as draw

        drawn = draw(settings)
        proj, truth = drawn.proj.numpy(), drawn.shifts
    write_stack(out, proj=proj, angle_rad=truth.angle_rad, truth=truth, config_json=settings.to_json(indent=None))
    typer.echo(f"{out}: {proj.shape[0]} views of {proj.shape[1]} × {proj.shape[2]} px, true shifts inside")


@app.command()
def build(
    preset: Annotated[str | None, typer.Option(help="The data set of this training: quick, full or notebook")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of a data set or of a run, JSON")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this data set (key or folder)")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set")] = None,
    fixed: Annotated[int | None, typer.Option(help="Number of training stacks; without it as the settings say")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed draws other stacks")] = None,
) -> None:
    """Build a data set on disk, where trainings with it read it. Ctrl-C keeps what is built; the same words go on."""
    from tomoalign_core.learn import jobs, store

    if sum(v is not None for v in (preset, config, resume)) > 1:
        raise InputError("build: --preset, --config and --resume exclude each other; give one of them")
    if resume is not None:
        _build_here(store.open_set(resume))
        return
    settings = _override(_dataset_settings(preset, config), None, name=name, fixed=fixed, seed=seed)
    with jobs.starting(store.FOLDER):
        built, outcome = store.claim(settings)
    if outcome == "joined":
        raise InputError(f"{built.id}: this data set is being built now; wait for it, or stop it on its page")
    if outcome == "opened":
        typer.echo(f"{built.id}: built before, {built.config.name}")
        _print_set(built)
        return
    _build_here(built)


@app.command()
def train(
    preset: Annotated[
        str | None, typer.Option(help="quick (two cores, minutes), full, or notebook (the origin)")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A run's settings as JSON, e.g. config.json of another run")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this run (id or folder) from its last checkpoint")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run")] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs")] = None,
    steps_per_epoch: Annotated[int | None, typer.Option(help="Steps an epoch")] = None,
    batch: Annotated[int | None, typer.Option(help="Stacks a step")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, or for the convolutions bfloat16 or float16 (mixed precision)")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="For the preset notebook: the same in miniature; 0.25 suits a CPU")
    ] = None,
    notebook_noise: Annotated[
        bool, typer.Option("--notebook-noise", help="For the preset notebook: its noise, σ 0.1, cut off at 0 and 1")
    ] = False,
    notebook_background: Annotated[
        bool, typer.Option("--notebook-background", help="For the preset notebook: its background, 0 to 1/5 a view")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(help="For the preset notebook: who makes and projects the head, torch or tomopy")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Train anew, even if a run of these settings exists")] = False,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="Several values of a setting, e.g. train.learning_rate=1e-3,3e-3; one run for each combination of all "
            "--grid is queued, and trains in the background"
        ),
    ] = None,
) -> None:
    """Train a network. The same settings are never trained twice: a finished run is opened, a stopped one goes on."""
    from tomoalign_core.learn import jobs, runs

    if sum(v is not None for v in (preset, config, resume)) > 1:
        raise InputError("train: --preset, --config and --resume exclude each other; give one of them")
    options = {"scale": scale, "noise": notebook_noise, "background": notebook_background, "engine": engine}
    options = {name: value for name, value in options.items() if value is not None and value is not False}
    if options and preset != "notebook":
        raise InputError("train: --scale, --notebook-noise, --notebook-background and --engine need --preset notebook")
    if grid and resume is not None:
        raise InputError("train: --resume goes on with one run, --grid begins several; give one of them")
    if resume is not None:
        run = runs.open_run(resume)
    else:
        settings = _notebook_settings(**options) if options else _run_settings(preset, config)
        settings = _override(settings, None, name=name)
        settings = _override(
            settings,
            "train",
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            batch=batch,
            learning_rate=learning_rate,
            device=device,
            seed=seed,
            precision=precision,
        )
        _refuse_missing_gpu(settings)
        _refuse_missing_engine(settings)
        if grid:
            _queue_grid(settings, grid, again=again)
            return
        with jobs.starting():
            run, outcome = runs.claim(settings, again=again)
        if outcome == "joined":
            raise InputError(f"{run.id}: a run of these settings is being trained now; watch it, or use --again")
        if outcome == "opened":
            typer.echo(f"{run.id}: trained already (--again trains anew)")
            _print_scores(run)
            return
    if run.config.dataset.fixed is not None:
        _print_shapes(run)
    _train_here(run)


@app.command()
def align(
    stack: Annotated[Path, typer.Argument(help="HDF5 (Data Exchange, NXtomo), TIFF stack or folder, NPZ, NPY")],
    shifts: Annotated[Path, typer.Option(help="Shift table to write, CSV")],
    out: Annotated[Path | None, typer.Option(help="Aligned stack to write, Data Exchange HDF5")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="network, center-of-mass, profile-correlation, phase-correlation; tomopy-joint where tomopy is "
            "installed"
        ),
    ] = "network",
    model: Annotated[
        str, typer.Option(help="For the network: pretrained, a run, or a .safetensors file")
    ] = "pretrained",
    angles: Annotated[Path | None, typer.Option(help="Text file, one angle a line, degrees")] = None,
    data_path: Annotated[str | None, typer.Option(help="Data set of the projections inside an HDF5 file")] = None,
    angles_path: Annotated[str | None, typer.Option(help="Data set of the angles inside an HDF5 file, degrees")] = None,
    kind: Annotated[str, typer.Option(help="auto, attenuation or counts")] = "auto",
    tilt_axis: Annotated[
        str, typer.Option(help="vertical, or horizontal: along the detector's rows; views are then transposed")
    ] = "vertical",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Find the shifts of a scan and, with --out, undo them. A truth inside the file is used for the score only."""
    from tomoalign_core.align import find_shifts
    from tomoalign_core.files.shifts import write_csv
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.learn.train import choose_device

    _check_kind(kind)
    if tilt_axis not in ("vertical", "horizontal"):
        raise InputError(f"--tilt-axis {tilt_axis}: choose vertical or horizontal")
    for path in (shifts, out):
        if path is not None and not path.resolve().parent.is_dir():
            raise InputError(f"{path}: the folder {path.resolve().parent} does not exist; make it first")
    scan = read_stack(
        stack,
        angles_path=angles,
        data_path=data_path,
        angles_data_path=angles_path,
        kind=kind,  # type: ignore[arg-type]
        tilt_axis=tilt_axis,  # type: ignore[arg-type]
    )
    for note in scan.notes:
        typer.echo(f"note: {note}")
    began = time.perf_counter()
    found = find_shifts(scan.proj, scan.angle_rad, method=method, model=model, device=str(choose_device(device)))
    seconds = time.perf_counter() - began
    write_csv(shifts, found)
    typer.echo(f"{shifts}: shifts of {len(found)} views by {method}, {seconds:.2f} s")
    if out is not None:
        _write_aligned(out, scan, found, method if method != "network" else f"network {model}")
    if scan.truth is not None:
        _print_error(found, scan.truth)
    elif found.used.sum() > 1:
        _print_residual(scan, found)


@app.command()
def compare(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids or folders; none: the newest finished ones")
    ] = None,
    out: Annotated[Path | None, typer.Option("--csv", help="Write the whole table there, all cases included")] = None,
) -> None:
    """Set trainings beside each other: best and last errors, and only the settings that differ."""
    from tomoalign_core.files.atomic import atomic_path
    from tomoalign_core.learn import comparison, jobs, runs

    chosen = [runs.open_run(name) for name in dict.fromkeys(names or [])] or comparison.newest_finished()
    if not chosen:
        raise InputError(f"{jobs.workspace() / 'runs'}: holds no finished run to compare; train one, or name runs")
    summaries = [comparison.summarise(run) for run in chosen]
    for line in comparison.as_text(summaries):
        typer.echo(line)
    if out is not None:
        with atomic_path(out) as part:
            part.write_text(comparison.to_csv(summaries), encoding="utf-8")
        typer.echo(f"{out}: {len(summaries)} runs")


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
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Write one HTML file about a run or about the alignment of a stack: it needs no network and fits into a mail."""
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.learn.runs import find_run
    from tomoalign_core.report import aligned_report, run_report
    from tomoalign_core.show.report import write_report

    _check_kind(kind)
    if not out.resolve().parent.is_dir():
        raise InputError(f"{out}: the folder {out.resolve().parent} does not exist; make it first")
    run = find_run(what)
    if run is not None:
        if method or shifts:
            raise InputError(f"{run.id}: is a run, which takes neither --method nor --shifts; give a stack, or neither")
        write_report(out, run_report(run))
    else:
        if not Path(what).exists():
            raise InputError(f"{what}: no such run and no such file; give a run's id or folder, or the path of a stack")
        stack = read_stack(what, angles_path=angles, data_path=data_path, angles_data_path=angles_path, kind=kind)  # type: ignore[arg-type]
        write_report(out, aligned_report(stack, methods=method, model=model, shifts_path=shifts, device=device))
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results")] = Path("workspace/demo"),
    epochs: Annotated[int, typer.Option(help="How long to train, in epochs of 20 steps", min=1)] = 10,
) -> None:
    """All of it, small: simulate, train, align, compare; leaves a report.html to look at. Under 3 minutes on a CPU."""
    from tomoalign_core.demo import run_demo

    run_demo(out, epochs=epochs, say=typer.echo)


def _check_kind(kind: str) -> None:
    if kind not in ("auto", "attenuation", "counts"):
        raise InputError(f"--kind {kind}: choose auto, attenuation or counts")


@app.command()
def lesson(
    out: Annotated[Path | None, typer.Option(help="Where the curves go; the page shows those in the package")] = None,
    scale: Annotated[float, typer.Option(help="Size, as a part of the notebook's", min=0.2, max=1.0)] = 0.25,
    steps: Annotated[int, typer.Option(help="Steps of each training", min=20)] = 120,
) -> None:
    """Train the notebook's network with each combination of its four faults, and keep the curves for the lesson."""
    from tomoalign_core.learn.lesson import RECORD, record

    record(out or RECORD, scale=scale, steps=steps, say=typer.echo)


def _override(settings: Any, part: str | None, **values: Any) -> Any:
    """Settings with those values replaced that are given; a fault names the option's value."""
    from pydantic import ValidationError

    from tomoalign_core.config import first_fault

    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return settings
    try:
        if part is None:
            return settings.changed(**given)
        return settings.changed(**{part: getattr(settings, part).changed(**given)})
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _simulation_settings(config: Path | None, sample: str | None) -> SimulationConfig:
    from tomoalign_core.samples import sample as named

    if config is not None and sample is not None:
        raise InputError("simulate: --config and --sample exclude each other; give one of them")
    if config is not None:
        return SimulationConfig.load(config)
    return named(sample) if sample else SimulationConfig()


def _run_settings(preset: str | None, config: Path | None) -> RunConfig:
    from tomoalign_core.learn.presets import preset as named

    if config is not None:
        return RunConfig.load(config)
    return named(preset or "quick")


def _dataset_settings(preset: str | None, config: Path | None) -> DatasetConfig:
    """The data set of a preset, or of a file that holds the settings of a run or of a data set."""
    if config is None:
        return _run_settings(preset, None).dataset
    try:
        of_a_run = config.is_file() and "dataset" in json.loads(config.read_text())
    except ValueError:  # no JSON: loading it says so
        of_a_run = False
    return RunConfig.load(config).dataset if of_a_run else DatasetConfig.load(config)


def _build_here(built: BuiltSet) -> None:
    """Build a set in this process with a progress bar; the exit code tells how it ended."""
    from tomoalign_core.learn.build import build as build_set
    from tomoalign_core.learn.room import estimate, in_words
    from tomoalign_core.progress import count_bar

    takes = estimate(built.config)
    typer.echo(f"{built.id}: {takes.stacks} stacks, {in_words(takes.disk_bytes)} on disk")
    with count_bar("building", takes.stacks) as progress:
        status = build_set(built, progress=progress)
    if status.state == "stopped":
        typer.echo(f"{built.id}: {status.message}, {status.done} of {status.total} stacks are built")
        typer.echo(f"go on with: python -m tomoalign_core build --resume {built.id}")
        return
    _print_set(built)


def _print_set(built: BuiltSet) -> None:
    from tomoalign_core.learn.room import in_words

    train, validation = built.split
    typer.echo(f"{built.path}: {train} training and {validation} validation stacks, {in_words(built.size_bytes)}")


def _notebook_settings(*, engine: Any = "torch", **options: Any) -> RunConfig:
    from tomoalign_core.learn.presets import notebook

    if engine not in get_args(Engine):
        raise InputError(f"--engine {engine}: choose one of {', '.join(get_args(Engine))}")
    return notebook(engine=engine, **options)


def _misaligned_scan(path: Path, settings: SimulationConfig) -> tuple[Any, Shifts]:
    import numpy as np

    from tomoalign_core.align import move_views
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.simulate import tomopy_engine
    from tomoalign_core.simulate.misalign import draw_shifts

    scan = read_stack(path)
    truth = draw_shifts(settings.misalign, scan.angle_rad, np.random.default_rng(settings.seed))
    move = tomopy_engine.move_views if settings.engine == "tomopy" else move_views
    return move(scan.proj, truth), truth


def _refuse_missing_gpu(settings: RunConfig) -> None:
    """Before a folder is made; a device that is always there is believed, for torch is slow to load."""
    if settings.train.device not in ("auto", "cpu"):
        from tomoalign_core.learn.train import choose_device

        choose_device(settings.train.device)


def _refuse_missing_engine(settings: RunConfig) -> None:
    """Before a folder is made."""
    if "tomopy" in {settings.dataset.engine, *(case.simulation.engine for case in settings.dataset.validation)}:
        require_tomopy("the engine tomopy")


def _queue_grid(settings: RunConfig, grid: list[str], *, again: bool) -> None:
    """Queue one run for each combination of values, and say which."""
    from tomoalign_core.learn.runs import launch
    from tomoalign_core.learn.sweep import expand, parse_values

    values = {}
    for option in grid:
        path, _, text = option.partition("=")
        if not text.strip():
            raise InputError(f"--grid {option}: write SETTING=VALUE,VALUE, as in --grid train.learning_rate=1e-3,3e-3")
        values[path] = parse_values(text, path)
    for config in expand(settings, values):
        run, outcome = launch(config, again=again)
        typer.echo(f"{run.id}  {outcome}")


def _print_shapes(run: Run) -> None:
    from tomoalign_core.learn.shapes import shapes

    for name, shape in shapes(run.config.dataset).items():
        typer.echo(f"{name:<16}{shape}")


def _train_here(run: Run) -> None:
    """Train in this process with a progress bar; the exit code tells how it ended."""
    from tomoalign_core.learn.process import run_training
    from tomoalign_core.learn.runs import queue_for
    from tomoalign_core.progress import epoch_lines, training_bar

    line = [other for other, _ in queue_for(run.config.train.device)]
    before = line.index(run) if run in line else len(line)
    if before:
        typer.echo(f"{run.id}: waits for {before} before it on this device")
    if not sys.stderr.isatty():
        status = run_training(run, progress=epoch_lines(run, typer.echo))
    else:
        with training_bar(run) as progress:
            status = run_training(run, progress=progress)
    typer.echo(f"{run.id}: {status.state}{': ' if status.message else ''}{status.message}")
    if status.state == "failed":
        sys.exit(1)
    if status.state == "stopped":
        typer.echo(f"go on with: python -m tomoalign_core train --resume {run.id}")
    _print_scores(run)


def _print_scores(run: Run) -> None:
    epochs = run.metrics("epoch")
    if not epochs:
        return
    number = run.status().best_epoch
    best = next((e for e in epochs if e["epoch"] == number), epochs[-1])
    typer.echo(f"validation, epoch {best['epoch']} (gauge-removed RMSE, px; bound: Cramér-Rao)")
    typer.echo(f"{'case':<24}{'dx':>8}{'bound':>8}{'dy':>8}{'bound':>8}{'MSE px²':>10}{'label σ²':>10}")
    for name, c in best["cases"].items():
        typer.echo(
            f"{name:<24}{c['rmse_dx_px']:>8.3f}{c['bound_dx_px']:>8.3f}{c['rmse_dy_px']:>8.3f}{c['bound_dy_px']:>8.3f}"
            f"{c['mse_px2']:>10.4f}{c['label_variance_px2']:>10.2f}"
        )
    typer.echo(f"{run.path}: weights in best.safetensors")


def _write_aligned(out: Path, scan: Stack, found: Shifts, model: str) -> None:
    from tomoalign_core.align.save import write_undone
    from tomoalign_core.progress import count_bar

    with count_bar("undoing the shifts", len(found)) as progress:
        write_undone(out, scan.proj, found, made_by=model, progress=progress)
    typer.echo(f"{out}: aligned stack")


def _print_residual(scan: Stack, found: Shifts) -> None:
    from tomoalign_core.align.residual import held_out_residual
    from tomoalign_core.progress import count_bar

    with count_bar("foretelling each view from the others", len(found)) as progress:
        residual = held_out_residual(scan.proj, scan.angle_rad, found, progress=progress)
    odd = ", ".join(map(str, residual.suspects().tolist()))
    typer.echo(
        f"held-out residual {residual.overall:.4f} (0: each view is foretold by the others, 1: none is); rotation axis "
        f"at column {residual.axis_px:.2f}" + (f"; views that stand out: {odd}" if odd else "")
    )


def _print_error(found: Shifts, truth: Shifts) -> None:
    from tomoalign_core.metrics import score_shifts

    score = score_shifts(found, truth)
    typer.echo(
        f"against the truth in the file, gauge removed: dx {score.dx_rmse_px:.3f} px, dy {score.dy_rmse_px:.3f} px rms "
        f"(worst view {score.dx_worst_px:.2f} / {score.dy_worst_px:.2f}; raw {score.dx_raw_rmse_px:.2f} / "
        f"{score.dy_raw_rmse_px:.2f})"
    )
