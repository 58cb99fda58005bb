"""How the true movements of a data set are spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from tomoalign_core.show.figures import UNIT
from tomoalign_core.show.style import COLOUR, dress

BINS = 60


def shift_histograms(parts: Mapping[str, ArrayLike], *, dark: bool = False, height: int = 260) -> go.Figure:
    """Views over dx and dy (on one axis, px) and roll (degrees), each in its colour.

    Parameters
    ----------
    parts : "dx", "dy" and, where there is any, "roll" to the values of all views. Only the counts go into the figure.
    """
    figure = make_subplots(1, len(parts), shared_yaxes=False, horizontal_spacing=0.06)
    in_px = np.concatenate([np.asarray(values, float) for part, values in parts.items() if UNIT[part] == "px"])
    for column, (part, values) in enumerate(parts.items(), 1):
        over = in_px if UNIT[part] == "px" else np.asarray(values, float)
        counts, edges = np.histogram(values, _edges(over))
        unit = UNIT[part]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges),
            name=part,
            marker={"color": COLOUR[part], "line": {"width": 0}},
            hovertemplate=f"{part} %{{x:.2f}} {unit}: %{{y}} views<extra></extra>",
            row=1,
            col=column,
        )
        figure.update_xaxes(title_text=f"{part}, {unit}", col=column)
    figure.update_yaxes(title_text="views", col=1)
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    return dress(figure, dark=dark, height=height, showlegend=False, bargap=0, margin=margin)


def _edges(values: np.ndarray) -> np.ndarray:
    """Bins about zero: so that whole pixels, which some stages move by, fall into the middle of theirs."""
    reach = max(float(np.abs(values).max(initial=0)), 0.5)
    width = 2 * reach / BINS
    width = 1.0 if np.array_equal(values, np.round(values)) else width
    half = int(np.ceil(reach / width))
    return (np.arange(-half, half + 2) - 0.5) * width
