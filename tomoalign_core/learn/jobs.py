"""A job: work in a process of its own that knows only its folder. A training is one, and a data set being built.

The folder says everything: ``status.json`` what the process last said, ``alive.lock`` whether it lives, ``stop`` that
it is asked to end, ``log.txt`` its words. Pages and commands read it; no torch is needed for that.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar, cast

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path

State = Literal["queued", "running", "finished", "stopped", "failed", "interrupted"]
START_GRACE_S = 60.0  # a new process needs seconds until it holds its lock


def workspace() -> Path:
    """Where data lives: ``TOMOALIGN_WORKSPACE``, or ``workspace/`` in the current folder."""
    return Path(os.environ.get("TOMOALIGN_WORKSPACE", "workspace")).resolve()


def read_only() -> bool:
    """Whether ``TOMOALIGN_READONLY`` forbids to start, stop or delete anything, as for a dashboard that is shown."""
    return os.environ.get("TOMOALIGN_READONLY", "") not in ("", "0")


def refuse_when_read_only() -> None:
    """The one lock on every door that starts, stops, changes or deletes.

    Raises
    ------
    InputError
        If ``TOMOALIGN_READONLY`` is set.
    """
    if read_only():
        raise InputError(
            "TOMOALIGN_READONLY is set: nothing can be started, stopped, changed or deleted here; unset it to work"
        )


class JobStatus(BaseModel):
    """What ``status.json`` of any job holds. ``state`` is what the process last wrote; see ``Job.status``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = "queued"
    message: str = ""
    eta_s: float | None = None
    items_per_s: float | None = None
    elapsed_s: float = 0.0
    pid: int | None = None
    queued_at: float = 0.0
    updated: float = 0.0


S = TypeVar("S", bound=JobStatus)


@dataclass(frozen=True)
class Job(Generic[S]):
    """A job's folder. Nothing is cached: every property reads what is on disk now."""

    path: Path
    status_type: ClassVar[type[JobStatus]] = JobStatus

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def status(self) -> S:
        """The state as it is: "running" whose process is gone reads "interrupted".

        A process holds ``alive.lock`` for its whole life and loses it in death, however it dies. One that was only
        just asked for, and has not said its ``pid`` yet, is believed to be starting.
        """
        status = self._written_status()
        if status.state in ("queued", "running") and not is_held(self.path / "alive.lock"):
            status = self._written_status()  # it may have ended, and said so, between the two looks
            begun = status.state == "running" or status.pid is not None
            starting = not begun and time.time() - status.updated < START_GRACE_S
            if status.state in ("queued", "running") and not starting:
                return status.model_copy(update={"state": "interrupted", "eta_s": None})
        return status

    def _written_status(self) -> S:
        try:
            return cast(S, self.status_type.model_validate_json((self.path / "status.json").read_text()))
        except (FileNotFoundError, ValidationError):
            missing = self.status_type(state="interrupted", message="status.json is missing or unreadable")
            return cast(S, missing)

    def write_status(self, status: S) -> None:
        """Replace ``status.json``; a reader sees the old one or the new one."""
        with atomic_path(self.path / "status.json") as part:
            part.write_text(status.model_copy(update={"updated": time.time()}).model_dump_json())

    def log_tail(self, lines: int = 30) -> str:
        """The end of the log."""
        path = self.path / "log.txt"
        if not path.exists():
            return ""
        with path.open("rb") as file:  # of a long log only the end is read
            file.seek(max(0, path.stat().st_size - 400 * lines))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def request_stop(self) -> None:
        """Ask the process to end at the next whole piece of its work, with what it has saved."""
        refuse_when_read_only()
        (self.path / "stop").touch()

    def take_stop(self) -> bool:
        """Whether the process is asked to end; the question is taken away with the answer."""
        try:
            (self.path / "stop").unlink()
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Hold the lock that says this job has a process.

        Raises
        ------
        InputError
            If another process already works on it.
        """
        try:
            with FileLock(self.path / "alive.lock", timeout=5):
                yield
        except Timeout:
            raise InputError(f"{self.id}: another process is at work on it; stop that one first") from None

    def spawn(self, *command: str) -> None:
        """Start ``python -m tomoalign_core COMMAND`` for this job: detached, its words in log.txt."""
        refuse_when_read_only()
        (self.path / "stop").unlink(missing_ok=True)
        self.write_status(self.status().model_copy(update=queued_now(pid=None)))
        with open(self.path / "log.txt", "a") as log:
            subprocess.Popen(
                [sys.executable, "-m", "tomoalign_core", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "TOMOALIGN_WORKSPACE": str(workspace())},
            )


def signal_words(number: int) -> str:
    """By what a process was ended, for people who know no signals."""
    words = {signal.SIGINT: "Ctrl-C in its terminal", signal.SIGTERM: "an order to its process, as at a shutdown"}
    return f"{words[signal.Signals(number)]} ({signal.Signals(number).name})"


def queued_now(*, pid: int | None) -> dict[str, object]:
    """What a status says from the moment a job is put at the end of its queue."""
    return {"state": "queued", "queued_at": time.time(), "pid": pid, "message": "", "eta_s": None}


def is_held(lock: Path) -> bool:
    """Whether a living process holds a lock file; a shared probe, so probes never disturb each other."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def starting(folder: str = "runs") -> Iterator[None]:
    """Hold the door of a folder of the workspace: two people who press Start together get one process."""
    path = workspace() / folder
    path.mkdir(parents=True, exist_ok=True)
    with FileLock(path / ".start.lock", timeout=30):
        yield
