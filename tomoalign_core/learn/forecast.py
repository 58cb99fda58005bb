"""How long a training will take, from how long one like it took here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from tomoalign_core.config import DatasetConfig, RunConfig, ScanConfig
from tomoalign_core.learn.runs import Run, list_runs

LEAST_STEPS = 5  # before, start-up tells more than the work
LOOK_BACK = 50  # runs, the newest; older ones tell of another machine as likely as of this


@dataclass(frozen=True)
class Forecast:
    """Seconds that a training will take, and the run from whose rate they follow."""

    seconds: float
    run: Run


@dataclass(frozen=True)
class Pace:
    """Seconds that a step and a validation typically take."""

    step_s: float
    validation_s: float


def forecast(config: RunConfig) -> Forecast | None:
    """The time of a training by the pace of the newest run of the same network on the same device; None without one.

    The work of a step is taken to grow with its stacks and with their pixels, that of a validation with its stacks.
    """
    for run in list_runs()[:LOOK_BACK]:
        status = run.status()
        if status.step < LEAST_STEPS or not status.elapsed_s:
            continue
        other = run.config
        same_device = config.train.device in (other.train.device, status.device)
        if same_device and other.model == config.model and other.train.precision == config.train.precision:
            pace = _pace_now(run)
            if pace is None:
                continue
            epochs = config.train.epochs
            steps_s = pace.step_s * epochs * config.train.steps_per_epoch * _work(config) / _work(other)
            checks_s = pace.validation_s * epochs * _checks(config.dataset) / _checks(other.dataset)
            return Forecast(steps_s + checks_s, run)
    return None


def pace_of(steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> Pace | None:
    """The pace of a run from its metrics: medians, so that stops and moments when the machine was busy do not count.

    None where too few steps are noted.

    >>> pace_of([{"step": n, "time_s": 2.0 * n + 600 * (n > 4)} for n in range(1, 9)], [])
    Pace(step_s=2.0, validation_s=0.0)
    """
    if len(steps) < LEAST_STEPS:
        return None
    at = {line["step"]: line["time_s"] for line in steps}
    checks = {line["step"]: line["time_s"] - at[line["step"]] for line in epochs if line["step"] in at}
    each = [
        (after["time_s"] - before["time_s"] - checks.get(before["step"], 0.0)) / (after["step"] - before["step"])
        for before, after in pairwise(steps)
    ]
    usual = median(each)
    return Pace(usual, max(median(checks.values()), 0.0) if checks else 0.0) if usual > 0 else None


def _pace_now(run: Run) -> Pace | None:
    path = run.path / "metrics.jsonl"
    return _pace_cached(run.path, path.stat().st_size) if path.exists() else None


@lru_cache(maxsize=32)
def _pace_cached(path: Path, size: int) -> Pace | None:
    """By the length of the file, which only grows: a page asks at each rerun."""
    run = Run(path)
    return pace_of(run.metrics("step"), run.metrics("epoch"))


def _work(config: RunConfig) -> float:
    """Pixels that a step looks at."""
    return config.train.batch * _pixels(config.dataset.scan)


def _checks(dataset: DatasetConfig) -> float:
    """Pixels that a validation looks at."""
    return sum(case.stacks * _pixels(case.simulation.scan) for case in dataset.validation) or 1.0


def _pixels(scan: ScanConfig) -> float:
    """Pixels of a stack, those in the middle of their ranges."""
    count = 1.0
    for size in (scan.n_views, scan.n_rows, scan.n_cols):
        count *= sum(size) / 2 if isinstance(size, tuple) else size
    return count
