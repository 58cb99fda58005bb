"""The shapes of a data set, as the notebook printed them to check its own. No torch is needed."""

from __future__ import annotations

from tomoalign_core.config import DatasetConfig
from tomoalign_core.learn.recipes import training_recipe


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
