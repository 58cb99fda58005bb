"""One visual language: the colours and the plain layout of every figure.

Colours are mid-tones after Okabe & Ito (2008), told apart with any colour vision, on white and on near-black alike.
The template is explicit, because importing streamlit replaces Plotly's default one by placeholders.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go

DX, DY, ROLL = "#2b85c9", "#d9691c", "#1b9e77"
COLOUR = {"dx": DX, "dy": DY, "roll": ROLL}
FAINT = "#8a94a0"
CASES = ("#b0559f", "#1b9e77", "#8c6d1f", "#6a6fc0")
# runs that are compared: apart for every kind of colour vision, and for none by their symbols
RUNS = ("#3568b8", "#ea6f52", "#178060", "#c2508f", "#ad9318", "#38a4c8")
SYMBOLS = ("circle", "diamond", "square", "triangle-up")
# methods beside the one that is looked at, which has the colours of dx, dy and roll: apart by colour and by dashes
OTHERS = (("#b0559f", "dash"), ("#ad9318", "dot"), ("#6a6fc0", "dashdot"), ("#8a94a0", "longdash"))
FONT = '"Source Sans", "Source Sans Pro", "Segoe UI", sans-serif'


def ink(dark: bool) -> str:
    """The colour of words and of the truth."""
    return "#dbe1e8" if dark else "#27313b"


def band(colour: str, opacity: float = 0.2) -> str:
    """A colour ``#rrggbb`` made transparent, for areas."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def others_look(number: int) -> tuple[str, str]:
    """Colour and dashes of one of several methods; after four, colours come again with other dashes."""
    return OTHERS[number % len(OTHERS)][0], OTHERS[(number + number // len(OTHERS)) % len(OTHERS)][1]


@lru_cache(maxsize=2)
def template(dark: bool) -> go.layout.Template:
    """Transparent paper, quiet grid, readable words."""
    grid = "#29323a" if dark else "#e3e8ed"
    line = "#46515c" if dark else "#b9c2cb"
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zerolinecolor": line,
        "showline": True,
        "ticks": "outside",
        "tickcolor": line,
        "ticklen": 4,
        "title": {"standoff": 6, "font": {"size": 13}},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13, "color": ink(dark)},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
            "hoverlabel": {"font": {"family": FONT, "size": 12}},
            "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
            "colorway": [DX, DY, ROLL, *CASES],
        }
    )


def log_axis() -> dict[str, Any]:
    """A logarithmic axis whose ticks say their whole value: Plotly on its own would write a bare 5 for 0.05.

    Its ticks are chosen anew at each zoom: whole decades, or 1, 2 and 5 of each, or even steps within one.
    """
    return {"type": "log", "nticks": 3, "tickformat": ".6~g", "minor": {"ticks": "outside", "ticklen": 2}}


@lru_cache(maxsize=2)
def plain_template(dark: bool) -> dict[str, Any]:
    """The template as plain data, for figures that are made without Plotly's objects."""
    return dict(template(dark).to_plotly_json())


def blank(*, dark: bool, height: int, **layout: Any) -> go.Figure:
    """An empty figure in our layout; ``uirevision`` lets a zoom live through new data."""
    return dress(go.Figure(), dark=dark, height=height, **layout)


def figure_of(data: Sequence[Any], *, dark: bool, height: int, **layout: Any) -> go.Figure:
    """A figure in our layout, made in one piece: a tenth of the time that update after update takes."""
    return go.Figure(data, {"template": template(dark), "height": height, "uirevision": "kept", **layout})


def dress(figure: go.Figure, *, dark: bool, height: int, **layout: Any) -> go.Figure:
    """Give a figure our layout."""
    return figure.update_layout(template=template(dark), height=height, uirevision="kept", **layout)
