"""Figures of an alignment: shifts and residuals that can be clicked on, one view against what the others say of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from plotly.subplots import make_subplots

from tomoalign_core.geometry import Shifts
from tomoalign_core.show.style import COLOUR, FAINT, band, dress, ink, log_axis, others_look

ALARM = "#cf3f48"
MARK, MARK_OF_MANY, MANY = 5, 3, 150  # px, and the number of views from which on marks are small
PART_PX = 150  # height of the axes of dx, dy or roll
MARGIN = {"l": 8, "r": 8, "t": 34, "b": 8}

Picture = NDArray[np.floating]


def shifts_by_view(
    name: str,
    shifts: Shifts,
    *,
    others: Mapping[str, Shifts] | None = None,
    truth: Shifts | None = None,
    order: Sequence[str] = (),
    suspects: Collection[int] = (),
    view: int | None = None,
    dark: bool = False,
) -> go.Figure:
    """Found dx, dy and, where any was found, roll over the angle, gauge removed; every point names its view.

    Parameters
    ----------
    others : further tables, each in a colour and dashes of its own.
    order : names of tables, which keep their colour and dashes whichever is looked at.
    suspects : views that stand out, ringed.
    view : the view looked at, under a line.
    """
    parts = ("dx", "dy", "roll") if np.any(np.nan_to_num(shifts.roll_deg)) else ("dx", "dy")
    figure = make_subplots(len(parts), 1, shared_xaxes=True, vertical_spacing=0.05)
    for row, part in enumerate(parts, 1):
        legend = {"showlegend": row == 1}
        unit = "degrees" if part == "roll" else "px"
        if truth is not None:
            figure.add_trace(_truth(truth, part, dark).update(legend), row, 1)
        for other, table in (others or {}).items():
            look = others_look(list(order).index(other)) if other in order else (FAINT, "dot")
            figure.add_trace(_other(other, table, part, look).update(legend), row, 1)
        for number, piece in enumerate(_bands(shifts.gauge_free(), part)):
            figure.add_trace(piece.update(showlegend=row == 1 and number == 0), row, 1)
        figure.add_trace(_main(name, shifts, part, unit).update(legend), row, 1)
        for trace in _marks(shifts, part, suspects):
            figure.add_trace(trace.update(legend), row, 1)
        figure.update_yaxes(title_text=f"{part}, {unit}", row=row)
    figure.update_xaxes(title_text="angle, degrees", row=len(parts))
    _point_out(figure, shifts.angle_rad, view, dark)
    height = 70 + PART_PX * len(parts)
    return dress(figure, dark=dark, height=height, margin=MARGIN, hovermode="closest", clickmode="event+select")


def bars_by_view(
    series: Mapping[str, ArrayLike],
    shifts: Shifts,
    *,
    title: str,
    suspects: Collection[int] = (),
    view: int | None = None,
    dark: bool = False,
    height: int = 190,
) -> go.Figure:
    """A figure of each view, as bars over the angle: its residual, or its error in dx and dy.

    Views left out are hollow, suspicious ones red. The names ``dx`` and ``dy`` bring their colours.
    """
    figure = go.Figure()
    angle = np.rad2deg(shifts.angle_rad)
    suspicious = np.isin(np.arange(len(angle)), list(suspects))
    for name, values in series.items():
        colour = COLOUR.get(name, FAINT)
        figure.add_bar(
            x=angle,
            y=np.asarray(values, float),
            name=name,
            marker={
                "color": np.where(shifts.used, np.where(suspicious, ALARM, colour), "rgba(0,0,0,0)"),
                "line": {"color": np.where(suspicious, ALARM, colour), "width": np.where(shifts.used, 0, 1)},
            },
            customdata=np.arange(len(angle)),
            hovertemplate=[
                f"view %{{customdata}}, %{{x:.1f}}°: %{{y:.3f}}{why}<extra>{name}</extra>" for why in _whys(shifts)
            ],
            showlegend=len(series) > 1,
        )
    figure.update_xaxes(title_text="angle, degrees")
    figure.update_yaxes(title_text=title, rangemode="tozero")
    _point_out(figure, shifts.angle_rad, view, dark)
    return dress(figure, dark=dark, height=height, margin=MARGIN, bargap=0.15, clickmode="event+select")


def against_the_others(
    measured: Picture,
    foretold: Picture,
    *,
    factor: int = 1,
    difference: bool = False,
    dark: bool = False,
    height: int = 300,
) -> go.Figure:
    """A view as measured, as the others predict it, and both in one: red and cyan, which make grey where they agree.

    With ``difference``, the third is measured minus predicted instead: red above, blue below.
    """
    low, high = np.percentile(measured, [0.3, 99.7])
    span = max(float(high - low), 1e-12)
    grey = [np.clip((image - low) / span, 0, 1) for image in (measured, foretold)]
    if difference:
        third, title = _diverging((measured - foretold) / (0.5 * span)), "Difference"
    else:
        third, title = np.stack([grey[0], grey[1], grey[1]], axis=-1), "Both in one"
    figure = make_subplots(1, 3, subplot_titles=["Measured", "Predicted from others", title], horizontal_spacing=0.045)
    for col, image in enumerate((*grey, third), 1):
        figure.add_trace(_png(image, factor), 1, col)
    rows, cols = measured.shape
    quiet = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(range=[-0.5, cols * factor - 0.5], title_text="column u, px", matches="x", **quiet)
    figure.update_yaxes(range=[rows * factor - 0.5, -0.5], matches="y", showticklabels=False, **quiet)
    figure.update_yaxes(title_text="row v, px", showticklabels=True, scaleanchor="x", col=1)
    figure.update_annotations(font_size=13, yshift=2)
    return dress(figure, dark=dark, height=height, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def rounds_of_refinement(
    residual: ArrayLike,
    step_px: ArrayLike,
    *,
    best: int,
    words: str = "kept",
    most: int | None = None,
    dark: bool = False,
    height: int = 210,
) -> go.Figure:
    """Held-out residual after each round, the best one filled, and beside it how far each round moved the views.

    Parameters
    ----------
    residual, step_px : of round 0, which is the start and moved nothing, round 1 and so on.
    best : the round with the least residual.
    words : what it is called.
    most : rounds that there is room for, so that a chart that grows keeps its axis; by default those there are.
    """
    residual, step = np.asarray(residual, float), np.asarray(step_px, float)
    number = np.arange(len(residual))
    figure = make_subplots(
        1, 2, column_widths=[0.6, 0.4], horizontal_spacing=0.11, subplot_titles=["Held-out residual", "Step"]
    )
    line = {"color": FAINT, "width": 1.8}
    hollow = {"symbol": "circle-open", "size": 8, "color": FAINT, "line": {"width": 1.8}}
    drawn = {"mode": "lines+markers", "line": line, "marker": hollow}
    about = "round %{x}: %{y:.4f}<extra>held-out residual</extra>"
    figure.add_scatter(x=number, y=residual, name="residual", hovertemplate=about, **drawn, row=1, col=1)
    figure.add_scatter(
        x=[best],
        y=[residual[best]],
        name=words,
        mode="markers+text",
        marker={"symbol": "circle", "size": 11, "color": ink(dark)},
        text=[f"{words}: {residual[best]:.4f}"],
        textposition="bottom center" if best else "bottom right",  # under the least there is no line
        cliponaxis=False,
        hoverinfo="skip",
        row=1,
        col=1,
    )
    moved = number[step > 0]  # a log axis has no place for the start
    about = "round %{x}: %{y:.2~g} px<extra>step, rms over dx and dy</extra>"
    figure.add_scatter(x=moved, y=step[moved], name="step", hovertemplate=about, **drawn, row=1, col=2)
    last = max(len(number) - 1 if most is None else most, 1)
    ticks = {"title_text": "round", "tickvals": list(range(last + 1)), "range": [-0.5, last + 0.5], "zeroline": False}
    figure.update_xaxes(ticks)
    # under the line is room for words; a chart of one point has no span of its own
    low, high = float(residual.min()), float(residual.max())
    span = max(high - low, 0.02 * high)
    figure.update_yaxes(
        title_text="residual, share of view", range=[low - 0.4 * span, high + 0.15 * span], row=1, col=1
    )
    figure.update_yaxes(title_text="step, px (log)", **log_axis(), row=1, col=2)
    if not moved.size:
        figure.update_yaxes(range=[-3, 0], row=1, col=2)
    figure.update_annotations(font_size=13, yshift=2)
    return dress(figure, dark=dark, height=height, showlegend=False, margin={"l": 8, "r": 8, "t": 26, "b": 8})


def cross_hair(figure: go.Figure, at: tuple[float, float]) -> go.Figure:
    """Show in every picture of a figure where the other two cuts pass."""
    line = {"color": band(ink(True), 0.55), "width": 1, "dash": "dot"}
    figure.add_vline(x=at[0], line=line, row="all", col="all")
    figure.add_hline(y=at[1], line=line, row="all", col="all")
    return figure


def _values(shifts: Shifts, part: str) -> NDArray[np.float64]:
    return {"dx": shifts.dx_px, "dy": shifts.dy_px, "roll": shifts.roll_deg}[part]


def _truth(truth: Shifts, part: str, dark: bool) -> go.Scatter:
    return go.Scatter(
        x=np.rad2deg(truth.angle_rad),
        y=_values(truth.gauge_free(), part),
        name="true",
        legendgroup="true",
        mode="markers",
        marker={"size": MARK + 2, "symbol": "circle-open", "color": ink(dark), "line": {"width": 1}},
        hovertemplate="%{x:.1f}°: %{y:.3f}<extra>true</extra>",
    )


def _other(name: str, table: Shifts, part: str, look: tuple[str, str]) -> go.Scatter:
    order = np.argsort(table.angle_rad, kind="stable")
    return go.Scatter(
        x=np.rad2deg(table.angle_rad)[order],
        y=np.where(table.used, _values(table.gauge_free(), part), np.nan)[order],
        name=name,
        legendgroup=name,
        mode="lines",
        line={"color": look[0], "width": 1.4, "dash": look[1]},
        hovertemplate="%{x:.1f}°: %{y:.3f}<extra>" + name + "</extra>",
    )


def _main(name: str, shifts: Shifts, part: str, unit: str) -> go.Scatter:
    order = np.argsort(shifts.angle_rad, kind="stable")
    return go.Scatter(
        x=np.rad2deg(shifts.angle_rad)[order],
        y=np.where(shifts.used, _values(shifts.gauge_free(), part), np.nan)[order],
        name=name,
        legendgroup=name,
        mode="lines+markers",
        line={"color": COLOUR[part], "width": 1.4},
        marker={"size": MARK if len(shifts) < MANY else MARK_OF_MANY, "color": COLOUR[part]},
        customdata=order,
        hovertemplate="view %{customdata}, %{x:.1f}°: %{y:.3f} " + unit + f"<extra>{part}</extra>",
    )


def _bands(shifts: Shifts, part: str) -> list[go.Scatter]:
    """The area between −σ and +σ, in pieces, as views left out or nudged by hand have none."""
    if part == "roll":
        return []
    sigma = shifts.dx_sigma_px if part == "dx" else shifts.dy_sigma_px
    order = np.argsort(shifts.angle_rad, kind="stable")
    known = np.flatnonzero((np.isfinite(sigma) & shifts.used)[order])
    pieces = [order[piece] for piece in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)] if known.size else []
    angle, middle = np.rad2deg(shifts.angle_rad), _values(shifts, part)
    return [
        go.Scatter(
            x=np.concatenate([angle[piece], angle[piece[::-1]]]),
            y=np.concatenate([middle[piece] + sigma[piece], (middle[piece] - sigma[piece])[::-1]]),
            fill="toself",
            fillcolor=band(COLOUR[part], 0.3),
            mode="lines",
            line={"width": 0},
            name="±σ, as the network sees it",
            legendgroup="sigma",
            hoverinfo="skip",
        )
        for piece in pieces
    ]


def _marks(shifts: Shifts, part: str, suspects: Collection[int]) -> list[go.Scatter]:
    """Rings around suspicious views, crosses where views are left out."""
    middle, whys = np.nan_to_num(_values(shifts.gauge_free(), part)), _whys(shifts)
    chosen = {
        "stands out": (np.array(sorted(suspects), int), {"symbol": "circle-open", "color": ALARM, "size": 12}),
        "left out": (np.flatnonzero(~shifts.used), {"symbol": "x-thin", "color": ALARM, "size": 8}),
    }
    return [
        go.Scatter(
            x=np.rad2deg(shifts.angle_rad[views]),
            y=middle[views],
            name=name,
            legendgroup=name,
            mode="markers",
            marker=marker | {"line": {"width": 1.6, "color": ALARM}},
            customdata=views,
            hovertemplate=[f"view %{{customdata}}, %{{x:.1f}}°{whys[view]}<extra>{name}</extra>" for view in views],
        )
        for name, (views, marker) in chosen.items()
        if views.size
    ]


def _whys(shifts: Shifts) -> list[str]:
    """For the hover text of each view: a line that says why it is left out; empty where it is used."""
    reasons = (f": {reason}" if reason else "" for reason in shifts.reason.tolist())
    return ["" if used else f"<br>left out{reason}" for used, reason in zip(shifts.used, reasons, strict=True)]


def _point_out(figure: go.Figure, angle_rad: NDArray[np.float64], view: int | None, dark: bool) -> None:
    """One range of angles for curves and bars, and a line under the view that is looked at."""
    angle = np.rad2deg(angle_rad)
    beside = max(float(np.ptp(angle)) / len(angle), 0.1)
    figure.update_xaxes(range=[angle.min() - beside, angle.max() + beside])
    if view is not None:
        line = {"color": band(ink(dark), 0.6), "width": 1, "dash": "dot"}
        figure.add_vline(x=float(angle[view]), line=line, layer="below")


def _diverging(values: Picture) -> Picture:
    """-1 to 1 as blue, white, red: (rows, columns, 3)."""
    up, down = np.clip(values, 0, 1)[..., None], np.clip(-values, 0, 1)[..., None]
    return 1 - up * (1 - np.array([0.78, 0.13, 0.18])) - down * (1 - np.array([0.12, 0.40, 0.72]))


def _png(image: Picture, factor: int) -> go.Image:
    """Shades from 0 to 1, grey or red, green and blue, as a picture whose pixels measure ``factor``."""
    file = io.BytesIO()
    Image.fromarray((np.clip(image, 0, 1) * 255).round().astype(np.uint8)).save(file, "PNG")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    start = (factor - 1) / 2
    return go.Image(
        source=source, x0=start, y0=start, dx=factor, dy=factor, hovertemplate="%{x:.0f}, %{y:.0f}<extra></extra>"
    )
