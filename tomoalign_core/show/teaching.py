"""Figures that explain: which way the axes point, where a loss gets stuck, and what a network answers to a movement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tomoalign_core.geometry import Shifts
from tomoalign_core.show.curves import smooth
from tomoalign_core.show.numbers import plain
from tomoalign_core.show.style import CASES, COLOUR, FAINT, blank, ink, log_axis

Float = NDArray[np.float64]


def stuck_loss(
    courses: Mapping[str, Float],
    levels: Sequence[tuple[float, str]],
    *,
    dark: bool = False,
    height: int = 400,
) -> go.Figure:
    """Losses over the steps, as measured faint and smoothed bold, between the levels that explain them.

    Parameters
    ----------
    courses : name to loss of each step, px²; the first is the one looked at, the others stand beside it.
    levels : px² and words, drawn as dotted lines.
    """
    figure = blank(dark=dark, height=height)
    longest = max(len(course) for course in courses.values())
    for number, (name, course) in enumerate(courses.items()):
        step, colour = np.arange(1, len(course) + 1), CASES[number % len(CASES)]
        figure.add_scatter(
            x=step, y=course, mode="lines", line={"color": colour, "width": 1}, opacity=0.3, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=step, y=smooth(course, 0.9), mode="lines", name=name, line={"color": colour, "width": 2.4},
            hovertemplate="step %{x}: %{y:.3g} px²<extra>" + name + "</extra>",
        )  # fmt: skip
    for (value, words), dash in zip(levels, ("dash", "dot"), strict=False):
        figure.add_scatter(
            x=[1, longest], y=[value, value], mode="lines", name=f"{words}: {plain(value)} px²", hoverinfo="skip",
            line={"color": ink(dark), "width": 1.4, "dash": dash},
        )  # fmt: skip
    figure.update_xaxes(title_text="step", range=[0, longest + 2])
    return figure.update_yaxes(
        title_text="loss, px²", range=[np.log10(2e-5), np.log10(400)], **log_axis() | {"nticks": 8}
    )


def answers_to_a_movement(
    moved_px: Float, said_px: Mapping[str, Float], *, dark: bool = False, height: int = 330
) -> go.Figure:
    """What networks say of one view's dx as that view alone moves, on the line where an equivariant one lies."""
    figure = blank(dark=dark, height=height)
    figure.add_scatter(
        x=moved_px, y=moved_px, mode="lines", name="says what happened", line={"color": FAINT, "dash": "dash"},
        hoverinfo="skip",
    )  # fmt: skip
    for number, (name, values) in enumerate(said_px.items()):
        figure.add_scatter(
            x=moved_px, y=values, mode="lines+markers", name=name,
            line={"color": CASES[number], "width": 2}, marker={"size": 7, "symbol": ("circle", "diamond")[number % 2]},
            hovertemplate="moved %{x:.1f} px, says %{y:.3f} px<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="one view is moved by, px")
    return figure.update_yaxes(title_text="the network says of its dx, px")


def two_stories(stories: Mapping[str, Shifts], *, dark: bool = False, height: int = 280) -> go.Figure:
    """dx over the angle as two stories tell it, the second dotted."""
    figure = blank(dark=dark, height=height)
    for number, (name, shifts) in enumerate(stories.items()):
        figure.add_scatter(
            x=np.rad2deg(shifts.angle_rad), y=shifts.dx_px, mode="lines", name=name,
            line={"color": COLOUR["dx"] if number == 0 else CASES[0], "width": 2, "dash": "dot" if number else "solid"},
            hovertemplate="%{x:.1f}°: %{y:.2f} px<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="angle, degrees")
    return figure.update_yaxes(title_text="dx, px")


def conventions(*, dx_px: float, dy_px: float, roll_deg: float, dark: bool = False, height: int = 420) -> go.Figure:
    """One view of a letter F: where it was, and where a movement took it. Turned first, then moved; v points down."""
    at_rest = np.array([(-6, 10), (-6, -10), (8, -10), (8, -5), (-1, -5), (-1, -1), (5, -1), (5, 4), (-1, 4), (-1, 10)])
    outline = np.vstack([at_rest, at_rest[:1]]).astype(float)
    angle = np.deg2rad(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = outline @ turn.T + [dx_px, dy_px]
    figure = blank(dark=dark, height=height)
    for points, name, line, fill in (
        (outline, "at rest", {"color": FAINT, "dash": "dash", "width": 2}, None),
        (moved, "as measured", {"color": COLOUR["roll"], "width": 2.5}, "rgba(27,158,119,0.18)"),
    ):
        figure.add_scatter(
            x=points[:, 0], y=points[:, 1], mode="lines", name=name, line=line, fill="toself" if fill else None,
            fillcolor=fill, hoverinfo="skip",
        )  # fmt: skip
    _arrow(figure, (0, 0), (dx_px, 0), COLOUR["dx"], f"dx = {_signed(dx_px)} px", dark)
    _arrow(figure, (dx_px, 0), (dx_px, dy_px), COLOUR["dy"], f"dy = {_signed(dy_px)} px", dark)
    figure.add_vline(x=0, line={"color": FAINT, "width": 1, "dash": "dot"})
    figure.add_annotation(x=0, y=-19, text="rotation axis", showarrow=False, xanchor="left", xshift=5, font_color=FAINT)
    figure.add_annotation(
        x=-25, y=18.5, xanchor="left", showarrow=False, font_color=COLOUR["roll"],
        text=f"roll = {_signed(roll_deg)}°, from +u (right) towards +v (down)",
    )  # fmt: skip
    quiet = {"zeroline": False, "constrain": "domain"}
    figure.update_xaxes(title_text="u, px from the centre →", range=[-26, 26], **quiet)
    return figure.update_yaxes(title_text="← v, px from the centre", range=[20, -20], scaleanchor="x", **quiet)


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "−")


def _arrow(
    figure: go.Figure, start: tuple[float, float], end: tuple[float, float], colour: str, words: str, dark: bool
) -> None:
    if start == end:
        return
    figure.add_annotation(
        x=end[0], y=end[1], ax=start[0], ay=start[1], xref="x", yref="y", axref="x", ayref="y", showarrow=True,
        arrowhead=3, arrowwidth=2.5, arrowcolor=colour, text="",
    )  # fmt: skip
    sideways = start[1] == end[1]
    figure.add_annotation(
        x=(start[0] + end[0]) / 2, y=(start[1] + end[1]) / 2, text=words, showarrow=False, borderpad=1,
        font={"color": colour, "size": 14}, yshift=14 if sideways else 0, xshift=0 if sideways else 46,
        bgcolor="rgba(20,24,29,0.75)" if dark else "rgba(255,255,255,0.75)",
    )  # fmt: skip
