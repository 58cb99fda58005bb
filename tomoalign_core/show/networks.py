"""Figures of a network: where its weights and bytes are, how far it sees, what its first filters look for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tomoalign_core.show.figures import PROJECTION, pictures
from tomoalign_core.show.style import CASES, DX, DY, FAINT, ROLL, dress

FRAMES = (DY, DX, ROLL, CASES[0], CASES[2], CASES[3])  # orange first: it is seen best on grey
DIVERGING = [(0.0, DX), (0.5, "#f4f4f2"), (1.0, DY)]


def bars(values: Mapping[str, float], words: Sequence[str], *, axis: str, dark: bool = False) -> go.Figure:
    """One bar a part, in the order in which data pass, with its value in ``words``."""
    figure = go.Figure(
        go.Bar(
            x=list(values.values()),
            y=list(values),
            orientation="h",
            marker={"color": DX},
            text=list(words),
            textposition="auto",
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=axis, rangemode="tozero")
    figure.update_yaxes(title_text="part of the network", autorange="reversed")
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    return dress(figure, dark=dark, height=80 + 34 * len(values), showlegend=False, margin=margin)


def reach_on(
    view: NDArray[np.floating],
    extents: Mapping[str, tuple[int | None, int | None]],
    *,
    px: int = 1,
    dark: bool = False,
    height: int = 420,
) -> go.Figure:
    """Receptive fields drawn to scale about the middle of a view; what reaches beyond it is cut by it.

    Parameters
    ----------
    view : (V, U), a projection, binned by ``px``.
    extents : name to (rows, columns) in detector px; None is all of them.
    """
    figure = pictures({"": view}, PROJECTION, dark=dark, height=height)
    middle = (px - 1) / 2
    figure.update_traces(dx=px, dy=px, x0=middle, y0=middle)
    rows, cols = (n * px for n in view.shape)
    figure.update_xaxes(range=[-0.5, cols - 0.5])
    figure.update_yaxes(range=[rows - 0.5, -0.5])
    for number, (name, (high, wide)) in enumerate(extents.items()):
        half_v, half_u = min(high or rows, rows) / 2, min(wide or cols, cols) / 2
        u, v = (cols - 1) / 2, (rows - 1) / 2
        colour = FAINT if high is wide is None else FRAMES[number % len(FRAMES)]
        figure.add_scatter(
            x=[u - half_u, u + half_u, u + half_u, u - half_u, u - half_u],
            y=[v - half_v, v - half_v, v + half_v, v + half_v, v - half_v],
            mode="lines",
            line={"color": colour, "width": 2},
            name=name,
            hovertemplate=f"{name}: {_size(high)} rows × {_size(wide)} columns<extra></extra>",
        )
    legend = {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"}
    return figure.update_layout(showlegend=True, legend=legend)


def _size(length: int | None) -> str:
    return "all" if length is None else str(length)


def filters(weights: NDArray[np.floating], *, dark: bool = False, across: int = 8) -> go.Figure:
    """The filters (C, views, rows, columns) of a first layer on one scale of colour, the views of each side by side."""
    count, views, rows, cols = weights.shape
    flat = weights.transpose(0, 2, 1, 3).reshape(count, rows, views * cols)
    lines = -(-count // across)
    height, width = rows + 1, views * cols + 1
    board = np.full((lines * height - 1, min(across, count) * width - 1), np.nan)
    for number, values in enumerate(flat):
        line, place = divmod(number, across)
        board[line * height : line * height + rows, place * width : place * width + views * cols] = values
    limit = float(np.abs(weights).max()) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=board,
            zmin=-limit,
            zmax=limit,
            colorscale=DIVERGING,
            colorbar={"title": "weight", "thickness": 12},
            hoverongaps=False,
            hovertemplate="weight %{z:.3f}<extra></extra>",
        )
    )
    quiet = {"showticklabels": False, "showgrid": False, "zeroline": False, "showline": False, "ticks": ""}
    figure.update_xaxes(title_text="column u within each filter", constrain="domain", **quiet)
    figure.update_yaxes(title_text="row v", autorange="reversed", scaleanchor="x", constrain="domain", **quiet)
    return dress(figure, dark=dark, height=90 + 90 * lines, margin={"l": 8, "r": 8, "t": 8, "b": 8})
