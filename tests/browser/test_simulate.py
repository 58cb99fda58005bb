"""In a real browser: the movie plays without the server, and a link shows the view that was seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browsing import IN_A_BROWSER, Dashboard, wait_for

pytestmark = IN_A_BROWSER
SMALL = "views=24&rows=32&cols=40&kind=Foam&dx=6"
GREY = "() => [...document.querySelectorAll('.movie canvas')].map(c => c.toDataURL())"


def told(page: Any) -> str:
    """What the movie says of its view."""
    return str(page.locator(".movie .told").inner_text())


def shown(page: Any) -> int:
    """How often the server has sent the movie."""
    return int(page.locator(".movie[data-shown]").get_attribute("data-shown"))


def test_the_movie_plays_by_itself_and_a_link_shows_its_view(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{dashboard.url}/simulate?{SMALL}&view=5")
    page.locator(".movie[data-shown]").wait_for()
    page.get_by_role("button", name="Align this scan").wait_for()  # the script has come to its end
    wait_for(lambda: told(page).startswith("View 5 (0 to 23)"))

    perfect, measured = page.evaluate(GREY)
    assert perfect != measured
    sent = shown(page)
    page.get_by_role("button", name="Play").click()
    wait_for(lambda: not told(page).startswith("View 5 "))
    wait_for(lambda: page.evaluate(GREY)[0] != perfect)
    page.get_by_role("button", name="Pause").click()
    page.locator(".movie .view").press("ArrowRight")
    assert shown(page) == sent  # the server was not asked

    seen = told(page)
    page.wait_for_url(lambda url: f"view={seen.split()[1]}" in url)
    page.goto(page.url)
    page.locator(".movie[data-shown]").wait_for()
    page.get_by_role("button", name="Align this scan").wait_for()
    wait_for(lambda: told(page) == seen)

    sent = shown(page)
    page.get_by_role("slider", name="Rows, px").press("ArrowRight")
    wait_for(lambda: shown(page) > sent)
    page.wait_for_url(lambda url: "rows=40" in url)
    assert "view=" in page.url
    assert page.locator('[data-testid="stException"]').count() == 0


def test_a_browsers_back_from_align_finds_simulate_as_it_was_left(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{dashboard.url}/simulate?{SMALL}")
    page.get_by_role("button", name="Align this scan").wait_for()
    page.get_by_role("slider", name="Rows, px").press("ArrowRight")
    page.wait_for_url(lambda url: "rows=40" in url)
    page.locator(".movie[data-shown='2']").wait_for()
    page.get_by_role("button", name="Align this scan").click()
    page.get_by_role("heading", name="Align").wait_for()
    page.wait_for_url(lambda url: "scan=" in url)
    page.go_back()
    page.get_by_role("heading", name="Simulate").wait_for()
    page.wait_for_url(lambda url: "rows=40" in url and "kind=Foam" in url and "scan=" not in url)
    assert page.locator('[data-testid="stException"]').count() == 0
