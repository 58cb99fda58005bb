"""Commands of learning: build a data set, train, compare runs, tell the lesson."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from tomoalign_core.config import DatasetConfig, Engine, InputError, RunConfig
from tomoalign_core.engines import require_tomopy

if TYPE_CHECKING:
    from tomoalign_core.learn.runs import Run
    from tomoalign_core.learn.store import BuiltSet


from tomoalign_core.cli.root import app, override


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
    settings = override(_dataset_settings(preset, config), None, name=name, fixed=fixed, seed=seed)
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
        settings = override(settings, None, name=name)
        settings = override(
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
def lesson(
    out: Annotated[Path | None, typer.Option(help="Where the curves go; the page shows those in the package")] = None,
    scale: Annotated[float, typer.Option(help="Size, as a part of the notebook's", min=0.2, max=1.0)] = 0.25,
    steps: Annotated[int, typer.Option(help="Steps of each training", min=20)] = 120,
) -> None:
    """Train the notebook's network with each combination of its four faults, and keep the curves for the lesson."""
    from tomoalign_core.learn.lesson import RECORD, record

    record(out or RECORD, scale=scale, steps=steps, say=typer.echo)


def _dataset_settings(preset: str | None, config: Path | None) -> DatasetConfig:
    """The data set of a preset, or of a file that holds the settings of a run or of a data set."""
    if config is None:
        return _run_settings(preset, None).dataset
    try:
        of_a_run = config.is_file() and "dataset" in json.loads(config.read_text())
    except ValueError:  # no JSON: loading it says so
        of_a_run = False
    return RunConfig.load(config).dataset if of_a_run else DatasetConfig.load(config)


def _run_settings(preset: str | None, config: Path | None) -> RunConfig:
    from tomoalign_core.learn.presets import preset as named

    if config is not None:
        return RunConfig.load(config)
    return named(preset or "quick")


def _notebook_settings(*, engine: Any = "torch", **options: Any) -> RunConfig:
    from tomoalign_core.learn.presets import notebook

    if engine not in get_args(Engine):
        raise InputError(f"--engine {engine}: choose one of {', '.join(get_args(Engine))}")
    return notebook(engine=engine, **options)


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
