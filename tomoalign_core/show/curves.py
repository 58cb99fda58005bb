"""Figures of a training: loss, error, roll and learning rate over its course.

They are drawn anew each second, so they are made as *sketches*: a figure as the plain data that Plotly takes, without
the checks of its objects, which cost thirty times as much. ``go.Figure(sketch)`` is the figure, ``to_json`` its JSON.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from tomoalign_core.show.numbers import plain
from tomoalign_core.show.style import CASES, COLOUR, FAINT, ROLL, SYMBOLS, ink, log_axis, plain_template

Float = NDArray[np.float64]
Sketch = dict[str, Any]
DASHES = ("dot", "dash", "dashdot")  # of levels
MOST_MARKERS = 40
MOST_POINTS = 600  # of a line: what a screen shows of it


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of an abscissa and what was measured along it: ``x`` (n,) and named columns (n,)."""

    x: Float = field(default_factory=lambda: np.array([]))
    values: Mapping[str, Float] = field(default_factory=dict)

    def column(self, name: str) -> Float:
        """A column; not a number where it was not measured."""
        return self.values.get(name, np.full(len(self.x), np.nan))


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


def thin(x: ArrayLike, y: ArrayLike, most: int = MOST_POINTS) -> tuple[Float, Float]:
    """A long line in few points that looks the same: the least and the greatest value of each stretch, and its end.

    >>> x, y = thin(np.arange(10_000), np.eye(1, 10_000, 4321)[0], most=100)
    >>> len(x) <= 102, x[y > 0].tolist(), x[[0, -1]].tolist()
    (True, [4321.0], [0.0, 9999.0])
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) <= most:
        return x, y
    size = -(-len(x) // (most // 2))
    known = np.isfinite(y)
    kept = [np.array([0, len(x) - 1])]
    for worst, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
        padded = np.full(-(-len(x) // size) * size, worst)
        padded[: len(x)] = np.where(known, y, worst)
        stretches = padded.reshape(-1, size)
        kept.append(np.arange(len(stretches)) * size + pick(stretches, axis=1))
    places = np.unique(np.minimum(np.concatenate(kept), len(x) - 1))
    return x[places], y[places]


def to_json(sketch: Sketch) -> str:
    """A sketch as Plotly's JSON; arrays are written in base64, as Plotly itself does."""

    def written(array: NDArray[np.generic]) -> dict[str, str]:
        return {"dtype": array.dtype.str[1:], "bdata": base64.b64encode(array.tobytes()).decode()}

    return json.dumps(sketch, default=written, separators=(",", ":"))


def loss_curve(*args: Any, **options: Any) -> go.Figure:
    """``loss_sketch`` as a figure."""
    return go.Figure(loss_sketch(*args, **options))


def error_curve(*args: Any, **options: Any) -> go.Figure:
    """``error_sketch`` as a figure."""
    return go.Figure(error_sketch(*args, **options))


def loss_sketch(
    train: Course,
    cases: Mapping[str, Course],
    look: Look,
    *,
    y_title: str = "loss",
    levels: Mapping[str, float] | None = None,
) -> Sketch:
    """Training loss, faint as measured and bold smoothed, and validation loss by case at the end of each epoch.

    Parameters
    ----------
    levels : words to what the loss is to be read against, such as the variance of the labels.
    """
    sketch = _blank(look)
    if len(train.x):
        loss = train.column("loss")
        if look.smoothing:
            _add_faint(sketch, train.x, loss, "training, each step", FAINT)
        _add_line(sketch, train.x, smooth(loss, look.smoothing), "training", FAINT, width=2)
    for number, (name, course) in enumerate(cases.items()):
        place = number % len(CASES)
        _add_points(sketch, course.x, course.column("loss"), name, CASES[place], SYMBOLS[place])
    for number, (words, level) in enumerate((levels or {}).items()):
        ends, dash = _ends(train, *cases.values()), DASHES[number % len(DASHES)]
        _add_level(sketch, ends, level, words, ink(look.dark), "px²", dash)
    # a likelihood may go below zero, where a log axis would show nothing
    below = look.log_y and any((c.column("loss") <= 0).any() for c in (train, *cases.values()))
    return _axes(sketch, look, f"{y_title} (below 0: linear)" if below else y_title, log_y=look.log_y and not below)


def error_sketch(
    train: Course, case: Course, look: Look, *, bound_px: Mapping[str, float], label_sigma_px: float | None
) -> Sketch:
    """Gauge-removed RMSE in dx and dy: training faint, one validation case bold, between its two limits.

    Parameters
    ----------
    bound_px : "dx" and "dy" to the Cramér-Rao bound; zero (no noise) draws no line.
    label_sigma_px : what an aligner that knows nothing scores.
    """
    sketch = _blank(look)
    for part, symbol in (("dx", "circle"), ("dy", "diamond")):
        name = f"rmse_{part}_px"
        if len(train.x):
            values = smooth(train.column(name), look.smoothing)
            _add_faint(sketch, train.x, values, f"{part}, training", COLOUR[part], 0.55)
        _add_points(sketch, case.x, case.column(name), f"{part}, validation", COLOUR[part], symbol)
    for part in ("dx", "dy"):
        if bound_px.get(part, 0) > 0:
            _add_level(sketch, _ends(train, case), bound_px[part], f"bound {part}", COLOUR[part], "px")
    if label_sigma_px is not None and label_sigma_px > 0:
        _add_level(sketch, _ends(train, case), label_sigma_px, "knowing nothing", FAINT, "px", "dash")
    return _axes(sketch, look, "RMSE, gauge removed, px", log_y=look.log_y)


def roll_sketch(
    train: Course, case: Course, look: Look, *, bound_deg: float = 0.0, label_sigma_deg: float = 0.0
) -> Sketch:
    """RMSE of the roll, its mean over the views taken out: training faint, one validation case bold.

    Parameters
    ----------
    bound_deg : the Cramér-Rao bound; zero (no noise, or none known yet) draws no line.
    label_sigma_deg : what an aligner that knows nothing scores; zero draws no line.
    """
    sketch = _blank(look)
    if len(train.x):
        values = smooth(train.column("rmse_roll_deg"), look.smoothing)
        _add_faint(sketch, train.x, values, "roll, training", ROLL, 0.55)
    _add_points(sketch, case.x, case.column("rmse_roll_deg"), "roll, validation", ROLL, "circle")
    if bound_deg > 0:
        _add_level(sketch, _ends(train, case), bound_deg, "bound", ROLL, "°")
    if label_sigma_deg > 0:
        _add_level(sketch, _ends(train, case), label_sigma_deg, "knowing nothing", FAINT, "°", "dash")
    return _axes(sketch, look, "RMSE of roll, degrees", log_y=look.log_y)


def rate_sketch(train: Course, look: Look) -> Sketch:
    """The learning rate of each step, never smoothed: it is set, not measured."""
    sketch = _blank(look, showlegend=False)
    _add_line(sketch, train.x, train.column("learning_rate"), "learning rate", ink(look.dark), width=1.6)
    return _axes(sketch, look, "learning rate", log_y=look.log_y)


def _blank(look: Look, **layout: Any) -> Sketch:
    size = {"template": plain_template(look.dark), "height": look.height, "uirevision": "kept"}
    return {"data": [], "layout": size | layout}


def _ends(*courses: Course) -> list[float]:
    everywhere = np.concatenate([course.x for course in courses])
    return [float(everywhere.min()), float(everywhere.max())] if len(everywhere) else [0.0, 1.0]


def _add_line(sketch: Sketch, x: Float, y: Float, name: str, colour: str, *, width: float, **more: Any) -> None:
    x, y = (values.astype("<f4") for values in thin(x, y))  # half the bytes, and more digits than pixels
    line = {"color": colour, "width": width}
    about = {"type": "scatter", "mode": "lines", "name": name, "uid": _uid(name), "line": line}
    sketch["data"].append({"x": x, "y": y, **about, **more})


def _uid(name: str) -> str:
    """By which Plotly knows a line again, hidden in the legend or not; it becomes a class of the page's style."""
    return re.sub(r"\W+", "-", name)


def _add_faint(sketch: Sketch, x: Float, y: Float, name: str, colour: str, opacity: float = 0.4) -> None:
    _add_line(sketch, x, y, name, colour, width=1, opacity=opacity, hoverinfo="skip")


def _add_points(sketch: Sketch, x: Float, y: Float, name: str, colour: str, symbol: str) -> None:
    """A line with a point for each epoch, as long as they can be told apart."""
    apart = len(x) <= MOST_MARKERS
    points = {"mode": "lines+markers", "marker": {"size": 6, "symbol": symbol}} if apart else {}
    _add_line(sketch, x, y, name, colour, width=2, **points)


def _add_level(
    sketch: Sketch, ends: list[float], level: float, words: str, colour: str, unit: str, dash: str = "dot"
) -> None:
    """A broken line; a trace and not a shape, so that it is right on a log axis, too.

    Its words stand in the legend: on the line they would stand on the curves that come near it.
    """
    sketch["data"].append(
        {
            "type": "scatter",
            "x": ends,
            "y": [level, level],
            "mode": "lines",
            "line": {"color": colour, "width": 1.4, "dash": dash},
            "name": f"{words} {plain(level)}{'' if unit == '°' else ' '}{unit}",
            "uid": _uid(words),
            "hoverinfo": "skip",
        }
    )


def _axes(sketch: Sketch, look: Look, y_title: str, *, log_y: bool) -> Sketch:
    """Titles and scales; a zoom lives until its own axis counts something else."""
    scale = "log" if log_y else "linear"
    y_axis = {"title": {"text": y_title}, "uirevision": scale, **(log_axis() if log_y else {"type": "linear"})}
    sketch["layout"] |= {"xaxis": {"title": {"text": look.x_title}, "uirevision": look.x_title}, "yaxis": y_axis}
    return sketch
