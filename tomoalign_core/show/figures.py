"""Figures of a scan: pictures of it, and its shifts over the angle."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from plotly.subplots import make_subplots
from scipy.special import ndtr

from tomoalign_core.geometry import Shifts, shift_error, side_by_side
from tomoalign_core.show.style import COLOUR, FAINT, band, dress, figure_of, ink, log_axis

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
    depth, width = next(iter(images.values())).shape
    data, layout, titles = [], {}, []
    places = _places(len(images), gap=34 / height if stacked else 0.03)
    for number, (title, values) in enumerate(images.items()):
        name = str(number + 1) if number else ""
        place = places[-1 - number] if stacked else places[number]
        across, down = ([0, 1], place) if stacked else (place, [0, 1])
        data.append(_grey(values, low, high) | {"xaxis": f"x{name}", "yaxis": f"y{name}"})
        at_bottom, at_left = number == len(images) - 1 or not stacked, number == 0 or stacked
        layout[f"xaxis{name}"] = {
            **QUIET, "domain": across, "anchor": f"y{name}", "range": [-0.5, width - 0.5],
            "showticklabels": at_bottom, "title_text": axes.x if at_bottom else "",
        } | ({"matches": "x"} if number else {})  # fmt: skip
        layout[f"yaxis{name}"] = {
            **QUIET, "domain": down, "anchor": f"x{name}", "range": [depth - 0.5, -0.5],
            "showticklabels": at_left, "title_text": axes.y if at_left else "", "constraintoward": "top",
        } | ({"matches": "y"} if number else {"scaleanchor": "x" if axes.square else False})  # fmt: skip
        titles.append({"text": title, "x": sum(across) / 2, "y": down[1], **TITLE})
    look = {"annotations": titles, "margin": {"l": 8, "r": 8, "t": 26, "b": 8}}
    return figure_of(data, dark=dark, height=height, **layout, **look)


# all zoom as the first does; made in one piece, as pages wait for them: plotly's make_subplots takes five times as long
QUIET = {"showgrid": False, "zeroline": False, "constrain": "domain"}
TITLE = {
    "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom", "yshift": 2, "showarrow": False,
    "font": {"size": 13},
}  # fmt: skip


def _places(count: int, *, gap: float) -> list[list[float]]:
    """Domains of ``count`` equal axes along a side of the figure."""
    share = (1 - gap * (count - 1)) / count
    return [[i * (share + gap), min(1.0, i * (share + gap) + share)] for i in range(count)]


def _grey(values: NDArray[np.floating], low: float, high: float) -> dict[str, Any]:
    """An array as a PNG inside the figure: a twentieth of the size of its numbers."""
    shades = np.clip((np.asarray(values, float) - low) / (high - low), 0, 1) * 255
    file = io.BytesIO()
    Image.fromarray(shades.round().astype(np.uint8)).save(file, "PNG")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return {"type": "image", "source": source, "hovertemplate": "%{x:.0f}, %{y:.0f}<extra></extra>"}


def movement(shifts: Shifts, *, dark: bool = False, height: int = 300) -> go.Figure:
    """What the stage did, as it is (gauge and all): dx, dy and, if there is any, roll over the angle.

    Beside each curve stands its histogram, on the same axis of px or degrees.
    """
    parts = ("dx", "dy", "roll") if np.any(shifts.roll_deg) else ("dx", "dy")
    data, layout = [], {}
    for number, (part, down) in enumerate(zip(parts, reversed(_places(len(parts), gap=0.07)), strict=True)):
        curve, bars = str(2 * number + 1) if number else "", str(2 * number + 2)
        line = _line(shifts, part, name=part, colour=COLOUR[part])
        data += [line.update(xaxis=f"x{curve}", yaxis=f"y{curve}"), _histogram(_values(shifts, part), part, bars)]
        last = number == len(parts) - 1
        for name, domain, first, title in ((curve, [0, 0.74], "x", "angle, degrees"), (bars, [0.76, 1], "x2", "views")):
            layout[f"xaxis{name}"] = {
                "domain": domain, "anchor": f"y{name}", "showticklabels": last, "title_text": title if last else "",
            } | ({"matches": first} if number else {})  # fmt: skip
        layout[f"yaxis{curve}"] = {"domain": down, "anchor": f"x{curve}", "title_text": f"{part}, {UNIT[part]}"}
        layout[f"yaxis{bars}"] = {
            "domain": down, "anchor": f"x{bars}", "matches": f"y{curve}", "showticklabels": False,
        }  # fmt: skip
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    # a zoom lives on in the same axes only: kept for others, Plotly would cut off the roll that was not there before
    ends = np.rad2deg(shifts.angle_rad[[0, -1]]).round(3).tolist()
    kept = {"uirevision": f"kept for {parts} {ends}"}
    return figure_of(data, dark=dark, height=height, showlegend=False, margin=margin, **layout).update_layout(kept)


def _histogram(values: NDArray[np.float64], part: str, axes: str) -> go.Bar:
    """How many views moved how far, lying on its side."""
    bins: Any = int(np.clip(np.sqrt(len(values)) * 1.5, 8, 30))
    if np.array_equal(values, np.round(values)):  # whole px: one bar each
        bins = np.arange(values.min() - 0.5, values.max() + 1)
    counts, edges = np.histogram(values, bins=bins)
    return go.Bar(
        x=counts,
        y=(edges[1:] + edges[:-1]) / 2,
        width=np.diff(edges) * 0.92,
        orientation="h",
        marker={"color": COLOUR[part], "line": {"width": 0}},
        opacity=0.75,
        hovertemplate="%{x} views at %{y:.2f} " + UNIT[part] + f"<extra>{part}</extra>",
        xaxis=f"x{axes}",
        yaxis=f"y{axes}",
    )


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How well a movement can be known, and how much there is to know; px or degrees, root mean square.

    ``bound`` is the Cramér-Rao bound, 0 without noise; ``nothing`` the error of knowing nothing.
    """

    bound: float
    nothing: float


def reaches(parts: Mapping[str, Reach], *, dark: bool = False, height: int = 128) -> go.Figure:
    """For dx, dy and roll, a bar from the least error that noise allows to the error of knowing nothing, on a log axis.

    An aligner comes out somewhere along the bar: the farther left, the better.
    """
    known = [v for reach in parts.values() for v in (reach.bound, reach.nothing) if v > 0]
    low, high = (min(known) / 2, max(known) * 3) if known else (0.01, 10.0)
    data = []
    for number, (part, reach) in enumerate(parts.items()):
        begin, end = max(reach.bound, low), max(reach.nothing, low)
        colour, name = COLOUR[part], f"{part}, {UNIT[part]}"
        bar = {"color": band(colour, 0.35), "width": 9}
        data.append(go.Scatter(x=[begin, end], y=[name, name], mode="lines", line=bar, hoverinfo="skip"))
        ends = {
            "bound": (begin, reach.bound, {"symbol": "line-ns", "size": 15, "line": {"color": colour, "width": 3}}),
            "knowing nothing": (end, reach.nothing, {"symbol": "circle", "size": 10}),
        }
        for what, (at, value, mark) in ends.items():
            point = go.Scatter(
                x=[at],
                y=[name],
                mode="markers" if number else "markers+text",  # the first bar says what the ends of all are
                text=what if value else f"no {what}",
                textposition="top center",
                textfont={"size": 11},
                cliponaxis=False,
                marker={"color": colour, **mark},
                hovertemplate=f"{what}: {value:.3g} {UNIT[part]}<extra>{part}</extra>",
            )
            data.append(point)
    units = " or ".join(dict.fromkeys(UNIT[part] for part in parts))
    x = {"title_text": f"error, {units} (log)", "range": np.log10([low, high]).tolist(), **log_axis()}
    y = {"range": [len(parts) - 0.5, -0.9], "showgrid": False}  # room for the words on top
    margin = {"l": 8, "r": 8, "t": 4, "b": 4}
    return figure_of(data, dark=dark, height=height, showlegend=False, margin=margin, xaxis=x, yaxis=y)


def shifts_over_angle(
    found: Mapping[str, Shifts],
    truth: Shifts | None = None,
    *,
    parts: Sequence[str] = ("dx", "dy"),
    tilt: bool = True,
    dark: bool = False,
    height: int = 380,
) -> go.Figure:
    """Found dx and dy over the angle, gauge removed, with ±σ where it is known, on the truth where that is known.

    The first of ``found`` has the colours of dx and dy; further ones are dotted and faint.

    Parameters
    ----------
    parts : of "dx", "dy" and "roll", from the top.
    tilt : whether rolls have that of the axis in them, of which a network in training knows nothing.
    """
    first = next(iter(found.values()))
    figure = _stack_of_axes(parts, first.angle_rad)
    for row, part in enumerate(parts, 1):
        if truth is not None:
            true = truth.gauge_free() if tilt else truth.gauge_free().rolled_about_axis()
            line = _line(true, part, name="true", colour=ink(dark), group="true", legend=row == 1)
            figure.add_trace(line.update(mode="markers", marker={"size": 6, "symbol": "circle-open"}), row, 1)
        for number, (name, shifts) in enumerate(found.items()):
            free = shifts.gauge_free() if truth is None else side_by_side(shifts, truth)[0]
            free = free if tilt else free.rolled_about_axis()
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
    sigma = {"dx": shifts.dx_sigma_px, "dy": shifts.dy_sigma_px}.get(part)
    if sigma is None or not np.isfinite(sigma).any():
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
    ours, theirs = side_by_side(found, truth)
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


def error_histogram(
    found: Shifts, truth: Shifts, *, bound_px: Mapping[str, float], dark: bool = False, height: int = 260
) -> go.Figure:
    """How many views are wrong by how much, found - true in dx and dy, gauge removed.

    Parameters
    ----------
    bound_px : "dx" and "dy" to the Cramér-Rao bound: a dotted curve shows the errors that it alone would leave.
    """
    rest = shift_error(found, truth)
    error = {part: _values(rest, part) for part in ("dx", "dy")}
    edges = _error_bins(np.concatenate(list(error.values())))
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    figure = go.Figure()
    for part, values in error.items():
        inside = np.clip(values, edges[0], edges[-1])  # the outermost bars hold what lies beyond
        figure.add_bar(
            x=middle,
            y=np.histogram(inside, edges)[0],
            width=width,
            name=part,
            marker={"color": band(COLOUR[part], 0.55), "line": {"width": 0}},
            hovertemplate="%{y} views within ±" + f"{width / 2:.2g} px of " + "%{x:.3f} px<extra>" + part + "</extra>",
        )
    for part, values in error.items():
        sigma = bound_px.get(part, 0)
        if sigma > 0:
            expected = len(values) * np.diff(ndtr(edges / sigma))
            curve = {"color": COLOUR[part], "width": 1.6, "dash": "dot"}
            figure.add_scatter(x=middle, y=expected, mode="lines", name=f"bound {part}", line=curve, hoverinfo="skip")
    figure.update_layout(barmode="overlay", bargap=0)
    beyond = any((np.abs(values) > edges[-1]).any() for values in error.values())
    more = "; outermost: and beyond" if beyond else ""
    figure.update_xaxes(title_text=f"found − true, gauge removed, px{more}")
    figure.update_yaxes(title_text="views")
    return dress(figure, dark=dark, height=height)


def _error_bins(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of 31 equal bars about zero; a few errors that are far off do not press the rest into one bar."""
    typical = 1.4826 * float(np.median(np.abs(values)))
    half = min(float(np.abs(values).max()), 6 * typical) if typical else float(np.abs(values).max())
    return np.linspace(-1, 1, 32) * (half or 1.0)
