"""A page's address is answered with Streamlit's own HTML, and where its server is."""

from __future__ import annotations

import asyncio

from kit import ROOT

from pages.shared.front_door import INDEX, page_routes


def test_each_page_is_answered_with_streamlits_html_that_says_first_where_the_server_is() -> None:
    routes = page_routes(ROOT / "pages")
    assert {route.path for route in routes} >= {"/simulate", "/model", "/monitor"}
    for route in routes:
        html = bytes(asyncio.run(route.endpoint(None)).body).decode()
        assert html.index("BACKEND_BASE_URL") < html.index('<script type="module"')
        said = html[html.index("<script>window.__streamlit") : html.index("</script>") + len("</script>")]
        assert html.replace(said, "", 1) == INDEX.read_text(encoding="utf-8")
