"""Figures of a comparison hold the numbers they are given, and tell the runs apart for every kind of sight."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.show import comparison as figures
from tomoalign_core.show.curves import Course, Look
from tomoalign_core.show.style import RUNS

KEYS = [figures.key_of(name, slot) for slot, name in enumerate(("a", "b", "c"))]
BY_ID = dict(zip("abc", KEYS, strict=True))
# Machado, Oliveira & Fernandes (2009): linear RGB as seen without red, without green, and without blue receptors
SIGHT = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanope": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x = TO_XYZ @ rgb / (0.9505, 1.0, 1.089)
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_runs_differ_for_every_kind_of_colour_vision(sight: str) -> None:
    seen = [lab(np.clip(SIGHT[sight] @ linear(colour), 0, 1)) for colour in RUNS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 12  # 2.3 can just be told apart


@pytest.mark.parametrize("ground", ["#ffffff", "#14181d"])
def test_colours_of_runs_stand_out_from_light_and_dark(ground: str) -> None:
    lights = [TO_XYZ[1] @ linear(colour) + 0.05 for colour in (ground, *RUNS)]
    assert all(max(lights[0], light) / min(lights[0], light) > 2.5 for light in lights[1:])


def test_past_the_last_colour_the_dash_and_the_symbol_change() -> None:
    looks = {(key.colour, key.dash, key.symbol) for key in (figures.key_of("x", slot) for slot in range(24))}
    assert len(looks) == 24
    assert figures.key_of("x", 0).colour == figures.key_of("x", len(RUNS)).colour


def test_parallel_coordinates_hold_the_numbers_and_spread_wide_spans_by_their_logarithm() -> None:
    figure = figures.parallel(
        {"rate": [1e-4, 1e-3, 1e-2], "batch": [2, 2, 6], "loss": ["mse", "laplace", "mse"], "best": [0.1, 0.2, 0.3]},
        KEYS,
    )
    rate, batch, loss, best = figure.data[0].dimensions
    assert rate.values[:3] == pytest.approx((-4, -3, -2)) and rate.ticktext == ("0.0001", "0.001", "0.01")
    assert batch.values[:3] == pytest.approx((2, 2, 6))
    assert best.values[:3] == pytest.approx((0.1, 0.2, 0.3))
    assert loss.ticktext == ("mse", "laplace") and np.round(loss.values[:3]).tolist() == [0, 1, 0]
    scale = dict(figure.data[0].line.colorscale)
    assert [scale[n / 2] for n in figure.data[0].line.color[:3]] == [key.colour for key in KEYS]


def test_curves_are_overlaid_in_the_colour_of_their_run_with_the_bound_and_the_best_epoch() -> None:
    courses = {
        name: Course(x=np.arange(3.0), values={"loss": np.array([3.0, 1, 2]) + n}) for n, name in enumerate("ab")
    }
    figure = figures.overlay(
        courses, BY_ID, "loss", Look(smoothing=0), y_title="error, px", bound_px=0.5, best_at={"a": 1.0}
    )
    lines = {trace.name: trace for trace in figure.data}
    assert lines["b"].y.tolist() == [4, 2, 3]
    assert lines["b"].line.color == KEYS[1].colour and lines["b"].marker.symbol == KEYS[1].symbol
    assert lines["Cramér–Rao bound 0.5 px"].y == (0.5, 0.5)
    assert (lines["best epoch of a"].x, lines["best epoch of a"].y) == ((1.0,), (1.0,))
    assert figure.layout.yaxis.type == "log" and "step" in figure.layout.xaxis.title.text


def test_a_loss_below_zero_is_not_put_on_a_log_axis() -> None:
    course = Course(x=np.arange(2.0), values={"loss": np.array([1.0, -1.0])})
    figure = figures.overlay({"a": course}, BY_ID, "loss", Look(), y_title="loss")
    assert figure.layout.yaxis.type is None and "below zero" in figure.layout.yaxis.title.text


def test_smoothing_leaves_the_values_faint_behind() -> None:
    course = Course(x=np.arange(50.0), values={"loss": np.random.default_rng(0).normal(5, 1, 50)})
    raw, smoothed = figures.overlay({"a": course}, BY_ID, "loss", Look(smoothing=0.9), y_title="loss").data
    assert np.array_equal(raw.y, course.values["loss"]) and raw.opacity < 0.5
    assert np.std(smoothed.y[10:]) < np.std(raw.y[10:]) / 2


def test_best_errors_stand_before_the_bound_of_their_case() -> None:
    best = {
        "a": [figures.BestOf(case="easy", error_px={"dx": 0.1, "dy": 0.2}, bound_px={"dx": 0.05, "dy": None})],
        "b": [figures.BestOf(case="hard", error_px={"dx": 0.3, "dy": 0.4}, bound_px={"dx": None, "dy": None})],
    }
    a, b, bound = figures.best_errors(best, BY_ID).data
    assert (a.x, a.y) == ((0.1, 0.2), ("easy · dx", "easy · dy")) and a.customdata == (2.0, None)
    assert b.marker.color == KEYS[1].colour
    assert (bound.x, bound.y) == ((0.05,), ("easy · dx",))


def test_errors_over_the_angle_are_free_of_the_gauge() -> None:
    angle, rng = angles(12), np.random.default_rng(0)
    truth = Shifts.from_arrays(angle_rad=angle, dx_px=rng.normal(size=12), dy_px=rng.normal(size=12))
    found = Shifts.from_arrays(angle_rad=angle, dx_px=truth.dx_px + 3 + np.cos(angle), dy_px=truth.dy_px - 2)
    for part in ("dx", "dy"):
        (line,) = figures.errors_over_angle({"a": (found, truth)}, BY_ID, part).data
        assert np.allclose(line.y, 0) and np.allclose(line.x, np.rad2deg(angle))
