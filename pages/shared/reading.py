"""Reading run folders for the screen: cheap enough for every second and for many browsers."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit as st

from tomoalign_core.config import RunConfig
from tomoalign_core.learn.runs import Run
from tomoalign_core.show.curves import Course, course_of

Version = tuple[str, int, int]


class MetricsTail:
    """The lines of a growing metrics.jsonl, parsed once each; shared by all visitors.

    As ``Run.metrics`` reads them: an unfinished last line is left for later, on duplicates the later wins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._start_over()

    def _start_over(self) -> None:
        self._read_to = 0
        self._found: dict[str, dict[int, dict[str, Any]]] = {"step": {}, "epoch": {}}

    def refresh(self) -> Version:
        """Read what has been appended; the version changes when the file does."""
        with self._lock:
            try:
                about = self.path.stat()
            except FileNotFoundError:
                return str(self.path), 0, 0
            if about.st_size < self._read_to:
                self._start_over()
            if about.st_size > self._read_to:
                with self.path.open("rb") as file:
                    file.seek(self._read_to)
                    new = file.read(about.st_size - self._read_to)
                whole = new[: new.rfind(b"\n") + 1]
                self._read_to += len(whole)
                for line in whole.splitlines():
                    record = json.loads(line)
                    self._found[record["kind"]][record[record["kind"]]] = record
            return str(self.path), about.st_size, about.st_mtime_ns

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind, in order."""
        with self._lock:
            return [self._found[kind][number] for number in sorted(self._found[kind])]


@st.cache_resource(max_entries=64, show_spinner=False)
def metrics_of(path: str) -> MetricsTail:
    """The tail of a run folder's metrics."""
    return MetricsTail(Path(path) / "metrics.jsonl")


def train_course(tail: MetricsTail, x: str) -> Course:
    """Step lines as columns; ``x`` is "step", "epoch" or "time_s"."""
    return course_of(tail.lines("step"), x)


def case_courses(tail: MetricsTail, x: str) -> dict[str, Course]:
    """Validation lines as columns, by case."""
    lines = tail.lines("epoch")
    return {case: course_of(lines, x, case=case) for case in (lines[-1]["cases"] if lines else ())}


@st.cache_data(max_entries=256, show_spinner=False)
def config_of(path: str) -> RunConfig:
    """The settings of a run; they are written once."""
    return Run(Path(path)).config
