"""What the server answers besides Streamlit's own: the HTML of our pages, and news of a training.

The HTML tells Streamlit's front end where its server is. Left to itself, a front end that is reached at ``/simulate``
looks for its server below that address first. It is answered 404 twice, which the browser's console shows as errors,
waits, and tries one level up (issue 7074 of streamlit/streamlit).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

INDEX = Path(st.__file__).parent / "static" / "index.html"
# pages are one level deep, under whatever path a proxy puts before them
SERVER_IS_ONE_UP = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location).href };</script>'


def page_routes(pages: Path) -> list[Route]:
    """One route for each page in the folder; its address is its file's name."""
    html = INDEX.read_text(encoding="utf-8").replace("<head>", f"<head>{SERVER_IS_ONE_UP}", 1)

    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    return [Route(f"{_prefix()}/{file.stem}", page) for file in sorted(pages.glob("*.py"))]


def live_route() -> Route:
    """GET /live/RUN?…: what a page that shows a training asks again and again, as ``live_link`` says."""

    def live(request: Request) -> Response:  # no coroutine: a long file of metrics must not hold up the server
        from pages.shared.live_link import news  # with components, which need a server that runs

        try:
            answer = news(request.path_params["run"], dict(request.query_params))
        except KeyError:
            return Response("There is no such run.", 404)
        # to pack what is asked for each second would cost more than it saves
        headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
        return Response(answer, media_type="application/json", headers=headers)

    return Route(f"{_prefix()}/live/{{run}}", live)


def _prefix() -> str:
    """What stands before every address of the dashboard, as set for a proxy that puts it below a path."""
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    return f"/{base}" if base else ""
