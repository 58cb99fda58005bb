"""Figures of a training: loss and error over its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from tomoalign_core.show.style import CASES, COLOUR, FAINT, SYMBOLS, blank

Float = NDArray[np.float64]
LEVEL_WORDS = {"dx": "top right", "dy": "bottom left"}  # the two bounds lie close together
MOST_POINTS = 1500  # more than a screen has columns; thinned after smoothing


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of an abscissa and what was measured along it: ``x`` (n,) and named columns (n,)."""

    x: Float
    values: Mapping[str, Float]


def course_of(lines: Sequence[Mapping[str, Any]], x: str, *, case: str | None = None) -> Course:
    """The lines of a run's metrics as columns; with ``case`` the figures of one validation case, else of training.

    A figure that a line does not hold is NaN there.

    >>> course_of([{"step": 1, "loss": 4.0}, {"step": 2}], "step").values["loss"].tolist()
    [4.0, nan]
    """
    rows = [line["cases"].get(case, {}) for line in lines] if case is not None else lines
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, int | float))
    values = {name: np.array([row.get(name, np.nan) for row in rows], float) for name in names}
    return Course(x=np.array([line[x] for line in lines], float), values=values)


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a course is drawn: what is along x, how smooth, which scale."""

    x_title: str = "step"
    smoothing: float = 0.9
    log_y: bool = True
    dark: bool = False
    height: int = 330


def smooth(values: ArrayLike, weight: float) -> Float:
    """Exponential moving average, free of the pull of its start (the debiasing of Kingma & Ba, 2015).

    Values that are not finite are passed over: the average stays where it was.

    >>> smooth([2.0, 2.0, 2.0], 0.9).round(9).tolist()
    [2.0, 2.0, 2.0]
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    if not len(values):
        return values
    total, share = (
        lfilter([1 - weight], [1, -weight], column) for column in (np.where(known, values, 0), known.astype(float))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / share


def loss_curve(train: Course, cases: Mapping[str, Course], look: Look) -> go.Figure:
    """Training loss, faint as measured and bold smoothed, and validation loss by case at the end of each epoch."""
    figure = blank(dark=look.dark, height=look.height)
    if len(train.x):
        _add_smoothed(figure, train.x, train.values["loss"], look, name="training", colour=FAINT)
    for number, (name, course) in enumerate(cases.items()):
        figure.add_scatter(
            x=course.x,
            y=course.values["loss"],
            name=name,
            mode="lines+markers",
            line={"color": CASES[number % len(CASES)], "width": 1.6},
            marker={"size": 6, "symbol": SYMBOLS[number % len(SYMBOLS)]},
        )
    lowest = min((np.nanmin(c.values["loss"]) for c in (train, *cases.values()) if len(c.x)), default=1.0)
    # a likelihood may go below zero, where a log axis would show nothing
    below = look.log_y and not lowest > 0
    return finish_axes(
        figure, look, "loss (goes below zero: not log)" if below else "loss", log_y=look.log_y and not below
    )


def error_curve(
    train: Course, case: Course, look: Look, *, bound_px: Mapping[str, float], label_sigma_px: float | None
) -> go.Figure:
    """Gauge-removed RMSE in dx and dy: training faint, one validation case bold, between its two limits.

    Parameters
    ----------
    bound_px : "dx" and "dy" to the Cramér-Rao bound; zero (no noise) draws no line.
    label_sigma_px : what an aligner that knows nothing scores.
    """
    figure = blank(dark=look.dark, height=look.height)
    everywhere = np.concatenate([train.x, case.x])
    ends = [float(everywhere.min()), float(everywhere.max())] if len(everywhere) else [0.0, 1.0]
    for part in ("dx", "dy"):
        name = f"rmse_{part}_px"
        if len(train.x):
            _add_faint(
                figure, train.x, smooth(train.values[name], look.smoothing), f"{part}, training", COLOUR[part], 0.55
            )
        figure.add_scatter(
            x=case.x,
            y=case.values[name],
            name=f"{part}, validation",
            mode="lines+markers",
            line={"color": COLOUR[part], "width": 2},
            marker={"size": 6, "symbol": "circle" if part == "dx" else "diamond"},
        )
        if bound_px.get(part):
            _add_level(figure, ends, bound_px[part], f"bound {part}", COLOUR[part], position=LEVEL_WORDS[part])
    if label_sigma_px:
        _add_level(figure, ends, label_sigma_px, "knowing nothing", FAINT)
    return finish_axes(figure, look, "RMSE, gauge removed, px", log_y=look.log_y)


def _add_smoothed(figure: go.Figure, x: Float, y: Float, look: Look, *, name: str, colour: str) -> None:
    if look.smoothing:
        _add_faint(figure, x, y, f"{name}, each step", colour)
    figure.add_scatter(
        x=thin(x), y=thin(smooth(y, look.smoothing)), name=name, mode="lines", line={"color": colour, "width": 2}
    )


def _add_faint(figure: go.Figure, x: Float, y: Float, name: str, colour: str, opacity: float = 0.4) -> None:
    line = {"color": colour, "width": 1}
    figure.add_scatter(x=thin(x), y=thin(y), name=name, mode="lines", line=line, opacity=opacity, hoverinfo="skip")


def _add_level(
    figure: go.Figure, ends: list[float], level: float, words: str, colour: str, *, position: str = "top left"
) -> None:
    """A dotted line with its words on it; a trace and not a shape, so that it is right on a log axis, too."""
    text = f"{words} {level:.3g} px"
    figure.add_scatter(
        x=ends,
        y=[level, level],
        mode="lines+text",
        text=["", text] if position.endswith("left") else [text, ""],
        textposition=position,
        textfont={"size": 11, "color": colour},
        line={"color": colour, "width": 1.2, "dash": "dot"},
        name=words,
        showlegend=False,
        hoverinfo="skip",
    )


def finish_axes(figure: go.Figure, look: Look, y_title: str, *, log_y: bool) -> go.Figure:
    """Title the axes of a course and, on a log scale, choose ticks that fit the span of what is drawn."""
    figure.update_xaxes(title_text=look.x_title)
    figure.update_yaxes(title_text=y_title, type="log" if log_y else "linear")
    if log_y:
        values = np.concatenate([np.asarray(trace.y, float) for trace in figure.data] or [np.ones(1)])
        values = values[np.isfinite(values) & (values > 0)]
        span = values.max() / values.min() if len(values) else 1.0
        figure.update_yaxes(
            dtick="D1" if span < 10 else "D2" if span < 1e4 else 1, exponentformat="power" if span > 1e4 else "none"
        )
    return figure


def thin(values: Float) -> Float:
    """Every so many-th value, so that no more are left than a screen can show."""
    return values[:: max(1, len(values) // MOST_POINTS)]
