"""The HTML that a page of ours is reached by: it tells Streamlit's front end where its server is.

Left to itself, a front end that is reached at ``/simulate`` looks for its server below that address first. It is
answered 404 twice, which the browser's console shows as errors, waits, and tries one level up (issue 7074 of
streamlit/streamlit).
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

INDEX = Path(st.__file__).parent / "static" / "index.html"
# pages are one level deep, under whatever path a proxy puts before them
SERVER_IS_ONE_UP = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location).href };</script>'


def page_routes(pages: Path) -> list[Route]:
    """One route for each page in the folder; its address is its file's name."""
    html = INDEX.read_text(encoding="utf-8").replace("<head>", f"<head>{SERVER_IS_ONE_UP}", 1)

    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    base = str(st.get_option("server.baseUrlPath")).strip("/")
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/{file.stem}", page) for file in sorted(pages.glob("*.py"))]
