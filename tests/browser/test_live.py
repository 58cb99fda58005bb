"""In a real browser: a click starts a training, its curve moves by itself, a zoom survives, a click stops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browsing import IN_A_BROWSER, Dashboard, fill, wait_for

pytestmark = IN_A_BROWSER
POINTS = """() => { const plot = document.querySelector('.live-plot');
  return plot && plot._fullData && plot._fullData.length ? plot._fullData[0]._length : 0; }"""
ZOOM = "range => window.Plotly.relayout(document.querySelector('.live-plot'), {'xaxis.range': range})"
RANGE = "() => [...document.querySelector('.live-plot').layout.xaxis.range]"
DRAWS = "() => Number(document.querySelector('.live-plot').dataset.draws)"
HIDDEN = """() => document.querySelector('.live-plot')._fullData
  .filter(trace => trace.visible === 'legendonly').map(trace => trace.name)"""


def test_a_click_starts_a_training_whose_curve_moves_and_keeps_zoom_and_legend_until_a_click_stops_it(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    page = open_page(dashboard.url + "/train?preset=quick")
    fill(page, "Epochs", 20)
    fill(page, "Batch, stacks", 1)
    fill(page, "Steps per epoch", 20)
    page.get_by_text("400 steps · 400 stacks").wait_for()  # the server has taken all three
    page.get_by_role("button", name="Start").click()

    first = wait_for(lambda: page.evaluate(POINTS))
    assert "/monitor?run=" in page.url
    page.evaluate(ZOOM, [2, 9])
    page.locator(".live-plot .legendtoggle").first.click()
    wait_for(lambda: page.evaluate(HIDDEN))
    before = page.evaluate(DRAWS)
    wait_for(lambda: page.evaluate(DRAWS) >= before + 6)  # six ticks that brought something new
    assert page.evaluate(POINTS) > first
    assert page.evaluate(RANGE) == [2, 9]
    assert page.evaluate(HIDDEN) == ["training, each step"]

    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert page.locator('[data-testid="stException"]').count() == 0
