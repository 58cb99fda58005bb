"""Name, mark and the few lines of style that Streamlit's theme has no word for. Nothing is fetched from elsewhere."""

from __future__ import annotations

BARS = """<g fill="none" stroke-width="3.5" stroke-linecap="round">
<path d="M4 8h14" stroke="#d9691c"/><path d="M11 16h14" stroke="#8a94a0"/><path d="M6 24h14" stroke="#2b85c9"/></g>"""
ICON = f"""<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 32">{BARS}</svg>"""
LOGO = f"""<svg xmlns="http://www.w3.org/2000/svg" width="176" height="32" viewBox="0 0 176 32">{BARS}
<text x="36" y="23" font-family="Source Sans, Segoe UI, sans-serif" font-size="20" font-weight="600" fill="#1b9e77"
>TomoAlign</text></svg>"""
STYLE = """<style>
.stMainBlockContainer { padding: 3.2rem 2.4rem 2rem; }
[data-testid="stMetricValue"] { font-size: 1.6rem; }
</style>"""
