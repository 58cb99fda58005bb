"""A run folder and a stack to report, made in a moment: numbers drawn, nothing trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tomoalign_core.config import (
    DatasetConfig,
    MisalignConfig,
    NoiseConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    ValidationCase,
)
from tomoalign_core.files.writers import write_stack
from tomoalign_core.learn.runs import Run, create_run
from tomoalign_core.simulate import simulate

SIMULATION = SimulationConfig(
    scan=ScanConfig(n_views=24, n_rows=32, n_cols=40),
    misalign=MisalignConfig(roll_sigma_deg=0.5),
    noise=NoiseConfig(gaussian=0.05),
    seed=4,
)
CASES = ("blobs & <noise>", "clean")


def drawn_run(*, steps: int = 40, per_epoch: int = 10) -> Run:
    """A run of the workspace with two validation cases, one without noise and hence without a bound."""
    checks = tuple(ValidationCase(name=name, simulation=SIMULATION) for name in CASES)
    run = create_run(RunConfig(name="drawn", dataset=DatasetConfig(validation=checks)))
    rng = np.random.default_rng(0)
    lines = []
    for step in range(1, steps + 1):
        about = {"step": step, "epoch": step / per_epoch, "time_s": 0.1 * step}
        errors = {name: round(float(rng.uniform(0.05, 0.5)), 6) for name in ("rmse_dx_px", "rmse_dy_px")}
        lines.append({"kind": "step", **about, **errors, "loss": float(rng.normal())})
        if step % per_epoch == 0:
            cases = {case: _scored(rng, bound) for case, bound in zip(CASES, (0.03, 0.0), strict=True)}
            lines.append({"kind": "epoch", **about, "epoch": step // per_epoch, "cases": cases})
            if steps <= 40:
                _sample(run, step // per_epoch, rng)
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run.path / "notes.md").write_text("What if <b>σ</b> were larger?")
    run.write_status(run.status().model_copy(update={"state": "finished", "step": steps, "elapsed_s": 312.0}))
    return run


def _scored(rng: np.random.Generator, bound: float) -> dict[str, float]:
    names = ("rmse_dx_px", "rmse_dy_px", "loss", "label_variance_px2")
    row = {name: round(float(rng.uniform(0.05, 0.5)), 6) for name in names}
    return row | {"bound_dx_px": bound, "bound_dy_px": bound}


def _sample(run: Run, epoch: int, rng: np.random.Generator) -> None:
    arrays = {}
    for case in CASES:
        true = rng.normal(size=(24, 2))
        parts = {"angle_rad": np.linspace(0, 3, 24), "true": true, "found": true + 0.1 * rng.normal(size=(24, 2))}
        parts |= {f"sinogram_{when}": rng.random((24, 40)) for when in ("before", "after", "true")}
        parts |= {f"slice_{when}": rng.random((40, 40)) for when in ("before", "after", "true")}
        arrays |= {f"{case}/{name}": np.asarray(value, np.float32) for name, value in parts.items()}
    np.savez(run.path / "samples" / f"epoch_{epoch:04d}.npz", **arrays)


def simulated_file(path: Path) -> Path:
    """A stack with its truth and its settings inside, as the command ``simulate`` writes it."""
    scan = simulate(SIMULATION)
    settings = SIMULATION.to_json(indent=None)
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts, config_json=settings)
    return path
