"""In a real browser without a network: a report opens from the disk, draws every figure, and asks for nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import IN_A_BROWSER, wait_for
from PIL import Image
from reports import drawn_run, simulated_file

from tomoalign_core.files.stacks import read_stack
from tomoalign_core.report import aligned_report, run_report
from tomoalign_core.show.report import Report, write_report

pytestmark = IN_A_BROWSER
DRAWN = """() => [...document.querySelectorAll('figure')].filter(f => f.querySelector('.js-plotly-plot .main-svg')
  && f.querySelector('.trace, image, .point')).length"""
WIDER = """() => { const width = element => element.getBoundingClientRect().width;
  return [...document.querySelectorAll('figure')].filter(f => width(f.querySelector('.main-svg')) > width(f) + 1)
    .map(f => f.ariaLabel); }"""


def of_a_run(folder: Path) -> Report:
    return run_report(drawn_run())


def of_a_stack(folder: Path) -> Report:
    return aligned_report(read_stack(simulated_file(folder / "scan.h5")), methods=["center-of-mass"])


@pytest.mark.parametrize("made", [of_a_run, of_a_stack])
def test_a_report_opens_from_the_disk_without_a_network_and_draws_every_figure(
    made: Callable[[Path], Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_page: Callable[..., Any]
) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    report = made(tmp_path)
    path = tmp_path / "report.html"
    write_report(path, report)
    assert path.stat().st_size < 10_000_000

    page = open_page("about:blank", offline=True)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    figures = sum(len(section.drawings) for section in report.sections)
    wait_for(lambda: page.evaluate(DRAWN) == figures, limit_s=60)

    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert said == []
    assert page.locator("h1").inner_text() == report.title
    assert report.lead in page.locator(".lead").inner_text()
    assert page.evaluate(WIDER) == []
    for place in page.locator("figure").all():
        picture = np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("L"), float)
        ink = np.mean(picture < 230)
        assert ink > 0.005, place.get_attribute("aria-label")  # an empty figure has its axes at most
    page.get_by_text("Versions").click()
    assert page.get_by_text("numpy", exact=True).is_visible()
