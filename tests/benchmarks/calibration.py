"""How far from its σ does a network err? Shares of errors by the factor from b to σ, on stacks it never saw.

    python tests/benchmarks/calibration.py [--model pretrained] [--stacks 60]

The stacks are those of the model's own training mix, of seeds that no training reaches; the errors are without their
gauge. It prints the factor that puts 68 % of the errors within σ, the one that puts 95 % within 2 σ, for what the
network sees, for its answer, which ends with a step of all views together, and for the refined.
"""

from __future__ import annotations

import argparse

import numpy as np

from tomoalign_core.align import refine, together
from tomoalign_core.align.joint import step_together
from tomoalign_core.align.lost import leave_out_lost
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.learn.dataset import training_stack
from tomoalign_core.learn.models.estimate import SIGMA_OVER_B
from tomoalign_core.learn.presets import wide_mix
from tomoalign_core.learn.weights import load_weights

FIRST = 700_000_000  # beyond any training


def errors_over_sigma(found: Shifts, truth: Shifts) -> np.ndarray:
    """|error| / σ of dx and dy of the used views, (2, n)."""
    rest, keep = shift_error(found, truth), found.used
    return np.abs([rest.dx_px[keep] / found.dx_sigma_px[keep], rest.dy_px[keep] / found.dy_sigma_px[keep]])


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pretrained")
    parser.add_argument("--stacks", type=int, default=60)
    asked = parser.parse_args()
    model = load_weights(asked.model)
    mix = model.learned_from or wide_mix()
    seen, by_network, by_refinement = [], [], []
    for number in range(asked.stacks):
        scan = training_stack(mix, FIRST + number)
        proj = scan.proj.numpy()
        found = leave_out_lost(proj, predict_shifts(proj, scan.angle_rad, model))
        seen.append(errors_over_sigma(found, scan.shifts))
        by_network.append(errors_over_sigma(step_together(proj, scan.angle_rad, found), scan.shifts))
        by_refinement.append(errors_over_sigma(refine.refine_shifts(proj, scan.angle_rad, found).shifts, scan.shifts))
        if number % 10 == 9:
            print(f"{number + 1} of {asked.stacks} stacks", flush=True)
    for name, each in (("as seen", seen), ("network", by_network), ("refined", by_refinement)):
        for part, ratio in zip(("dx", "dy"), np.concatenate(each, axis=1), strict=True):
            one, two = np.quantile(ratio, 0.68), np.quantile(ratio, 0.95) / 2
            shares = f"{np.mean(ratio < 1):.1%} within σ, {np.mean(ratio < 2):.1%} within 2 σ"
            print(f"{name} {part}: {shares}; σ would be right times {one:.2f} (68 %), {two:.2f} (95 %)")
    least, most = together.LEAST_SIGMA, together.MOST_SIGMA
    print(f"σ is {SIGMA_OVER_B:g} b, or what noise allows")
    print(f"after steps it is {least:g} to {most:g} of that in dx, and from {least:g} in dy")


if __name__ == "__main__":
    main()
