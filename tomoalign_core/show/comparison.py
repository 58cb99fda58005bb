"""Figures that set several trainings beside each other: one colour, dash and symbol a run, the same in all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.show.curves import Course, Look, smooth, thin
from tomoalign_core.show.numbers import plain
from tomoalign_core.show.style import COLOUR, FAINT, RUNS, SYMBOLS, blank, dress, ink, log_axis

DASHES = ("solid", "dash", "dot", "dashdot")
SVG_DASHES = {"solid": "", "dash": "9 4", "dot": "2 3", "dashdot": "9 3 2 3"}
BUNDLE = (0, -0.7, 0.7, -1.4, 1.4)  # px; the first is the line itself
MOST_LETTERS = 16  # of a word beside an axis; more would stand on the next axis
LOG_SPAN = 30  # settings over more than this ratio are spread by their logarithm


@dataclass(frozen=True, kw_only=True)
class Key:
    """How a run is drawn, and its name in the legend."""

    name: str
    colour: str
    dash: str
    symbol: str


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """The best errors of a run on a validation case, and the bounds there (None: no noise, no bound)."""

    case: str
    error_px: Mapping[str, float]
    bound_px: Mapping[str, float | None]


def key_of(name: str, slot: int) -> Key:
    """The look of the run in place ``slot``: past the last colour, colours come again with another dash."""
    rounds, place = divmod(slot, len(RUNS))
    return Key(
        name=name,
        colour=RUNS[place],
        dash=DASHES[rounds % len(DASHES)],
        symbol=SYMBOLS[(place + rounds) % len(SYMBOLS)],
    )


def swatch(key: Key) -> str:
    """The line and symbol of a run as a small picture, for a table: the address of an SVG."""
    shapes = {
        "circle": '<circle cx="20" cy="8" r="5"/>',
        "diamond": '<path d="M20 2l6 6-6 6-6-6z"/>',
        "square": '<path d="M15 3h10v10h-10z"/>',
        "triangle-up": '<path d="M20 2l6 11h-12z"/>',
    }
    line = f'<path d="M1 8h38" stroke="{key.colour}" stroke-width="2" stroke-dasharray="{SVG_DASHES[key.dash]}"/>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="16" viewBox="0 0 40 16">{line}'
        f'<g fill="{key.colour}">{shapes[key.symbol]}</g></svg>'
    )
    return "data:image/svg+xml;utf8," + svg.replace("#", "%23").replace('"', "'")


def overlay(
    courses: Mapping[str, Course],
    keys: Mapping[str, Key],
    column: str,
    look: Look,
    *,
    y_title: str,
    bound_px: float | None = None,
    best_at: Mapping[str, float] | None = None,
) -> go.Figure:
    """One column of the courses of several runs.

    Parameters
    ----------
    courses, keys : by run id.
    bound_px : the Cramér-Rao bound, where it is the same for all.
    best_at : run id to the abscissa of its best epoch, which is ringed.
    """
    figure = blank(dark=look.dark, height=look.height)
    lowest = math.inf
    for run_id, course in courses.items():
        values = course.values.get(column)
        if values is None or not np.isfinite(values).any():
            continue
        lowest = min(lowest, float(np.nanmin(values)))
        _add_course(figure, course.x, values, keys[run_id], look)
        if best_at and run_id in best_at:
            _ring(figure, course.x, values, best_at[run_id], keys[run_id])
    drawn = bool(figure.data)
    if bound_px and drawn:
        ends = [min(np.nanmin(t.x) for t in figure.data), max(np.nanmax(t.x) for t in figure.data)]
        _level(figure, ends, bound_px, look.dark)
    below = look.log_y and drawn and lowest <= 0
    figure.update_xaxes(title_text=look.x_title)
    figure.update_yaxes(title_text=f"{y_title} (below zero: not log)" if below else y_title)
    if look.log_y and not below:
        figure.update_yaxes(log_axis())
    return figure


def _add_course(figure: go.Figure, x: np.ndarray, y: np.ndarray, key: Key, look: Look) -> None:
    many = len(x) > 200
    if look.smoothing:
        faint, raw = {"color": key.colour, "width": 1}, thin(x, y)
        figure.add_scatter(
            x=raw[0], y=raw[1], mode="lines", line=faint, opacity=0.35, showlegend=False, hoverinfo="skip"
        )
    x, y = thin(x, smooth(y, look.smoothing))
    figure.add_scatter(
        x=x,
        y=y,
        name=key.name,
        mode="lines" if many else "lines+markers",
        line={"color": key.colour, "width": 2, "dash": key.dash},
        marker={"size": 6, "symbol": key.symbol},
        legendgroup=key.name,
        hovertemplate="%{x:.5g}: %{y:.4g}<extra>" + key.name + "</extra>",
    )


def _ring(figure: go.Figure, x: np.ndarray, y: np.ndarray, best: float, key: Key) -> None:
    figure.add_scatter(
        x=[best],
        y=[float(y[np.argmin(np.abs(x - best))])],
        mode="markers",
        marker={"size": 13, "symbol": "circle-open", "color": key.colour, "line": {"width": 2}},
        name=f"best epoch of {key.name}",
        legendgroup=key.name,
        showlegend=False,
        hovertemplate="best epoch: %{y:.4g}<extra>" + key.name + "</extra>",
    )


def _level(figure: go.Figure, ends: Sequence[float], level: float, dark: bool) -> None:
    figure.add_scatter(
        x=list(ends),
        y=[level, level],
        mode="lines",
        line={"color": ink(dark), "width": 1.4, "dash": "dot"},
        name=f"Cramér–Rao bound {plain(level)} px",
        hoverinfo="skip",
    )


def parallel(
    columns: Mapping[str, Sequence[Any]], keys: Sequence[Key], *, dark: bool = False, height: int = 320
) -> go.Figure:
    """Parallel coordinates: one axis a column, one line a run in its colour.

    Columns of numbers are spread evenly, or by their logarithm where they span more than a factor of 30; all others by
    their distinct values, in order of appearance.

    Raises
    ------
    ValueError
        If there are fewer than two runs.
    """
    if len(keys) < 2:
        raise ValueError(f"parallel coordinates of {len(keys)} runs; give two or more")
    ground = "#14181d" if dark else "#ffffff"
    words = {"color": ink(dark), "size": 12, "shadow": f"{ground} 1px 1px 2px, {ground} -1px -1px 2px"}
    last = len(keys) - 1
    axes = [_dimension(name, list(values)) for name, values in columns.items()]
    for axis in axes:
        pixel = (axis["range"][1] - axis["range"][0]) / (height - 120)
        if axis.pop("kind") == "categories":  # runs of one kind side by side, not one upon the other
            axis["values"] = [value + 4 * (n - last / 2) * pixel for n, value in enumerate(axis["values"])]
        # lines are one px wide, whatever one asks for: a bundle of them can be seen
        axis["values"] = [value + offset * pixel for offset in BUNDLE for value in axis["values"]]
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line={
                "color": [place for _ in BUNDLE for place in range(len(keys))],
                "colorscale": [[n / last, key.colour] for n, key in enumerate(keys)],
                "cmin": 0,
                "cmax": last,
            },
            labelfont=words,
            tickfont=words,
            rangefont={**words, "color": "rgba(0,0,0,0)"},  # it would repeat the end ticks
            unselected={"line": {"color": FAINT, "opacity": 0.15}},
            labelangle=-12,
        )
    )
    return dress(figure, dark=dark, height=height, margin={"l": 70, "r": 60, "t": 84, "b": 24})


def _dimension(name: str, values: list[Any]) -> dict[str, Any]:
    numbers = [v for v in values if isinstance(v, int | float)]
    if len(numbers) < len(values):
        kinds = list(dict.fromkeys("–" if v is None else str(v) for v in values))
        codes = [kinds.index("–" if v is None else str(v)) for v in values]
        room = [-0.2, max(len(kinds) - 0.8, 0.2)]
        places = list(range(len(kinds)))
        return {
            "kind": "categories",
            "label": name,
            "values": codes,
            "tickvals": places,
            "ticktext": [kind if len(kind) <= MOST_LETTERS else f"{kind[: MOST_LETTERS - 1]}…" for kind in kinds],
            "range": room,
        }
    ticks = sorted(set(numbers))
    shown = ticks if len(ticks) <= 6 else [ticks[round(i * (len(ticks) - 1) / 5)] for i in range(6)]
    logarithmic = ticks[0] > 0 and ticks[-1] / ticks[0] > LOG_SPAN

    def place(value: float) -> float:
        return math.log10(value) if logarithmic else float(value)

    ends = [place(ticks[0]), place(ticks[-1])]
    margin = 0.05 * (ends[1] - ends[0]) or 0.5
    return {
        "kind": "numbers",
        "label": name,
        "values": [place(v) for v in values],
        "tickvals": [place(v) for v in shown],
        "ticktext": [plain(v) for v in shown],
        "range": [ends[0] - margin, ends[1] + margin],
    }


def best_errors(best: Mapping[str, Sequence[BestOf]], keys: Mapping[str, Key], *, dark: bool = False) -> go.Figure:
    """The best error of every run on every validation case in dx and dy, each before the bound of its stacks."""
    cases = list(dict.fromkeys(one.case for several in best.values() for one in several))
    lines = [f"{case} · {part}" for case in cases for part in ("dx", "dy")]
    figure = blank(dark=dark, height=170 + 36 * len(lines))
    bounds: dict[tuple[str, float], None] = {}
    for run_id, several in best.items():
        key = keys[run_id]
        points = [(f"{one.case} · {part}", one.error_px[part], one.bound_px[part]) for one in several for part in COLOUR
                  if part in one.error_px]  # fmt: skip
        bounds |= {(line, bound): None for line, _, bound in points if bound}
        figure.add_scatter(
            x=[error for _, error, _ in points],
            y=[line for line, _, _ in points],
            name=key.name,
            mode="markers",
            marker={"color": key.colour, "symbol": key.symbol, "size": 11, "opacity": 0.9},
            customdata=[None if not bound else error / bound for _, error, bound in points],
            hovertemplate="%{x:.3f} px, %{customdata:.2f} times the bound<extra>" + key.name + "</extra>",
        )
    if bounds:
        figure.add_scatter(
            x=[bound for _, bound in bounds],
            y=[line for line, _ in bounds],
            name="Cramér–Rao bound",
            mode="markers",
            marker={"symbol": "line-ns", "size": 18, "line": {"width": 2.5, "color": ink(dark)}},
            hovertemplate="bound %{x:.3f} px<extra></extra>",
        )
    figure.update_xaxes(title_text="best RMSE, gauge removed, px", rangemode="tozero")
    figure.update_yaxes(categoryorder="array", categoryarray=lines[::-1], showgrid=True)
    return figure


def errors_over_angle(
    pairs: Mapping[str, tuple[Shifts, Shifts]], keys: Mapping[str, Key], part: str, *, dark: bool = False
) -> go.Figure:
    """Found minus true of each view over the angle, gauge removed, by run id; ``part`` is "dx" or "dy"."""
    figure = blank(dark=dark, height=280)
    for run_id, (found, truth) in pairs.items():
        key, error = keys[run_id], shift_error(found, truth)
        figure.add_scatter(
            x=np.rad2deg(truth.angle_rad),
            y=getattr(error, f"{part}_px"),
            name=key.name,
            mode="lines+markers",
            line={"color": key.colour, "width": 1.4, "dash": key.dash},
            marker={"size": 4, "symbol": key.symbol},
            hovertemplate="%{x:.1f}°: %{y:.3f} px<extra>" + key.name + "</extra>",
        )
    figure.update_xaxes(title_text="angle, degrees")
    figure.update_yaxes(title_text=f"{part}, found minus true, px")
    return figure
