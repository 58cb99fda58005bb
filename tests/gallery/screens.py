"""The screens of the README: a dashboard with a workspace of its own, the trainings of a sweep in it, and Chromium."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from browsing import CHROMIUM, FLAGS, ROOT, Dashboard, wait_for
from commands import REPORT, SIMULATE, SWEEP
from paper import save_screen
from PIL import Image
from playwright.sync_api import sync_playwright

from tomoalign_core.learn.runs import Run

LONGEST_S = 3600.0
WIDTH = 1280
SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (app && app.getAttribute('data-test-script-state') !== 'notRunning') return false;
  if (document.querySelector('[data-testid="stSkeleton"], [data-testid="stSpinner"], [data-stale="true"]'))
    return false;
  const seen = e => (b => b.height > 0 && b.bottom > 0 && b.top < innerHeight)(e.getBoundingClientRect());
  const plots = [...document.querySelectorAll(app ? '.live-plot, [data-testid="stPlotlyChart"]' : 'figure')];
  return plots.filter(seen).every(plot => plot.querySelector('.main-svg'));
}"""
# the lowest line below something large that goes through nothing; where there is none, the limit
CUT = """limit => {
  const main = document.querySelector('[data-testid="stMain"]');
  const parts = main ? main.querySelectorAll('[data-testid="stElementContainer"], [data-testid="stExpander"]')
    : document.querySelectorAll('h2, p, figure, table');
  const boxes = [...parts].map(e => e.getBoundingClientRect()).filter(b => b.height > 0);
  const lines = boxes.filter(b => b.height > 150).map(b => b.bottom + 8)
    .filter(y => y <= limit && boxes.every(b => b.bottom < y || b.top >= y));
  return lines.length ? Math.max(...lines) : limit;
}"""


class Screen(NamedTuple):
    """A picture of a page: its name, the address, how much of it at most, px."""

    name: str
    address: str
    height: int
    dark: bool = False


def run_command(words: str, folder: Path) -> str:
    """Run a command of the core in a folder; returns what it says."""
    command = [sys.executable, "-m", "tomoalign_core", *shlex.split(words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TOMOALIGN_WORKSPACE": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def take_screens(out: Path, workspace: Path) -> None:
    """Train the sweep, if the workspace does not hold it yet, and take all screens."""
    workspace.mkdir(parents=True, exist_ok=True)
    board = Dashboard(workspace)
    board.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            _all_screens(browser, board, out)
            browser.close()
    finally:
        board.end()


def _all_screens(browser: Any, board: Dashboard, out: Path) -> None:
    names = [line.split()[0] for line in run_command(SWEEP, board.workspace).splitlines()]
    runs = [Run(board.workspace / "runs" / name) for name in names]
    last = runs[-1]
    wait_for(lambda: _ended(runs[:-1]) and last.status().epoch >= 3, limit_s=LONGEST_S)
    for dark in (False, True):
        _take(browser, board.url, Screen("monitor", f"/monitor?run={last.id}", 1440, dark), out)
    wait_for(lambda: _ended(runs), limit_s=LONGEST_S)
    for screen in (
        Screen("compare", f"/compare?runs={','.join(names)}", 1400),
        Screen("simulate", "/simulate", 1500),
        Screen("align", "/align?go=1", 960),
        Screen("align", "/align?go=1", 960, dark=True),
        Screen("model", "/model", 1240),
        Screen("lesson", "/lesson", 1180),
    ):
        _take(browser, board.url, screen, out)
    run_command(SIMULATE, board.workspace)
    run_command(REPORT, board.workspace)
    _take(browser, (board.workspace / "report.html").as_uri(), Screen("report", "", 1180), out)


def _ended(runs: Sequence[Run]) -> bool:
    states = [run.status().state for run in runs]
    assert set(states) <= {"queued", "running", "finished"}, states
    return set(states) <= {"finished"}


def _take(browser: Any, base: str, screen: Screen, out: Path) -> None:
    """Open a page, wait until all in view is drawn, and keep what a reader sees of it."""
    scheme = "dark" if screen.dark else "light"
    page = browser.new_page(viewport={"width": WIDTH, "height": screen.height}, color_scheme=scheme)
    page.set_default_timeout(120_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(base + screen.address)
    page.locator("h1").first.wait_for()
    for _ in range(2):  # what is drawn first may ask for more
        page.wait_for_timeout(1500)
        page.wait_for_function(SETTLED)
    faults += page.locator('[data-testid="stException"]').all_inner_texts()
    assert not faults, f"{screen.name}: {faults}"
    seen = {"x": 0, "y": 0, "width": WIDTH, "height": page.evaluate(CUT, screen.height)}
    picture = Image.open(io.BytesIO(page.screenshot(clip=seen))).convert("RGB")
    page.close()
    name = f"page-{screen.name}{'-dark' if screen.dark else ''}.png"
    save_screen(picture, out / name)
    print(f"{name}: {picture.width} × {picture.height} px", flush=True)
