"""Views that cannot be aligned: found, told why, and looked for once more."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tomoalign_core.align import EMPTY, METHODS, find_shifts
from tomoalign_core.align.classical import UNSEEN
from tomoalign_core.align.lost import LOST, OUTSIDE, leave_out_lost, lost_views, places_again
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.config import InputError, MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.simulate import LabelledScan, simulate

BLOBS = SimulationConfig(
    scan=ScanConfig(n_views=40, n_rows=64, n_cols=80),
    misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=1),
    noise=NoiseConfig(gaussian=0.05, background=0.2),
)


@cache
def scan(seed: int = 2) -> LabelledScan:
    return simulate(BLOBS.changed(seed=seed))


def noise_like(view: np.ndarray) -> np.ndarray:
    edge = view[:, :3]
    return np.random.default_rng(0).normal(np.median(edge), edge.std(), view.shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["blobs", "pillar", "wide", "noisy", "few"])
def test_no_view_of_the_true_table_is_called_lost(kind: str) -> None:
    change = {
        "blobs": {},
        "pillar": {"phantom": PhantomConfig(kind="pillar", height=(1.2, 1.8))},
        "wide": {"phantom": PhantomConfig(radius=(1.3, 1.6))},
        "noisy": {"noise": NoiseConfig(gaussian=0.25)},
        "few": {"scan": ScanConfig(n_views=18, n_rows=64, n_cols=80)},
    }[kind]
    for seed in range(4):
        one = simulate(BLOBS.changed(seed=seed, **change))
        assert not lost_views(one.proj.numpy(), one.shifts).any()


@pytest.mark.parametrize("off", [6.0, 20.0])
def test_a_view_found_at_a_wrong_place_is_called_lost_and_placed_again(off: float) -> None:
    one = scan()
    dx, dy = one.shifts.dx_px.copy(), one.shifts.dy_px.copy()
    dx[[7, 22]] += off
    dy[23] -= off
    wrong = replace(one.shifts, dx_px=dx, dy_px=dy)
    proj = one.proj.numpy()
    assert np.flatnonzero(lost_views(proj, wrong)).tolist() == [7, 22, 23]
    further = places_again(proj, wrong)
    there = np.zeros((40, 2))
    there[[7, 22], 0], there[23, 1] = -off, off
    assert np.abs(further - there).max() <= 2.5  # whole px, of a view against others of other angles
    assert (further[[i for i in range(40) if i not in (7, 22, 23)]] == 0).all()


def test_places_are_looked_for_in_binned_views_and_given_in_px_of_the_detector() -> None:
    one = simulate(BLOBS.changed(seed=3, scan=ScanConfig(n_views=30, n_rows=150, n_cols=200)))
    dx = one.shifts.dx_px.copy()
    dx[11] += 40
    further = places_again(one.proj.numpy(), replace(one.shifts, dx_px=dx))
    assert abs(further[11, 0] + 40) <= 4 and abs(further[11, 1]) <= 4


def test_a_view_of_nothing_has_no_better_place() -> None:
    proj = scan().proj.numpy().copy()
    proj[12] = noise_like(proj[12])
    assert np.flatnonzero(lost_views(proj, scan().shifts)).tolist() == [12]
    assert not places_again(proj, scan().shifts).any()


def test_what_lies_outside_and_what_is_lost_is_left_out_with_the_reason() -> None:
    one = scan()
    proj = one.proj.numpy().copy()
    proj[12] = noise_like(proj[12])
    table = replace(one.shifts, dx_px=np.where(np.arange(40) == 30, 45.0, one.shifts.dx_px))
    table = table.left_out([3], "by hand")
    found = leave_out_lost(proj, table)
    assert np.flatnonzero(~found.used).tolist() == [3, 12, 30]
    assert found.reason[[3, 12, 30]].tolist() == ["by hand", LOST, OUTSIDE]
    assert set(found.reason[found.used]) == {""}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_out_a_view_that_shows_nothing(method: str) -> None:
    proj = scan().proj.numpy().copy()
    proj[5] = 0.25
    proj[20] = noise_like(proj[20])
    found = find_shifts(proj, scan().angle_rad, method=method)
    reasons = {int(i): str(found.reason[i]) for i in np.flatnonzero(~found.used)}
    assert reasons[5] == EMPTY and found.dx_px[5] == found.dy_px[5] == 0
    # by phase correlation views lose each other anyway; the others see that nothing is there
    assert method == "phase-correlation" or (reasons[20] in (LOST, UNSEEN) and len(reasons) == 2)
    if method.startswith("network"):
        clean = find_shifts(np.delete(proj, 5, 0), np.delete(scan().angle_rad, 5), method=method)
        np.testing.assert_array_equal(np.delete(found.dx_px, 5), clean.dx_px)


def test_across_a_gap_views_are_not_held_against_each_other() -> None:
    """Beside 26 degrees of views that are left out, the object looks otherwise; nothing is lost there."""
    one = simulate(BLOBS.changed(scan=ScanConfig(n_views=90, n_rows=64, n_cols=80), seed=7))
    gap = one.shifts.left_out(np.arange(30, 43), EMPTY)
    found = leave_out_lost(one.proj.numpy(), gap)
    assert np.flatnonzero(~found.used).tolist() == list(range(30, 43))
    assert not lost_views(one.proj.numpy(), found).any()


def test_a_view_that_is_left_out_does_not_pull_its_neighbours_along() -> None:
    proj = scan().proj.numpy().copy()
    proj[20] = np.linspace(3.0, 0.0, 64, dtype=np.float32)[:, None] + noise_like(proj[20])
    found = find_shifts(proj, scan().angle_rad)
    assert np.flatnonzero(~found.used).tolist() == [20]
    without = find_shifts(np.delete(proj, 20, 0), np.delete(scan().angle_rad, 20))
    near = [17, 18, 19, 21, 22, 23]
    error, best = shift_error(found, scan().shifts), np.zeros(40)
    best[np.arange(40) != 20] = shift_error(without, _less(scan().shifts, 20)).dy_px
    assert np.abs(error.dy_px[near] - best[near]).max() < 0.03


def _less(table: Shifts, view: int) -> Shifts:
    return Shifts(**{name: np.delete(column, view) for name, column in vars(table).items()})


def test_views_that_are_empty_or_not_finite_are_left_out_and_the_others_aligned() -> None:
    proj = scan().proj.numpy().copy()
    proj[5], proj[9, 3, 4], proj[30, :, 7] = 0.0, np.nan, np.inf
    found = find_shifts(proj, scan().angle_rad, method="center-of-mass")
    assert {view: found.reason[view] for view in np.flatnonzero(~found.used).tolist()} == {
        5: "it is the same everywhere, or lacks over 1 % of its pixels",
        9: "it holds pixels that are NaN or infinite",
        30: "it holds pixels that are NaN or infinite",
    }
    whole = find_shifts(scan().proj.numpy(), scan().angle_rad, method="center-of-mass")
    assert np.abs(shift_error(found, whole).dx_px[found.used]).max() < 0.1


def test_a_stack_of_empty_views_is_one_line() -> None:
    with pytest.raises(InputError, match="all views are the same everywhere, or not finite"):
        find_shifts(np.zeros((10, 20, 20), np.float32), np.linspace(0, 3, 10))


def test_a_far_throw_that_the_first_look_loses_is_found_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's first answer for a view is spoiled; what is looked for again brings it back."""
    from tomoalign_core.align import predict

    look, calls = predict._look, []

    def spoiled(*given):  # type: ignore[no-untyped-def]
        found = look(*given)
        calls.append(found)
        return replace(found, dx_px=found.dx_px + 15 * (np.arange(40) == 9)) if len(calls) == 1 else found

    monkeypatch.setattr(predict, "_look", spoiled)
    found = predict_shifts(scan().proj.numpy(), scan().angle_rad, load_weights("pretrained"))
    assert len(calls) == 2
    assert abs(shift_error(found, scan().shifts).dx_px[9]) < 0.3


def test_the_order_in_which_views_were_taken_does_not_matter() -> None:
    one, model = scan(), load_weights("pretrained")
    mixed = np.random.default_rng(1).permutation(40)
    ordered = predict_shifts(one.proj.numpy(), one.angle_rad, model)
    found = predict_shifts(one.proj.numpy()[mixed], one.angle_rad[mixed], model)
    np.testing.assert_allclose(found.dx_px, ordered.dx_px[mixed], atol=1e-4)
    np.testing.assert_allclose(found.dy_px, ordered.dy_px[mixed], atol=1e-4)
    np.testing.assert_allclose(found.dx_sigma_px, ordered.dx_sigma_px[mixed], rtol=1e-3)


@pytest.mark.parametrize("method", ["network", "network+refine"])
def test_where_no_view_finds_a_place_it_is_said_in_one_line(method: str) -> None:
    """Ten views over 30°, which tell the network nothing of the axis: it puts all of them far outside."""
    narrow = simulate(
        BLOBS.changed(
            scan=ScanConfig(n_views=10, n_rows=48, n_cols=64, range_deg=30),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.05),
            seed=2,
        )
    )
    with pytest.raises(InputError, match=r"found no place for any view \(more than half of it lies outside") as caught:
        find_shifts(narrow.proj.numpy(), narrow.angle_rad, method=method)
    assert "\n" not in str(caught.value)
