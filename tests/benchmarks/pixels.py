"""What pixels leave of an object: how far they are from means over their areas, and what is lost between them.

    python tests/benchmarks/pixels.py

First the root mean square of the difference between values in the middle of pixels, which the exact projector gives,
and means over their areas, which a detector shows, of the maximum of the views: for the stacks of ``bench accuracy``
without noise. Then the Cramér-Rao bound of who knows how views truly change with a movement, over that of ``metrics``,
whose template is known on its pixels only: its slopes are central differences. By the exact projector, moved by 0.1 px
or turned by 0.3° either way; medians of three stacks.

Last the same of roll, degrees: that bound of ``metrics``, that of who knows the true change, and what is left to who
has the views without noise, but takes from their pixels how they change as they turn, plain or blurred, whichever is
best: such a slope w finds a roll with the error noise |w| / (w · true change), as what it has beside the true change is
of no use. Of that, the median view: where next to nothing changes it has no end.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from tomoalign_core.align.binning import binned
from tomoalign_core.bench import SUITE, scans
from tomoalign_core.bench.suite import FIRST_SEED, Case, finer
from tomoalign_core.geometry import Float, centred_axis
from tomoalign_core.metrics import rms
from tomoalign_core.simulate import ScanPlan, plan_scan

POINTS = 4
STEP_PX, STEP_DEG = 0.1, 0.3
BLURS_PX = (0.0, 0.7, 1.0, 1.5)
STACKS = 3
KINDS = ("blobs, 3 % noise", "pillar, 3 % noise", "foam", "fine texture", "Shepp-Logan, 5 % noise")


def main() -> None:
    """Print a line for each kind."""
    for name in ("blobs, clean", "Shepp-Logan, clean"):
        by_point, by_area = (
            scans(replace(SUITE[name], pixel_points=points), 1)[0].clean.numpy() for points in (1, POINTS)
        )
        share = (by_point * by_area).sum() / (by_area**2).sum()  # the maximum of points is not that of areas
        print(f"{name}: {(by_point - share * by_area).std():.2%} of the maximum")
    print("\n| bound by the true change, over that by pixels | dx, dy by point | dx, dy by area |\n| --- | --- | --- |")
    for name in KINDS:
        cells = (
            ", ".join(f"{x:.2f}" for x in np.median([shares(SUITE[name], i, points) for i in range(STACKS)], axis=0))
            for points in (1, POINTS)
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(
        "\n| roll, °: bound by pixels, by the true change, slopes of pixels | by point | by area |\n| --- | --- | --- |"
    )
    for name in KINDS:
        cells = (
            ", ".join(f"{x:.3f}" for x in np.median([rolls(SUITE[name], i, points) for i in range(STACKS)], axis=0))
            for points in (1, POINTS)
        )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def shares(case: Case, number: int, points: int) -> tuple[float, float]:
    """The bounds of a stack in dx and dy by the true change of its views, over those by differences of its pixels."""
    simulation = case.simulation.changed(seed=FIRST_SEED + number)
    plan = plan_scan(simulation if points == 1 else finer(simulation, points))
    still = views(plan, points)
    found = []
    for name, axis in (("dx_px", 2), ("dy_px", 1)):
        ahead, back = (
            views(replace(plan, shifts=replace(plan.shifts, **{name: getattr(plan.shifts, name) + step})), points)
            for step in (STEP_PX * points, -STEP_PX * points)
        )
        true = (ahead - back) / (2 * STEP_PX)
        found.append(bound(true) / bound(np.gradient(still, axis=axis)))
    dx, dy = found
    return dx, dy


def rolls(case: Case, number: int, points: int) -> tuple[float, float, float]:
    """Of a stack, degrees: the bound by differences of pixels, that by the true change, and what pixels leave of it."""
    simulation = case.simulation.changed(seed=FIRST_SEED + number)
    plan = plan_scan(simulation if points == 1 else finer(simulation, points))
    still = views(plan, points)
    ahead, back = (
        views(replace(plan, shifts=replace(plan.shifts, roll_deg=plan.shifts.roll_deg + step)), points)
        for step in (STEP_DEG, -STEP_DEG)
    )
    true = (ahead - back) / (2 * np.deg2rad(STEP_DEG))
    noise = float(np.rad2deg(plan.gaussian or simulation.noise.gaussian)) * float(still.max())
    v, u = (centred_axis(size) for size in still.shape[1:])

    def slope(blur_px: float) -> Float:
        smooth = ndimage.gaussian_filter(still, (0, blur_px, blur_px))
        down, along = np.gradient(smooth, axis=(1, 2))
        found: Float = v[:, None] * along - u * down
        return found

    def error(way: Float) -> float:
        return float(np.median(np.sqrt((way**2).sum((1, 2))) / np.abs((way * true).sum((1, 2)))))

    by_pixels = min(error(slope(blur)) for blur in BLURS_PX)
    return noise * bound(slope(0.0)), noise * bound(true), noise * by_pixels


def views(plan: ScanPlan, points: int) -> Float:
    """Line integrals (N, V, U) without noise, each pixel the mean of so many points along each side."""
    fine = plan.project().double().numpy()
    return fine if points == 1 else binned(fine, points)


def bound(slope: Float) -> float:
    """Of noise of 1: the root mean square over the views."""
    return rms(1 / np.sqrt((slope**2).sum((1, 2))))


if __name__ == "__main__":
    main()
