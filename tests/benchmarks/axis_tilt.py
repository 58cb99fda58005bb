"""How well a tilt of the rotation axis is found, and what it costs dx and dy; and, of a scan, what its mirror says.

    python tests/benchmarks/axis_tilt.py [KIND …] [--stacks 3] [--scan FILE …]

Stacks of the bench by a stage that jitters and does not roll, or rolls by 1°, about an axis that is tilted: the largest
error of the tilt over the stacks, and dx and dy as multiples of the Cramér-Rao bound, in the median.

Of a real scan nobody knows the tilt. But of views half a turn apart one is the mirror image of the other about the
axis: the roll by which a mirrored view is registered with the other, by itself, is twice the tilt. That rests on two
views, where ``align`` takes all, and on nothing that it uses.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage, optimize

from tomoalign_core.align import find_shifts, undo_shifts
from tomoalign_core.align.apply import undo_view
from tomoalign_core.bench.suite import FIRST_SEED, STAGE, STILL_ROLL, SUITE
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import scan_bound, score_shifts
from tomoalign_core.simulate import simulate

KINDS = ("blobs, 3 % noise", "blobs, 20 % noise", "pillar, 3 % noise", "foam", "Shepp-Logan, 5 % noise", "wedge 120°")
TILTS_DEG = (0.3, 1.0, 5.0, 12.0, 25.0, 50.0, 80.0)
HALF_TURN_WITHIN_DEG = 0.3
EDGE_PX, BLUR_PX, REACH_PX = 6, 1.0, 16


def simulated(kinds: Sequence[str], stacks: int) -> None:
    """Print a Markdown table: a line a kind and a tilt."""
    print(
        "| stack | tilt, ° | error, still, ° | dx / bound | dy / bound | error, rolling, ° | dx / bound | dy / bound |"
    )
    print("|" + " --- |" * 8)
    for name in kinds:
        for tilt_deg in TILTS_DEG:
            cells = []
            for stage in (STILL_ROLL, STAGE):
                errors, ratios = [], []
                for number in range(stacks):
                    moved = stage.changed(axis_tilt_deg=tilt_deg)
                    scan = simulate(SUITE[name].simulation.changed(seed=FIRST_SEED + number, misalign=moved))
                    score = score_shifts(find_shifts(scan.proj.numpy(), scan.angle_rad), scan.shifts)
                    bound = scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts)
                    errors.append(abs(score.axis_tilt_error_deg))
                    ratios.append((score.dx_rmse_px / bound[0], score.dy_rmse_px / bound[1]))
                dx, dy = np.median(ratios, axis=0)
                cells.append(f"{max(errors):.2f} | {dx:.2f} | {dy:.2f}")
            print(f"| {name} | {tilt_deg:g} | " + " | ".join(cells) + " |", flush=True)


def real(path: Path) -> None:
    """Print the tilt that ``align`` finds of a scan, as it is and turned by hand, and that of mirrored views."""
    scan = read_stack(path)
    still = np.zeros(len(scan.proj))
    for by_hand_deg in (0.0, 0.5):
        turn = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=still, dy_px=still, roll_deg=still - by_hand_deg)
        proj = undo_shifts(scan.proj, turn)[0] if by_hand_deg else scan.proj
        found = find_shifts(proj, scan.angle_rad).axis_tilt_deg
        print(f"{path.name}, turned by {by_hand_deg:g}°: tilt of the axis {found:.3f}°")
    pairs = _half_turn_apart(np.rad2deg(scan.angle_rad))
    tilts = [_mirrored(scan.proj[one], scan.proj[other]) for one, other in pairs]
    said = f"{np.mean(tilts):.3f}°, of {len(tilts)} pairs of views" if tilts else "no views are half a turn apart"
    print(f"{path.name}, by mirrored views alone: {said}")


def _half_turn_apart(angle_deg: np.ndarray) -> list[tuple[int, int]]:
    off = np.abs(angle_deg[None] - angle_deg[:, None] - 180)
    return [(one, int(off[one].argmin())) for one in np.flatnonzero(off.min(1) < HALF_TURN_WITHIN_DEG).tolist()]


def _mirrored(view: np.ndarray, other: np.ndarray) -> float:
    """The tilt of the axis, degrees, from one view and the mirror image of another, by least squares."""
    here, there = (ndimage.gaussian_filter(one.astype(float), BLUR_PX) for one in (view, other[:, ::-1]))

    def unlike(move: np.ndarray) -> float:
        moved, seen = undo_view(there, *move, order=3)
        seen[:EDGE_PX], seen[-EDGE_PX:] = False, False
        shown = np.stack([moved[seen], np.ones(seen.sum())], 1)  # gain and offset are free
        left = here[seen] - shown @ np.linalg.lstsq(shown, here[seen], rcond=None)[0]
        return float((left**2).mean())

    starts = [np.array([dx, 0.0, 0.0]) for dx in range(-REACH_PX, REACH_PX + 1, 4)]
    shape = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 0.5]])
    options = {"xatol": 1e-3, "fatol": 1e-12}
    found = [
        optimize.minimize(unlike, start, method="Nelder-Mead", options=options | {"initial_simplex": start + shape})
        for start in starts
    ]
    return float(-min(found, key=lambda one: one.fun).x[2] / 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND")
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--scan", type=Path, action="append", default=[])
    asked = parser.parse_args()
    if asked.scan:
        for scan in asked.scan:
            real(scan)
    else:
        simulated(asked.kinds, asked.stacks)
