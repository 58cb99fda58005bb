"""Progress bars of the terminal, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from tomoalign_core.learn.runs import Run
    from tomoalign_core.learn.train import Training

LONG_S = 2.0


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def training_bar(run: Run) -> Iterator[Callable[[Training, dict[str, float]], None]]:
    """A bar over the steps of a training, with its loss and errors."""
    with _bar() as bar:
        task = bar.add_task(run.id, total=None)

        def progress(training: Training, record: dict[str, float]) -> None:
            words = f"loss {record['loss']:.3f}  dx {record['rmse_dx_px']:.3f}  dy {record['rmse_dy_px']:.3f} px"
            if training.best is not None:
                words += f"  best {training.best:.3f}"
            bar.update(task, total=training.steps, completed=training.step, description=words)

        yield progress


def epoch_lines(run: Run, say: Callable[[str], None]) -> Callable[[Training, dict[str, float]], None]:
    """One line an epoch, for a log or where there is no terminal."""
    settings = run.config.train

    def progress(training: Training, record: dict[str, float]) -> None:
        if training.step % settings.steps_per_epoch == 0:
            left = run.status().eta_s or 0.0
            say(
                f"epoch {training.epoch:>3} of {settings.epochs}: last step dx {record['rmse_dx_px']:.3f}, "
                f"dy {record['rmse_dy_px']:.3f} px; best validation {training.best:.3f} px; about {left:.0f} s left"
            )

    return progress


@contextmanager
def count_bar(words: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar over things that are counted: the views of a stack, the stacks of a data set."""
    with _bar() as bar:
        task = bar.add_task(words, total=total)
        yield lambda done, _: bar.update(task, completed=done)


@contextmanager
def bar_if_long(words: str) -> Iterator[Callable[[int, int], None]]:
    """The same for what may be quick: no bar unless what is left takes over two seconds; another if it begins again."""
    began = time.perf_counter()
    bars: list[Progress] = []

    def end() -> None:
        for bar in bars:
            bar.stop()
        bars.clear()

    def progress(done: int, of: int) -> None:
        nonlocal began
        took = time.perf_counter() - began
        if not bars and took * (of - done) / max(done, 1) > LONG_S:
            bars.append(_bar())
            bars[0].start()
            bars[0].add_task(words, total=of)
        for bar in bars:
            bar.update(bar.task_ids[0], completed=done)
        if done >= of:
            began = time.perf_counter()
            end()

    try:
        yield progress
    finally:
        end()
