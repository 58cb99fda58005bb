"""What it costs that nobody knows what a view should look like, nor how it rolled.

    python tests/benchmarks/templates.py [--case "Shepp"] [--stacks 3] [--rounds 3]

Steps of all views together (``align.joint``), begun at what the network sees: as they are, each view held against what
the others foretell of it; with the true views, without noise, in place of that; and with the true rolls. Errors in dx
and dy are multiples of the Cramér-Rao bound, those in roll degrees beside its bound (medians over the stacks). What is
left with the true views is what even they cannot tell apart from another object, as that is still taken for unknown.
What the true rolls take away is the error of a roll times how far off its middle a view shows something. Stacks so
large that steps bin them have no true views.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

from tomoalign_core.align import together, undo_shifts
from tomoalign_core.align.joint import Joint
from tomoalign_core.align.lost import leave_out_lost
from tomoalign_core.align.outline import background_of
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.align.ways import Slopes, ways_of
from tomoalign_core.bench.suite import SUITE, scans
from tomoalign_core.geometry import placed_as
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import scan_bound, scan_roll_bound, score_shifts
from tomoalign_core.simulate import LabelledScan

LARGEST = 2_000_000  # pixels; larger stacks are binned for the steps
SURE = 1e6  # times what is known of a roll beforehand: as good as certain


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="", help="kinds whose name has this in it")
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    model = load_weights("pretrained")
    print(
        "| stack | bound of roll, ° | dx, dy, roll ° as foretold | with the true views | dx, dy with the true rolls |"
    )
    print("| --- | --- | --- | --- | --- |")
    for name, case in SUITE.items():
        if asked.case not in name:
            continue
        noisy = [scan for scan in scans(case, asked.stacks) if scan.gaussian or scan.counts]
        if not noisy:
            continue
        foretold, true, known, rolls = [], [], [], []
        for scan in noisy:
            proj, clean = scan.proj.numpy(), scan.clean.numpy()
            start = leave_out_lost(proj, predict_shifts(proj, scan.angle_rad, model))
            bounds = scan_bound(clean, gaussian=scan.gaussian, counts=scan.counts)
            rolls.append(scan_roll_bound(clean, gaussian=scan.gaussian, counts=scan.counts))
            foretold.append(errors(Joint(proj, scan.angle_rad, start), scan, bounds, asked.rounds))
            joint = Joint(proj, scan.angle_rad, start)
            if case.pixels <= LARGEST:
                with true_views(scan, joint):
                    true.append(errors(joint, scan, bounds, asked.rounds))
            if scan.shifts.roll_deg.any():
                joint = Joint(proj, scan.angle_rad, replace(start, roll_deg=scan.shifts.roll_deg))
                be_sure_of_roll(joint)
                known.append(errors(joint, scan, bounds, asked.rounds)[:2])
        cells = [
            ", ".join(f"{x:.2f}" for x in np.median(each, axis=0)) if each else "–" for each in (foretold, true, known)
        ]
        print(f"| {name} | {np.median(rolls):.2f} | {' | '.join(cells)} |", flush=True)


def errors(joint: Joint, scan: LabelledScan, bounds: tuple[float, float], rounds: int) -> tuple[float, float, float]:
    """Errors in dx and dy over the bound, and that in roll, degrees, after some steps."""
    for _ in range(rounds):
        joint.improve()
    score = score_shifts(joint.table, scan.shifts)
    return score.dx_rmse_px / bounds[0], score.dy_rmse_px / bounds[1], score.roll_rmse_deg


def be_sure_of_roll(joint: Joint) -> None:
    """Take the rolls of its start for known."""
    prior, n = joint._problem._prior, joint._used.sum()
    prior[2 * n : 3 * n, 2 * n : 3 * n] *= SURE


@contextmanager
def true_views(scan: LabelledScan, joint: Joint) -> Iterator[None]:
    """Within it, steps hold views against the true ones, of the object where the steps have it."""
    used, here = joint._used, joint._problem.table
    clean = scan.clean.numpy()[used]
    truth = placed_as(scan.shifts.taken(used), here)
    aligned, _ = undo_shifts(clean - background_of(clean)[:, None, None], truth)
    views = np.pad(aligned, ((0, 0), (together.ROWS_BEYOND,) * 2, (0, 0)), mode="reflect")

    def of_true(told: np.ndarray, seen: np.ndarray, *, row: float, slopes: Slopes) -> list[np.ndarray]:
        unit = float((views * told).sum() / (views**2).sum())  # of the stack in the steps
        return ways_of(unit * views, seen, row=row, slopes=Slopes())

    with mock.patch.object(together, "ways_of", of_true):
        yield


if __name__ == "__main__":
    main()
