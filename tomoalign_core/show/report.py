"""One HTML file with words, tables and figures: no network needed, opens from a mail, prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tomoalign_core.files.atomic import atomic_path

# the file cannot fetch anything, even if it wanted to
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
MARK = """<svg role="img" aria-label="TomoAlign" width="40" height="40" viewBox="0 0 32 32">
<g fill="none" stroke-width="3.5" stroke-linecap="round"><path d="M4 8h14" stroke="#d9691c"/>
<path d="M11 16h14" stroke="#8a94a0"/><path d="M6 24h14" stroke="#2b85c9"/></g></svg>"""
NO_SCRIPT = (
    "The figures need JavaScript, which the preview of a mail program may not run: save this file and open it in a "
    "browser. No network is needed."
)
STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.55 "Source Sans", "Source Sans Pro", "Segoe UI", system-ui, sans-serif; max-width: 1120px;
  margin: 0 auto; padding: 2rem 1.2rem; color: #1f2933; background: #fff; }
header { display: flex; gap: 1rem; align-items: center; border-bottom: 2px solid #0f766e; padding-bottom: .8rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; } header p { margin: .15rem 0 0; color: #52606d; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; } p { margin: .4rem 0; max-width: 80ch; }
.lead { font-size: 1.15rem; margin: 1.1rem 0; max-width: none; padding: .7rem 1rem; background: #f0f7f6;
  border-left: 4px solid #0f766e; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .5rem 1.4rem; margin: 0; }
.facts dt { color: #616e7c; font-size: .82rem; } .facts dd { margin: 0; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .28rem .8rem; text-align: right; border-bottom: 1px solid #e4e8ec; }
th { border-bottom: 1px solid #9aa5b1; font-weight: 600; }
td:first-child, th:first-child { text-align: left; padding-left: 0; } tbody tr:hover { background: #f5f7f9; }
table.words td, table.words th { text-align: left; }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .6rem; }
figure { margin: .4rem 0; } figure.wide { grid-column: 1 / -1; }
@media screen and (max-width: 800px) { .figures { grid-template-columns: minmax(0, 1fr); } }
details { margin: 1.2rem 0; } summary { cursor: pointer; font-weight: 600; }
pre { background: #f5f7f9; padding: .8rem 1rem; overflow-x: auto; font-size: .82rem; white-space: pre-wrap; }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid #d9dfe5; color: #616e7c; font-size: .85rem; }
@media print { body { width: 1080px; padding: 0; zoom: .66; } .modebar { display: none !important; }
  section, figure, tr { break-inside: avoid; } h2 { break-after: avoid; } details:not([open]) { display: none; } }
"""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, and what it shows for who cannot see it; a wide one takes the whole width of the page."""

    figure: go.Figure
    alt: str
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a head; ``of_words`` are set to the left, numbers to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    of_words: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report: heading, words, tables, figures, text as it is; folded, it opens at a click."""

    heading: str
    words: str = ""
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    text: str = ""
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """A title with a line below it, the result in a sentence, facts by name, and sections."""

    title: str
    below: str
    lead: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    footer: str = ""


def to_html(report: Report) -> str:
    """The report as one page of about 5 MB: plotly.js is inside, once, and pictures are PNG."""
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in report.facts)
    numbers = iter(range(1_000_000))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(report.title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>'
        f"<script>{get_plotlyjs()}</script></head><body>"
        f"<header>{MARK}<div><h1>{escape(report.title)}</h1><p>{escape(report.below)}</p></div></header>"
        f'<p class="lead">{escape(report.lead)}</p><noscript><p>{NO_SCRIPT}</p></noscript>'
        f'<dl class="facts">{facts}</dl>'
        f"{''.join(_section(section, numbers) for section in report.sections)}"
        f"<footer>{escape(report.footer)}</footer></body></html>\n"
    )


def write_report(path: str | Path, report: Report) -> None:
    """Write the report; the file appears whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(to_html(report), encoding="utf-8")


def _section(section: Section, numbers: Iterator[int]) -> str:
    heading = escape(section.heading)
    inside = f"<p>{escape(section.words)}</p>" if section.words else ""
    inside += "".join(_table(table) for table in section.tables)
    if section.drawings:
        inside += f'<div class="figures">{"".join(_drawing(d, next(numbers)) for d in section.drawings)}</div>'
    if section.text:
        inside += f"<pre>{escape(section.text)}</pre>"
    if section.folded:
        return f"<details><summary>{heading}</summary>{inside}</details>"
    return f"<section><h2>{heading}</h2>{inside}</section>"


def _drawing(drawing: Drawing, number: int) -> str:
    drawn = drawing.figure.to_html(
        full_html=False, include_plotlyjs=False, config=CONFIG, div_id=f"figure-{number}", default_width="100%"
    )
    kind = ' class="wide"' if drawing.wide else ""
    return f'<figure{kind} role="img" aria-label="{escape(drawing.alt, quote=True)}">{drawn}</figure>'


def _table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    kind = ' class="words"' if table.of_words else ""
    body = "".join(row(cells, "td") for cells in table.rows)
    return f'<div class="table"><table{kind}><thead>{row(table.head, "th")}</thead><tbody>{body}</tbody></table></div>'
