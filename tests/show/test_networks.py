"""Figures and drawings of a network: to scale, with their numbers, on light and dark."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from tomoalign_core.show import diagrams, networks, style


@pytest.mark.parametrize("dark", [False, True])
def test_figures_of_a_network_bring_their_colours_and_name_their_axes(dark: bool) -> None:
    for figure in (
        networks.bars({"a": 2.0, "b": 1.0}, ["two", "one"], axis="bytes, MB", dark=dark),
        networks.reach_on(np.eye(20), {"a": (3, 5)}, dark=dark),
        networks.filters(np.ones((3, 1, 5, 5)), dark=dark),
    ):
        layout = figure.to_plotly_json()["layout"]
        assert layout["template"]["layout"]["font"]["color"] == style.ink(dark)
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"]


def test_bars_stand_in_the_order_of_the_parts_with_their_words() -> None:
    figure = networks.bars({"first": 1.0, "second": 9.0}, ["1 MB", "9 MB"], axis="MB")
    assert list(figure.data[0].y) == ["first", "second"]
    assert list(figure.data[0].text) == ["1 MB", "9 MB"]
    assert figure.layout.yaxis.autorange == "reversed"


def test_receptive_fields_are_drawn_to_scale_about_the_middle() -> None:
    figure = networks.reach_on(np.zeros((20, 30)), {"small": (13, 25), "line": (9, None), "huge": (999, 999)}, px=4)
    image, small, line, huge = figure.data
    assert (image.dx, image.x0) == (4, 1.5)  # the first binned pixel covers px 0 to 3
    for trace, (high, wide) in ((small, (13, 25)), (line, (9, 120)), (huge, (80, 120))):
        assert np.ptp(trace.x) == wide
        assert np.ptp(trace.y) == high
        assert (max(trace.x) + min(trace.x)) / 2 == (120 - 1) / 2
        assert (max(trace.y) + min(trace.y)) / 2 == (80 - 1) / 2


def test_the_board_of_filters_holds_each_weight_once_on_a_scale_that_is_even_about_zero() -> None:
    weights = np.random.default_rng(0).normal(size=(11, 3, 4, 5))
    heat = networks.filters(weights, across=4).data[0]
    board = np.asarray(heat.z)
    assert np.array_equal(np.sort(board[np.isfinite(board)]), np.sort(weights.ravel()))
    assert board[:4, :15].tolist() == np.concatenate(list(weights[0]), axis=1).tolist()
    assert heat.zmax == -heat.zmin == np.abs(weights).max()


def words_of(svg: str) -> str:
    return " ".join(ElementTree.fromstring(svg).itertext())


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("dark", [False, True])
def test_the_drawing_of_centroid_tells_its_settings(dark: bool, tall: bool) -> None:
    svg = diagrams.centroid(channels=24, maps=9, fixed_maps=4, profiles=7, passes=3, tall=tall, dark=dark)
    assert style.ink(dark) in svg
    for piece in ("24 channels", "of 9 learnt maps and 4 fixed", "7 filters", "again: 3 passes", "reprojections"):
        assert piece in words_of(svg)
    once = diagrams.centroid(channels=24, maps=9, fixed_maps=4, profiles=7, passes=1, tall=tall, dark=dark)
    assert "again: " not in words_of(once)


def test_the_drawing_of_cnn3d_tells_what_is_left_after_each_group() -> None:
    svg = diagrams.cnn3d([(1, 180, 256, 366), (16, 90, 128, 183), (32, 45, 64, 91)], 7040, 360)
    for piece in ("180 views", "90 views", "128 × 183 px", "32 channels", "7,040", "360"):
        assert piece in words_of(svg)


def test_drawings_stay_on_their_sheet() -> None:
    shapes = [(256, 180, 256, 366)] * 7
    largest = {"channels": 256, "maps": 64, "fixed_maps": 4, "profiles": 64, "passes": 6}
    drawings = [diagrams.centroid(**largest, tall=tall) for tall in (False, True)]
    drawings += [diagrams.cnn3d(shapes, 7040, 360, tall=tall) for tall in (False, True)]
    for svg in drawings:
        root = ElementTree.fromstring(svg)
        width, height = (float(n) for n in root.attrib["viewBox"].split()[2:])
        for box in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
