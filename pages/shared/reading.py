"""Reading run folders for the screen: cheap enough for every second, for many browsers and for long trainings."""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import numpy as np
import streamlit as st

from tomoalign_core.config import RunConfig
from tomoalign_core.learn.runs import Run
from tomoalign_core.show.curves import Course, course_of

Kind = Literal["step", "epoch"]
Version = tuple[str, int, int]
NAN = float("nan")


class Columns:
    """Numbered rows of figures that grow at their end; of two rows with one number the later wins."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._columns: dict[str, array[float]] = {}

    def put(self, number: int, row: Mapping[str, Any]) -> None:
        """Append a row, or replace the one of this number."""
        place = self._places.setdefault(number, len(self._places))
        for name, value in row.items():
            column = self._columns.setdefault(name, array("d"))
            column.extend([NAN] * (place + 1 - len(column)))
            column[place] = value

    def table(self) -> dict[str, np.ndarray]:
        """The columns in the order of their numbers; not a number where a row lacks a figure."""
        rows = len(self._places)
        numbers = np.fromiter(self._places, float, rows)
        order = slice(None) if (np.diff(numbers) > 0).all() else np.argsort(numbers)
        found = {}
        for name, column in self._columns.items():
            column.extend([NAN] * (rows - len(column)))
            found[name] = np.array(column)[order]
        return found


class MetricsTail:
    """The lines of a growing metrics.jsonl, parsed once each; shared by all visitors.

    As ``Run.metrics`` reads them: an unfinished last line is left for later, on duplicates the later wins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._version: Version = (str(path), 0, 0)
        self._read_at = -math.inf
        self._start_over()

    def _start_over(self) -> None:
        self._read_to = 0
        self._steps = Columns()
        self._epochs: dict[int, dict[str, Any]] = {}
        self._courses: dict[tuple[Kind, str], dict[str, Course]] = {}

    def refresh(self, *, at_most_every_s: float = 0.0) -> Version:
        """Read what has been appended; the version changes when the file does.

        Parameters
        ----------
        at_most_every_s : younger than this the last version is good enough, so that many visitors see the same one.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= at_most_every_s:
                self._read_at = time.monotonic()
                self._read()
            return self._version

    def _read(self) -> None:
        try:
            about = self.path.stat()
        except FileNotFoundError:
            return
        if about.st_size < self._read_to:
            self._start_over()
        if about.st_size > self._read_to:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                new = file.read(about.st_size - self._read_to)
            whole = new[: new.rfind(b"\n") + 1]
            self._read_to += len(whole)
            self._courses = {}
            for line in whole.splitlines():
                record = json.loads(line)
                if record.pop("kind") == "epoch":
                    self._epochs[record["epoch"]] = {"kind": "epoch", **record}
                else:
                    self._steps.put(record["step"], record)
        self._version = str(self.path), about.st_size, about.st_mtime_ns

    def lines(self, kind: Kind) -> list[dict[str, Any]]:
        """The records of a kind, in order."""
        with self._lock:
            if kind == "epoch":
                return [self._epochs[number] for number in sorted(self._epochs)]
            table = {name: column.tolist() for name, column in self._steps.table().items()}
            rows = (dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True))
            return [{"kind": "step"} | {name: v for name, v in row.items() if not math.isnan(v)} for row in rows]

    def course(self, x: str) -> Course:
        """The step lines as columns; ``x`` is "step", "epoch" or "time_s"."""
        return self._cached("step", x)[""]

    def cases(self, x: str) -> dict[str, Course]:
        """The validation lines as columns, by case."""
        return self._cached("epoch", x)

    def _cached(self, kind: Kind, x: str) -> dict[str, Course]:
        with self._lock:
            if (kind, x) not in self._courses:
                self._courses[kind, x] = self._step_course(x) if kind == "step" else self._case_courses(x)
            return self._courses[kind, x]

    def _step_course(self, x: str) -> dict[str, Course]:
        table = self._steps.table()
        return {"": Course(x=table[x], values=table) if x in table else Course()}

    def _case_courses(self, x: str) -> dict[str, Course]:
        lines = self.lines("epoch")
        return {case: course_of(lines, x, case=case) for case in (lines[-1]["cases"] if lines else ())}


@st.cache_resource(max_entries=64, show_spinner=False)
def metrics_of(path: str) -> MetricsTail:
    """The tail of a run folder's metrics."""
    return MetricsTail(Path(path) / "metrics.jsonl")


def sample_epochs(run: Run) -> tuple[int, ...]:
    """The epochs of which samples were kept; the folder is listed again only when it has changed."""
    try:
        changed = (run.path / "samples").stat().st_mtime_ns
    except FileNotFoundError:
        return ()
    fresh = time.time_ns() - changed < 1e9  # within the grain of the clock a second file may come unseen
    return tuple(run.sample_epochs()) if fresh else _sample_epochs(str(run.path), changed)


@st.cache_resource(max_entries=64, show_spinner=False)
def _sample_epochs(path: str, changed: int) -> tuple[int, ...]:
    return tuple(Run(Path(path)).sample_epochs())


@st.cache_data(max_entries=256, show_spinner=False)
def config_of(path: str) -> RunConfig:
    """The settings of a run; they are written once."""
    return Run(Path(path)).config
