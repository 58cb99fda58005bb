"""Built data sets: their folders in the workspace, what they take, and who may build or delete them.

A set is ``workspace/datasets/<key>/``: config.json, one Data Exchange file a stack in ``train/`` and ``validation/``,
labels.npz, and ``done``, which is written last. A file has its name only when it is whole, so that a build that was
cancelled or killed goes on with the stacks it has. No torch is needed to look at it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from tomoalign_core.config import DatasetConfig, InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.learn.jobs import Job, JobStatus, is_held, queued_now, refuse_when_read_only, starting, workspace
from tomoalign_core.learn.recipes import case_prefix, stacks_of
from tomoalign_core.learn.room import estimate, in_words

FOLDER = "datasets"
Outcome = Literal["opened", "joined", "resumed", "started"]


class BuildStatus(JobStatus):
    """What ``status.json`` of a build holds: the stacks that are there, and those there will be."""

    done: int = 0
    total: int = 0


class Split(NamedTuple):
    """Stacks on disk."""

    train: int
    validation: int


class Labels(NamedTuple):
    """The true movement of every view of a set, stack after stack: ``views`` of each stack, the rest (all views,)."""

    views: np.ndarray
    dx_px: np.ndarray
    dy_px: np.ndarray
    roll_deg: np.ndarray


@dataclass(frozen=True)
class BuiltSet(Job[BuildStatus]):
    """The folder of a built set. Nothing is cached: every property reads what is on disk now."""

    status_type: ClassVar[type[JobStatus]] = BuildStatus

    def status(self) -> BuildStatus:
        """The state as it is; done is done, even if its process died before it could say so."""
        status = super().status()
        if status.state == "interrupted" and self.is_done:
            return status.model_copy(update={"state": "finished"})
        return status

    @property
    def config(self) -> DatasetConfig:
        """The recipe, written once."""
        return DatasetConfig.load(self.path / "config.json")

    @property
    def is_done(self) -> bool:
        """Whether every stack is there."""
        return (self.path / "done").exists()

    @property
    def made(self) -> datetime:
        """When it was done, or begun if it is not."""
        stamp = self.path / ("done" if self.is_done else "config.json")
        return datetime.fromtimestamp(stamp.stat().st_mtime)

    @property
    def split(self) -> Split:
        """The stacks that are there now."""
        return Split(*(len(self._names(part)) for part in Split._fields))

    @property
    def size_bytes(self) -> int:
        """What the folder takes on disk."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def names(self) -> dict[str, list[str]]:
        """The names of the stacks that are there now: of the training stacks, and by validation case."""
        found = self._names("validation")
        cases = {case.name: case_prefix(number, case) for number, case in enumerate(self.config.validation)}
        by_case = {name: [n for n in found if n.startswith(f"{start}-")] for name, start in cases.items()}
        return {"training": self._names("train"), **by_case}

    def _names(self, part: str) -> list[str]:
        return sorted(f"{part}/{path.stem}" for path in (self.path / part).glob("[0-9]*.h5"))

    def stack_path(self, name: str) -> Path:
        """The file of the stack of that name, e.g. ``train/00012``."""
        return self.path / f"{name}.h5"

    def labels(self) -> Labels:
        """True movements of all stacks of a set that is done; a few kB, however large the stacks."""
        with np.load(self.path / "labels.npz", allow_pickle=False) as archive:
            return Labels(**{name: archive[name] for name in Labels._fields})


def list_sets() -> list[BuiltSet]:
    """All sets of the workspace, whatever their state, newest first."""
    found = [BuiltSet(p.parent) for p in (workspace() / FOLDER).glob("*/config.json")]
    return sorted(found, key=lambda s: s.made, reverse=True)


def open_set(name: str | Path) -> BuiltSet:
    """A set by its key in the workspace, or by the path of its folder.

    Raises
    ------
    InputError
        If there is none.
    """
    for path in (workspace() / FOLDER / name, Path(name)):
        if (path / "config.json").is_file():
            return BuiltSet(path.resolve())
    raise InputError(f"{name}: no such data set; give a key from {workspace() / FOLDER} or the path of a set's folder")


def find_set(config: DatasetConfig) -> BuiltSet | None:
    """The set of this recipe, in whatever state, or None."""
    path = workspace() / FOLDER / config.key()
    return BuiltSet(path) if (path / "config.json").is_file() else None


def find_built(config: DatasetConfig) -> BuiltSet | None:
    """The set of this recipe if every stack of it is there: what a training reads instead of simulating."""
    path = workspace() / FOLDER / _key(config)
    return BuiltSet(path) if (path / "done").exists() else None


@lru_cache(maxsize=16)
def _key(config: DatasetConfig) -> str:
    """Asked for at every step of a training, and 20 times as slow as a look at the folder."""
    return config.key()


def claim(config: DatasetConfig) -> tuple[BuiltSet, Outcome]:
    """The set of this recipe: done, being built, begun, or new. Callers do this under ``starting(FOLDER)``.

    Raises
    ------
    InputError
        If the disk has no room for what is missing of it.
    """
    refuse_when_read_only()
    built = find_set(config)
    if built is not None and built.is_done:
        return built, "opened"
    if built is not None and built.status().state in ("queued", "running"):
        return built, "joined"
    check_room(config, built)
    if built is not None:
        return built, "resumed"
    built = BuiltSet(workspace() / FOLDER / config.key())
    built.path.mkdir(parents=True, exist_ok=True)
    built.write_status(BuildStatus(total=len(stacks_of(config))).model_copy(update=queued_now(pid=None)))
    with atomic_path(built.path / "config.json") as part:
        part.write_text(config.to_json())
    return built, "started"


def launch_build(config: DatasetConfig) -> tuple[BuiltSet, Outcome]:
    """Find the set of this recipe, and give it a process that builds it if it needs one."""
    refuse_when_read_only()
    with starting(FOLDER):
        built, outcome = claim(config)
        if outcome in ("resumed", "started"):
            spawn(built)
    return built, outcome


def spawn(built: BuiltSet) -> None:
    """Start the process that builds a set: detached, its words in log.txt."""
    built.spawn("build", "--resume", str(built.path))


def check_room(config: DatasetConfig, begun: BuiltSet | None = None) -> None:
    """Refuse a set that the disk has no room for; what has been ``begun`` of it is there already.

    Raises
    ------
    InputError
        With what it takes, and what there is.
    """
    path = begun.path if begun else workspace()
    missing = estimate(config).disk_bytes - (begun.size_bytes if begun else 0)
    free = free_bytes(path)
    if missing > free:
        raise InputError(
            f"{path}: the data set takes {in_words(missing)} more and {in_words(free)} are free; "
            "make room, or build fewer or smaller stacks"
        )


def free_bytes(path: Path | None = None) -> int:
    """What is free on the disk of a folder that is there or will be; by default of the workspace."""
    path = path or workspace()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def delete_set(built: BuiltSet) -> None:
    """Delete a set. It is there or it is not; a training that uses it goes on, and makes its stacks from the recipe.

    Raises
    ------
    InputError
        If it is being built, or the dashboard is read-only.
    """
    refuse_when_read_only()
    grave = built.path.parent / ".deleted"
    with starting(FOLDER):  # nobody gives it a process meanwhile
        if built.status().state in ("queued", "running") or is_held(built.path / "alive.lock"):
            raise InputError(f"{built.id}: this data set is being built; cancel that first")
        grave.mkdir(exist_ok=True)
        os.replace(built.path, grave / f"{built.id}-{secrets.token_hex(4)}")
    shutil.rmtree(grave, ignore_errors=True)  # what an earlier deletion that was killed has left as well
