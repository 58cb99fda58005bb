"""Stacks to learn from: made from their recipes when they are asked for, or read from disk where a set was built.

A stack of a built set is, on the CPU, the stack that its recipe gives, to the last bit. A GPU draws other noise from
the same seed: there a built set, which is always made on the CPU, gives the stacks that the CPU would have made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from tomoalign_core.config import DatasetConfig
from tomoalign_core.files.simulated import read_simulated
from tomoalign_core.learn.recipes import (
    Shape,
    StackRecipe,
    batch_shape,
    place,
    training_recipe,
    validation_recipes,
)
from tomoalign_core.learn.store import BuiltSet, find_built
from tomoalign_core.simulate import LabelledScan, SimulatedScan, simulate


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
    anew each epoch, and reads them from disk where it was built.
    """
    shape = batch_shape(config, step)
    numbers = range(step * size, (step + 1) * size)
    recipes = [training_recipe(config, place(config, i), shape=shape) for i in numbers]
    if config.fixed is None:  # the shapes of an endless set go with the size of the batch: it is never built
        return collate([make(recipe, device) for recipe in recipes])
    built = find_built(config)
    return collate([_read_or_made(built, recipe, device) for recipe in recipes])


def training_stack(
    config: DatasetConfig, index: int, *, shape: Shape | None = None, device: torch.device | str = "cpu"
) -> SimulatedScan:
    """Training stack ``index``: its recipe is drawn by weight, then the recipe is simulated."""
    return make(training_recipe(config, index, shape=shape), device)


def validation_stacks(config: DatasetConfig, device: torch.device | str = "cpu") -> dict[str, list[LabelledScan]]:
    """The fixed validation stacks by case; read from disk where the set was built."""
    built, recipes = find_built(config), validation_recipes(config)
    return {case: [_read_or_made(built, recipe, device) for recipe in each] for case, each in recipes.items()}


def make(recipe: StackRecipe, device: torch.device | str = "cpu") -> SimulatedScan:
    """Simulate a stack from its recipe."""
    return simulate(recipe.settings, device=device, shape=recipe.given_shape, phantom_seed=recipe.phantom_seed)


def collate(scans: Sequence[LabelledScan]) -> Batch:
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


def _read_or_made(built: BuiltSet | None, recipe: StackRecipe, device: torch.device | str) -> LabelledScan:
    if built is None:
        return make(recipe, device)
    try:
        stack = read_simulated(built.stack_path(recipe.name))
    except FileNotFoundError:  # the set was deleted while it was in use: its recipe still makes it
        return make(recipe, device)
    return LabelledScan(
        proj=torch.from_numpy(stack.proj).to(device),
        clean=torch.from_numpy(stack.clean).to(device),
        shifts=stack.shifts,
        gaussian=stack.gaussian,
        counts=stack.counts,
    )
