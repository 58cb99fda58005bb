"""The conventions: signs, the order of roll and shift, and what the gauge is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoalign_core.geometry import (
    Shifts,
    angles,
    centred_axis,
    compose,
    gauge_functions,
    gauge_projector,
    gauge_vectors,
    invert,
    placed_as,
    remove_gauge,
    rotation,
    shift_error,
    side_by_side,
)
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids

ANGLE_SETS = {
    "half turn": angles(60),
    "half turn with its end": angles(61, include_end=True),
    "full turn": angles(90, range_deg=360),
    "wedge": angles(40, range_deg=120, start_deg=-60),
    "narrow wedge": angles(40, range_deg=10, start_deg=30),
    "many turns": angles(200, range_deg=3600),
    "irregular": np.sort(np.random.default_rng(3).uniform(-2, 4, 37)),
    "unsorted, with repeats": np.random.default_rng(4).choice(angles(12), 30),
    "three views": angles(3),
    "two views": angles(2),
    "one angle": np.full(8, 0.7),
}
NUMBER = st.floats(-50, 50)


def random_shifts(n: int, seed: int) -> Shifts:
    rng = np.random.default_rng(seed)
    return Shifts.from_arrays(
        angle_rad=angles(n), dx_px=rng.normal(0, 9, n), dy_px=rng.normal(0, 9, n), roll_deg=rng.uniform(-180, 180, n)
    )


def moved(shifts: Shifts, points: np.ndarray) -> np.ndarray:
    """Points (P, 2) after the movement of each view, (N, P, 2), by the definition: turned first, then moved."""
    turned = np.einsum("nij,pj->npi", rotation(shifts.roll_deg), points)
    return turned + np.stack([shifts.dx_px, shifts.dy_px], -1)[:, None]


# ---------------------------------------------------------------- movements


def test_positive_roll_turns_right_towards_down():
    right, down = np.eye(2)
    np.testing.assert_allclose(rotation(90)[0] @ right, down, atol=1e-15)
    np.testing.assert_allclose(rotation(90)[0] @ down, -right, atol=1e-15)
    np.testing.assert_allclose(rotation(30)[0] @ right, [np.sqrt(3) / 2, 0.5])


def test_rotations_turn_without_stretching():
    turns = rotation(np.linspace(-200, 200, 17))
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(2), (17, 2, 2)), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(turns), 1)


def test_compose_moves_points_as_one_after_the_other():
    first, then = random_shifts(6, 0), random_shifts(6, 1)
    points = np.random.default_rng(2).normal(0, 30, (5, 2))
    one_by_one = np.stack([moved(then, p)[i] for i, p in enumerate(moved(first, points))])
    np.testing.assert_allclose(moved(compose(first, then), points), one_by_one, atol=1e-10)


def test_compose_is_associative():
    a, b, c = (random_shifts(5, seed) for seed in range(3))
    left, right = compose(compose(a, b), c), compose(a, compose(b, c))
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-10)


@pytest.mark.parametrize("order", ["undo after", "undo before"])
def test_inverse_undoes_the_movement_from_both_sides(order: str):
    shifts = random_shifts(7, 5)
    pair = (shifts, invert(shifts)) if order == "undo after" else (invert(shifts), shifts)
    nothing = compose(*pair)
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_allclose(getattr(nothing, name), 0, atol=1e-12)


def test_compose_leaves_out_what_either_leaves_out():
    first, then = random_shifts(3, 0), random_shifts(3, 1)
    first.used[0], then.used[2] = False, False
    assert compose(first, then).used.tolist() == [False, True, False]


def test_compose_refuses_tables_of_different_length():
    with pytest.raises(ValueError, match="3 and of 4 views"):
        compose(random_shifts(3, 0), random_shifts(4, 0))


def test_shift_table_refuses_columns_of_different_length():
    with pytest.raises(ValueError, match=r"dy_px has shape \(2,\), but there are 3 angles"):
        Shifts.from_arrays(angle_rad=angles(3), dx_px=[0, 0, 0], dy_px=[0, 0])


# ---------------------------------------------------------------- angles


def test_angles_leave_out_the_end_unless_asked():
    np.testing.assert_allclose(np.rad2deg(angles(4, range_deg=360)), [0, 90, 180, 270])
    np.testing.assert_allclose(
        np.rad2deg(angles(5, range_deg=120, start_deg=-60, include_end=True)), range(-60, 61, 30)
    )


# ---------------------------------------------------------------- gauge


@pytest.mark.parametrize("axis", ["dx", "dy", "roll"])
@pytest.mark.parametrize("name", ANGLE_SETS)
def test_gauge_functions_are_removed_whole(name: str, axis: str):
    basis = gauge_functions(ANGLE_SETS[name], axis=axis)
    for coefficients in np.random.default_rng(0).normal(0, 20, (5, basis.shape[1])):
        np.testing.assert_allclose(remove_gauge(basis @ coefficients, ANGLE_SETS[name], axis=axis), 0, atol=1e-6)


@pytest.mark.parametrize("axis", ["dx", "dy", "roll"])
@pytest.mark.parametrize("name", ANGLE_SETS)
def test_nothing_but_the_gauge_functions_is_removed(name: str, axis: str):
    """What is taken out lies in their span, what is left is at right angles to it, and twice is once."""
    angle = ANGLE_SETS[name]
    shift = np.random.default_rng(1).normal(0, 5, len(angle))
    rest = remove_gauge(shift, angle, axis=axis)
    basis = gauge_functions(angle, axis=axis)
    np.testing.assert_allclose(basis.T @ rest, 0, atol=1e-6)
    taken = shift - rest
    span = basis @ np.linalg.pinv(basis, rcond=1e-9) @ taken
    np.testing.assert_allclose(span, taken, atol=1e-6)
    np.testing.assert_allclose(remove_gauge(rest, angle, axis=axis), rest, atol=1e-6)


def test_harmonics_of_a_full_turn_are_kept_exactly():
    """On a full turn cos 2θ is at right angles to {1, cos θ, sin θ}: it must come out as it went in."""
    angle = ANGLE_SETS["full turn"]
    ripple = 3 * np.cos(2 * angle) - np.sin(5 * angle)
    gauge = 7 - 4 * np.cos(angle) + 2 * np.sin(angle)
    np.testing.assert_allclose(remove_gauge(ripple + gauge, angle, axis="dx"), ripple, atol=1e-10)
    np.testing.assert_allclose(remove_gauge(ripple + 7, angle, axis="dy"), ripple, atol=1e-10)


@given(a=NUMBER, b=NUMBER, c=NUMBER, name=st.sampled_from(sorted(ANGLE_SETS)))
@settings(max_examples=40, deadline=None)
def test_moving_the_object_or_the_axis_changes_nothing_that_is_left(a: float, b: float, c: float, name: str):
    angle = ANGLE_SETS[name]
    shift = np.random.default_rng(7).normal(size=len(angle))
    elsewhere = shift + c + a * np.cos(angle) + b * np.sin(angle)
    np.testing.assert_allclose(
        remove_gauge(elsewhere, angle, axis="dx"), remove_gauge(shift, angle, axis="dx"), atol=1e-6
    )


def test_half_turn_leaves_the_stated_error_of_raw_labels():
    """Shifts uniform in ±5 px over 180 views: the gauge holds 3 of the 180 numbers in dx, and 1 in dy."""
    rng = np.random.default_rng(0)
    angle = angles(180)
    taken = []
    for _ in range(400):
        dx, dy = rng.uniform(-5, 5, (2, 180))
        taken += [(dx - remove_gauge(dx, angle, axis="dx")) ** 2, (dy - remove_gauge(dy, angle, axis="dy")) ** 2]
    expected = np.sqrt((3 + 1) / 2 / 180 * 10**2 / 12)  # 0.304 px
    assert np.sqrt(np.mean(taken)) == pytest.approx(expected, rel=0.05)


def test_views_left_out_do_not_pull_the_fit():
    angle = angles(30)
    gauge = 2 + 3 * np.cos(angle) - np.sin(angle)
    thrown = gauge.copy()
    thrown[[4, 20]] += 100
    used = np.ones(30, bool)
    used[[4, 20]] = False
    rest = remove_gauge(thrown, angle, axis="dx", used=used)
    np.testing.assert_allclose(rest[used], 0, atol=1e-10)
    np.testing.assert_allclose(rest[~used], 100)


def test_a_table_without_used_views_is_left_as_it_is():
    assert remove_gauge([1.0, 2.0], [0.0, 1.0], axis="dx", used=[False, False]).tolist() == [1.0, 2.0]


def test_gauge_free_table_keeps_what_is_not_a_shift():
    shifts = replace(random_shifts(20, 9), roll_deg=np.zeros(20))
    free = shifts.gauge_free()
    for name, axis in (("dx_px", "dx"), ("dy_px", "dy")):
        alone = remove_gauge(getattr(shifts, name), angles(20), axis=axis)
        np.testing.assert_allclose(getattr(free, name), alone, atol=1e-12)
    np.testing.assert_array_equal(free.angle_rad, shifts.angle_rad)
    np.testing.assert_array_equal(free.used, shifts.used)


def test_a_roll_that_all_views_have_in_common_is_the_tilt_of_the_axis_and_no_gauge():
    """The scan of a tilted axis is not that of an upright one under any stage that does not roll: an object bobs."""
    angle, nothing = angles(24, range_deg=360), np.zeros(24)
    tilted = Shifts.from_arrays(angle_rad=angle, dx_px=nothing, dy_px=nothing, roll_deg=nothing + 5)
    assert tilted.axis_tilt_deg == pytest.approx(5)
    np.testing.assert_array_equal(tilted.gauge_free().roll_deg, tilted.roll_deg)
    np.testing.assert_allclose(tilted.rolled_about_axis().roll_deg, 0)
    scan = project_ellipsoids(ellipsoid_at(np.array([20.0, 0.0, 0.0])), angle, n_rows=60, n_cols=80, shifts=tilted)
    rows = np.array([(view.sum(1) * centred_axis(60)).sum() / view.sum() for view in scan.double().numpy()])
    np.testing.assert_allclose(rows, 20 * np.sin(np.deg2rad(5)) * np.cos(angle), atol=0.03)


def test_the_tilt_of_the_axis_is_of_the_used_views_alone():
    nothing = np.zeros(4)
    table = Shifts.from_arrays(angle_rad=angles(4), dx_px=nothing, dy_px=nothing, roll_deg=[1, 3, 90, 2])
    assert table.left_out([2], "it is dark").axis_tilt_deg == 2
    assert table.left_out([0, 1, 2, 3], "it is dark").axis_tilt_deg == 0


def ellipsoid_at(place: np.ndarray) -> Ellipsoids:
    return Ellipsoids(density=np.array([0.1]), center=place[None], form=np.diag([81.0, 30.0, 16.0])[None])


def test_an_object_elsewhere_under_the_same_stage_is_the_same_scan_under_a_stage_moved_by_the_gauge():
    angle, shifts = angles(25), replace(random_shifts(25, 4), roll_deg=np.random.default_rng(1).normal(0, 3, 25))
    aside = gauge_vectors(angle, shifts.roll_deg) @ [0.0, 3.0, -2.0, 1.5]
    moved = replace(shifts, dx_px=shifts.dx_px + aside[:, 0], dy_px=shifts.dy_px + aside[:, 1])
    size = {"n_rows": 60, "n_cols": 80}
    here = project_ellipsoids(ellipsoid_at(np.zeros(3)), angle, shifts=moved, **size)
    there = project_ellipsoids(ellipsoid_at(np.array([3.0, -2.0, 1.5])), angle, shifts=shifts, **size)
    np.testing.assert_allclose(here, there, atol=2e-4)
    error = shift_error(moved, shifts)
    np.testing.assert_allclose([error.dx_px, error.dy_px, error.roll_deg], 0, atol=1e-9)
    # dx and dy each on their own would call the same scan wrong
    assert np.abs(remove_gauge(aside[:, 1], angle, axis="dy")).max() > 0.1


def test_a_table_without_its_gauge_describes_the_same_scan():
    shifts = replace(random_shifts(30, 5), roll_deg=np.random.default_rng(2).normal(0, 3, 30))
    free = replace(shifts.gauge_free(), roll_deg=shifts.roll_deg)
    assert np.abs(free.dx_px - shifts.dx_px).max() > 0.1
    error = shift_error(free, shifts)
    np.testing.assert_allclose([error.dx_px, error.dy_px], 0, atol=1e-9)


def test_tables_side_by_side_and_placed_alike_differ_by_the_error_alone():
    found, truth = random_shifts(20, 1), random_shifts(20, 2)
    error, (ours, theirs), placed = shift_error(found, truth), side_by_side(found, truth), placed_as(found, truth)
    for name in ("dx_px", "dy_px", "roll_deg"):
        expected = getattr(error, name)
        np.testing.assert_allclose(getattr(ours, name) - getattr(theirs, name), expected, atol=1e-12)
        np.testing.assert_allclose(getattr(placed, name) - getattr(truth, name), expected, atol=1e-12)


def test_a_view_of_unknown_movement_does_not_spoil_the_others():
    truth = random_shifts(20, 3)
    found = replace(truth, dx_px=np.where(np.arange(20) == 7, np.nan, truth.dx_px))
    error = shift_error(found, truth)
    assert np.flatnonzero(np.isnan(error.dx_px)).tolist() == [7]
    assert np.nanmax(np.abs(error.dx_px)) < 1e-9


def test_unknown_axis_is_named():
    with pytest.raises(ValueError, match="axis is 'dz'"):
        gauge_functions(angles(3), axis="dz")


@pytest.mark.parametrize("roll_deg", [0.0, 3.0])
@pytest.mark.parametrize("name", ANGLE_SETS)
def test_torch_projector_agrees_with_numpy(name: str, roll_deg: float):
    angle = ANGLE_SETS[name]
    rng = np.random.default_rng(5)
    dx, dy, roll = rng.normal(0, 4, len(angle)), rng.normal(0, 4, len(angle)), rng.normal(0, roll_deg, len(angle))
    q = gauge_projector(torch.from_numpy(angle)[None], torch.from_numpy(np.deg2rad(roll))[None])
    x = torch.from_numpy(np.stack([dx, dy], -1)).reshape(1, -1, 1)
    rest = (x - q @ (q.mT @ x)).reshape(-1, 2).numpy()
    free = Shifts.from_arrays(angle_rad=angle, dx_px=dx, dy_px=dy, roll_deg=roll).gauge_free()
    np.testing.assert_allclose(rest, np.stack([free.dx_px, free.dy_px], -1), atol=1e-6)


def test_torch_projector_takes_each_stack_of_a_batch_with_its_own_angles():
    both = torch.from_numpy(np.stack([angles(12), angles(12, range_deg=360)]))
    roll = torch.from_numpy(np.random.default_rng(6).normal(0, 0.02, (2, 12)))
    batch = gauge_projector(both, roll)
    for i in range(2):
        one = gauge_projector(both[i : i + 1], roll[i : i + 1])[0]
        torch.testing.assert_close(batch[i] @ batch[i].T, one @ one.T)
