"""The run folder: the only place where a training lives. Pages and commands read it; no torch is needed for that."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from tomoalign_core.config import InputError, RunConfig
from tomoalign_core.files.atomic import atomic_path

State = Literal["queued", "running", "finished", "stopped", "failed", "interrupted"]
START_GRACE_S = 60.0  # a new process needs seconds until it holds its lock


class Status(BaseModel):
    """What ``status.json`` holds. ``state`` is what the process last wrote; see ``Run.status`` for the truth."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State = "queued"
    message: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    best_rmse_px: float | None = None
    best_epoch: int | None = None
    eta_s: float | None = None
    items_per_s: float | None = None
    elapsed_s: float = 0.0
    device: str = ""
    memory_mb: float | None = None
    pid: int | None = None
    updated: float = 0.0


def workspace() -> Path:
    """Where data lives: ``TOMOALIGN_WORKSPACE``, or ``workspace/`` in the current folder."""
    return Path(os.environ.get("TOMOALIGN_WORKSPACE", "workspace")).resolve()


@dataclass(frozen=True)
class Run:
    """A run folder. Nothing is cached: every property reads what is on disk now."""

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def config(self) -> RunConfig:
        """The settings, written once."""
        return RunConfig.load(self.path / "config.json")

    def status(self) -> Status:
        """The state as it is: "running" whose process is gone reads "interrupted".

        A process holds ``alive.lock`` for its whole life and loses it in death, however it dies.
        """
        status = self._written_status()
        if status.state in ("queued", "running") and not is_held(self.path / "alive.lock"):
            status = self._written_status()  # it may have ended, and said so, between the two looks
            starting = status.state == "queued" and time.time() - status.updated < START_GRACE_S
            if status.state in ("queued", "running") and not starting:
                return status.model_copy(update={"state": "interrupted", "eta_s": None})
        return status

    def _written_status(self) -> Status:
        try:
            return Status.model_validate_json((self.path / "status.json").read_text())
        except (FileNotFoundError, ValidationError):
            return Status(state="interrupted", message="status.json is missing or unreadable")

    def write_status(self, status: Status) -> None:
        """Replace ``status.json``; a reader sees the old one or the new one."""
        with atomic_path(self.path / "status.json") as part:
            part.write_text(status.model_copy(update={"updated": time.time()}).model_dump_json())

    def metrics(self, kind: Literal["step", "epoch"]) -> list[dict[str, Any]]:
        """The lines of one kind in order; an unfinished last line is ignored, on duplicates the later wins."""
        found: dict[int, dict[str, Any]] = {}
        for line in _whole_lines(self.path / "metrics.jsonl"):
            record = json.loads(line)
            if record["kind"] == kind:
                found[record[kind]] = record
        return [found[number] for number in sorted(found)]

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Append one line."""
        with open(self.path / "metrics.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")

    def trim_metrics(self) -> None:
        """Drop a half line that a killed process left, so that what is appended starts on a line of its own."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            whole = sum(len(line) for line in _whole_lines(path))
            os.truncate(path, whole)

    def sample_epochs(self) -> list[int]:
        """The epochs of which validation samples were kept."""
        return sorted(int(p.stem.removeprefix("epoch_")) for p in (self.path / "samples").glob("epoch_*.npz"))

    def sample(self, epoch: int) -> dict[str, np.ndarray]:
        """Arrays named ``<case>/<what>``: angle_rad, true, found, sigma, sinograms and slices."""
        with np.load(self.path / "samples" / f"epoch_{epoch:04d}.npz", allow_pickle=False) as archive:
            return dict(archive)

    def log_tail(self, lines: int = 30) -> str:
        """The end of the log."""
        path = self.path / "log.txt"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def request_stop(self) -> None:
        """Ask the training to stop at its next batch, with a checkpoint."""
        (self.path / "stop").touch()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Hold the lock that says this run has a process.

        Raises
        ------
        InputError
            If another process already trains this run.
        """
        try:
            with FileLock(self.path / "alive.lock", timeout=5):
                yield
        except Timeout:
            raise InputError(f"{self.id}: this run is being trained by another process; stop that one first") from None


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


def list_runs() -> list[Run]:
    """All runs of the workspace, newest first."""
    folder = workspace() / "runs"
    return sorted((Run(p.parent) for p in folder.glob("*/config.json")), key=lambda r: r.id, reverse=True)


def open_run(name: str | Path) -> Run:
    """A run by its id in the workspace, or by the path of its folder.

    Raises
    ------
    InputError
        If there is none.
    """
    for path in (workspace() / "runs" / name, Path(name)):
        if (path / "config.json").is_file():
            return Run(path.resolve())
    raise InputError(f"{name}: no such run; give an id from {workspace() / 'runs'} or the path of a run folder")


def create_run(config: RunConfig) -> Run:
    """Make the folder of a new run, in state "queued"."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    run = Run(workspace() / "runs" / f"{stamp}-{config.name}-{config.key()[:8]}")
    (run.path / "samples").mkdir(parents=True)
    with atomic_path(run.path / "config.json") as part:
        part.write_text(config.to_json())
    run.write_status(Status(epochs=config.train.epochs, steps=config.train.epochs * config.train.steps_per_epoch))
    return run


def find_runs(config: RunConfig) -> list[Run]:
    """Runs with the same content key, newest first."""
    key = config.key()
    return [run for run in list_runs() if run.id.endswith(key[:8]) and run.config.key() == key]


Outcome = Literal["opened", "joined", "resumed", "started"]


def claim(config: RunConfig, *, again: bool = False) -> tuple[Run, Outcome]:
    """The run that these settings stand for: an unfinished or finished one of the same key, or a new one.

    Finished: opened. Running or queued: joined. Stopped or interrupted: to be resumed. Failed, none, or ``again``:
    a new folder. Callers that start a process do so under ``starting()``.
    """
    if not again:
        outcomes: dict[State, Outcome] = {
            "finished": "opened",
            "running": "joined",
            "queued": "joined",
            "stopped": "resumed",
            "interrupted": "resumed",
        }
        for run in find_runs(config):
            state = run.status().state
            if state in outcomes:
                return run, outcomes[state]
    return create_run(config), "started"


@contextmanager
def starting() -> Iterator[None]:
    """Hold the door: two people who press Start together get one process."""
    folder = workspace() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".start.lock", timeout=30):
        yield


def launch(config: RunConfig, *, again: bool = False) -> tuple[Run, Outcome]:
    """Find the run of these settings, and give it a process of its own if it needs one."""
    with starting():
        run, outcome = claim(config, again=again)
        if outcome in ("resumed", "started"):
            spawn(run)
    return run, outcome


def resume(run: Run) -> None:
    """Give a stopped or interrupted run a process again; nothing happens to one that has one."""
    with starting():
        if run.status().state not in ("running", "queued", "finished"):
            spawn(run)


def spawn(run: Run) -> None:
    """Start the training process of a run: detached, its words in log.txt."""
    (run.path / "stop").unlink(missing_ok=True)
    run.write_status(run.status().model_copy(update={"state": "queued", "message": "", "eta_s": None}))
    command = [sys.executable, "-m", "tomoalign_core", "train", "--resume", str(run.path)]
    with open(run.path / "log.txt", "a") as log:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TOMOALIGN_WORKSPACE": str(workspace())},
        )


def _whole_lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]
