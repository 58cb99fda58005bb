"""Everything once, small: simulate, train, align, compare, and a page to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from tomoalign_core.align import METHODS, find_shifts, undo_shifts
from tomoalign_core.config import (
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.doctor import findings
from tomoalign_core.files.shifts import write_csv
from tomoalign_core.files.stacks import write_aligned, write_stack
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn import jobs, runs
from tomoalign_core.learn.presets import wide_mix
from tomoalign_core.learn.process import run_training
from tomoalign_core.learn.runs import Run
from tomoalign_core.learn.weights import PRETRAINED
from tomoalign_core.metrics import psnr, scan_bound, score_shifts
from tomoalign_core.progress import epoch_lines
from tomoalign_core.show.curves import Look, course_of, error_curve
from tomoalign_core.show.figures import SINOGRAM, SLICE, pictures, shifts_over_angle
from tomoalign_core.show.report import Section, write_report
from tomoalign_core.simulate import SimulatedScan, simulate
from tomoalign_core.simulate.slices import find_axis, sinogram_of, slice_of

SCAN = ScanConfig(n_views=60, n_rows=64, n_cols=80)
STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=0.5)
SUBJECT = SimulationConfig(
    scan=SCAN,
    phantom=PhantomConfig(kind="foam", parts=(30, 60), part_size=(0.06, 0.25)),
    misalign=STAGE,
    noise=NoiseConfig(gaussian=0.05, background=0.2),
    seed=7,
)
Say = Callable[[str], None]
Row = tuple[str, Shifts, float]


def demo_config(epochs: int) -> RunConfig:
    """A training small enough to watch: small stacks, two at a time."""
    check = SimulationConfig(scan=SCAN, misalign=STAGE, noise=NoiseConfig(gaussian=0.05, background=0.2))
    small = ScanConfig(n_views=40, n_rows=48, n_cols=64, range_deg=(120, 360))
    dataset = wide_mix().changed(
        scan=small, validation=(ValidationCase(name="blobs, 5 % noise", stacks=2, simulation=check),)
    )
    train = TrainConfig(epochs=epochs, steps_per_epoch=20, batch=2)
    return RunConfig(name="demo", dataset=dataset, train=train)


def run_demo(out: Path, *, epochs: int, say: Say) -> Path:
    """Do it all and leave scan.h5, shifts.csv, aligned.h5 and report.html in ``out``; returns the report's path."""
    out.mkdir(parents=True, exist_ok=True)
    scan = simulate(SUBJECT)
    write_stack(out / "scan.h5", proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    say(f"1/4 simulated a scan of a foam: {out / 'scan.h5'}")

    run = _trained(demo_config(epochs), say)
    rows = _all_methods(scan, run)
    say("3/4 aligned the scan by every method (rms error in px, gauge removed)")
    for name, found, seconds in rows:
        score = score_shifts(found, scan.shifts)
        say(f"    {name:<34} dx {score.dx_rmse_px:.3f}  dy {score.dy_rmse_px:.3f}   {seconds:.2f} s")
    best, found, _ = rows[0]
    aligned, valid = undo_shifts(scan.proj.numpy(), found)
    write_csv(out / "shifts.csv", found)
    write_aligned(out / "aligned.h5", proj=aligned, angle_rad=scan.angle_rad, shifts=found, mask=valid, model=best)
    report = out / "report.html"
    _write(report, scan, run, rows, aligned)
    say(f"4/4 open {report}; the shifts are in {out / 'shifts.csv'}, the aligned stack in {out / 'aligned.h5'}")
    return report


def _trained(config: RunConfig, say: Say) -> Run:
    with jobs.starting():
        run, outcome = runs.claim(config)
    if outcome == "opened":
        say(f"2/4 found the network of an earlier demo: {run.id}")
        return run
    say(f"2/4 training a small network: {config.train.epochs} epochs; the run is {run.id}")

    run_training(run, progress=epoch_lines(run, lambda line: say(f"    {line}")))
    return run


def _all_methods(scan: SimulatedScan, run: Run) -> list[Row]:
    """Name, shifts and seconds of each method; the shipped network first, where it is there."""
    tries = [(f"network, trained in this demo ({run.id[-8:]})", "network", run.id)]
    if PRETRAINED.exists():
        tries.insert(0, ("network, as shipped", "network", "pretrained"))
    tries += [(name, name, "") for name in METHODS if name != "network"]
    rows = []
    for name, method, model in tries:
        began = time.perf_counter()
        found = find_shifts(scan.proj.numpy(), scan.angle_rad, method=method, model=model)
        rows.append((name, found, time.perf_counter() - began))
    return rows


def _write(path: Path, scan: SimulatedScan, run: Run, rows: list[Row], aligned: np.ndarray) -> None:
    bound = scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts)
    table: list[tuple[str, ...]] = [("method", "dx, px", "dy, px", "worst dx", "worst dy", "seconds")]
    for name, found, seconds in rows:
        s = score_shifts(found, scan.shifts)
        figures = (s.dx_rmse_px, s.dy_rmse_px, s.dx_worst_px, s.dy_worst_px)
        table.append((name, *(f"{v:.3f}" for v in figures), f"{seconds:.2f}"))
    table.append(("Cramér-Rao bound", f"{bound[0]:.3f}", f"{bound[1]:.3f}", "", "", ""))
    before, after, true = (_slice(s, scan) for s in (scan.proj.numpy(), aligned, scan.aligned().numpy()))
    row = scan.proj.shape[1] // 2
    sections = [
        Section(
            heading="Before and after",
            words=f"A slice of the reconstruction: as scanned, after alignment ({rows[0][0]}), and of a scan that "
            f"never moved and has no noise. PSNR against the last: {psnr(true, before):.1f} dB before, "
            f"{psnr(true, after):.1f} dB after.",
            figure=pictures({"as scanned": before, "aligned": after, "perfect stage": true}, SLICE, height=380),
        ),
        Section(
            heading="Sinogram of the middle row",
            figure=pictures(
                {"as scanned": scan.proj[:, row].numpy(), "aligned": aligned[:, row]}, SINOGRAM, height=320
            ),
        ),
        Section(
            heading="Shifts over the angle",
            words="Gauge removed: from the data alone dx is known up to a + b cos + c sin, dy up to a constant.",
            figure=shifts_over_angle({rows[0][0]: rows[0][1]}, scan.shifts),
        ),
        Section(heading="Methods on this scan", words="Root mean square error, gauge removed.", table=table),
        Section(heading="The training of this demo", figure=_training_curve(run)),
    ]
    versions = ", ".join(f"{name} {findings()[name]}" for name in ("torch", "numpy", "plotly"))
    write_report(path, title="TomoAlign demo", sections=sections, footer=f"Run {run.id}; {versions}")


def _slice(stack: np.ndarray, scan: SimulatedScan) -> np.ndarray:
    """The middle slice, reconstructed about the axis of the stack."""
    axis = find_axis(stack, scan.angle_rad)
    return slice_of(sinogram_of(stack, stack.shape[1] // 2), scan.angle_rad, axis_px=axis)


def _training_curve(run: Run) -> go.Figure:
    steps, epochs = run.metrics("step"), run.metrics("epoch")
    case = next(iter(epochs[-1]["cases"]))
    last = epochs[-1]["cases"][case]
    return error_curve(
        course_of(steps, "step"),
        course_of(epochs, "step", case=case),
        Look(),
        bound_px={"dx": last["bound_dx_px"], "dy": last["bound_dy_px"]},
        label_sigma_px=float(np.sqrt(last["label_variance_px2"])),
    )
