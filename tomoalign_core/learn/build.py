"""The process that builds a data set: stack after stack, each file whole or not there, its status true."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.files.simulated import SimulatedStack, read_truth, write_simulated
from tomoalign_core.learn.dataset import make
from tomoalign_core.learn.jobs import refuse_when_read_only, signal_words
from tomoalign_core.learn.recipes import StackRecipe, stacks_of
from tomoalign_core.learn.store import BuildStatus, BuiltSet, Labels, check_room

STATUS_EVERY_S = 0.5
Progress = Callable[[int, int], None]


def build(built: BuiltSet, *, progress: Progress | None = None) -> BuildStatus:
    """Build what is missing of a set in this process, always on the CPU; returns the last status.

    A stop file, SIGTERM or Ctrl-C end it after the stack at hand, with what is built. Every end is written to the
    folder.

    Parameters
    ----------
    progress : called with the stacks that are there and all there will be.

    Raises
    ------
    InputError
        If another process builds this set, the disk has no room, or a phantom's file cannot be read.
    """
    refuse_when_read_only()
    with built.alive():
        if built.is_done:
            return built.status()
        check_room(built.config, built)
        builder = Builder(built, progress)
        with builder.ears():
            return builder.run()


class Builder:
    """Builds the stacks of one set and says how far it is."""

    def __init__(self, built: BuiltSet, progress: Progress | None) -> None:
        self.set = built
        self.progress = progress
        self.recipes = stacks_of(built.config)
        self.stopped_by = ""
        self._status = built.status().model_copy(update={"total": len(self.recipes), "pid": os.getpid()})
        self._elapsed_before = self._status.elapsed_s
        self._written = self._began = time.monotonic()

    def run(self) -> BuildStatus:
        """To the end, or to a stop, or to a failure that is told."""
        try:
            self._sweep()
            missing = [r for r in self.recipes if not self.set.stack_path(r.name).exists()]
            self._say(state="running", message="", done=len(self.recipes) - len(missing))
            for number, recipe in enumerate(missing, 1):
                if self._should_stop():
                    return self._say(state="stopped", message=f"cancelled by {self.stopped_by}", eta_s=None)
                self._write(recipe)
                self._note(number, len(missing))
            self._finish()
        except BaseException as error:
            self._say(state="failed", message=_in_words(error), eta_s=None)
            if not isinstance(error, InputError):
                traceback.print_exc(file=sys.stderr)
            raise
        return self._say(state="finished", message="", eta_s=0.0)

    @contextmanager
    def ears(self) -> Iterator[None]:
        """Take the signals that ask a process to end as a wish to stop, and give them back."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _write(self, recipe: StackRecipe) -> None:
        scan = make(recipe)
        path = self.set.stack_path(recipe.name)
        path.parent.mkdir(exist_ok=True)
        stack = SimulatedStack(
            proj=scan.proj.numpy(),
            clean=scan.clean.numpy(),
            shifts=scan.shifts,
            gaussian=scan.gaussian,
            counts=scan.counts,
        )
        write_simulated(path, stack, config_json=recipe.settings.to_json(indent=None))

    def _finish(self) -> None:
        """Gather the labels of all stacks, and say that the set is done."""
        truths = [read_truth(self.set.stack_path(recipe.name))[0] for recipe in self.recipes]
        columns = {name: np.concatenate([getattr(t, name) for t in truths]) for name in Labels._fields[1:]}
        labels = Labels(views=np.array([len(t) for t in truths]), **columns)
        with atomic_path(self.set.path / "labels.npz") as part, open(part, "wb") as file:
            np.savez(file, allow_pickle=False, **labels._asdict())
        (self.set.path / "done").touch()

    def _sweep(self) -> None:
        """Remove what a process that was killed left under a name that is no stack's."""
        for part in self.set.path.glob("*/.*.part.h5"):
            part.unlink()

    def _note(self, number: int, missing: int) -> None:
        now = time.monotonic()
        done = len(self.recipes) - missing + number
        rate = number / max(now - self._began, 1e-9)
        values = {"done": done, "items_per_s": rate, "eta_s": (missing - number) / rate}
        self._status = self._status.model_copy(update=values)
        if now - self._written > STATUS_EVERY_S:
            self._say()
        if self.progress is not None:
            self.progress(done, len(self.recipes))

    def _say(self, **values: object) -> BuildStatus:
        self._written = time.monotonic()
        elapsed = self._elapsed_before + self._written - self._began
        self._status = self._status.model_copy(update={"elapsed_s": elapsed, **values})
        self.set.write_status(self._status)
        return self._status

    def _should_stop(self) -> bool:
        if not self.stopped_by and self.set.take_stop():
            self.stopped_by = "request"
        return bool(self.stopped_by)

    def _on_signal(self, number: int, _frame: object) -> None:
        self.stopped_by = signal_words(number)


def _in_words(error: BaseException) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full; make room, then resume"
    if isinstance(error, MemoryError):
        return "out of memory; build smaller stacks"
    return f"{type(error).__name__}: {error}"[:500]
