"""Everything once, small: simulate, train, align, compare, and a page to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tomoalign_core.align import METHODS, find_shifts, undo_shifts
from tomoalign_core.align.refine import Round
from tomoalign_core.config import (
    NoiseConfig,
    PhantomConfig,
    RunConfig,
    SimulationConfig,
)
from tomoalign_core.files.shifts import write_csv
from tomoalign_core.files.stacks import Stack
from tomoalign_core.files.writers import write_aligned, write_stack
from tomoalign_core.learn import jobs, runs
from tomoalign_core.learn.presets import DEMO_SCAN, DEMO_STAGE, demo_config
from tomoalign_core.learn.process import run_training
from tomoalign_core.learn.runs import Run
from tomoalign_core.learn.weights import PRETRAINED
from tomoalign_core.metrics import scan_bound, score_shifts
from tomoalign_core.progress import epoch_lines
from tomoalign_core.report import Alignment, run_report, stack_report
from tomoalign_core.show.report import Section, write_report
from tomoalign_core.simulate import SimulatedScan, simulate

SUBJECT = SimulationConfig(
    scan=DEMO_SCAN,
    phantom=PhantomConfig(kind="foam", parts=(30, 60), part_size=(0.06, 0.25)),
    misalign=DEMO_STAGE,
    noise=NoiseConfig(gaussian=0.05, background=0.2),
    seed=7,
)
Say = Callable[[str], None]


def run_demo(out: Path, *, epochs: int, say: Say) -> Path:
    """Do it all and leave scan.h5, shifts.csv, aligned.h5 and report.html in ``out``; returns the report's path."""
    out.mkdir(parents=True, exist_ok=True)
    scan = simulate(SUBJECT)
    settings = SUBJECT.to_json(indent=None)
    write_stack(
        out / "scan.h5", proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts, config_json=settings
    )
    say(f"1/4 simulated a scan of a foam: {out / 'scan.h5'}")

    run = _trained(demo_config(epochs), say)
    found = _all_methods(scan, run)
    say("3/4 aligned the scan by every method (rms error in px, gauge removed)")
    for one in found:
        score = score_shifts(one.shifts, scan.shifts)
        say(f"    {one.name:<34} dx {score.dx_rmse_px:.3f}  dy {score.dy_rmse_px:.3f}   {one.seconds:.2f} s")
    best = found[0]
    aligned, valid = undo_shifts(scan.proj.numpy(), best.shifts)
    write_csv(out / "shifts.csv", best.shifts)
    write_aligned(
        out / "aligned.h5", proj=aligned, angle_rad=scan.angle_rad, shifts=best.shifts, mask=valid, model=best.name
    )
    report = out / "report.html"
    _write(report, scan, run, found)
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


def _all_methods(scan: SimulatedScan, run: Run) -> list[Alignment]:
    """What each method finds; the shipped network first, where it is there."""
    tries = [(f"network, trained in this demo ({run.id[-8:]})", "network", run.id)]
    if PRETRAINED.exists():
        tries.insert(0, ("network, as shipped", "network", "pretrained"))
        tries.insert(1, ("network, as shipped, then refined", "network+refine", "pretrained"))
    tries += [(name, name, "") for name in METHODS if not name.startswith("network")]
    found = []
    for name, method, model in tries:
        began = time.perf_counter()
        rounds: list[Round] = []
        shifts = find_shifts(scan.proj.numpy(), scan.angle_rad, method=method, model=model, on_round=rounds.append)
        found.append(Alignment(name=name, shifts=shifts, seconds=time.perf_counter() - began, rounds=rounds))
    return found


def _write(path: Path, scan: SimulatedScan, run: Run, found: list[Alignment]) -> None:
    """The report of the alignment, and behind it that of the network which was trained for it."""
    bound = scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts)
    stack = Stack(proj=scan.proj.numpy(), angle_rad=scan.angle_rad, source="a simulated foam", truth=scan.shifts)
    about = stack_report(stack, found, bound_px=bound, perfect=scan.aligned().numpy())
    training = run_report(run)
    trained = Section(heading="The training of this demo", words=training.lead)
    sections = [*about.sections[:-1], trained, *training.sections]
    write_report(path, replace(about, title="TomoAlign demo", sections=sections, footer=training.footer))
