"""How long a training will take, from how long one like it took here."""

from __future__ import annotations

from dataclasses import dataclass

from tomoalign_core.config import DatasetConfig, RunConfig
from tomoalign_core.learn.runs import Run, list_runs

LEAST_STEPS = 5  # before, start-up tells more than the work
LOOK_BACK = 50  # runs, the newest; older ones tell of another machine as likely as of this


@dataclass(frozen=True)
class Forecast:
    """Seconds that a training will take, and the run from whose rate they follow."""

    seconds: float
    run: Run


def forecast(config: RunConfig) -> Forecast | None:
    """The time of a training by the rate of the newest run of the same network on the same device; None without one.

    The work of a step is taken to grow with its stacks and with their pixels; validation is in the rate.
    """
    for run in list_runs()[:LOOK_BACK]:
        status = run.status()
        if status.step < LEAST_STEPS or not status.elapsed_s:
            continue
        other = run.config
        same_device = config.train.device in (other.train.device, status.device)
        if same_device and other.model == config.model and other.train.precision == config.train.precision:
            per_step = status.elapsed_s / status.step * _work(config) / _work(other)
            return Forecast(per_step * config.train.epochs * config.train.steps_per_epoch, run)
    return None


def _work(config: RunConfig) -> float:
    """Pixels that a step looks at."""
    return config.train.batch * _pixels(config.dataset)


def _pixels(dataset: DatasetConfig) -> float:
    """Pixels of a stack, those in the middle of their ranges."""
    scan, count = dataset.scan, 1.0
    for size in (scan.n_views, scan.n_rows, scan.n_cols):
        count *= sum(size) / 2 if isinstance(size, tuple) else size
    return count
