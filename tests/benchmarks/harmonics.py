"""Which movements err: errors of the network by harmonic of the view angle, as multiples of the limit.

    python tests/benchmarks/harmonics.py [CASE] [--stacks 7] [--seed 900000000]

For a kind of stack of the suite of ``bench accuracy``, evenly spaced over half a turn or a whole one: what the network
sees, and what the step of all views together makes of it, in dx, dy and roll, gauge removed. Each is the root mean
square over the stacks and the harmonics of a band, over that of the limit of an unknown object (``align.limit``). Slow
movements far above it are where the step errs by what its model of an object lacks. With another seed: of stacks that
no figure of the card is of.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import pairwise
from unittest import mock

import numpy as np

from tomoalign_core.align.joint import step_together
from tomoalign_core.align.limit import harmonic_bounds
from tomoalign_core.align.lost import leave_out_lost
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.align.ring import ring_of
from tomoalign_core.bench import suite
from tomoalign_core.bench.suite import SUITE, scans
from tomoalign_core.geometry import Float, shift_error
from tomoalign_core.learn.weights import load_weights

BANDS = (1, 3, 5, 9, 15, 25, 41, 100_000)  # the highest harmonic of each; the first begins at 1
AXES = {"dx": "dx_px", "dy": "dy_px", "roll": "roll_deg"}
LOOKS = ("seen", "after the step")


def main() -> None:
    """Print the table of a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", default="blobs, 3 % noise")
    parser.add_argument("--stacks", type=int, default=7)
    parser.add_argument("--seed", type=int, default=suite.FIRST_SEED)
    asked = parser.parse_args()
    model = load_weights("pretrained")
    squares: dict[tuple[str, str], list[Float]] = defaultdict(list)
    with mock.patch.object(suite, "FIRST_SEED", asked.seed):
        stacks = scans(SUITE[asked.case], asked.stacks)
    for scan in stacks:
        proj, angle = scan.proj.numpy(), scan.angle_rad
        seen = leave_out_lost(proj, predict_shifts(proj, angle, model))
        looks = dict(zip(LOOKS, (seen, step_together(proj, angle, seen)), strict=True))
        limits = harmonic_bounds(
            scan.clean.numpy(), angle, scan.shifts, gaussian=scan.gaussian, counts=scan.counts
        )  # fmt: skip
        for (axis, name), limit in zip(AXES.items(), limits, strict=True):
            if axis == "roll" and not scan.shifts.roll_deg.any():
                continue
            squares[axis, "limit"].append(of_limit(limit, ring_of(angle).harmonics))
            for look, table in looks.items():
                error = getattr(shift_error(table, scan.shifts), name)
                squares[axis, look].append(by_band(error, angle, list(limit)))
    print(f"{asked.case}, {len(stacks)} stacks: errors over the limit, by harmonic of the view angle\n")
    axes = [axis for axis in AXES if (axis, "limit") in squares]
    print("| harmonics |", " | ".join(f"{axis}, {look}" for axis in axes for look in LOOKS), "|")
    print("|" + " --- |" * (1 + len(axes) * len(LOOKS)))
    totals = {key: np.sum(values, 0) for key, values in squares.items()}
    whole = {key: np.append(bands, bands.sum()) for key, bands in totals.items()}
    names = [f"{low + 1} to {high}" for low, high in pairwise((0, *BANDS[:-1]))] + [f"over {BANDS[-2]}", "all"]
    for place, name in enumerate(names):
        cells = [ratio(whole[axis, look][place], whole[axis, "limit"][place]) for axis in axes for look in LOOKS]
        if any(cell != "–" for cell in cells):
            print(f"| {name} | {' | '.join(cells)} |")


def ratio(square: float, least: float) -> str:
    """The root of their quotient; a dash where no movement has such a harmonic."""
    return f"{np.sqrt(square / least):.2f}" if least > 0 else "–"


def of_limit(limit: dict[int, float], harmonics: int) -> Float:
    """The sum of the squares of the limit in each band."""
    found = np.zeros(len(BANDS))
    for harmonic, least in limit.items():
        found[np.searchsorted(BANDS, min(harmonic, harmonics - harmonic))] += least**2
    return found


def by_band(error: Float, angle: Float, harmonics: list[int]) -> Float:
    """The sum of squares of an error in each band of the harmonics that there are."""
    found, left = np.zeros(len(BANDS)), error - error.mean()
    known = np.zeros((len(angle), 0))
    for harmonic in sorted(h for h in harmonics if h <= max(harmonics) // 2 + 1):
        waves = np.stack([np.cos(harmonic * angle), np.sin(harmonic * angle)], 1)
        waves = waves - known @ (known.T @ waves)
        modes, size, _ = np.linalg.svd(waves, full_matrices=False)
        modes = modes[:, size > 1e-6]
        found[np.searchsorted(BANDS, harmonic)] += ((modes.T @ left) ** 2).sum()
        known = np.concatenate([known, modes], 1)
    return found


if __name__ == "__main__":
    main()
