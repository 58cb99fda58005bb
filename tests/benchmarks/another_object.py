"""Another object that shows the same views: why nobody can tell slow movements of what is wider than the view.

    python tests/benchmarks/another_object.py [CASE] [--stacks 3] [--method network+refine]

By the slice theorem the transform of a view along u is that of the object on a line through the origin, and a movement
dx(θ) multiplies it by exp(-iω dx(θ)). Where dx(θ + π) = -dx(θ), and over a half turn any movement may go on so, these
are again the lines of one transform: that of an object each point of which is smeared into a small curve, the one
whose tangents pass its middle at dx(θ). Every detail keeps its power, and on a still stage this object shows, pixel by
pixel, what the true one shows on a stage that moves so. But for the sharpness of its edges it is told by where it
ends, as each point leaves a faint trace beyond its curve. With dy(θ + π) = dy(θ) it is the same, and the mass of each
row tells. Of what is wider than the view neither its end nor its mass is in sight.

For stacks of the suite of ``bench accuracy``: the slow part of the error of a method is turned into such an object,
from exact views of all of the true one. Columns, dx / dy in px: the error, its slow part, and the rest; in units of
the noise, root mean square over the pixels of the views: how much that movement changes of the views of the true
object, then how far such moved views are from those of the other object on a still stage, and, as pixels alone leave so
much, how far views of the true object are from its own. Last, how far the two are apart in a slice inside the view,
over the noise in a slice.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from tomoalign_core.align import find_shifts
from tomoalign_core.bench.suite import FIRST_SEED, SUITE
from tomoalign_core.config import SimulationConfig
from tomoalign_core.geometry import Float, Shifts, centred_axis, gauge_functions, remove_gauge, shift_error
from tomoalign_core.metrics import rms
from tomoalign_core.simulate import expose, plan_scan
from tomoalign_core.simulate.project import fbp, project_ellipsoids, project_volume

VIEWS = 720  # of which an object is made
BESIDE = 240  # columns beyond either side of the detector: so far the other object is followed
SLOW = {"dx": (3, 5, 7), "dy": (2, 4, 6)}  # harmonics of the view angle
ROWS = 4  # of so many rows one is looked at
EDGE_PX = 3  # of the disc that all views see: left out


def main() -> None:
    """Print a line a stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", default="wider than the view")
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--method", default="network+refine")
    asked = parser.parse_args()
    print(
        "| error | slow part | the rest | moved by it | other object | true object | in slices |\n" + "|" + " --- |" * 7
    )
    for number in range(asked.stacks):
        simulation = SUITE[asked.case].simulation.changed(seed=FIRST_SEED + number)
        print("| " + " | ".join(compared(simulation, asked.method)) + " |", flush=True)


def compared(simulation: SimulationConfig, method: str) -> list[str]:
    """The cells of a stack."""
    plan = plan_scan(simulation)
    scan = expose(plan, plan.project())
    if not scan.gaussian or np.ptp(scan.angle_rad) >= np.pi:
        raise SystemExit("a case of Gaussian noise over half a turn or less is needed")
    angle, cols, broad = scan.angle_rad, plan.n_cols, plan.n_cols + 2 * BESIDE
    size = int(broad / np.sqrt(2)) // 2 * 2  # its corners are seen in all views
    error = shift_error(find_shifts(scan.proj.numpy(), angle, method=method), scan.shifts)
    every = np.arange(VIEWS) * np.pi / VIEWS
    slow = {axis: slow_part(getattr(error, f"{axis}_px"), angle, every, axis) for axis in SLOW}
    by = Shifts.from_arrays(angle_rad=every, dx_px=slow["dx"], dy_px=slow["dy"])
    views, moved = (
        project_ellipsoids(plan.phantom, every, n_rows=plan.n_rows, n_cols=broad, shifts=shifts).numpy()  # type: ignore[arg-type]
        * (scan.scale / scan.gaussian)
        for shifts in (None, by)
    )
    shown = np.searchsorted(every, angle - 1e-9)
    rows = slice(plan.n_rows // 4, -plan.n_rows // 4, ROWS)
    seen = np.ix_(shown, np.arange(plan.n_rows)[rows], np.arange(BESIDE, BESIDE + cols))
    off, slices = {}, {}
    for name, whole in (("true", views), ("other", moved)):
        slices[name] = fbp(torch.from_numpy(whole[:, rows]), torch.from_numpy(every), n=size)
        off[name] = rms(project_volume(slices[name], torch.from_numpy(angle), n_cols=cols).numpy() - whole[seen])
    whole_error = {axis: getattr(error, f"{axis}_px") for axis in SLOW}
    slow_error = {axis: remove_gauge(slow[axis][shown], angle, axis=axis) for axis in SLOW}
    rest = {axis: whole_error[axis] - slow_error[axis] for axis in SLOW}
    noise = np.random.default_rng(simulation.seed).normal(size=views[seen].shape).astype(np.float32)
    of_noise = fbp(torch.from_numpy(noise), torch.from_numpy(angle)).numpy()
    differ = (slices["other"] - slices["true"]).numpy()
    return [
        *(" / ".join(f"{rms(part[axis]):.2f}" for axis in SLOW) for part in (whole_error, slow_error, rest)),
        f"{rms(moved[seen] - views[seen]):.2f}",
        f"{off['other']:.3f}",
        f"{off['true']:.3f}",
        f"{rms(inside(differ, cols)) / rms(inside(of_noise, cols)):.2f}",
    ]


def inside(slices: np.ndarray, cols: int) -> np.ndarray:
    """The values of slices (V, n, n) in the disc that all views see."""
    x = centred_axis(slices.shape[1])
    return slices[:, np.hypot(x, x[:, None]) < cols / 2 - EDGE_PX]


def slow_part(error: Float, angle: Float, every: Float, axis: str) -> Float:
    """What of an error at some angles goes with the slow harmonics, at every angle, px."""

    def waves(at: Float) -> Float:
        return np.stack([wave(h * at) for h in SLOW[axis] for wave in (np.cos, np.sin)], 1)

    gauge = gauge_functions(angle, axis=axis)
    found = np.linalg.lstsq(np.concatenate([waves(angle), gauge], 1), error, rcond=None)[0]
    part: Float = waves(every) @ found[: 2 * len(SLOW[axis])]
    return part


if __name__ == "__main__":
    main()
