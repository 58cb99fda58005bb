"""What the step of all views together, with which the network's answer ends, makes of what the network sees.

    python tests/benchmarks/step.py [--case "pillar"] [--stacks 3]

It prints, for each kind of stack of the suite with noise, the errors in dx and dy as multiples of the Cramér-Rao bound,
and that in roll, before the step and after it (medians over the stacks), and in the end the medians over the kinds.
"""

from __future__ import annotations

import argparse

import numpy as np

from tomoalign_core.align.joint import step_together
from tomoalign_core.align.lost import leave_out_lost
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.bench.suite import SUITE, scans
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import scan_bound, score_shifts
from tomoalign_core.simulate import LabelledScan

AT_MOST = 1.5  # times the bound: what is asked of the network


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="", help="kinds whose name has this in it")
    parser.add_argument("--stacks", type=int, default=3)
    asked = parser.parse_args()
    model = load_weights("pretrained")
    seen, stepped = [], []
    print("| stack | dx / bound, dy / bound, roll ° as seen | after the step |\n| --- | --- | --- |")
    for name, case in SUITE.items():
        some = scans(case, asked.stacks) if asked.case in name else []
        noisy = [scan for scan in some if scan.gaussian or scan.counts]
        if not noisy:
            continue
        before, after = [], []
        for scan in noisy:
            proj = scan.proj.numpy()
            found = leave_out_lost(proj, predict_shifts(proj, scan.angle_rad, model))
            before.append(ratios(found, scan))
            after.append(ratios(leave_out_lost(proj, step_together(proj, scan.angle_rad, found)), scan))
        seen.append(np.median(before, axis=0))
        stepped.append(np.median(after, axis=0))
        cells = ["{:.2f}, {:.2f}, {:.2f}".format(*one[-1]) for one in (seen, stepped)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, each in (("as seen", np.array(seen)[:, :2]), ("after the step", np.array(stepped)[:, :2])):
        beyond = int((each > AT_MOST).any(1).sum())
        print(
            f"{name}: {np.median(each):.2f} times the bound in the median, over {AT_MOST:g} in {beyond} of {len(each)}"
        )


def ratios(found: Shifts, scan: LabelledScan) -> tuple[float, float, float]:
    """Errors in dx and dy over the bound, and that in roll, degrees."""
    score = score_shifts(found, scan.shifts)
    dx, dy = scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts)
    return score.dx_rmse_px / dx, score.dy_rmse_px / dy, score.roll_rmse_deg


if __name__ == "__main__":
    main()
