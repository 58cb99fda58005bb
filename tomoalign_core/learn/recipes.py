"""Which stack is number i of a data set: drawn from (seed, split, i), known without making it. No torch is needed."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from tomoalign_core.config import DatasetConfig, SimulationConfig, ValidationCase

TRAIN, VALIDATION, SHAPE, ORDER = range(4)
SAMPLES = 8  # training stacks that a built endless set keeps, to look at
Shape = tuple[int, int, int]


class StackRecipe(NamedTuple):
    """One stack of a data set before it is made.

    name : what it is called in a built set, e.g. ``train/00012``.
    settings : what to simulate.
    given_shape : (N, V, U) that replaces the one in the settings; all stacks of a batch have it.
    phantom_seed : draws the object where all stacks show the same one.
    """

    name: str
    settings: SimulationConfig
    given_shape: Shape | None
    phantom_seed: int | None

    @property
    def shape(self) -> Shape:
        """(N, V, U), as ``simulate`` will draw it."""
        return self.given_shape or self.settings.scan.draw_shape(np.random.default_rng(self.settings.seed))


def training_recipe(config: DatasetConfig, index: int, *, shape: Shape | None = None) -> StackRecipe:
    """Training stack ``index``: its kind is drawn by weight, then its seed."""
    rng = _rng(config, TRAIN, index)
    weights = np.array([r.weight for r in config.train])
    recipe = config.train[rng.choice(len(config.train), p=weights / weights.sum())]
    settings = SimulationConfig(
        scan=config.scan,
        phantom=recipe.phantom,
        misalign=recipe.misalign,
        noise=recipe.noise,
        seed=int(rng.integers(2**62)),
        engine=config.engine,
    )
    return StackRecipe(f"train/{index:05d}", settings, shape or batch_shape(config, index), _phantom_seed(config))


def validation_recipes(config: DatasetConfig) -> dict[str, list[StackRecipe]]:
    """The fixed validation stacks by case; their seeds are never used in training."""
    recipes: dict[str, list[StackRecipe]] = {}
    for number, case in enumerate(config.validation):
        seeds = _rng(config, VALIDATION, number).integers(2**62, size=case.stacks)
        recipes[case.name] = [
            StackRecipe(
                f"{case_prefix(number, case)}-{i:03d}",
                case.simulation.changed(seed=int(s)),
                None,
                _phantom_seed(config),
            )
            for i, s in enumerate(seeds)
        ]
    return recipes


def stacks_of(config: DatasetConfig) -> list[StackRecipe]:
    """The stacks that are built of a set, in order: all of a fixed one, some to look at of an endless one."""
    training = [training_recipe(config, i) for i in range(config.fixed or SAMPLES)]
    return training + [recipe for each in validation_recipes(config).values() for recipe in each]


def case_prefix(number: int, case: ValidationCase) -> str:
    """How the names of a case's stacks begin, fit for files; its number keeps two of one spelling apart."""
    return f"validation/{number}-{re.sub(r'[^A-Za-z0-9]+', '-', case.name).strip('-')}"


def batch_shape(config: DatasetConfig, step: int) -> Shape:
    """The shape (N, V, U) of the stacks of a step: an endless set draws it anew for each, a fixed set has one."""
    return config.scan.draw_shape(_rng(config, SHAPE, step if config.fixed is None else 0))


def place(config: DatasetConfig, number: int) -> int:
    """Which stack stands at a place of the endless stream, or of the shuffled rounds of a fixed set."""
    if config.fixed is None:
        return number
    epoch, at = divmod(number, config.fixed)
    return int(_rng(config, ORDER, epoch).permutation(config.fixed)[at])


def _rng(config: DatasetConfig, split: int, number: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, split, number])


def _phantom_seed(config: DatasetConfig) -> int | None:
    return config.seed if config.one_phantom else None
