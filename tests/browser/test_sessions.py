"""A training belongs to its folder: tabs and servers come and go, and it goes on; who only watches starts nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import IN_A_BROWSER, ROOT, Dashboard, end, wait_for

from tomoalign_core.config import DatasetConfig, RunConfig, ScanConfig, SimulationConfig, TrainConfig, ValidationCase
from tomoalign_core.learn.jobs import is_held
from tomoalign_core.learn.runs import Run, create_run

pytestmark = IN_A_BROWSER

SMALL = ScanConfig(n_views=16, n_rows=24, n_cols=32)
LONG = RunConfig(
    name="long",
    dataset=DatasetConfig(
        scan=SMALL, validation=(ValidationCase(name="blobs", stacks=1, simulation=SimulationConfig(scan=SMALL)),)
    ),
    train=TrainConfig(epochs=5000, steps_per_epoch=5, batch=1, device="cpu"),
)
START = "/train?preset=quick&epochs=500&steps_per_epoch=20&batch=1"
STEP = """() => { const plot = document.querySelector('.live-plot');
  return plot && plot._fullData && plot._fullData.length ? plot._fullData[0]._length : 0; }"""


@pytest.fixture
def running(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A real small training at work in the workspace of the dashboard."""
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(dashboard.workspace))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run = create_run(LONG)
    command = [sys.executable, "-m", "tomoalign_core", "train", "--resume", str(run.path)]
    with (run.path / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    wait_for(lambda: run.status().epoch >= 2)
    yield run
    end(run)
    process.wait(20)


def goes_on(run: Run) -> bool:
    """Whether the training takes further steps, in the process that it had."""
    status = run.status()
    return bool(wait_for(lambda: run.status().step > status.step)) and run.status().pid == status.pid


def test_a_deep_link_on_a_cold_server_shows_the_run_with_the_menu_around_it(
    dashboard: Dashboard, running: Run, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{dashboard.url}/monitor?run={running.id}")
    page.get_by_role("heading", name="Monitor", exact=True).wait_for()
    page.get_by_text("running").first.wait_for()
    page.get_by_role("link", name="Simulate").wait_for()
    wait_for(lambda: page.evaluate(STEP))
    assert f"run={running.id}" in page.url


def test_two_tabs_that_start_the_same_training_get_one_process(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    tabs = [open_page(dashboard.url + START) for _ in range(2)]
    for tab in tabs:
        tab.get_by_text("10,000 steps").wait_for()
        tab.locator('[data-test-script-state="notRunning"]').wait_for()  # a click on a page half drawn may be lost
    for tab in tabs:
        tab.get_by_role("button", name="Start", exact=True).click(no_wait_after=True)
    for tab in tabs:
        tab.wait_for_url("**/monitor?run=*")
    (run,) = dashboard.runs()
    assert {tab.url.split("run=")[1].split("&")[0] for tab in tabs} == {run.id}
    wait_for(lambda: run.status().state == "running")
    assert run.log_tail(1000).count("Traceback") == 0


def test_a_refresh_in_the_middle_shows_the_same_run_further_on(
    dashboard: Dashboard, running: Run, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{dashboard.url}/monitor?run={running.id}")
    before = wait_for(lambda: page.evaluate(STEP))
    page.reload()
    wait_for(lambda: page.evaluate(STEP) > before)
    assert f"run={running.id}" in page.url
    assert goes_on(running)


def test_a_training_outlives_its_server_and_a_new_server_shows_it(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    first = open_page(dashboard.url + START)
    first.get_by_role("button", name="Start", exact=True).click()
    first.wait_for_url("**/monitor?run=*")
    (run,) = dashboard.runs()
    wait_for(lambda: run.status().state == "running")
    first.close()
    dashboard.kill()
    assert goes_on(run)
    dashboard.start()
    page = open_page(f"{dashboard.url}/monitor?run={run.id}")
    page.get_by_text("running").first.wait_for()
    seen = wait_for(lambda: page.evaluate(STEP))
    wait_for(lambda: page.evaluate(STEP) > seen)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Resume").wait_for()
    assert not is_held(run.path / "alive.lock")


def test_a_start_forged_at_a_read_only_dashboard_is_refused(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    """The tab still shows the button of a server that was not read-only; its click reaches one that is."""
    page = open_page(dashboard.url + START)
    button = page.get_by_role("button", name="Start", exact=True)
    button.wait_for()
    dashboard.kill()
    dashboard.start(TOMOALIGN_READONLY="1")
    button.click(no_wait_after=True)  # waits until the tab is connected again: without a server it is disabled
    page.get_by_text("read-only").first.wait_for()
    page.get_by_role("button", name="Start", exact=True).wait_for(state="detached")
    assert dashboard.runs() == []
    assert list(Path(dashboard.workspace).glob("runs/*/")) == []
