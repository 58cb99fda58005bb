"""Every aligner on the same simulated stacks, and on a real scan with known jitter where it is at hand.

    python tests/benchmarks/accuracy.py [--stacks 6] [--model pretrained] [--scan savu_24737.npz]

Prints a Markdown table: root mean square error in px over the stacks, gauge removed, dx / dy; and the Cramér-Rao bound.
The seeds are none of a training or a validation.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from tomoalign_core.align import METHODS, find_shifts, move_views
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import rms, scan_bound, score_shifts
from tomoalign_core.simulate import simulate
from tomoalign_core.simulate.misalign import draw_shifts

FIRST_SEED = 900_000_000
STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)
FOAM = PhantomConfig(kind="foam", parts=(20, 60), part_size=(0.05, 0.3))
PILLAR = PhantomConfig(kind="pillar", height=(1.2, 1.8))
Stacks = list[tuple[np.ndarray, Shifts, tuple[float, float]]]


def noisy(fraction: float) -> NoiseConfig:
    return NoiseConfig(gaussian=fraction, background=0.2)


CASES = {
    "blobs, 3 % noise": SimulationConfig(misalign=STAGE, noise=noisy(0.03)),
    "blobs, 10 % noise": SimulationConfig(misalign=STAGE, noise=noisy(0.1)),
    "blobs, 20 % noise, 90 views": SimulationConfig(scan=ScanConfig(n_views=90), misalign=STAGE, noise=noisy(0.2)),
    "blobs, 100 counts a pixel": SimulationConfig(misalign=STAGE, noise=NoiseConfig(counts=100)),
    "pillars, 3 % noise": SimulationConfig(phantom=PILLAR, misalign=STAGE, noise=noisy(0.03)),
    "foam, 5 % noise, 120 views": SimulationConfig(
        scan=ScanConfig(n_views=120), phantom=FOAM, misalign=STAGE, noise=noisy(0.05)
    ),
    "foam, ±10 px uniform, 5 % noise": SimulationConfig(
        phantom=FOAM, misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=10), noise=noisy(0.05)
    ),
    "blobs, drift, jumps, outliers, 5 % noise": SimulationConfig(
        misalign=MisalignConfig(dx_sigma_px=0.5, dy_sigma_px=0.5, drift_px=4, jumps=2, outlier_fraction=0.05),
        noise=noisy(0.05),
    ),
    "blobs, 120° wedge, 5 % noise": SimulationConfig(scan=ScanConfig(range_deg=120), misalign=STAGE, noise=noisy(0.05)),
    "Shepp-Logan, clean": SimulationConfig(
        scan=ScanConfig(n_rows=64, n_cols=94), phantom=PhantomConfig(kind="shepp3d"), misalign=MisalignConfig()
    ),
}


def simulated(config: SimulationConfig, stacks: int) -> Stacks:
    scans = [simulate(config.changed(seed=FIRST_SEED + i)) for i in range(stacks)]
    return [
        (s.proj.numpy(), s.shifts, scan_bound(s.clean.numpy(), gaussian=s.gaussian, counts=s.counts)) for s in scans
    ]


def moved(path: Path, stage: MisalignConfig, stacks: int) -> Stacks:
    scan = read_stack(path)
    drawn = [draw_shifts(stage, scan.angle_rad, np.random.default_rng(FIRST_SEED + i)) for i in range(stacks)]
    return [(move_views(scan.proj, truth), truth, (np.nan, np.nan)) for truth in drawn]


def row(name: str, stacks: Stacks, model: str, *, timed: bool = False) -> list[str]:
    cells = [name]
    for method in METHODS:
        scores, seconds = [], []
        for proj, truth, _ in stacks:
            began = time.perf_counter()
            found = find_shifts(proj, truth.angle_rad, method=method, model=model)
            seconds.append(time.perf_counter() - began)
            scores.append(score_shifts(found, truth))
        dx, dy = rms([s.dx_rmse_px for s in scores]), rms([s.dy_rmse_px for s in scores])
        cells.append(f"{dx:.3f} / {dy:.3f}" + (f" ({np.median(seconds):.2f} s)" if timed else ""))
    bound = [rms([b[axis] for _, _, b in stacks]) for axis in (0, 1)]
    cells.append("–" if np.isnan(bound[0]) else f"{bound[0]:.3f} / {bound[1]:.3f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, default=6, help="stacks a case")
    parser.add_argument("--model", default="pretrained", help="pretrained, a run, or a .safetensors file")
    parser.add_argument("--scan", type=Path, help="a well aligned real scan, into which known jitter is injected")
    parser.add_argument("--seconds", action="store_true", help="add the median seconds a stack; for a quiet machine")
    args = parser.parse_args()
    head = ["stack", *METHODS, "Cramér-Rao bound"]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head), flush=True)
    for name, config in CASES.items():
        print(
            "| " + " | ".join(row(name, simulated(config, args.stacks), args.model, timed=args.seconds)) + " |",
            flush=True,
        )
    if args.scan:
        stages = {
            "jitter σ (4, 1)": MisalignConfig(dx_sigma_px=4, dy_sigma_px=1),
            "±10 px uniform": MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=10),
        }
        for name, stage in stages.items():
            stacks = moved(args.scan, stage, args.stacks)
            cells = row(f"{args.scan.stem}, {name}", stacks, args.model, timed=args.seconds)
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
