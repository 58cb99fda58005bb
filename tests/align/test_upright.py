"""A tilted axis is found, whatever the views do on their own, and shifts are found as if it were upright."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tomoalign_core.align import answer, beyond_domain, find_shifts, joint, undo_shifts
from tomoalign_core.align.joint import settled, step_together
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.align.tilt_axis import CommonLine, common_line
from tomoalign_core.align.upright import as_measured, from_transposed, stood_up
from tomoalign_core.config import InputError, MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
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
        (40.0, ROLLING, "ellipsoids"),
    ],
)
def test_the_tilt_is_found_and_shifts_are_as_good_as_upright(tilt_deg: float, roll_deg: float, kind: str) -> None:
    score = score_shifts(found(tilt_deg, roll_deg, kind), scan(tilt_deg, roll_deg, kind).shifts)
    upright = score_shifts(found(0.0, roll_deg, kind), scan(0.0, roll_deg, kind).shifts)
    assert abs(score.axis_tilt_error_deg) < 0.25
    assert score.dx_rmse_px < 1.5 * upright.dx_rmse_px and score.dy_rmse_px < 1.5 * upright.dy_rmse_px


@pytest.mark.parametrize(("tilt_deg", "kind"), [(-75.0, "ellipsoids"), (90.0, "ellipsoids"), (-30.0, "pillar")])
def test_so_is_one_nearer_to_the_rows_or_of_a_column_of_which_views_show_less(tilt_deg: float, kind: str) -> None:
    score = score_shifts(found(tilt_deg, STILL, kind), scan(tilt_deg, STILL, kind).shifts)
    assert abs(score.axis_tilt_error_deg) < 0.35
    assert max(score.dx_rmse_px, score.dy_rmse_px) < 0.1


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


@pytest.mark.parametrize("tilt_deg", [80.0, -70.0])
def test_movements_of_transposed_views_are_told_as_of_those_measured(tilt_deg: float) -> None:
    """Corrected, both show one object, upside down in one of them."""
    one = scan(tilt_deg, ROLLING)
    lying = from_transposed(one.shifts)
    assert lying.axis_tilt_deg == pytest.approx(90 - one.shifts.axis_tilt_deg)
    back = from_transposed(lying)
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_allclose(getattr(back, name), getattr(one.shifts, name), atol=1e-12)
    clean = one.clean.numpy()
    corrected, of_lying = undo_shifts(clean, one.shifts)[0], undo_shifts(clean.swapaxes(1, 2), lying)[0]
    np.testing.assert_allclose(of_lying[:, 12:-12, 4:-4][:, ::-1], corrected[:, 4:-4, 12:-12], atol=1e-5)


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


def test_half_a_turn_more_of_all_views_is_no_error_and_is_not_what_is_told() -> None:
    """It is the mirror image of the object that is seen then, of which no view tells it apart."""
    one = scan(12.0, ROLLING)
    found = find_shifts(one.proj.numpy(), one.angle_rad, axis_tilt_deg=-88.0)
    assert abs(found.axis_tilt_deg) <= 90
    behind = replace(one.shifts, roll_deg=one.shifts.roll_deg + 180)
    assert score_shifts(behind, one.shifts).axis_tilt_error_deg == pytest.approx(0, abs=1e-9)
    mirrored, upright = (undo_shifts(one.proj.numpy(), table)[0] for table in (behind, one.shifts))
    np.testing.assert_allclose(mirrored[:, 8:-8, 8:-8], upright[:, ::-1, ::-1][:, 8:-8, 8:-8], atol=1e-4)


def test_a_common_line_that_does_not_serve_is_left_for_an_upright_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    one = scan(0.0)
    for unlike in (0.1, 0.6):
        line = CommonLine(tilt_deg=50.0, unlike=unlike)
        monkeypatch.setattr(answer, "common_line", lambda proj, of=line: of)
        table = find_shifts(one.proj.numpy(), one.angle_rad)
        assert abs(table.axis_tilt_deg) < 0.1 and score_shifts(table, one.shifts).dx_rmse_px < 0.1


def test_where_nothing_is_found_upright_the_common_line_serves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, look = scan(40.0, ROLLING), answer._look

    def blind(proj: np.ndarray, angle_rad: np.ndarray, tilt_deg: float, *others: object, **more: object) -> Shifts:
        if tilt_deg == 0.0:
            raise InputError("found no place for any view")
        return look(proj, angle_rad, tilt_deg, *others, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(answer, "_look", blind)
    assert find_shifts(one.proj.numpy(), one.angle_rad).axis_tilt_deg == pytest.approx(40, abs=0.5)
    with pytest.raises(InputError, match="no place"):
        find_shifts(scan(0.0).proj.numpy(), scan(0.0).angle_rad)


def test_a_view_that_shows_something_else_turns_no_axis() -> None:
    """It alone makes a line that none of the others has; what they foretell of each other is in its way."""
    one = scan(0.0)
    proj = one.proj.numpy().copy()
    proj[20] = np.linspace(3.0, 0.0, 48, dtype=np.float32)[:, None]
    assert not common_line(proj).is_near(0.0), "the line is feigned"
    assert abs(find_shifts(proj, one.angle_rad).axis_tilt_deg) < 0.2


def test_a_far_tilt_which_the_common_line_does_not_bear_out_is_doubted() -> None:
    one = scan(40.0, ROLLING)
    proj = one.proj.numpy()

    def said(tilt_deg: float) -> tuple[str, ...]:
        turned = replace(one.shifts, roll_deg=one.shifts.roll_deg - 40 + tilt_deg)
        return beyond_domain(turned, proj, method="network")

    assert said(41.0) == ()
    for tilt_deg in (-20.0, 2.0):
        (line,) = said(tilt_deg)
        assert line.startswith(f"axis: a tilt of {tilt_deg:.0f}° was found")
        assert re.search(r"says one of about (39|40|41)°", line)
    assert beyond_domain(one.shifts, proj, method="center-of-mass") == ()


def test_a_column_that_is_cut_off_slantwise_is_said_to_be() -> None:
    for tilt_deg, said in ((-40.0, True), (12.0, False)):
        one = scan(tilt_deg, STILL, "pillar")
        lines = beyond_domain(one.shifts, one.proj.numpy(), method="network")
        assert bool(lines) is said and all("slantwise" in line for line in lines)


def test_views_of_which_nothing_is_left_in_sight_end_in_no_traceback() -> None:
    """As a wrong tilt may throw them: they tell nothing of their rolls, but the others do of theirs."""
    one = scan(0.0)
    proj, angle = one.proj.numpy(), one.angle_rad
    problem = joint.Joint(proj, angle, predict_shifts(proj, angle, load_weights("pretrained")))._problem
    known = np.ones((5, 40))
    known[:, ::3] = 0.0
    rolls, explained = problem._told_of_rolls(np.diag(known.ravel()), np.ones(200), np.eye(40), np.zeros(40))
    assert np.isfinite(rolls).all() and np.isfinite(explained)
    np.testing.assert_allclose(rolls[1::3], 1.0, rtol=1e-4)


def test_of_a_view_that_is_left_out_nothing_is_explained() -> None:
    """Or the worst of its views left out would make any answer the better one."""
    one = scan(0.0)
    proj = one.proj.numpy()
    all_used = answer._Begun(proj, one.shifts, None, across=False)
    fewer = answer._Begun(proj, one.shifts.left_out(range(10), "by hand"), None, across=False)
    some, more = (answer._unexplained(proj, one.angle_rad, begun.table) for begun in (all_used, fewer))
    assert more == pytest.approx(0.25 + 0.75 * some, abs=0.02)
    none = answer._Begun(proj, one.shifts.left_out(range(40), "by hand"), None, across=False)
    assert answer._unexplained(proj, one.angle_rad, none.table) == 1.0


@pytest.mark.parametrize(("upright_deg", "other_deg", "taken_deg"), [(-29.0, -30.5, -30.5), (-26.0, -30.5, -26.0)])
def test_of_two_answers_with_one_axis_that_which_began_there_is_taken(
    upright_deg: float, other_deg: float, taken_deg: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what is foretold of other views, those that are in sight in another frame, cannot be compared."""
    one = scan(-30.0)
    proj, still = one.proj.numpy(), np.zeros(40)

    def begin(tilt_deg: float) -> answer._Begun:
        roll = still + (other_deg if tilt_deg else upright_deg)
        table = Shifts.from_arrays(angle_rad=one.angle_rad, dx_px=still, dy_px=still, roll_deg=roll)
        return answer._Begun(proj, table, None, across=False)

    def likes_upright(_: np.ndarray, angle_rad: np.ndarray, table: Shifts) -> float:
        return abs(table.axis_tilt_deg - upright_deg)

    monkeypatch.setattr(answer, "_unexplained", likes_upright)
    assert answer._from_where_it_is(proj, one.angle_rad, begin).tilt_deg == pytest.approx(taken_deg)


def test_whichever_way_views_lie_they_are_judged_with_their_longer_side_across() -> None:
    """Stood up, the object fits in there; in the other frame its sides are cut off, of which others foretell little."""
    one = scan(50.0)
    proj = one.proj.numpy()
    lying = np.ascontiguousarray(proj.swapaxes(1, 2))
    here = answer._unexplained(proj, one.angle_rad, one.shifts)
    there = answer._unexplained(lying, one.angle_rad, from_transposed(one.shifts))
    assert here == pytest.approx(there, rel=1e-6) and here < 0.1


def test_a_tilt_to_begin_at_makes_none_of_an_upright_axis() -> None:
    one = scan(0.0)
    assert not find_shifts(one.proj.numpy(), one.angle_rad, axis_tilt_deg=12.0).roll_deg.any()
