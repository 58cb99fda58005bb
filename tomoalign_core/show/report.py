"""One HTML file with words, tables and figures: no network needed, opens from a mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from tomoalign_core.files.atomic import atomic_path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; color: #1f2933; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .25rem .8rem; text-align: right; }
th { border-bottom: 1px solid #9aa5b1; } td:first-child, th:first-child { text-align: left; }
footer { margin-top: 3rem; color: #616e7c; font-size: .85rem; }
"""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report: heading, words, then a table and a figure where there are any."""

    heading: str
    words: str = ""
    table: Sequence[Sequence[str]] = ()
    figure: go.Figure | None = None


def write_report(path: str | Path, *, title: str, sections: Sequence[Section], footer: str = "") -> None:
    """Write the report as one file of about 5 MB; plotly.js is inside, once.

    The first row of a table is its head.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    script: bool | str = True
    for section in sections:
        parts.append(f"<h2>{escape(section.heading)}</h2>")
        if section.words:
            parts.append(f"<p>{escape(section.words)}</p>")
        if section.table:
            parts.append(_table(section.table))
        if section.figure is not None:
            parts.append(
                section.figure.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})
            )
            script = False
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"{''.join(parts)}<footer>{escape(footer)}</footer></body></html>"
    )
    with atomic_path(path) as part:
        part.write_text(page, encoding="utf-8")


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table><tr>{head.replace('td>', 'th>')}</tr>{''.join(f'<tr>{row}</tr>' for row in body)}</table>"
