"""Figures show the arrays they are given: in place, in colour, with units, and readable on light and dark."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.show import comparison, curves, figures, style, teaching

ANGLE = angles(12)


def shifts(**extra: object) -> Shifts:
    rng = np.random.default_rng(0)
    return Shifts.from_arrays(angle_rad=ANGLE, dx_px=rng.normal(size=12), dy_px=rng.normal(size=12), **extra)


def all_figures(dark: bool) -> list:
    course = curves.Course(
        x=np.arange(5.0), values={n: np.arange(1.0, 6) for n in ("loss", "rmse_dx_px", "rmse_dy_px")}
    )
    look = curves.Look(dark=dark)
    return [
        figures.pictures({"a": np.eye(8), "b": np.eye(8)}, figures.SLICE, dark=dark),
        figures.movement(shifts(roll_deg=np.ones(12)), dark=dark),
        figures.shifts_over_angle({"found": shifts()}, shifts(), dark=dark),
        figures.found_against_true(shifts(), shifts(), dark=dark),
        curves.loss_curve(course, {"case": course}, look),
        curves.error_curve(course, course, look, bound_px={"dx": 0.1, "dy": 0.2}, label_sigma_px=3.0),
        go.Figure(curves.rate_sketch(course, look)),
        go.Figure(curves.roll_sketch(course, course, look)),
        figures.error_histogram(shifts(), shifts(), bound_px={"dx": 0.1, "dy": 0.2}, dark=dark),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_brings_its_own_colours_and_names_its_axes(dark: bool) -> None:
    for figure in all_figures(dark):
        layout = figure.to_plotly_json()["layout"]
        assert layout["template"]["layout"]["font"]["color"] == style.ink(dark)
        assert layout["template"]["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
        assert layout["uirevision"].startswith("kept")
        titles = [axis["title"]["text"] for name, axis in layout.items() if name[1:5] == "axis" and "title" in axis]
        assert any(name[0] == "x" and "title" in axis for name, axis in layout.items() if name[1:5] == "axis")
        assert len(titles) >= 2


def test_a_picture_is_the_array_in_grey_between_its_levels() -> None:
    values = np.linspace(-1, 3, 35).reshape(5, 7)
    figure = figures.pictures({"one": values}, figures.PROJECTION, levels=(0, 2))
    png = base64.b64decode(figure.data[0].source.split(",")[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.clip(values / 2 * 255, 0, 255).round())


def test_beside_each_movement_all_its_views_are_counted_on_the_same_axis() -> None:
    given = shifts(roll_deg=np.linspace(-1, 2, 12))
    figure = figures.movement(given)
    for number, values in enumerate((given.dx_px, given.dy_px, given.roll_deg)):
        line, bars = figure.data[2 * number], figure.data[2 * number + 1]
        assert np.array_equal(line.y, values)
        assert sum(bars.x) == 12
        assert bars.x @ bars.y / 12 == pytest.approx(values.mean(), abs=np.diff(bars.y)[0])
        assert figure.layout[bars.yaxis.replace("y", "yaxis")].matches == line.yaxis


def test_whole_pixels_are_counted_each_for_itself() -> None:
    moves = np.array([-3.0, 0, 0, 0, 1, 1, 4, 4, 4, 4, 4, -1])
    figure = figures.movement(Shifts.from_arrays(angle_rad=ANGLE, dx_px=moves, dy_px=np.zeros(12)))
    bars = {float(y): int(x) for x, y in zip(figure.data[1].x, figure.data[1].y, strict=True) if x}
    assert bars == {-3: 1, -1: 1, 0: 3, 1: 2, 4: 5}
    assert list(figure.data[3].x) == [12]


def test_a_bar_reaches_from_the_bound_to_knowing_nothing_and_to_the_edge_without_a_bound() -> None:
    reach = {"dx": figures.Reach(bound=0.05, nothing=4.0), "dy": figures.Reach(bound=0.0, nothing=1.0)}
    assert figures.reaches(reach).layout.xaxis.title.text == "error, px (log)"
    rolls = {**reach, "roll": figures.Reach(bound=0.05, nothing=1.0)}
    assert figures.reaches(rolls).layout.xaxis.title.text == "error, px or degrees (log)"
    figure = figures.reaches(reach)
    assert list(figure.data[0].x) == [0.05, 4.0]
    assert set(figure.data[0].y + figure.data[3].y) == {"dx, px", "dy, px"}
    left = 10 ** figure.layout.xaxis.range[0]
    assert list(figure.data[3].x) == pytest.approx([left, 1.0])
    still = {"dx": figures.Reach(bound=0.0, nothing=0.0)}
    assert np.isfinite(figures.reaches(still).layout.xaxis.range).all()


def test_shifts_are_drawn_free_of_the_gauge_and_left_out_views_are_gaps() -> None:
    used = np.arange(12) != 3
    given = shifts(used=used)
    moved = Shifts.from_arrays(
        angle_rad=ANGLE, dx_px=given.dx_px + 4 + 2 * np.cos(ANGLE), dy_px=given.dy_px - 1, used=used
    )
    for part, row in (("dx", 0), ("dy", 1)):
        a, b = (figures.shifts_over_angle({"found": s}).data[row].y for s in (given, moved))
        assert np.allclose(a, b, equal_nan=True), part
        assert np.isnan(a[3])


def test_the_confidence_is_one_sigma_either_side() -> None:
    figure = figures.shifts_over_angle({"found": shifts(dx_sigma_px=np.full(12, 0.5), dy_sigma_px=np.full(12, 0.25))})
    area, line = figure.data[0], figure.data[1]
    assert np.allclose(area.y[:12] - line.y, 0.5)
    assert np.allclose(line.y - area.y[12:][::-1], 0.5)


def test_smoothing_has_no_memory_of_its_start_and_passes_over_what_is_not_finite() -> None:
    assert np.allclose(curves.smooth(np.full(50, 3.0), 0.99), 3)
    weights = 0.5 ** np.arange(4)[::-1]
    values = np.array([1.0, 5.0, -2.0, 7.0])
    assert curves.smooth(values, 0.5)[-1] == pytest.approx((weights * values).sum() / weights.sum())
    assert curves.smooth([1.0, np.nan, 1.0], 0.9).tolist() == pytest.approx([1, 1, 1])
    assert curves.smooth(values, 0.0).tolist() == values.tolist()


def test_a_loss_below_zero_is_not_put_on_a_log_axis() -> None:
    below = curves.Course(x=np.arange(3.0), values={"loss": np.array([1.0, 0.0, -1.0])})
    assert curves.loss_curve(below, {}, curves.Look(log_y=True)).layout.yaxis.type == "linear"
    above = curves.Course(x=np.arange(3.0), values={"loss": np.array([1.0, 0.5, 0.1])})
    assert curves.loss_curve(above, {}, curves.Look(log_y=True)).layout.yaxis.type == "log"


def test_a_sketch_written_by_us_is_the_figure_written_by_plotly() -> None:
    course = curves.Course(x=np.arange(3000.0), values={n: np.arange(1.0, 3001) for n in ("loss", "rmse_dx_px")})
    sketch = curves.error_sketch(course, course, curves.Look(), bound_px={"dx": 0.1}, label_sigma_px=3.0)
    ours, theirs = json.loads(curves.to_json(sketch)), json.loads(go.Figure(sketch).to_json())
    for trace in ours["data"]:
        del trace["uid"]  # Plotly's figures have no room for it
    assert ours == theirs


def test_a_thinned_line_keeps_its_ends_and_its_spikes() -> None:
    rng = np.random.default_rng(1)
    x, y = np.arange(123_457.0), rng.normal(size=123_457)
    y[[77, 100_000]] = 50, -60
    y[500:600] = np.nan
    few_x, few_y = curves.thin(x, y)
    assert len(few_x) <= curves.MOST_POINTS + 2
    assert (np.diff(few_x) > 0).all()
    assert (few_x[0], few_x[-1]) == (x[0], x[-1])
    assert (np.nanmax(few_y), np.nanmin(few_y)) == (50, -60)
    assert np.array_equal(few_y, y[few_x.astype(int)], equal_nan=True)


def test_lines_keep_their_names_for_plotly_whatever_a_case_is_called() -> None:
    course = curves.Course(x=np.arange(3.0), values={"loss": np.ones(3)})
    sketch = curves.loss_sketch(course, {"blobs, 5 % noise": course, "foam #2": course}, curves.Look())
    uids = [trace["uid"] for trace in sketch["data"]]
    assert len(set(uids)) == len(uids)
    assert all(character.isalnum() or character in "-_" for uid in uids for character in uid)


def test_the_bound_of_the_histogram_is_the_normal_distribution_of_as_many_views() -> None:
    found, truth = shifts(), shifts()
    figure = figures.error_histogram(found, Shifts.from_arrays(angle_rad=ANGLE, dx_px=truth.dx_px + np.sin(2 * ANGLE),
                                     dy_px=truth.dy_px), bound_px={"dx": 0.25})  # fmt: skip
    curve = next(trace for trace in figure.data if trace.name == "bound dx")
    width = curve.x[1] - curve.x[0]
    density = np.exp(-0.5 * (curve.x / 0.25) ** 2) / (0.25 * np.sqrt(2 * np.pi))
    assert curve.y == pytest.approx(12 * width * density, abs=0.05)
    assert "bound dy" not in [trace.name for trace in figure.data]


def test_a_few_views_far_off_do_not_press_the_others_into_one_bar() -> None:
    rng = np.random.default_rng(0)
    angle = angles(200)
    error = rng.normal(0, 0.05, 200)
    error[7] = 40
    truth = Shifts.from_arrays(angle_rad=angle, dx_px=np.zeros(200), dy_px=np.zeros(200))
    found = Shifts.from_arrays(angle_rad=angle, dx_px=np.zeros(200), dy_px=error)
    figure = figures.error_histogram(found, truth, bound_px={})
    bars = next(trace for trace in figure.data if trace.name == "dy")
    assert bars.x[-1] < 5
    assert bars.y[-1] == 1  # the outermost holds it
    assert "and beyond" in figure.layout.xaxis.title.text


def test_every_log_axis_writes_whole_values() -> None:
    """A bare 5 for 0.05 is what Plotly writes on its own."""
    look = curves.Look(log_y=True)
    course = curves.Course(x=np.arange(3.0), values={"loss": np.array([1.0, 0.5, 0.05]), "learning_rate": np.ones(3)})
    key = comparison.key_of("a", 0)
    axes = [
        curves.loss_curve(course, {}, look).layout.yaxis,
        go.Figure(curves.rate_sketch(course, look)).layout.yaxis,
        comparison.overlay({"a": course}, {"a": key}, "loss", look, y_title="loss").layout.yaxis,
        teaching.stuck_loss({"a": np.ones(3)}, []).layout.yaxis,
        figures.reaches({"dx": figures.Reach(bound=0.05, nothing=4.0)}).layout.xaxis,
    ]
    for axis in axes:
        assert (axis.type, axis.tickformat, axis.dtick) == ("log", ".6~g", None)


def test_a_zoom_is_kept_for_other_values_but_not_for_other_axes() -> None:
    """Plotly gives an axis that was not there before the range of what it is kept with, and cuts its values off."""

    def kept(given: Shifts) -> str:
        return figures.movement(given).layout.uirevision

    one = shifts()
    assert kept(one) == kept(Shifts.from_arrays(angle_rad=ANGLE, dx_px=one.dx_px + 1, dy_px=one.dy_px))
    wedge = Shifts.from_arrays(angle_rad=ANGLE / 2, dx_px=one.dx_px, dy_px=one.dy_px)
    assert len({kept(one), kept(shifts(roll_deg=np.ones(12))), kept(wedge)}) == 3
