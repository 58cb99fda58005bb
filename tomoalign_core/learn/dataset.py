"""Data sets as recipes: stack number i of a split is made from (seed, split, i) when it is asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from tomoalign_core.config import DatasetConfig, SimulationConfig
from tomoalign_core.simulate import SimulatedScan, simulate
from tomoalign_core.simulate.phantoms import draw_count

TRAIN, VALIDATION, SHAPE, ORDER = range(4)


class Batch(NamedTuple):
    """What a step learns from.

    proj, clean : (B, N, V, U), stacks with and without their noise. angle_rad : (B, N).
    shift : (B, N, 2), true dx and dy, px. roll_rad : (B, N), true roll.
    """

    proj: torch.Tensor
    angle_rad: torch.Tensor
    shift: torch.Tensor
    roll_rad: torch.Tensor
    clean: torch.Tensor


def training_batch(config: DatasetConfig, step: int, size: int, device: torch.device | str = "cpu") -> Batch:
    """The batch of a step: the same step gives the same stacks, whoever asks and whenever.

    An endless set never shows a stack twice. A fixed one goes through its ``config.fixed`` stacks in an order drawn
    anew each epoch.
    """
    shape = _shape(config, step if config.fixed is None else 0)
    numbers = range(step * size, (step + 1) * size)
    scans = [training_stack(config, _place(config, i), shape=shape, device=device) for i in numbers]
    return collate(scans)


def training_stack(
    config: DatasetConfig,
    index: int,
    *,
    shape: tuple[int, int, int] | None = None,
    device: torch.device | str = "cpu",
) -> SimulatedScan:
    """Training stack ``index``: its recipe is drawn by weight, then the recipe is simulated."""
    rng = _rng(config, TRAIN, index)
    weights = np.array([r.weight for r in config.train])
    recipe = config.train[rng.choice(len(config.train), p=weights / weights.sum())]
    settings = SimulationConfig(
        scan=config.scan,
        phantom=recipe.phantom,
        misalign=recipe.misalign,
        noise=recipe.noise,
        seed=int(rng.integers(2**62)),
    )
    shape = shape or _shape(config, index if config.fixed is None else 0)
    return simulate(settings, device=device, shape=shape, phantom_seed=config.seed if config.one_phantom else None)


def validation_stacks(config: DatasetConfig, device: torch.device | str = "cpu") -> dict[str, list[SimulatedScan]]:
    """The fixed validation stacks by case; their seeds are never used in training."""
    stacks: dict[str, list[SimulatedScan]] = {}
    for number, case in enumerate(config.validation):
        rng = _rng(config, VALIDATION, number)
        seeds = rng.integers(2**62, size=case.stacks)
        phantom_seed = config.seed if config.one_phantom else None
        stacks[case.name] = [
            simulate(case.simulation.changed(seed=int(s)), device=device, phantom_seed=phantom_seed) for s in seeds
        ]
    return stacks


def collate(scans: list[SimulatedScan]) -> Batch:
    """Scans of one shape to a batch."""
    proj = torch.stack([s.proj for s in scans])
    truth = [np.stack([s.shifts.dx_px, s.shifts.dy_px], -1) for s in scans]
    return Batch(
        proj,
        torch.from_numpy(np.stack([s.angle_rad for s in scans])).to(proj),
        torch.from_numpy(np.stack(truth)).to(proj),
        torch.from_numpy(np.deg2rad(np.stack([s.shifts.roll_deg for s in scans]))).to(proj),
        torch.stack([s.clean for s in scans]),
    )


def _rng(config: DatasetConfig, split: int, number: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, split, number])


def _shape(config: DatasetConfig, step: int) -> tuple[int, int, int]:
    rng = _rng(config, SHAPE, step)
    scan = config.scan
    n, rows, cols = (draw_count(s, rng) for s in (scan.n_views, scan.n_rows, scan.n_cols))
    return n, rows, cols


def _place(config: DatasetConfig, number: int) -> int:
    """Which stack stands at a place of the endless stream, or of the shuffled rounds of a fixed set."""
    if config.fixed is None:
        return number
    epoch, place = divmod(number, config.fixed)
    return int(_rng(config, ORDER, epoch).permutation(config.fixed)[place])
