"""Commands on scans: simulate one, align one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tomoalign_core.config import InputError, SimulationConfig
from tomoalign_core.samples import SAMPLES
from tomoalign_core.samples import sample as named

if TYPE_CHECKING:
    from tomoalign_core.align.refine import Round
    from tomoalign_core.files.stacks import Stack
    from tomoalign_core.geometry import Shifts


from tomoalign_core.cli import root
from tomoalign_core.cli.root import (
    app,
    check_axis_tilt,
    check_kind,
    check_output,
    check_tilt_axis,
    override,
    read_asked,
)

STACKS, TABLES = (".h5", ".hdf5", ".hdf", ".nxs"), (".csv", ".txt")
IN_THE_BOX = "pretrained"
NOTHING_GAINED = 0.99  # of the residual before; a scan that stood still comes to 0.993 to 0.997, by its noise


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Data Exchange HDF5 to write; the truth goes inside")],
    config: Annotated[
        Path | None, typer.Option(help="A simulation's settings as JSON; options below go before it")
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help=f"Begin as the Simulate page does: {', '.join(map(repr, SAMPLES))}")
    ] = None,
    scan: Annotated[Path | None, typer.Option(help="Misalign this real scan instead of a phantom")] = None,
    phantom: Annotated[
        str | None, typer.Option(help="ellipsoids, foam, pillar, shepp3d; of voxels see --volume")
    ] = None,
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
    axis_tilt: Annotated[
        float | None, typer.Option(help="Tilt of the rotation axis off the detector's columns, degrees clockwise")
    ] = None,
    drift: Annotated[float | None, typer.Option(help="Slow drift of the stage, root mean square, px")] = None,
    jumps: Annotated[int | None, typer.Option(help="Number of sudden jumps that stay, of about 5 px")] = None,
    noise: Annotated[float | None, typer.Option(help="Gaussian noise, fraction of the maximum")] = None,
    counts: Annotated[float | None, typer.Option(help="Photons per pixel of the open beam, Poisson noise")] = None,
    background: Annotated[
        float | None, typer.Option(help="Offset of each view, up to this fraction of the maximum")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same stack")] = None,
    engine: Annotated[
        str | None, typer.Option(help="torch (exact projections), or tomopy (from voxels) where it is installed")
    ] = None,
    angles: root.Angles = None,
    flats: root.Flats = None,
    darks: root.Darks = None,
    data_path: root.DataPath = None,
    angles_path: root.AnglesPath = None,
    kind: root.Kind = "auto",
    tilt_axis: root.TiltAxis = "vertical",
) -> None:
    """Simulate a misaligned scan with known truth, or misalign a real one (--scan) by a known amount.

    It begins with 60 views of 80 x 104 px of blobs without noise, over half a turn, by a stage that jitters by 4 px
    sideways and 1 px up and down; options, --sample and --config change that. What it writes is attenuation, also with
    --counts, whose noise is that of -log of the counts. From --angles on, options say how --scan is read, as for align.
    """
    check_kind(kind)
    check_tilt_axis(tilt_axis)
    settings = _simulation_settings(config, sample)
    if scan is None:
        _refuse_without_scan(
            angles=angles, flats=flats, darks=darks, data_path=data_path, angles_path=angles_path,
            kind=None if kind == "auto" else kind, tilt_axis=None if tilt_axis == "vertical" else tilt_axis,
        )  # fmt: skip
    if scan is not None:
        _refuse_with_scan(
            phantom=phantom, volume=volume, views=views, rows=rows, cols=cols, range_deg=range_deg,
            noise=noise, counts=counts, background=background,
        )  # fmt: skip
    if phantom == "voxels" and not volume:
        raise InputError("--phantom voxels: the volume is in a file; give it by --volume")
    of_phantom = "voxels" if volume else phantom
    settings = override(settings, "scan", n_views=views, n_rows=rows, n_cols=cols, range_deg=range_deg)
    settings = override(settings, "phantom", kind=of_phantom, path=volume)
    settings = override(
        settings,
        "misalign",
        dx_sigma_px=dx_sigma,
        dy_sigma_px=dy_sigma,
        roll_sigma_deg=roll_sigma,
        axis_tilt_deg=axis_tilt,
        drift_px=drift,
        jumps=jumps,
    )
    settings = override(settings, "noise", gaussian=noise, counts=counts, background=background)
    settings = override(settings, None, seed=seed, engine=engine)
    from tomoalign_core.files.writers import write_stack

    check_output("OUT", out, scan, angles, flats, darks, config, Path(volume) if volume else None, endings=STACKS)
    if scan is not None:
        read = read_asked(
            scan, angles=angles, flats=flats, darks=darks, data_path=data_path, angles_path=angles_path, kind=kind,
            tilt_axis=tilt_axis,
        )  # fmt: skip
        proj, truth = _misaligned_scan(read, settings)
    else:
        from tomoalign_core.simulate import simulate as draw

        drawn = draw(settings)
        proj, truth = drawn.proj.numpy(), drawn.shifts
    write_stack(out, proj=proj, angle_rad=truth.angle_rad, truth=truth, config_json=settings.to_json(indent=None))
    inside = "true shifts inside" if scan is None else "the shifts put in are inside, as if the scan had had none"
    typer.echo(f"{out}: {proj.shape[0]} views of {proj.shape[1]} × {proj.shape[2]} px, {inside}")


@app.command()
def align(
    stack: Annotated[Path, typer.Argument(help="HDF5 (Data Exchange, NXtomo), TIFF stack or folder, MRC, NPZ, NPY")],
    shifts: Annotated[Path, typer.Option(help="Shift table to write, CSV")],
    out: Annotated[Path | None, typer.Option(help="Aligned stack to write, Data Exchange HDF5")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="network, network+refine, center-of-mass, profile-correlation, phase-correlation; tomopy-joint "
            "where tomopy is installed"
        ),
    ] = "network",
    model: Annotated[str, typer.Option(help="For the network: pretrained, a run, or a .safetensors file")] = IN_THE_BOX,
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
    """Find the shifts of a scan and, with --out, undo them. A truth inside the file is used for the score only."""
    from tomoalign_core.align import beyond_domain, find_shifts
    from tomoalign_core.align.notes import OUTSIDE, confidence_words, left_out_words
    from tomoalign_core.align.rounds import outcome, told
    from tomoalign_core.files.shifts import write_csv
    from tomoalign_core.learn.train import choose_device
    from tomoalign_core.progress import bar_if_long

    check_kind(kind)
    check_tilt_axis(tilt_axis)
    check_output("--shifts", shifts, stack, angles, flats, darks, endings=TABLES)
    check_output("--out", out, stack, angles, flats, darks, shifts, endings=STACKS)
    check_method(method, model)
    _refuse_model_without_network(method, model)
    check_axis_tilt("align", axis_tilt, [method])
    scan = read_asked(
        stack,
        angles=angles,
        flats=flats,
        darks=darks,
        data_path=data_path,
        angles_path=angles_path,
        kind=kind,
        tilt_axis=tilt_axis,
    )
    _tell_outside(scan, method, model)
    rounds: list[Round] = []

    def on_round(one: Round) -> None:
        rounds.append(one)
        typer.echo(told(one), err=True)

    began = time.perf_counter()
    with bar_if_long(f"looking for the shifts, {method.split('+')[0]}") as progress:
        found = find_shifts(
            scan.proj,
            scan.angle_rad,
            method=method,
            model=model,
            device=str(choose_device(device)),
            axis_tilt_deg=axis_tilt or 0.0,
            progress=progress,
            on_round=on_round,
        )
    seconds = time.perf_counter() - began
    write_csv(shifts, found, of_transposed=scan.transposed)
    typer.echo(f"{shifts}: shifts of {len(found)} views by {method}, {seconds:.2f} s")
    if rounds:
        typer.echo(f"refined: {outcome(rounds)}", err=True)
    if words := confidence_words(found):
        typer.echo(words)
    for line in beyond_domain(found, scan.proj, method=method, model=model):
        typer.echo(f"note: {OUTSIDE}: {line}")
    if not found.used.all():
        typer.echo(left_out_words(found))
    axis_px = None
    if scan.truth is not None:
        _print_error(scan, found, scan.truth)
    elif found.used.sum() > 1:
        axis_px = _print_residual(scan, found, shifts)
    if out is not None:
        _write_aligned(out, scan, found, method.replace("network", f"network {model}"), axis_px)


def _simulation_settings(config: Path | None, sample: str | None) -> SimulationConfig:
    if config is not None and sample is not None:
        raise InputError("simulate: --config and --sample exclude each other; give one of them")
    if config is not None:
        return SimulationConfig.load(config)
    return named(sample) if sample else SimulationConfig()


def _refuse_with_scan(**options: object) -> None:
    """Refuse options that say what a simulated scan is like, where a real one is moved."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"simulate: --scan brings views of its own; leave out {', '.join(given)}")


def _refuse_without_scan(**options: object) -> None:
    """Refuse options that say how a real scan is read, where none is."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"simulate: {', '.join(given)} say how a scan is read; give one (--scan), or leave them out")


def _misaligned_scan(scan: Stack, settings: SimulationConfig) -> tuple[Any, Shifts]:
    import numpy as np

    from tomoalign_core.align import move_views
    from tomoalign_core.simulate import tomopy_engine
    from tomoalign_core.simulate.misalign import draw_shifts

    if scan.truth is not None:
        typer.echo(
            f"note: {scan.source} is misaligned itself, by known shifts; the truth in the new file is what is added"
        )
    truth = draw_shifts(settings.misalign, scan.angle_rad, np.random.default_rng(settings.seed))
    move = tomopy_engine.move_views if settings.engine == "tomopy" else move_views
    return move(scan.proj, truth), truth


def check_method(method: str, model: str) -> None:
    """Refuse a method or a model that there is not, before a stack is read."""
    from tomoalign_core.align import METHODS, MISSING_METHODS, NETWORKS
    from tomoalign_core.learn.weights import learned_from

    if method not in METHODS:
        missing = "".join(f" ({name} {why})" for name, why in MISSING_METHODS.items())
        raise InputError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}{missing}")
    if method in NETWORKS:
        learned_from(model)


def _refuse_model_without_network(method: str, model: str) -> None:
    from tomoalign_core.align import NETWORKS

    if method not in NETWORKS and model != IN_THE_BOX:
        raise InputError(
            f"align: --model {model} is for a network, and {method} asks none; leave it out, or choose "
            f"--method {' or '.join(NETWORKS)}"
        )


def _tell_outside(scan: Stack, method: str, model: str) -> None:
    """Say, before a network runs, how the stack differs from what it learned from."""
    from tomoalign_core.align import NETWORKS, outside_domain
    from tomoalign_core.align.notes import OUTSIDE

    if method in NETWORKS:
        for line in outside_domain(scan.proj, scan.angle_rad, model=model):
            typer.echo(f"note: {OUTSIDE}: {line}")


def _write_aligned(out: Path, scan: Stack, found: Shifts, model: str, axis_px: float | None) -> None:
    from tomoalign_core.align.save import write_undone
    from tomoalign_core.progress import count_bar

    with count_bar("undoing the shifts", len(found)) as progress:
        write_undone(out, scan.proj, found, made_by=model, axis_px=axis_px, progress=progress)
    typer.echo(f"{out}: aligned stack")
    if not found.used.all():
        typer.echo("views left out stay in it as measured; tomoalign/valid and tomoalign/shifts/used say which")


def _print_residual(scan: Stack, found: Shifts, shifts: Path) -> float:
    """Say how well the views go together, as they were and aligned; the axis of the aligned stack, a column."""
    import numpy as np

    from tomoalign_core.align.residual import held_out_residual
    from tomoalign_core.geometry import Shifts
    from tomoalign_core.progress import count_bar

    zero = np.zeros(len(found))
    unmoved = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=zero, dy_px=zero, used=found.used)
    with count_bar("predicting each view from the others, as it was", len(found)) as progress:
        before = held_out_residual(scan.proj, scan.angle_rad, unmoved, progress=progress)
    with count_bar("predicting each view from the others, aligned", len(found)) as progress:
        residual = held_out_residual(scan.proj, scan.angle_rad, found, progress=progress)
    typer.echo(
        f"held-out residual {before.overall:.4f} as it was, {residual.overall:.4f} aligned: the share of each view "
        f"that the others do not explain; noise alone would leave about {residual.noise:.4f}"
    )
    typer.echo(f"rotation axis of the aligned stack: column {residual.axis_px:.2f}, counted from 0")
    if residual.overall > NOTHING_GAINED * before.overall:
        typer.echo("by the residual nothing was gained: the scan was aligned as it was, or these shifts are not right")
    odd = residual.suspects().tolist()
    if odd:
        typer.echo(
            f"worse foretold by the others than their neighbours are: view {', view '.join(map(str, odd))} (counted "
            f"from 0); to leave one out, set its used to 0 in {shifts}"
        )
    if residual.doubt():
        typer.echo(f"warning: {residual.doubt()}", err=True)
    return residual.axis_px


def _print_error(scan: Stack, found: Shifts, truth: Shifts) -> None:
    """Say how far it is from the truth and, where the settings of a simulation are in the file, what the bound is."""
    from tomoalign_core.metrics import score_shifts
    from tomoalign_core.report.of_stack import simulated

    score = score_shifts(found, truth)
    tilt = ""
    if truth.axis_tilt_deg or found.axis_tilt_deg:
        tilt = f", the tilt of the axis off by {abs(score.axis_tilt_error_deg):.2f}°"
    typer.echo(
        f"against the truth in the file, gauge removed: dx {score.dx_rmse_px:.3f} px, dy {score.dy_rmse_px:.3f} px, "
        f"roll {score.roll_rmse_deg:.2f}° rms{tilt} (worst view {score.dx_worst_px:.2f} / {score.dy_worst_px:.2f} px; "
        f"with the gauge, which nobody can know, {score.dx_raw_rmse_px:.2f} / {score.dy_raw_rmse_px:.2f} px)"
    )
    known = simulated(scan)
    if known is None:
        typer.echo(
            "no Cramér-Rao bound can be told: it follows from the views without noise, which are not in this file"
        )
        return
    dx, dy = known.bound_px
    if dx > 0 and dy > 0:
        least, times = f"dx {dx:.3f} px, dy {dy:.3f} px", f"{score.dx_rmse_px / dx:.2f} and {score.dy_rmse_px / dy:.2f}"
        if roll := known.roll_bound_deg:
            least, times = f"{least}, roll {roll:.2f}°", f"{times}, roll {score.roll_rmse_deg / roll:.2f}"
        typer.echo(
            f"Cramér-Rao bound, the least error if the object were known: {least}; the errors are {times} times that"
        )
    else:
        typer.echo("there is no noise, so there is no Cramér-Rao bound")
