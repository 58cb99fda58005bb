"""The histogram of a data set's shifts counts each view once, in a bin that is where the shift is."""

from __future__ import annotations

import numpy as np

from tomoalign_core.show.histograms import shift_histograms
from tomoalign_core.show.style import COLOUR


def test_each_view_is_counted_once_and_in_the_colour_of_its_part():
    rng = np.random.default_rng(0)
    parts = {"dx": rng.normal(0, 4, 500), "dy": rng.normal(0, 1, 500), "roll": rng.normal(0, 1, 500)}
    figure = shift_histograms(parts)
    assert [bar.name for bar in figure.data] == ["dx", "dy", "roll"]
    for bar in figure.data:
        assert sum(bar.y) == 500
        assert bar.marker.color == COLOUR[bar.name]
        mean = np.average(np.asarray(bar.x), weights=np.asarray(bar.y))
        assert abs(mean - parts[bar.name].mean()) < bar.width[0]


def test_dx_and_dy_share_their_axis_so_that_their_widths_compare():
    figure = shift_histograms({"dx": [-8.0, 8.1], "dy": [0.5, -0.5]})
    np.testing.assert_array_equal(figure.data[0].x, figure.data[1].x)
    assert figure.layout.xaxis.title.text == "dx, px"


def test_whole_pixels_have_bins_of_their_own():
    figure = shift_histograms({"dx": [-2.0, 0.0, 0.0, 3.0], "dy": [1.0, 1.0, 0.0, 0.0]})
    dx = dict(zip(figure.data[0].x, figure.data[0].y, strict=True))
    assert (dx[-2], dx[0], dx[3], sum(dx.values())) == (1, 2, 1, 4)


def test_a_stage_that_stands_still_has_a_histogram_too():
    figure = shift_histograms({"dx": np.zeros(5), "dy": np.zeros(5)})
    assert sum(figure.data[0].y) == 5
