"""How much of an error is the noise's, and how much the object's own: the same stack, with noise drawn anew.

    python tests/benchmarks/same_object.py [CASE …] [--objects 3] [--noises 4] [--method network+refine]

For kinds of stacks of the suite of ``bench accuracy``: each object and its movements are exposed several times. What
the errors of all of them have in common is the object's own: the method took something of the object for a movement, as
the random field that it supposes objects to be does not look like this one. What differs is what noise does. Both are
multiples of the limit of an unknown object (``align.limit``), in dx, dy and roll, root mean square over the objects:
where the noise's part stands at 1, no information is left in the views of that kind, and what is above it in both
together is to be had by those only who know more of the object than its extent and its power.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from tomoalign_core.align import find_shifts
from tomoalign_core.align.limit import unknown_object_bound
from tomoalign_core.bench.suite import FIRST_SEED, SUITE
from tomoalign_core.geometry import Float, shift_error
from tomoalign_core.simulate import expose, plan_scan

KINDS = (
    "blobs, 3 % noise", "blobs, 1000 counts", "fine texture", "48 × 48 px", "blobs, uniform ±10 px",
    "blobs, axis tilted by 5°", "360 views", "180 × 256 × 366",
)  # fmt: skip
AXES = ("dx_px", "dy_px", "roll_deg")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=KINDS, metavar="CASE")
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--noises", type=int, default=4)
    parser.add_argument("--method", default="network+refine")
    asked = parser.parse_args()
    print("| stack | dx: noise, object | dy: noise, object | roll: noise, object |\n| --- | --- | --- | --- |")
    for name in asked.cases:
        parts = np.array([parts_of(name, number, asked.noises, asked.method) for number in range(asked.objects)])
        of_noise, of_object = np.sqrt(parts.mean(0))
        cells = [
            f"{noise:.2f}, {own:.2f}" if np.isfinite(noise) else "–"
            for noise, own in zip(of_noise, of_object, strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def parts_of(name: str, number: int, noises: int, method: str) -> Float:
    """Variances (2, 3) of the errors over the limit's: what noise does, and what is the object's own."""
    plan = plan_scan(SUITE[name].simulation.changed(seed=FIRST_SEED + number))
    moved = plan.project()
    drawn = [expose(replace(plan, noise_seed=plan.noise_seed + again), moved) for again in range(noises)]
    clean, noise = drawn[0].clean.numpy(), {"gaussian": plan.gaussian, "counts": plan.counts}
    limit = unknown_object_bound(clean, drawn[0].angle_rad, plan.shifts, **noise)
    found = [find_shifts(scan.proj.numpy(), scan.angle_rad, method=method) for scan in drawn]
    errors = [shift_error(table, plan.shifts).rolled_about_axis() for table in found]
    each = np.array([[getattr(error, axis) for axis in AXES] for error in errors])
    of_noise = each.var(0, ddof=1).mean(-1)
    common = (each.mean(0) ** 2).mean(-1) - of_noise / noises  # what noise leaves in the mean is not the object's
    return np.stack([of_noise, np.maximum(common, 0)]) / np.square(np.array(limit))


if __name__ == "__main__":
    main()
