"""Figures of a scan: pictures of it, and its shifts over the angle."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from plotly.subplots import make_subplots

from tomoalign_core.geometry import Shifts
from tomoalign_core.show.style import COLOUR, FAINT, band, dress, ink

UNIT = {"dx": "px", "dy": "px", "roll": "degrees"}


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What the two axes of a picture mean."""

    x: str
    y: str
    square: bool = True
    black: float | None = None


PROJECTION = Axes(x="column u, px", y="row v, px")
SINOGRAM = Axes(x="column u, px", y="view", square=False, black=0.0)
SLICE = Axes(x="x, px", y="y, px", black=0.0)


def grey_levels(image: ArrayLike, *, percent: float = 0.3, black: float | None = None) -> tuple[float, float]:
    """Black and white for a picture: its percentiles, so that single hot pixels do not darken the rest.

    ``black`` is given where a value is known to be nothing: 0 in a levelled sinogram and in a slice.
    """
    low, high = np.percentile(np.asarray(image, float), [percent, 100 - percent])
    low = low if black is None else black
    return float(low), float(high if high > low else low + 1)


def pictures(
    images: Mapping[str, NDArray[np.floating]],
    axes: Axes,
    *,
    levels: tuple[float, float] | None = None,
    stacked: bool = False,
    dark: bool = False,
    height: int = 260,
) -> go.Figure:
    """Grey pictures under their titles, beside each other or stacked, on one scale of grey, zoomed as one.

    Parameters
    ----------
    images : title to array (rows, columns); all of one shape.
    levels : black and white; by default those of the last picture.
    """
    low, high = levels or grey_levels(list(images.values())[-1], black=axes.black)
    rows, cols = (len(images), 1) if stacked else (1, len(images))
    figure = make_subplots(
        rows,
        cols,
        subplot_titles=list(images),
        horizontal_spacing=0.03,
        vertical_spacing=34 / height,
    )
    for number, values in enumerate(images.values()):
        row, col = (number + 1, 1) if stacked else (1, number + 1)
        figure.add_trace(_grey(values, low, high), row, col)
    depth, width = next(iter(images.values())).shape
    quiet = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(range=[-0.5, width - 0.5], **quiet)
    figure.update_yaxes(range=[depth - 0.5, -0.5], **quiet)
    figure.update_layout(yaxis_scaleanchor="x" if axes.square else False)
    for number in range(2, len(images) + 1):  # all zoom as the first does
        figure.update_layout({f"xaxis{number}_matches": "x", f"yaxis{number}": {"matches": "y", "scaleanchor": False}})
    if stacked:
        figure.update_xaxes(showticklabels=False)
    else:
        figure.update_yaxes(showticklabels=False)
    figure.update_xaxes(title_text=axes.x, showticklabels=True, row=rows)
    figure.update_yaxes(title_text=axes.y, showticklabels=True, col=1)
    figure.update_annotations(font_size=13, yshift=2)
    return dress(figure, dark=dark, height=height, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def _grey(values: NDArray[np.floating], low: float, high: float) -> go.Image:
    """An array as a PNG inside the figure: a twentieth of the size of its numbers."""
    shades = np.clip((np.asarray(values, float) - low) / (high - low), 0, 1) * 255
    file = io.BytesIO()
    Image.fromarray(shades.round().astype(np.uint8)).save(file, "PNG")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return go.Image(source=source, hovertemplate="%{x:.0f}, %{y:.0f}<extra></extra>")


def movement(shifts: Shifts, *, dark: bool = False, height: int = 300) -> go.Figure:
    """What the stage did, as it is (gauge and all): dx, dy and, if there is any, roll over the angle."""
    parts = ("dx", "dy", "roll") if np.any(shifts.roll_deg) else ("dx", "dy")
    figure = _stack_of_axes(parts, shifts.angle_rad)
    for row, part in enumerate(parts, 1):
        figure.add_trace(_line(shifts, part, name=part, colour=COLOUR[part]), row, 1)
    return dress(figure, dark=dark, height=height, showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8})


def shifts_over_angle(
    found: Mapping[str, Shifts],
    truth: Shifts | None = None,
    *,
    dark: bool = False,
    height: int = 380,
) -> go.Figure:
    """Found dx and dy over the angle, gauge removed, with ±σ where it is known, on the truth where that is known.

    The first of ``found`` has the colours of dx and dy; further ones are dotted and faint.
    """
    first = next(iter(found.values()))
    figure = _stack_of_axes(("dx", "dy"), first.angle_rad)
    for row, part in enumerate(("dx", "dy"), 1):
        if truth is not None:
            line = _line(truth.gauge_free(), part, name="true", colour=ink(dark), group="true", legend=row == 1)
            figure.add_trace(line.update(mode="markers", marker={"size": 6, "symbol": "circle-open"}), row, 1)
        for number, (name, shifts) in enumerate(found.items()):
            free = shifts.gauge_free()
            colour = FAINT if number else COLOUR[part]
            if number == 0:
                figure.add_traces(_confidence(free, part, colour, legend=row == 1), row, 1)
            line = _line(free, part, name=name, colour=colour, group=name, legend=row == 1)
            line.update(line_dash="dot" if number else "solid")
            figure.add_trace(line, row, 1)
    return dress(figure, dark=dark, height=height)


def _stack_of_axes(parts: Sequence[str], angle_rad: NDArray[np.float64]) -> go.Figure:
    figure = make_subplots(len(parts), 1, shared_xaxes=True, vertical_spacing=0.06)
    for row, part in enumerate(parts, 1):
        figure.update_yaxes(title_text=f"{part}, {UNIT[part]}", row=row)
    figure.update_xaxes(title_text="angle, degrees", row=len(parts))
    return figure


def _line(
    shifts: Shifts, part: str, *, name: str, colour: str, group: str | None = None, legend: bool = True
) -> go.Scatter:
    return go.Scatter(
        x=np.rad2deg(shifts.angle_rad),
        y=np.where(shifts.used, _values(shifts, part), np.nan),
        name=name,
        mode="lines",
        line={"color": colour, "width": 1.6},
        legendgroup=group,
        showlegend=legend,
        hovertemplate="%{x:.1f}°: %{y:.3f} " + UNIT[part] + f"<extra>{name}</extra>",
    )


def _confidence(shifts: Shifts, part: str, colour: str, *, legend: bool) -> list[go.Scatter]:
    """The area between −σ and +σ; nothing where σ is unknown."""
    sigma = shifts.dx_sigma_px if part == "dx" else shifts.dy_sigma_px
    if not np.isfinite(sigma).any():
        return []
    angle, middle = np.rad2deg(shifts.angle_rad), _values(shifts, part)
    area = go.Scatter(
        x=np.concatenate([angle, angle[::-1]]),
        y=np.concatenate([middle + sigma, (middle - sigma)[::-1]]),
        fill="toself",
        fillcolor=band(colour, 0.3),
        line={"width": 0},
        name="±σ, as the network sees it",
        legendgroup="sigma",
        showlegend=legend,
        hoverinfo="skip",
    )
    return [area]


def _values(shifts: Shifts, part: str) -> NDArray[np.float64]:
    return {"dx": shifts.dx_px, "dy": shifts.dy_px, "roll": shifts.roll_deg}[part]


def found_against_true(found: Shifts, truth: Shifts, *, dark: bool = False, height: int = 380) -> go.Figure:
    """Found over true shift, one point a view, gauge removed, with the line on which a perfect aligner lies."""
    figure = go.Figure()
    ours, theirs = found.gauge_free(), truth.gauge_free()
    both = np.concatenate([theirs.dx_px, theirs.dy_px, ours.dx_px, ours.dy_px])
    ends = [float(both.min()), float(both.max())]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="found = true", line={"color": FAINT, "dash": "dash"}, hoverinfo="skip"
    )
    for part in ("dx", "dy"):
        figure.add_scatter(
            x=_values(theirs, part),
            y=_values(ours, part),
            mode="markers",
            name=part,
            marker={
                "color": COLOUR[part],
                "size": 6,
                "opacity": 0.8,
                "symbol": "circle" if part == "dx" else "diamond",
            },
            hovertemplate="true %{x:.2f} px, found %{y:.2f} px<extra>" + part + "</extra>",
        )
    figure.update_xaxes(title_text="true shift, px")
    figure.update_yaxes(title_text="found shift, px")
    return dress(figure, dark=dark, height=height)
