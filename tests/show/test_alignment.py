"""Figures of an alignment: points name their views, confidence bridges no gap, colours mean something."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.show.alignment import ALARM, against_the_others, bars_by_view, rounds_of_refinement, shifts_by_view
from tomoalign_core.show.style import ink

N = 12


@pytest.fixture
def shifts() -> Shifts:
    dx, dy = np.random.default_rng(0).normal(0, 2, (2, N))
    sigma = np.full(N, 0.1)
    return Shifts.from_arrays(angle_rad=angles(N), dx_px=dx, dy_px=dy, dx_sigma_px=sigma, dy_sigma_px=sigma)


def pixels(trace: object) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(trace.source.split(",")[1]))), float)  # type: ignore[attr-defined]


def test_each_point_names_its_view_and_shows_the_gauge_free_shift(shifts: Shifts) -> None:
    figure = shifts_by_view("ours", shifts, truth=shifts, view=3)
    ours = [trace for trace in figure.data if trace.name == "ours"]
    for trace, values in zip(ours, (shifts.gauge_free().dx_px, shifts.gauge_free().dy_px), strict=True):
        assert list(trace.customdata) == list(range(N))
        np.testing.assert_allclose(trace.y, values)
    true = next(trace for trace in figure.data if trace.name == "true")
    np.testing.assert_allclose(true.y, ours[0].y)


def test_each_method_keeps_its_own_colour_and_dashes_whichever_is_looked_at(shifts: Shifts) -> None:
    names = ["a", "b", "c", "d", "e"]

    def looks(main: str) -> dict[str, tuple[str, str]]:
        figure = shifts_by_view(main, shifts, others={n: shifts for n in names if n != main}, order=names)
        return {t.name: (t.line.color, t.line.dash) for t in figure.data if t.name in names and t.name != main}

    assert len(set(looks("a").values())) == 4
    assert {name: looks("a")[name] for name in ("c", "d", "e")} == {name: looks("b")[name] for name in ("c", "d", "e")}
    assert len({*looks("a").values(), *looks("b").values()}) == 5


def test_confidence_bridges_no_view_that_has_none(shifts: Shifts) -> None:
    sigma, used = shifts.dx_sigma_px.copy(), np.ones(N, bool)
    sigma[4], used[8] = np.nan, False
    figure = shifts_by_view("ours", replace(shifts, dx_sigma_px=sigma, used=used))
    bands = [trace for trace in figure.data if trace.fill == "toself" and trace.yaxis == "y"]
    reach = [(min(trace.x), max(trace.x)) for trace in bands]
    assert np.round(reach).tolist() == [[0, 45], [75, 105], [135, 165]]
    assert sum(bool(trace.showlegend) for trace in figure.data if trace.fill == "toself") == 1
    left_out = next(trace for trace in figure.data if trace.name == "left out")
    assert list(left_out.customdata) == [8]


def test_a_view_left_out_says_why_under_the_pointer(shifts: Shifts) -> None:
    table = shifts.left_out([8], "too dark").left_out([2], "")
    crosses = next(trace for trace in shifts_by_view("ours", table).data if trace.name == "left out")
    hover = dict(zip(crosses.customdata, crosses.hovertemplate, strict=True))
    assert "left out: too dark" in hover[8] and "left out" in hover[2] and "dark" not in hover[2]
    bars = bars_by_view({"residual": np.ones(N)}, table, title="residual").data[0]
    assert [view for view in range(N) if "too dark" in bars.hovertemplate[view]] == [8]
    assert [view for view in range(N) if "left out" in bars.hovertemplate[view]] == [2, 8]


def test_roll_is_drawn_where_there_is_any(shifts: Shifts) -> None:
    titles = {axis.title.text for axis in shifts_by_view("a", shifts).select_yaxes()}
    assert titles == {"dx, px", "dy, px"}
    rolled = replace(shifts, roll_deg=np.ones(N))
    assert "roll, degrees" in {axis.title.text for axis in shifts_by_view("a", rolled).select_yaxes()}


def test_bars_of_suspicious_views_are_red_and_of_views_left_out_hollow(shifts: Shifts) -> None:
    used = np.ones(N, bool)
    used[2] = False
    bars = bars_by_view({"residual": np.ones(N)}, replace(shifts, used=used), title="residual", suspects=[5]).data[0]
    assert bars.marker.color[5] == ALARM != bars.marker.color[4]
    assert bars.marker.color[2] == "rgba(0,0,0,0)" and bars.marker.line.width[2] == 1


def test_where_both_agree_the_overlay_is_grey_and_the_difference_white() -> None:
    image = np.random.default_rng(1).random((20, 24))
    overlay = pixels(against_the_others(image, image).data[2])
    assert np.ptp(overlay, axis=2).max() == 0
    assert (pixels(against_the_others(image, image, difference=True).data[2]) == 255).all()


def test_what_only_one_of_them_shows_has_its_colour() -> None:
    measured, foretold = np.zeros((20, 24)), np.zeros((20, 24))
    measured[5:8, 5:8], foretold[12:15, 15:18] = 1, 1
    both = pixels(against_the_others(measured, foretold).data[2])
    assert both[6, 6].tolist() == [255, 0, 0] and both[13, 16].tolist() == [0, 255, 255]
    difference = pixels(against_the_others(measured, foretold, difference=True).data[2])
    assert difference[6, 6, 0] > difference[6, 6, 2] and difference[13, 16, 2] > difference[13, 16, 0]


def test_pixels_of_binned_views_have_their_size() -> None:
    picture = against_the_others(np.eye(10), np.eye(10), factor=3).data[0]
    assert (picture.dx, picture.x0) == (3, 1)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_rounds_are_drawn_with_the_best_filled_on_an_axis_that_may_have_room_for_more(rounds: int) -> None:
    residual, step = np.array([0.2, 0.15, 0.13, 0.12, 0.14])[:rounds], np.array([0, 0.3, 0.1, 0.02, 0.01])[:rounds]
    best = int(residual.argmin())
    figure = rounds_of_refinement(residual, step, best=best, words="best so far", most=6)
    line, kept, steps = figure.data
    assert list(line.x) == list(range(rounds)) and list(line.y) == list(residual)
    assert list(kept.x) == [best] and kept.text == (f"best so far: {residual[best]:.4f}",)
    assert line.marker.symbol == "circle-open" and kept.marker.symbol == "circle"
    assert list(steps.x) == list(range(1, rounds)) and list(steps.y) == list(step[1:])  # the start made none
    low, high = figure.layout.yaxis.range
    assert low < residual.min() <= residual.max() < high
    assert figure.layout.yaxis2.type == "log" and "px" in figure.layout.yaxis2.title.text
    assert figure.layout.xaxis.range[1] > 6
    assert rounds_of_refinement(residual, step, best=best).layout.xaxis.range[1] == max(rounds - 1, 1) + 0.5


def test_rounds_are_readable_in_light_and_dark() -> None:
    colours = {
        dark: rounds_of_refinement([0.2, 0.1], [0, 0.1], best=1, dark=dark).data[1].marker.color
        for dark in (False, True)
    }
    assert colours == {False: ink(False), True: ink(True)}
