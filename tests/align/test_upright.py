"""A tilted axis is found, whatever the views do on their own, and shifts are found as if it were upright."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tomoalign_core.align import answer, find_shifts, joint, undo_shifts
from tomoalign_core.align.joint import settled, step_together
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.align.upright import as_measured, stood_up
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate import LabelledScan, simulate

STILL, ROLLING = 0.0, 0.7


@cache
def scan(tilt_deg: float, roll_deg: float = STILL, kind: str = "ellipsoids", noise: float = 0.03) -> LabelledScan:
    phantom = PhantomConfig(kind="pillar", height=(1.2, 1.8)) if kind == "pillar" else PhantomConfig(kind=kind)
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            phantom=phantom,
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1, roll_sigma_deg=roll_deg, axis_tilt_deg=tilt_deg),
            noise=NoiseConfig(gaussian=noise),
            seed=1 if kind == "shepp3d" else 5,
        )
    )


@cache
def found(tilt_deg: float, roll_deg: float = STILL, kind: str = "ellipsoids", noise: float = 0.03) -> Shifts:
    one = scan(tilt_deg, roll_deg, kind, noise)
    return find_shifts(one.proj.numpy(), one.angle_rad)


@pytest.mark.parametrize(
    ("tilt_deg", "roll_deg", "kind"),
    [
        (-0.7, STILL, "ellipsoids"),
        (12.0, STILL, "ellipsoids"),
        (12.0, ROLLING, "ellipsoids"),
        (-0.7, ROLLING, "pillar"),
        (12.0, STILL, "pillar"),
    ],
)
def test_the_tilt_is_found_and_shifts_are_as_good_as_upright(tilt_deg: float, roll_deg: float, kind: str) -> None:
    score = score_shifts(found(tilt_deg, roll_deg, kind), scan(tilt_deg, roll_deg, kind).shifts)
    upright = score_shifts(found(0.0, roll_deg, kind), scan(0.0, roll_deg, kind).shifts)
    assert abs(score.axis_tilt_error_deg) < 0.25
    assert score.dx_rmse_px < 1.5 * upright.dx_rmse_px and score.dy_rmse_px < 1.5 * upright.dy_rmse_px


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.2])
def test_none_is_found_of_an_upright_axis_and_views_that_do_not_roll(noise: float) -> None:
    assert not found(0.0, noise=noise).roll_deg.any()


def test_a_tilt_of_views_that_do_not_roll_leaves_them_still() -> None:
    assert np.ptp(found(12.0).roll_deg) < 1e-9 and np.ptp(found(-0.7).roll_deg) < 1e-9


def test_of_a_head_which_hardly_shows_how_it_is_turned_steps_are_made_longer() -> None:
    """Each of them tells a tenth of what is left; six of those come to half of the tilt."""
    assert found(1.5, kind="shepp3d", noise=0.003).axis_tilt_deg == pytest.approx(1.5, abs=0.35)


def test_the_tilt_is_that_of_a_scan_turned_by_hand() -> None:
    """Of views that are turned, with what that makes of their borders, as a real scan would be."""
    one = scan(0.0)
    by_hand = Shifts.from_arrays(angle_rad=one.angle_rad, dx_px=np.zeros(40), dy_px=np.zeros(40), roll_deg=[2.0] * 40)
    turned, _ = undo_shifts(one.proj.numpy(), by_hand)
    assert find_shifts(turned, one.angle_rad).axis_tilt_deg == pytest.approx(-2.0, abs=0.1)


def test_a_step_of_views_that_are_kept_finds_it_too_and_leaves_the_others_where_they_are() -> None:
    one, left_out = scan(-0.7), np.arange(40) % 13 == 3
    proj, angle = one.proj.numpy(), one.angle_rad
    seen = predict_shifts(proj, angle, load_weights("pretrained"))
    assert not seen.axis_tilt_deg, "a network knows of none"
    after = step_together(proj, angle, seen.left_out(left_out, "by hand"))
    assert after.axis_tilt_deg == pytest.approx(-0.7, abs=0.15)
    np.testing.assert_array_equal(after.used, ~left_out)


@pytest.mark.parametrize(("tilt_deg", "steps"), [(0.0, 1), (-0.2, 2)])
def test_where_the_axis_is_tilted_another_step_tells_what_was_taken_for_dy(
    tilt_deg: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = scan(tilt_deg, noise=0.01)
    proj, angle, taken = one.proj.numpy(), one.angle_rad, []
    improve = joint.Joint.improve
    monkeypatch.setattr(joint.Joint, "improve", lambda self: taken.append(improve(self)))
    after = settled(proj, angle, predict_shifts(proj, angle, load_weights("pretrained"))).table
    assert after.axis_tilt_deg == pytest.approx(tilt_deg, abs=0.05) and len(taken) == steps


def test_it_is_not_asked_for_again_once_it_is_found() -> None:
    one = scan(-0.7)
    proj, angle = one.proj.numpy(), one.angle_rad
    begun = settled(proj, angle, predict_shifts(proj, angle, load_weights("pretrained")))
    before = begun.table.axis_tilt_deg
    assert begun.improve() < 0.05
    assert begun.table.axis_tilt_deg == pytest.approx(before, abs=1e-6)


def test_what_is_found_of_views_turned_back_is_told_as_of_those_measured() -> None:
    one, tilt_deg = scan(12.0, ROLLING), 12.0
    upright = stood_up(one.proj.numpy(), tilt_deg)
    np.testing.assert_allclose(stood_up(upright, -tilt_deg)[:, 16:32, 20:44], one.proj[:, 16:32, 20:44], atol=0.15)
    # what the stage did to views that are turned back: the rest of the roll, and shifts in a turned frame
    sigma = np.full(40, 0.1)
    moves = as_measured(replace(one.shifts, roll_deg=one.shifts.roll_deg - tilt_deg, dx_sigma_px=sigma,
                                dy_sigma_px=3 * sigma), tilt_deg)  # fmt: skip
    np.testing.assert_allclose(moves.roll_deg, one.shifts.roll_deg)
    turn = np.deg2rad(tilt_deg)
    np.testing.assert_allclose(moves.dx_px, np.cos(turn) * one.shifts.dx_px - np.sin(turn) * one.shifts.dy_px)
    assert moves.dx_sigma_px[0] == pytest.approx(0.1 * np.sqrt(np.cos(turn) ** 2 + 9 * np.sin(turn) ** 2))
    assert moves.dy_sigma_px[0] == pytest.approx(0.1 * np.sqrt(np.sin(turn) ** 2 + 9 * np.cos(turn) ** 2))
    assert np.abs(shift_error(moves, one.shifts).roll_deg).max() < 1e-9


def test_an_upright_stack_is_not_resampled() -> None:
    proj = scan(0.0).proj.numpy()
    assert stood_up(proj, 0.0) is proj
    assert as_measured(scan(0.0).shifts, 0.0) is scan(0.0).shifts


@pytest.mark.parametrize("tilt_deg", [0.0, -0.7, 12.0])
def test_of_too_many_views_for_a_step_the_tilt_is_told_from_some(
    tilt_deg: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint, "MOST_VIEWS", 30)
    monkeypatch.setattr(answer, "ENOUGH_VIEWS", 20)
    one = scan(tilt_deg)
    table = find_shifts(one.proj.numpy(), one.angle_rad)
    score = score_shifts(table, one.shifts)
    assert abs(score.axis_tilt_error_deg) < 0.2 and score.dy_rmse_px < 0.06
    assert np.ptp(table.roll_deg) < 1e-9 and bool(table.roll_deg.any()) == bool(tilt_deg)
