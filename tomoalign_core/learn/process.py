"""The process of a training, from its place in the queue to its end. No torch is loaded before its turn has come."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from tomoalign_core.config import InputError
from tomoalign_core.learn.jobs import queued_now
from tomoalign_core.learn.runs import Run, Status, queue_for
from tomoalign_core.learn.shapes import check_shapes

if TYPE_CHECKING:
    from tomoalign_core.learn.recorder import Progress

LOOK_EVERY_S = 1.0


def run_training(run: Run, *, progress: Progress | None = None) -> Status:
    """Train a run to its end in this process, from its last checkpoint if it has one; returns the last status.

    The run waits as "queued" until it is its turn and the device is free. A stop file, SIGTERM or Ctrl-C stop the
    training at the next batch with a checkpoint. Every end, a crash too, is written to the folder.

    Raises
    ------
    InputError
        If another process trains this run, its network cannot take its stacks, or the device does not exist.
    """
    with run.alive():
        run.trim_metrics()
        status = run.status()
        if status.state == "finished":
            return status
        try:
            check_shapes(run.config)  # an old run was made when nothing asked
        except InputError as error:
            run.write_status(status.model_copy(update={"state": "failed", "message": str(error)}))
            raise
        line_up = {"pid": os.getpid()} if status.state == "queued" else queued_now(pid=os.getpid())
        run.write_status(status.model_copy(update=line_up))
        if not wait_for_turn(run):
            return run.status()
        from tomoalign_core.learn.recorder import train_when_free

        return train_when_free(run, progress)


def wait_for_turn(run: Run) -> bool:
    """Wait until no living run that asks for the same device stands before this one; False if it was stopped.

    Who stands before is looked up once: whoever comes later stands behind. Then only the two ends of what is left are
    watched, so that a hundred processes can wait without work. A waiter that is killed is passed over at once, for its
    lock is free.
    """
    device, mine = run.config.train.device, run.status()
    before = deque(
        (other, status.queued_at)
        for other, status in queue_for(device)
        if other != run and (status.state == "running" or (status.queued_at, other.id) < (mine.queued_at, run.id))
    )
    said = 0
    while True:
        while before and not _still_there(*before[0]):
            before.popleft()
        while before and not _still_there(*before[-1]):
            before.pop()
        if not before:
            return True
        if len(before) != said:
            said = len(before)
            wanted = "the device" if device == "auto" else device
            run.write_status(run.status().model_copy(update={"message": f"waiting for {wanted}, {said} before it"}))
        if run.take_stop():
            stopped = {"state": "stopped", "message": "stopped while it waited"}
            run.write_status(run.status().model_copy(update=stopped))
            return False
        time.sleep(LOOK_EVERY_S)


def _still_there(other: Run, queued_at: float) -> bool:
    """Whether a run trains or waits as it did; one that was stopped and resumed has gone to the end of the queue."""
    status = other.status()
    return status.state in ("queued", "running") and status.queued_at == queued_at
