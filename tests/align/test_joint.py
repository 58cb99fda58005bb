"""One step of all views together: what it betters, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tomoalign_core.align import beforehand, find_shifts, joint, together
from tomoalign_core.align.joint import Joint, step_together
from tomoalign_core.align.lost import leave_out_lost
from tomoalign_core.align.outline import with_object_aside
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.align.refine import refine_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.align.together import Together
from tomoalign_core.bench.suite import SUITE, scans
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, rotation
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import rms, scan_bound, score_shifts
from tomoalign_core.samples import sample
from tomoalign_core.simulate import LabelledScan, simulate


@cache
def scan() -> LabelledScan:
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1, roll_sigma_deg=1),
            noise=NoiseConfig(gaussian=0.03),
            seed=8,
        )
    )


@cache
def looks() -> Shifts:
    return predict_shifts(scan().proj.numpy(), scan().angle_rad, load_weights("pretrained"))


def step(start: Shifts) -> Shifts:
    return step_together(scan().proj.numpy(), scan().angle_rad, start)


@cache
def drifting() -> LabelledScan:
    """A stage that wanders 18 px aside and jumps, so that views lose a part of the object."""
    return scans(SUITE["drift, jumps, outliers"], 5)[4]


def test_a_stage_that_wandered_out_of_the_view_does_not_mislead_dx() -> None:
    """The axis about which views are mirror images is that of the mass that was not cut off.

    From that of all mass, dx came to four times what the network had.
    """
    proj, angle = drifting().proj.numpy(), drifting().angle_rad
    start = leave_out_lost(proj, predict_shifts(proj, angle, load_weights("pretrained")))
    before, after = (score_shifts(table, drifting().shifts) for table in (start, step_together(proj, angle, start)))
    assert after.dx_rmse_px < 0.95 * before.dx_rmse_px
    assert after.dy_rmse_px < 0.9 * before.dy_rmse_px


def test_rolls_that_are_chance_are_dropped_with_what_they_moved() -> None:
    """Foam is nearly round: what the network takes for rolls explains little, and from none no more than chance."""
    settings = sample("Drifting foam")
    foam = simulate(settings.changed(scan=settings.scan.changed(n_views=40, n_rows=48, n_cols=64), seed=15))
    proj, angle = foam.proj.numpy(), foam.angle_rad
    start = predict_shifts(proj, angle, load_weights("pretrained"))
    found = step_together(proj, angle, start)
    assert not foam.shifts.roll_deg.any()
    assert rms(start.roll_deg) > 0.5
    assert not found.roll_deg.any()
    chance = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=14, n_rows=24, n_cols=28),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.02),
            seed=1,
        )
    )
    before = predict_shifts(chance.proj.numpy(), chance.angle_rad, load_weights("pretrained"))
    after = step_together(chance.proj.numpy(), chance.angle_rad, before)
    assert rms(before.roll_deg) > 0.5 and not after.roll_deg.any()  # not even by views that are turned so
    refined = refine_shifts(chance.proj.numpy(), chance.angle_rad, before)
    liked = held_out_residual(chance.proj.numpy(), chance.angle_rad, before.gauge_free()).overall
    assert liked < min(one.residual for one in refined.rounds)  # than whatever has no rolls
    assert not refined.shifts.roll_deg.any()
    # were views to turn by 6°, an object that stands off it stays where each view shows it
    turned = Together(proj, angle, replace(start, roll_deg=np.full(40, 6.0)))
    still = with_object_aside(turned.start_without_roll(), turned._aside)
    row = np.array([0.0, turned._row])
    here, there = (
        np.einsum("nkl,l->nk", rotation(table.roll_deg), row) + np.stack([table.dx_px, table.dy_px], 1)
        for table in (turned.table, still)
    )
    np.testing.assert_allclose(here, there, atol=1e-9)


@pytest.mark.parametrize("views", [3, 5, 8])
@pytest.mark.parametrize("method", ["network", "network+refine"])
def test_few_views_are_aligned_as_well(views: int, method: str) -> None:
    """Fewer than there are slow movements; they count as a wedge."""
    few = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=views, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.05),
            seed=2,
        )
    )
    score = score_shifts(find_shifts(few.proj.numpy(), few.angle_rad, method=method), few.shifts)
    assert score.dx_rmse_px < 0.15 and score.dy_rmse_px < 0.15


def test_it_betters_what_the_network_sees() -> None:
    before, after = (score_shifts(table, scan().shifts) for table in (looks(), step(looks())))
    assert after.dy_rmse_px < 0.85 * before.dy_rmse_px
    assert after.dx_rmse_px < 1.05 * before.dx_rmse_px
    assert after.roll_rmse_deg < 0.85 * before.roll_rmse_deg


def test_the_network_ends_with_it_and_its_progress_counts_it() -> None:
    told: list[tuple[int, int]] = []
    found = find_shifts(scan().proj.numpy(), scan().angle_rad, progress=lambda done, of: told.append((done, of)))
    np.testing.assert_allclose(found.dy_px, step(looks()).dy_px, atol=1e-6)
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_its_length_is_told_without_the_gauge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A movement that all views share in dy is none; here the start pulls all of them up."""
    right = together.Together._from_start
    up = np.array([0.0, 50.0, 0.0, 0.0, 0.0])[:, None]
    monkeypatch.setattr(together.Together, "_from_start", lambda self: right(self) + up)
    moved = Joint(scan().proj.numpy(), scan().angle_rad, looks())
    before = moved._problem.table.dy_px
    told = moved.improve()
    together_px = np.abs(np.mean(moved._problem.table.dy_px - before))
    assert together_px > 1
    assert told < 0.2 * together_px


def test_a_table_without_confidence_or_of_too_many_views_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    unsure = replace(looks(), dx_sigma_px=np.full(40, np.nan))
    assert step(unsure) is unsure
    few = looks().left_out(range(2, 40), "elsewhere")
    assert step(few) is few
    monkeypatch.setattr(joint, "MOST_VIEWS", 39)
    assert step(looks()) is looks()


def test_views_left_out_stay_where_they_are() -> None:
    start = looks().left_out([3, 30], "dark")
    found = step(start)
    gone = ~found.used
    assert gone.sum() == 2
    apart = np.array([found.dx_px - start.dx_px, found.dy_px - start.dy_px])
    assert np.abs(apart[:, gone]).max() < np.abs(apart[:, ~gone]).max()


@pytest.mark.parametrize(("case", "most", "gain"), [("wedge 140°", 1.3, 0.85), ("Shepp-Logan by area, 5 %", 1.5, 0.93)])
def test_slow_dx_is_told_by_moments(case: str, most: float, gain: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wedge most, of which the network saw too few."""
    ratios, without = [], []
    for stack in scans(SUITE[case], 2):
        proj, angle = stack.proj.numpy(), stack.angle_rad
        start = predict_shifts(proj, angle, load_weights("pretrained"))
        bound, _ = scan_bound(stack.clean.numpy(), gaussian=stack.gaussian, counts=None)
        ratios.append(score_shifts(step_together(proj, angle, start), stack.shifts).dx_rmse_px / bound)
        with monkeypatch.context() as patch:
            patch.setattr(together, "moments_in_dx", lambda cut, *, clear: 0)
            without.append(score_shifts(step_together(proj, angle, start), stack.shifts).dx_rmse_px / bound)
    assert np.mean(ratios) < most
    assert np.mean(ratios) < gain * np.mean(without), (ratios, without)


def test_moments_have_no_say_in_dx_of_a_column_with_something_faint_that_goes_on_beside_the_view() -> None:
    alone = scan().proj.numpy()
    assert Joint(alone, scan().angle_rad, looks()).moves_dx
    beside = alone.copy()
    beside[:, :20, 32:] += 0.06 * alone.max()
    assert not Joint(beside, scan().angle_rad, looks()).moves_dx


def test_slow_movements_in_dx_stay_the_more_the_larger_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of blobs, which the border does not cut off: there dx is refined."""
    blobs = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.05),
            seed=8,
        )
    )
    proj, angle = blobs.proj.numpy(), blobs.angle_rad
    start = predict_shifts(proj, angle, load_weights("pretrained"))
    wave = np.stack([np.cos(5 * angle), np.sin(5 * angle)])

    def moved() -> tuple[float, float]:
        step = step_together(proj, angle, start).dx_px - start.dx_px
        slow = np.linalg.norm(wave @ step)
        return float(slow), float(np.linalg.norm(np.diff(step, 2)))

    monkeypatch.setattr(together, "moments_in_dx", lambda cut, *, clear: 0)  # which would tell them all the same
    usual = moved()
    monkeypatch.setattr(beforehand, "SLOW_PIXELS", 1.0)
    large = moved()
    assert large[0] < 0.6 * usual[0]
    assert large[1] == pytest.approx(usual[1], rel=0.2)


@pytest.mark.parametrize(
    ("roll_deg", "noise", "seed"),
    [(0.0, 0.0, 103), (0.2, 0.0, 103), (0.0, 0.003, 103), (0.0, 0.0, 107)],
    ids=["still", "rolling", "hardly any noise", "still, but the network saw it roll"],
)
def test_without_noise_rolls_must_explain_more_than_what_the_model_errs_by(
    roll_deg: float, noise: float, seed: int
) -> None:
    stack = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=24, n_rows=40, n_cols=48),
            misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=1, roll_sigma_deg=roll_deg),
            noise=NoiseConfig(gaussian=noise),
            seed=seed,
        )
    )
    for method in ("network", "network+refine"):
        found = find_shifts(stack.proj.numpy(), stack.angle_rad, method=method)
        assert found.roll_deg.any() == (roll_deg > 0)


def test_sigma_is_that_of_a_step_and_counts_the_noise_of_what_views_are_held_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = scans(SUITE["blobs, 20 % noise"], 1)[0]
    start = predict_shifts(stack.proj.numpy(), stack.angle_rad, load_weights("pretrained"))

    def stepped() -> Shifts:
        return step_together(stack.proj.numpy(), stack.angle_rad, start)

    found = stepped()
    assert (found.dx_sigma_px < 0.95 * start.dx_sigma_px).all()
    monkeypatch.setattr(together, "noise_in_slope", lambda *_: 0.0)
    ratio = found.dy_sigma_px / stepped().dy_sigma_px
    assert 1.05 < np.median(ratio) < 1.2


def test_of_an_object_whose_ends_are_not_in_sight_no_step_is_surer_than_the_network() -> None:
    """Of this one so little is left at the sides that, filled in, it no longer seems to be cut off there."""
    stack = scans(SUITE["wider than the view"], 5)[4]
    proj = stack.proj.numpy()
    start = predict_shifts(proj, stack.angle_rad, load_weights("pretrained"))
    found = step_together(proj, stack.angle_rad, start)
    assert np.abs(found.dx_px - start.dx_px).max() > 0.01, "it moved"
    for name in ("dx_sigma_px", "dy_sigma_px"):
        assert (getattr(found, name) >= getattr(start, name) - 1e-9).all()
