"""The shapes of a data set, as the notebook printed them to check its own."""

from __future__ import annotations

from tomoalign_core.config import DatasetConfig
from tomoalign_core.learn.dataset import training_batch


def shapes(config: DatasetConfig) -> dict[str, str]:
    """Shapes by name, of what a network is given: the first training stack is drawn for it.

    An entry is a stack and its label: dx of all views, then dy of all views. An endless set has ∞ training entries.

    >>> from tomoalign_core.learn.presets import notebook
    >>> for name, shape in shapes(notebook(scale=0.125).dataset).items():
    ...     print(f"{name}: {shape}")
    entries: (120, 2)
    one entry: (2,)
    its stack: (1, 1, 32, 44, 66)
    its label: (1, 64)
    training set: (96, 2)
    validation set: (24, 2)
    """
    batch = training_batch(config, 0, 1)
    stack, label = batch.proj[:, None], batch.shift.transpose(1, 2).reshape(1, -1)
    checks = sum(case.stacks for case in config.validation)
    entries, training = ("∞", "∞") if config.fixed is None else (config.fixed + checks, config.fixed)
    return {
        "entries": f"({entries}, 2)",
        "one entry": "(2,)",
        "its stack": str(tuple(stack.shape)),
        "its label": str(tuple(label.shape)),
        "training set": f"({training}, 2)",
        "validation set": f"({checks}, 2)",
    }
