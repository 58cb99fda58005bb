"""Refinement: what it finds, and that it never leaves a stack worse explained."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from tomoalign_core.align import joint, move_views, refine, together, undo_shifts
from tomoalign_core.align.refine import Refined, Round, refine_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.config import InputError, MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import scan_bound, score_shifts
from tomoalign_core.simulate import LabelledScan, simulate

OFF_PX = 0.15


@cache
def scan() -> LabelledScan:
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1, roll_sigma_deg=0.5),
            noise=NoiseConfig(gaussian=0.05),
            seed=5,
        )
    )


def start(truth: Shifts) -> Shifts:
    """The truth but for a known error of each view, without the roll."""
    rng = np.random.default_rng(0)
    n = len(truth)
    off = rng.normal(0, OFF_PX, (2, n))
    sigma = np.full(n, OFF_PX)
    return replace(
        truth, dx_px=truth.dx_px + off[0], dy_px=truth.dy_px + off[1], roll_deg=np.zeros(n),
        dx_sigma_px=sigma, dy_sigma_px=sigma,
    )  # fmt: skip


@cache
def refined() -> tuple[Refined, list[Round]]:
    rounds: list[Round] = []
    found = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts), on_round=rounds.append)
    return found, rounds


def test_one_that_is_settled_begins_where_the_first_steps_end_and_comes_below_that() -> None:
    proj, angle, begin = scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts)
    rounds: list[Round] = []
    found = refine_shifts(proj, angle, begin, settled=joint.settled(proj, angle, begin), on_round=rounds.append)
    answer = joint.step_together(proj, angle, begin)
    assert rounds[0].residual == pytest.approx(held_out_residual(proj, angle, answer).overall)
    assert rounds[0].kept and rounds[0].step_px == 0
    assert held_out_residual(proj, angle, found.shifts).overall <= rounds[0].residual
    assert rounds[0].residual < refined()[1][0].residual, "the start, without those steps"


def test_where_no_round_is_better_a_settled_one_gives_back_its_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    proj, angle, begin = scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts)
    worse = iter(range(1, 20))
    monkeypatch.setattr(refine, "held_out_residual", lambda *_: SimpleNamespace(overall=float(next(worse))))
    found = refine_shifts(proj, angle, begin, settled=joint.settled(proj, angle, begin))
    answer = joint.step_together(proj, angle, begin)
    np.testing.assert_allclose(found.shifts.dy_px, answer.dy_px)
    np.testing.assert_allclose(found.shifts.roll_deg, answer.roll_deg)
    assert np.ptp(found.gain) > 0
    assert [one.kept for one in found.rounds] == [True] + [False] * (len(found.rounds) - 1)


@pytest.mark.parametrize(("saw", "kept"), [(2.0, True), (0.5, False)], ids=["below what it saw", "above"])
def test_a_round_may_be_even_with_the_answer_where_it_is_below_what_the_network_saw(
    saw: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    proj, angle, begin = scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts)
    told = iter([1.0, saw, 1 + refine.EVEN / 2, *range(3, 20)])  # of the answer, of the start, of the first round
    monkeypatch.setattr(refine, "held_out_residual", lambda *_: SimpleNamespace(overall=float(next(told))))
    assert refine_shifts(proj, angle, begin, settled=joint.settled(proj, angle, begin)).rounds[1].kept == kept


def test_errors_of_single_views_fall_and_roll_is_found() -> None:
    """In dx less than in dy, as the start is believed more there."""
    before, after = (score_shifts(table, scan().shifts) for table in (start(scan().shifts), refined()[0].shifts))
    assert after.dx_rmse_px < 0.75 * before.dx_rmse_px
    assert after.dy_rmse_px < 0.25 * before.dy_rmse_px
    assert after.roll_rmse_deg < 0.8 * before.roll_rmse_deg


def test_rounds_are_told_and_the_best_is_given_back() -> None:
    found, told = refined()
    assert list(found.rounds) == told
    assert [r.number for r in told] == list(range(len(told)))
    assert 2 <= len(told) <= refine.ROUNDS + 1
    assert told[0].step_px == 0
    assert told[1].step_px > 0.05
    last = [r for r in told if r.kept][-1]
    residual = held_out_residual(scan().proj.numpy(), scan().shifts.angle_rad, found.shifts).overall
    assert residual == pytest.approx(last.residual, rel=1e-6)
    assert last.residual < told[0].residual
    assert last.residual <= (1 + refine.EVEN) * min(r.residual for r in told)


def test_a_start_that_cannot_be_bettered_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step in the wrong direction raises the residual."""
    right = together.Together._move
    monkeypatch.setattr(together.Together, "_move", lambda self, step, covariance: right(self, -10 * step, covariance))
    begin = start(scan().shifts)
    found = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, begin)
    assert [r.kept for r in found.rounds] == [True, False, False, False], "twice, and once without dx"
    np.testing.assert_array_equal(found.shifts.dx_px, begin.gauge_free().dx_px)
    assert (found.gain == 1).all()


@pytest.mark.parametrize(
    ("residuals", "kept"),
    [([1.0, 1.1, 0.9, 0.95], [0, 2]), ([1.0, 1.1, 1.2, 0.9, 0.95], [0, 3])],
    ids=["a second round", "once more without dx"],
)
def test_a_first_round_that_raises_the_residual_is_not_the_last_word(
    monkeypatch: pytest.MonkeyPatch, residuals: list[float], kept: list[int]
) -> None:
    told = iter(residuals)
    monkeypatch.setattr(refine, "held_out_residual", lambda *_: SimpleNamespace(overall=next(told)))
    begin = start(scan().shifts)
    found = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, begin)
    assert [r.number for r in found.rounds if r.kept] == kept
    before, after = (score_shifts(table, scan().shifts) for table in (begin, found.shifts))
    assert after.dy_rmse_px < 0.4 * before.dy_rmse_px
    if kept == [0, 2]:
        assert after.dx_rmse_px < 0.7 * before.dx_rmse_px
    else:
        assert after.dx_rmse_px == pytest.approx(before.dx_rmse_px, rel=0.02)


def test_of_residuals_that_are_even_the_later_round_is_taken_if_it_is_below_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept(*residuals: float) -> list[int]:
        told = iter(residuals)
        monkeypatch.setattr(refine, "held_out_residual", lambda *_: SimpleNamespace(overall=next(told)))
        monkeypatch.setattr(refine, "STILL_PX", 0.0)
        rounds = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts)).rounds
        return [r.number for r in rounds if r.kept]

    assert kept(1.0, 0.9, 0.90009, 0.905) == [0, 1, 2]
    assert kept(1.0, 1.00001, 1.1, 1.1) == [0], "even with the start is not better than it"


def test_gain_and_offset_of_each_view_are_found() -> None:
    rng = np.random.default_rng(1)
    gain, offset = rng.uniform(0.9, 1.1, 40), rng.uniform(-0.2, 0.2, 40)
    proj = scan().proj.numpy() * gain[:, None, None] + offset[:, None, None]
    found = refine_shifts(proj.astype(np.float32), scan().shifts.angle_rad, start(scan().shifts))
    assert np.std(found.gain - gain) < 0.2 * np.std(gain)
    assert np.std(found.offset - offset) < 0.1 * np.std(offset)


@pytest.mark.parametrize("unit", [1e-9, 2.0**-20, 1e12])
def test_units_of_the_stack_change_nothing(unit: float) -> None:
    proj = (scan().proj.numpy().astype(float) * unit).astype(np.float32)
    found = refine_shifts(proj, scan().shifts.angle_rad, start(scan().shifts))
    expected = refined()[0]
    np.testing.assert_allclose(found.shifts.dy_px, expected.shifts.dy_px, atol=1e-3)
    np.testing.assert_allclose(found.gain, expected.gain, atol=1e-3)
    np.testing.assert_allclose(found.offset / unit, expected.offset, atol=1e-3)
    assert found.rounds[-1].residual == pytest.approx(expected.rounds[-1].residual, rel=1e-3)


def test_views_that_are_not_used_or_hardly_seen_stay_as_they_are() -> None:
    begin = start(scan().shifts)
    used = np.ones(40, bool)
    used[3] = False
    far = begin.dx_px.copy()
    far[7] = 35.0
    begin = replace(begin, used=used, dx_px=far)
    found = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, begin).shifts
    free = begin.gauge_free()
    assert found.used.tolist() == used.tolist()
    for view in (3, 7):
        # their place changes by the common gauge only, which is fitted to what the others moved
        assert found.dx_px[view] == pytest.approx(free.dx_px[view], abs=0.1)
        assert found.dx_sigma_px[view] == OFF_PX
    assert (found.dx_sigma_px <= OFF_PX).all()
    assert 0.5 * OFF_PX < found.dy_sigma_px[0] < OFF_PX


def test_a_start_that_is_too_sure_of_dy_is_told_what_noise_allows() -> None:
    """σ of dx, in which the likelihood has little say, stays the start's."""
    noisy = scan().clean.numpy() + np.random.default_rng(2).normal(0, 0.2, scan().clean.shape).astype(np.float32)
    sigma = np.full(40, 0.05)
    begin = replace(scan().shifts, dx_sigma_px=sigma, dy_sigma_px=sigma)
    found = refine_shifts(noisy, scan().shifts.angle_rad, begin).shifts
    assert (found.dx_sigma_px <= 0.05).all()
    assert 1.5 * 0.05 < np.median(found.dy_sigma_px) < 1.5 * scan_bound(scan().clean, gaussian=0.2, counts=None)[1]


@pytest.mark.parametrize("noise", [0.002, 0.03])
def test_of_an_object_that_the_border_cuts_off_dx_stays_unless_noise_is_clear_and_so_does_a_roll_of_none(
    noise: float,
) -> None:
    pillar = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            phantom=PhantomConfig(kind="pillar", height=(1.4, 1.8)),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=noise),
            seed=5,
        )
    )
    begin = start(pillar.shifts)
    found = refine_shifts(pillar.proj.numpy(), pillar.shifts.angle_rad, begin).shifts
    before, after = (score_shifts(table, pillar.shifts) for table in (begin, found))
    if noise < 0.01:
        np.testing.assert_allclose(found.dx_px, begin.gauge_free().dx_px, atol=1e-9)
    else:
        assert after.dx_rmse_px < 0.7 * before.dx_rmse_px
    assert not found.roll_deg.any()
    assert after.dy_rmse_px < 0.6 * before.dy_rmse_px


def test_where_nothing_rolls_no_roll_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise passes for rolls, but explains no more than chance does; where views roll, see above, rolls are found."""
    still = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.05),
            seed=5,
        )
    )
    proj, begin = still.proj.numpy(), start(still.shifts)
    found = refine_shifts(proj, begin.angle_rad, begin).shifts
    assert not found.roll_deg.any()
    monkeypatch.setattr(together, "BY_CHANCE", 1 - 1e-9)
    assert refine_shifts(proj, begin.angle_rad, begin).shifts.roll_deg.any()


def test_a_jump_that_cuts_the_object_off_at_the_top_or_the_bottom_does_not_mislead_dy() -> None:
    """Half of the views have lost rows at the top, half at the bottom, and one that is far aside takes no part."""
    jump = np.where(np.arange(40) < 20, -9.0, 9.0)
    stage = replace(scan().shifts, dy_px=scan().shifts.dy_px + jump)
    moved, _ = undo_shifts(scan().proj.numpy(), scan().shifts)
    begin = start(stage)
    far = begin.dx_px.copy()
    far[7] = 35.0
    begin = replace(begin, dx_px=far)
    found = refine_shifts(move_views(moved, stage), stage.angle_rad, begin).shifts
    used = np.arange(40) != 7
    before, after = (score_shifts(replace(table, used=used), stage).dy_rmse_px for table in (begin, found))
    assert after < 0.4 * before
    assert found.dy_px[7] == pytest.approx(begin.gauge_free().dy_px[7], abs=0.05)


def test_binned_stacks_give_shifts_in_px_of_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "LARGEST_WORK", 40**2 * 48 * 64 / 4)
    found = refine_shifts(scan().proj.numpy(), scan().shifts.angle_rad, start(scan().shifts)).shifts
    assert score_shifts(found, scan().shifts).dx_rmse_px < 0.75 * OFF_PX


def test_what_it_cannot_take_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = start(scan().shifts)
    few = replace(begin, used=np.arange(40) < 2)
    with pytest.raises(InputError, match="2 views are used"):
        refine_shifts(scan().proj.numpy(), begin.angle_rad, few)
    hole = scan().proj.numpy().copy()
    hole[4, 5, 6] = np.nan
    for proj in (hole, np.ones_like(hole)):
        with pytest.raises(InputError, match="finite values that are not all the same"):
            refine_shifts(proj, begin.angle_rad, begin)
    monkeypatch.setattr(refine, "MOST_VIEWS", 30)
    with pytest.raises(InputError, match="up to 30 views, not 40"):
        refine_shifts(scan().proj.numpy(), begin.angle_rad, begin)
