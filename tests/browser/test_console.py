"""A page that is reached by its own address works at once: nothing is asked for in vain, the console stays empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browsing import IN_A_BROWSER, ROOT, Dashboard

pytestmark = IN_A_BROWSER

PAGES = sorted(file.stem for file in (ROOT / "pages").glob("*.py") if file.stem != "overview")


def test_deep_links_to_all_pages_leave_no_error_in_the_console(
    dashboard: Dashboard, open_page: Callable[..., Any]
) -> None:
    page, seen = open_page(dashboard.url), []
    page.on("console", lambda said: seen.append(said.text) if said.type == "error" else None)
    page.on("response", lambda reply: seen.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    for name in PAGES:
        page.goto(f"{dashboard.url}/{name}")
        page.locator("h1").wait_for()
        assert page.url.split("?")[0] == f"{dashboard.url}/{name}"
    assert seen == []
    assert {url.rsplit("/_stcore", 1)[0] for url in sockets} == {dashboard.url.replace("http", "ws")}
