"""The figures that explain are right: which way is plus, and which level explains a loss."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from tomoalign_core.geometry import Shifts, rotation
from tomoalign_core.show import teaching


def line(figure: go.Figure, name: str) -> np.ndarray:
    trace = next(t for t in figure.data if t.name == name)
    return np.stack([np.asarray(trace.x, float), np.asarray(trace.y, float)], -1)


def test_the_letter_is_turned_first_and_then_moved_on_an_axis_that_points_down() -> None:
    figure = teaching.conventions(dx_px=9, dy_px=5, roll_deg=15)
    rest, moved = line(figure, "at rest"), line(figure, "as measured")
    assert np.allclose(moved, rest @ rotation(15)[0].T + [9, 5])
    top, bottom = figure.layout.yaxis.range[1], figure.layout.yaxis.range[0]
    assert top < bottom
    arrows = [a for a in figure.layout.annotations if a.showarrow]
    assert [(a.ax, a.ay, a.x, a.y) for a in arrows] == [(0, 0, 9, 0), (9, 0, 9, 5)]


def test_a_movement_of_nothing_has_no_arrow() -> None:
    figure = teaching.conventions(dx_px=0, dy_px=0, roll_deg=0)
    assert not [a for a in figure.layout.annotations if a.showarrow]


def test_losses_are_drawn_as_they_are_with_each_level_named_by_its_value() -> None:
    loss = np.array([108.0, 109.0, 108.5])
    figure = teaching.stuck_loss({"notebook": loss, "ours": loss / 1e5}, [(108.5, "knowing nothing")])
    assert np.array_equal(figure.data[0].y, loss)
    assert line(figure, "ours")[:, 1] == pytest.approx(loss / 1e5, rel=0.02)
    level = figure.data[-1]
    assert list(level.y) == [108.5, 108.5]
    assert level.name == "knowing nothing: 108 px²"
    assert figure.layout.yaxis.type == "log"


def test_both_stories_are_drawn_over_degrees() -> None:
    shifts = Shifts.from_arrays(angle_rad=[0.0, np.pi / 2], dx_px=[1.0, 2.0], dy_px=[0.0, 0.0])
    drawn = line(teaching.two_stories({"story A": shifts}), "story A")
    assert drawn == pytest.approx(np.array([[0.0, 1.0], [90.0, 2.0]]))
