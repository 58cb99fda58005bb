"""What the browser tests share: a dashboard of their own, a Chromium, and patience."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tomoalign_core.learn.jobs import is_held
from tomoalign_core.learn.runs import Run

ROOT = Path(__file__).parents[2]
CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "playwright" if find_spec("playwright") is None else None if CHROMIUM else "chromium"
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(MISSING is not None and "CI" not in os.environ, reason=f"no {MISSING} on this machine"),
]


def wait_for(what: Callable[[], Any], *, limit_s: float = 120) -> Any:
    """The first true value of ``what``, asked again and again.

    For what an address becomes there is ``page.wait_for_url``: ``page.url`` is what was heard of it last, and to look
    at it again hears no more.
    """
    deadline = time.monotonic() + limit_s
    while not (value := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


class Dashboard:
    """A dashboard on a free port with a workspace of its own, which can be killed and started again."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={self.port}"]
        env = {**os.environ, "TOMOALIGN_WORKSPACE": str(self.workspace), "OMP_NUM_THREADS": "1", **environment}
        with (self.workspace / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        wait_for(lambda: answers(f"{self.url}/_stcore/health"))

    def kill(self) -> None:
        """End it without a word, as a crash or a reboot does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)

    def runs(self) -> list[Run]:
        """The runs in its workspace, oldest first."""
        return [Run(path.parent) for path in sorted((self.workspace / "runs").glob("*/config.json"))]

    def end(self) -> None:
        """End it, and all trainings that outlived it."""
        self.kill()
        for run in self.runs():
            end(run)


def end(run: Run) -> None:
    """End the process of a run, if it has one."""
    (run.path / "stop").touch()
    pid = run.status().pid
    if is_held(run.path / "alive.lock") and pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_held(run.path / "alive.lock"), limit_s=20)


def fill(page: Any, label: str, value: object) -> None:
    """Type a value into the field of that label."""
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
