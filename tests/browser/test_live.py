"""In a real browser: a click starts a training, its curve moves by itself, a zoom survives, a click stops it."""

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
from collections.abc import Callable, Iterator
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
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(MISSING is not None and "CI" not in os.environ, reason=f"no {MISSING} on this machine"),
]
POINTS = """() => { const plot = document.querySelector('.live-plot');
  return plot && plot._fullData && plot._fullData.length ? plot._fullData[0]._length : 0; }"""
ZOOM = "range => window.Plotly.relayout(document.querySelector('.live-plot'), {'xaxis.range': range})"
RANGE = "() => [...document.querySelector('.live-plot').layout.xaxis.range]"


def wait_for(what: Callable[[], Any], *, limit_s: float = 120) -> Any:
    """The first true value of ``what``, asked again and again."""
    deadline = time.monotonic() + limit_s
    while not (value := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A dashboard of its own, on a free port, with an empty workspace; trainings that outlive the test are ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"]
    env = {**os.environ, "TOMOALIGN_WORKSPACE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()
        for folder in (tmp_path / "runs").glob("*/config.json"):
            end(Run(folder.parent))


def end(run: Run) -> None:
    """End the process of a run, if it has one."""
    run.request_stop()
    pid = run.status().pid
    if is_held(run.path / "alive.lock") and pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_held(run.path / "alive.lock"), limit_s=20)


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    """A page of a headless Chromium; what the browser complains of is told when the test ends."""
    if MISSING:
        pytest.fail(f"in CI the browser tests must run, but there is no {MISSING}")
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(60_000)
        page.goto(server + "/train?preset=quick")
        yield page
        browser.close()
    assert complaints == []


def fill(page: Any, label: str, value: object) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")


def test_a_click_starts_a_training_whose_curve_moves_and_keeps_its_zoom_until_a_click_stops_it(page: Any) -> None:
    fill(page, "Epochs", 20)
    fill(page, "Batch, stacks", 1)
    fill(page, "Steps per epoch", 20)
    page.get_by_text("400 steps · 400 stacks").wait_for()  # the server has taken all three
    page.get_by_role("button", name="Start").click()

    first = wait_for(lambda: page.evaluate(POINTS))
    assert "/monitor?run=" in page.url
    page.evaluate(ZOOM, [2, 9])
    second = wait_for(lambda: (n := page.evaluate(POINTS)) > first and n)
    wait_for(lambda: page.evaluate(POINTS) > second)
    assert page.evaluate(RANGE) == [2, 9]

    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert page.locator('[data-testid="stException"]').count() == 0
