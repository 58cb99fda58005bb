"""The shapes of a data set, as the notebook printed them to check its own. No torch is needed."""

from __future__ import annotations

from math import prod

from tomoalign_core.config import DatasetConfig, InputError, RunConfig
from tomoalign_core.learn.recipes import training_recipe

CNN3D_SHRINKS = 32  # five poolings by 2


def shapes(config: DatasetConfig) -> dict[str, str]:
    """Shapes by name, of what ``cnn3d`` is given: an entry is a stack and its label, dx of all views and then dy.

    An endless set has ∞ training entries; if its size is drawn, the stack is that of the first.

    >>> from tomoalign_core.learn.presets import notebook
    >>> for name, shape in shapes(notebook().dataset).items():
    ...     print(f"{name}: {shape}")
    entries: (120, 2)
    one entry: (2,)
    its stack: (1, 1, 180, 256, 366)
    its label: (1, 360)
    training set: (96, 2)
    validation set: (24, 2)
    """
    n_views, n_rows, n_cols = training_recipe(config, 0).shape
    checks = sum(case.stacks for case in config.validation)
    entries, training = ("∞", "∞") if config.fixed is None else (config.fixed + checks, config.fixed)
    return {
        "entries": f"({entries}, 2)",
        "one entry": "(2,)",
        "its stack": f"(1, 1, {n_views}, {n_rows}, {n_cols})",
        "its label": f"(1, {2 * n_views})",
        "training set": f"({training}, 2)",
        "validation set": f"({checks}, 2)",
    }


def check_shapes(config: RunConfig) -> None:
    """Refuse a training whose network cannot take the stacks; ``centroid`` takes any.

    Raises
    ------
    InputError
        If a stack is too small for ``cnn3d``, or a validation case has another size than the training stacks.
    """
    if config.model.name != "cnn3d":
        return
    scan = config.dataset.scan
    shape = scan.largest_shape()
    size_words = " × ".join(map(str, shape))
    for name, size in zip(("n_views", "n_rows", "n_cols"), shape, strict=True):
        if size < CNN3D_SHRINKS:
            raise InputError(
                f"dataset.scan.{name} = {size}: cnn3d halves each axis five times, which needs {CNN3D_SHRINKS} or "
                "more; make the stacks larger, or choose centroid"
            )
    if config.train.batch * prod(size // CNN3D_SHRINKS for size in shape) < 2:
        raise InputError(
            f"dataset.scan: of one stack of {size_words} cnn3d leaves a single number a channel, and it norms each "
            "channel over several; make one axis 64 or more, or train.batch 2 or more"
        )
    for case in config.dataset.validation:
        checked = case.simulation.scan
        if (checked.n_views, checked.n_rows, checked.n_cols) != shape:
            raise InputError(
                f"dataset.validation, {case.name}: stacks of {' × '.join(map(str, checked.largest_shape()))}, but "
                f"cnn3d is built for those of dataset.scan, {size_words}; give it the same scan"
            )
