"""Every page shows itself without an exception box, in every state of the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock
from kit import in_state, show, well

PAGES = ("overview", "simulate", "dataset", "model", "train", "monitor", "compare", "align", "lesson", "help")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_on_an_empty_workspace(page: str, workspace: Path) -> None:
    at = well(show(page))
    assert len(at.title) == 1
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_deep_link_on_a_cold_server_goes_through_app_py(page: str, cold: None) -> None:
    at = well(show(page))
    assert at.sidebar.caption


@pytest.mark.parametrize("state", ["running", "finished", "interrupted", "stopped", "failed"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_with_a_run_in_every_state(page: str, state: str, trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, state)
    if state == "running":
        with FileLock(run.path / "alive.lock"):
            well(show(page))
    else:
        well(show(page))
