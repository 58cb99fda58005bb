"""What a data set will take, before it is built: stacks, shapes, memory and disk. No torch is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomoalign_core.config import DatasetConfig, NoiseConfig
from tomoalign_core.learn.recipes import (
    SAMPLES,
    Shape,
    StackRecipe,
    batch_shape,
    training_recipe,
    validation_recipes,
)

PIXEL_BYTES = 4  # float32
# what an HDF5 file holds beside its pixels (libhdf5 1.14): the head, the columns of the shift table for each view, and
# from 65 views on the nodes of the tree in which it finds its chunks
HEAD_BYTES, VIEW_BYTES, NODE_BYTES, NODE_VIEWS = 16_400, 57, 3_350, 57
LABEL_BYTES = 24  # three doubles a view in labels.npz
LOOSE_BYTES = 2_500  # labels.npz without its numbers, status and log


@dataclass(frozen=True, kw_only=True)
class Part:
    """The training stacks, or a validation case: how many, from the smallest to the largest shape (N, V, U), bytes.

    ``stack_bytes`` is the memory of its largest stack, ``disk_bytes`` what all take on disk.
    """

    name: str
    stacks: int
    smallest: Shape
    largest: Shape
    stack_bytes: int
    disk_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a set will take. ``batch_shape`` is that of the largest stack of a training step."""

    parts: tuple[Part, ...]
    disk_bytes: int
    batch_shape: Shape

    @property
    def stacks(self) -> int:
        """Stacks on disk."""
        return sum(part.stacks for part in self.parts)

    @property
    def stack_bytes(self) -> int:
        """Memory of the largest stack."""
        return max(part.stack_bytes for part in self.parts)

    def batch_bytes(self, size: int) -> int:
        """Memory of a training batch of that many stacks, with and without noise; the network's own comes on top."""
        return size * _pixel_bytes(self.batch_shape, noisy=True)


def estimate(config: DatasetConfig) -> Estimate:
    """What the set of this recipe will hold and take; of the disk within 2 %.

    A stack is kept with and without its noise, but once where it has none.
    """
    parts = [_training(config)]
    parts += [_part(name, recipes) for name, recipes in validation_recipes(config).items()]
    labels = LABEL_BYTES * sum(part.stacks * (part.smallest[0] + part.largest[0]) // 2 for part in parts)
    loose = len(config.to_json().encode()) + labels + LOOSE_BYTES
    return Estimate(
        parts=tuple(parts),
        disk_bytes=sum(part.disk_bytes for part in parts) + loose,
        batch_shape=config.scan.largest_shape() if config.fixed is None else batch_shape(config, 0),
    )


def in_words(n_bytes: float) -> str:
    """Bytes as people say them.

    >>> in_words(2_016_360), in_words(8.12e9), in_words(640)
    ('2.02 MB', '8.12 GB', '1 kB')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{max(n_bytes / 1e3, 1):.0f} kB"


def _training(config: DatasetConfig) -> Part:
    kinds = {_is_noisy(recipe.noise) for recipe in config.train}
    if config.fixed is None or len(kinds) > 1:
        return _part("training", [training_recipe(config, i) for i in range(config.fixed or SAMPLES)])
    shape, noisy = batch_shape(config, 0), kinds.pop()
    return Part(
        name="training",
        stacks=config.fixed,
        smallest=shape,
        largest=shape,
        stack_bytes=_pixel_bytes(shape, noisy),
        disk_bytes=config.fixed * _file_bytes(shape, noisy),
    )


def _part(name: str, recipes: Sequence[StackRecipe]) -> Part:
    stacks = [(recipe.shape, _is_noisy(recipe.settings.noise)) for recipe in recipes]
    by_size = sorted((shape for shape, _ in stacks), key=np.prod)
    return Part(
        name=name,
        stacks=len(stacks),
        smallest=by_size[0],
        largest=by_size[-1],
        stack_bytes=max(_pixel_bytes(*stack) for stack in stacks),
        disk_bytes=sum(_file_bytes(*stack) for stack in stacks),
    )


def _is_noisy(noise: NoiseConfig) -> bool:
    """Whether the stack differs from the one without noise, so that both are kept."""
    return noise.gaussian not in (0, (0, 0)) or noise.counts is not None or noise.rescale


def _file_bytes(shape: Shape, noisy: bool) -> int:
    views = shape[0]
    nodes = 1 + (views - 7) // NODE_VIEWS if views > 64 else 0
    return _pixel_bytes(shape, noisy) + HEAD_BYTES + VIEW_BYTES * views + NODE_BYTES * nodes


def _pixel_bytes(shape: Shape, noisy: bool) -> int:
    """A stack, and beside it the one without its noise where that differs."""
    return int(np.prod(shape)) * PIXEL_BYTES * (1 + noisy)
