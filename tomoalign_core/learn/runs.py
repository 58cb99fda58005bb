"""The run folder: the only place where a training lives. Pages and commands read it; no torch is needed for that."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tomoalign_core.config import InputError, RunConfig
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.jobs import (
    Job,
    JobStatus,
    State,
    is_held,
    queued_now,
    refuse_when_read_only,
    starting,
    workspace,
)
from tomoalign_core.learn.shapes import check_shapes


class Status(JobStatus):
    """What ``status.json`` of a training holds."""

    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    best_rmse_px: float | None = None
    best_epoch: int | None = None
    last_rmse_px: float | None = None
    device: str = ""
    memory_mb: float | None = None


@dataclass(frozen=True)
class Run(Job[Status]):
    """A run folder. Nothing is cached: every property reads what is on disk now."""

    status_type: ClassVar[type[JobStatus]] = Status

    @property
    def config(self) -> RunConfig:
        """The settings, written once."""
        return RunConfig.load(self.path / "config.json")

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

    def notes(self) -> str:
        """What people have written about the run."""
        path = self.path / "notes.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def write_notes(self, text: str) -> None:
        """Replace the notes."""
        refuse_when_read_only()
        with atomic_path(self.path / "notes.md") as part:
            part.write_text(text, encoding="utf-8")

    def sample_epochs(self) -> list[int]:
        """The epochs of which validation samples were kept."""
        return sorted(int(p.stem.removeprefix("epoch_")) for p in (self.path / "samples").glob("epoch_*.npz"))

    def sample(self, epoch: int) -> dict[str, np.ndarray]:
        """Arrays named ``<case>/<what>``: angle_rad, true, found, sigma, sinograms and slices."""
        with np.load(self.path / "samples" / f"epoch_{epoch:04d}.npz", allow_pickle=False) as archive:
            return dict(archive)

    def sample_by_case(self, epoch: int) -> dict[str, dict[str, np.ndarray]]:
        """The arrays of ``sample``: case to name to array."""
        cases: dict[str, dict[str, np.ndarray]] = {}
        for name, values in self.sample(epoch).items():
            case, what = name.rsplit("/", 1)
            cases.setdefault(case, {})[what] = values
        return cases


def sample_shifts(arrays: Mapping[str, np.ndarray]) -> tuple[Shifts, Shifts]:
    """The found and the true shifts of one case of a sample; roll is 0 where the network gives none."""
    angle, found, true = arrays["angle_rad"], arrays["found"], arrays["true"]
    sigma = arrays.get("sigma", np.full_like(found, np.nan))
    said = Shifts.from_arrays(
        angle_rad=angle,
        dx_px=found[:, 0],
        dy_px=found[:, 1],
        roll_deg=arrays.get("found_roll_deg"),
        dx_sigma_px=sigma[:, 0],
        dy_sigma_px=sigma[:, 1],
    )
    truth = Shifts.from_arrays(
        angle_rad=angle, dx_px=true[:, 0], dy_px=true[:, 1], roll_deg=arrays.get("true_roll_deg")
    )
    return said, truth


def list_runs() -> list[Run]:
    """All runs of the workspace, newest first."""
    folder = workspace() / "runs"
    return sorted((Run(p.parent) for p in folder.glob("*/config.json")), key=lambda r: r.id, reverse=True)


def open_run(name: str | Path) -> Run:
    """A run by its id in the workspace, by the path of its folder, or by its name if no other run has it.

    Raises
    ------
    InputError
        If there is none, or several have the name.
    """
    run = find_run(name) or named_run(name)
    if run is None:
        raise InputError(
            f"{name}: no such run; give its name, an id from {workspace() / 'runs'}, or the path of a run folder"
        )
    return run


def named_run(name: str | Path) -> Run | None:
    """The one run in the workspace whose settings have that name; None if there is none.

    Raises
    ------
    InputError
        If there are several.
    """
    runs = [run for run in list_runs() if run.config.name == str(name)]
    if len(runs) > 1:
        newest = ", ".join(run.id for run in runs[:3])
        raise InputError(f"{name}: {len(runs)} runs have this name; give the id of one, of the newest: {newest}")
    return runs[0] if runs else None


def find_run(name: str | Path) -> Run | None:
    """A run by its id in the workspace, or by the path of its folder; None if there is none."""
    paths = (workspace() / "runs" / name, Path(name))
    return next((Run(path.resolve()) for path in paths if (path / "config.json").is_file()), None)


def create_run(config: RunConfig) -> Run:
    """Make the folder of a new run, in state "queued".

    Raises
    ------
    InputError
        If its network cannot take the stacks, or the dashboard is read-only.
    """
    refuse_when_read_only()
    check_shapes(config)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    run = Run(workspace() / "runs" / f"{stamp}-{config.name}-{config.key()[:8]}")
    (run.path / "samples").mkdir(parents=True)
    with atomic_path(run.path / "config.json") as part:
        part.write_text(config.to_json())
    steps = config.train.epochs * config.train.steps_per_epoch
    run.write_status(Status(epochs=config.train.epochs, steps=steps).model_copy(update=queued_now(pid=None)))
    return run


def find_runs(config: RunConfig) -> list[Run]:
    """Runs with the same content key, newest first."""
    key = config.key()
    return [run for run in list_runs() if run.id.endswith(key[:8]) and run.config.key() == key]


Outcome = Literal["opened", "joined", "resumed", "started"]


def known_run(config: RunConfig) -> tuple[Run, Outcome] | None:
    """The run that these settings have already, and what is to be done with it; one that failed is none.

    Finished: opened. Running or queued: joined. Stopped or interrupted: resumed.
    """
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
    return None


def claim(config: RunConfig, *, again: bool = False) -> tuple[Run, Outcome]:
    """The run that these settings stand for: the known one, or, without one or with ``again``, a new folder.

    Callers that start a process do so under ``starting()``.
    """
    known = None if again else known_run(config)
    return known or (create_run(config), "started")


def launch(config: RunConfig, *, again: bool = False) -> tuple[Run, Outcome]:
    """Find the run of these settings, and give it a process of its own if it needs one."""
    refuse_when_read_only()
    with starting():
        run, outcome = claim(config, again=again)
        if outcome in ("resumed", "started"):
            spawn(run)
    return run, outcome


def resume(run: Run) -> None:
    """Give a stopped or interrupted run a process again; nothing happens to one that has one."""
    refuse_when_read_only()
    with starting():
        if run.status().state not in ("running", "queued", "finished"):
            spawn(run)


def spawn(run: Run) -> None:
    """Start the training process of a run: detached, its words in log.txt."""
    run.spawn("train", "--resume", str(run.path))


def delete_run(run: Run) -> None:
    """Delete a run with all it holds. It is there or it is not: no reader ever finds a part of it.

    Raises
    ------
    InputError
        If a process is at work on it, or the dashboard is read-only.
    """
    refuse_when_read_only()
    grave = run.path.parent / ".deleted"
    with starting():  # nobody gives it a process meanwhile
        state = run.status().state
        if state in ("queued", "running") or is_held(run.path / "alive.lock"):
            raise InputError(f"{run.id}: is {state}; stop it before you delete it")
        with run.alive():
            grave.mkdir(exist_ok=True)
            run.path.rename(grave / run.id)
    shutil.rmtree(grave, ignore_errors=True)  # what an earlier, killed one left as well


# ---------------------------------------------------------------- the queue


def queue_for(device: str) -> list[tuple[Run, Status]]:
    """The living runs that ask for a device, in the order in which they have it: first come, first served.

    The one that trains stands first. "auto" is a device of its own here until its run has found out which it is.
    """
    line = [place for place in living_runs() if device in (place[0].config.train.device, place[1].device)]
    return sorted(line, key=lambda place: (place[1].state != "running", place[1].queued_at, place[0].id))


def living_runs() -> list[tuple[Run, Status]]:
    """The runs that train or wait."""
    statuses = [(run, run.status()) for run in list_runs()]
    return [(run, status) for run, status in statuses if status.state in ("queued", "running")]


def queue_position(run: Run) -> int | None:
    """Its place among the runs that wait for the same device: 1 is next. None if it does not wait."""
    waiting = [other.id for other, status in queue_for(run.config.train.device) if status.state == "queued"]
    return waiting.index(run.id) + 1 if run.id in waiting else None


def queue_positions() -> dict[str, int]:
    """The places of all runs that wait, by id."""
    devices = {run.config.train.device for run, status in living_runs() if status.state == "queued"}
    places: dict[str, int] = {}
    for device in devices:
        waiting = [run for run, status in queue_for(device) if status.state == "queued"]
        places |= {run.id: n for n, run in enumerate(waiting, 1) if run.config.train.device == device}
    return places


def _whole_lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]
