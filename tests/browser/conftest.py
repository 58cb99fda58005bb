"""Fixtures of the browser tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, FLAGS, MISSING, Dashboard


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    """A running dashboard with an empty workspace; trainings that outlive the test are ended."""
    board = Dashboard(tmp_path)
    board.start()
    yield board
    board.end()


@pytest.fixture
def open_page() -> Iterator[Callable[..., Any]]:
    """Opens an address in a headless Chromium; what the browser complains of is told when the test ends."""
    if MISSING:
        pytest.fail(f"in CI the browser tests must run, but there is no {MISSING}")
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def visit(url: str, **context: Any) -> Any:
            page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **context})
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.set_default_timeout(60_000)
            page.goto(url)
            return page

        yield visit
        browser.close()
    assert complaints == []
