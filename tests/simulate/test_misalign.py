"""What the stage, the source and the detector do, and whole scans made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomoalign_core.config import InputError, MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, angles, centred_axis
from tomoalign_core.metrics import rms
from tomoalign_core.simulate import SimulatedScan, expose, plan_scan, simulate
from tomoalign_core.simulate.misalign import add_noise, draw_levels, draw_shifts
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids

STILL = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)
SCAN = ScanConfig(n_views=12, n_rows=24, n_cols=32)


def drawn(n: int = 400, seed: int = 0, **values: object) -> Shifts:
    settings = {"dx_sigma_px": 0, "dy_sigma_px": 0, **values}
    return draw_shifts(MisalignConfig(**settings), angles(n), np.random.default_rng(seed))  # type: ignore[arg-type]


def scanned(**values: object) -> SimulatedScan:
    return simulate(SimulationConfig(**{"scan": SCAN, **values}))  # type: ignore[arg-type]


# ---------------------------------------------------------------- stage


def test_a_perfect_stage_moves_nothing():
    still = drawn()
    assert not still.dx_px.any()
    assert not still.dy_px.any()
    assert not still.roll_deg.any()


def test_jitter_has_the_sigma_of_each_axis():
    shifts = drawn(20_000, dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=0.5)
    assert (rms(shifts.dx_px), rms(shifts.dy_px), rms(shifts.roll_deg)) == pytest.approx((4, 1, 0.5), rel=0.03)
    assert abs(np.corrcoef(shifts.dx_px, shifts.dy_px)[0, 1]) < 0.03


def test_rounded_jitter_is_the_same_jitter_in_whole_pixels_and_degrees():
    plain = drawn(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)
    whole = drawn(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1, rounded=True)
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_array_equal(getattr(whole, name), np.round(getattr(plain, name)))


def test_uniform_shift_fills_its_range():
    shifts = drawn(5000, uniform_px=15)
    for move in (shifts.dx_px, shifts.dy_px):
        assert 14.9 < np.abs(move).max() <= 15
        assert rms(move) == pytest.approx(15 / np.sqrt(3), rel=0.03)


@pytest.mark.parametrize("n", [2, 3, 7, 60, 400])
def test_drift_has_the_stated_root_mean_square_and_no_mean(n: int):
    shifts = drawn(n, drift_px=3)
    for move in (shifts.dx_px, shifts.dy_px):
        assert rms(move) == pytest.approx(3)
        assert move.mean() == pytest.approx(0, abs=1e-9)


def test_drift_is_slow():
    shifts = drawn(400, drift_px=3)
    assert rms(np.diff(shifts.dx_px)) < 0.1 * rms(shifts.dx_px)


def test_a_jump_stays():
    shifts = drawn(100, jumps=1, jump_px=5)
    steps = np.flatnonzero(np.diff(shifts.dx_px))
    assert len(steps) == 1
    np.testing.assert_array_equal(steps, np.flatnonzero(np.diff(shifts.dy_px)))
    assert not shifts.dx_px[: steps[0] + 1].any()


def test_jumps_add_up_and_are_as_many_as_asked_for():
    assert np.count_nonzero(np.diff(drawn(4000, jumps=4).dx_px)) == 4


def test_outliers_are_the_stated_share_and_size():
    shifts = drawn(20_000, outlier_fraction=0.1, outlier_px=15)
    thrown = shifts.dx_px != 0
    assert thrown.mean() == pytest.approx(0.1, rel=0.1)
    assert rms(shifts.dx_px[thrown]) == pytest.approx(15, rel=0.05)
    np.testing.assert_array_equal(thrown, shifts.dy_px != 0)


def test_parts_add_up():
    parts = {"dx_sigma_px": 2.0, "uniform_px": 3.0, "drift_px": 4.0}
    total = drawn(20_000, **parts)
    assert rms(total.dx_px) == pytest.approx(np.sqrt(4 + 9 / 3 + 16), rel=0.03)


# ---------------------------------------------------------------- source and detector


def test_levels_stay_in_their_ranges():
    gain, offset = draw_levels(NoiseConfig(gain=0.2, background=0.5), 5000, np.random.default_rng(0))
    assert 0.8 <= gain.min() < 0.81
    assert 1.19 < gain.max() <= 1.2
    assert 0 <= offset.min() < 0.01
    assert 0.49 < offset.max() <= 0.5


def noisy(value: float, **noise: float | None) -> torch.Tensor:
    settings = {"gaussian": 0.0, "counts": None, **noise}
    return add_noise(torch.full((1, 300, 300), value), generator=torch.Generator().manual_seed(1), **settings)  # type: ignore[arg-type]


def test_gaussian_noise_has_the_stated_sigma():
    result = noisy(0.4, gaussian=0.1)
    assert float(result.mean()) == pytest.approx(0.4, abs=2e-3)
    assert float(result.std()) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.5])
def test_counting_noise_has_the_variance_of_a_poisson_logarithm(p: float):
    """var(-log(k / n)) = exp(p) / n for k ~ Poisson(n exp(-p)): the weight of the Cramér-Rao bound."""
    result = noisy(p, counts=5000.0)
    assert float(result.mean()) == pytest.approx(p, abs=2e-3)
    assert float(result.var()) == pytest.approx(np.exp(p) / 5000, rel=0.03)


def test_a_pixel_without_photons_stays_finite():
    result = noisy(12.0, counts=10.0)
    assert bool(torch.isfinite(result).all())
    assert float(result.max()) == pytest.approx(np.log(10 / 0.5))


def test_both_noises_add_up():
    assert float(noisy(0.5, counts=1000.0, gaussian=0.05).var()) == pytest.approx(
        np.exp(0.5) / 1000 + 0.05**2, rel=0.03
    )


# ---------------------------------------------------------------- scans


def test_same_seed_gives_the_same_stack_and_another_seed_another():
    settings = {"misalign": MisalignConfig(drift_px=2, jumps=1), "noise": NoiseConfig(gaussian=0.1, background=0.2)}
    one, same, other = scanned(seed=5, **settings), scanned(seed=5, **settings), scanned(seed=6, **settings)
    assert torch.equal(one.proj, same.proj)
    np.testing.assert_array_equal(one.shifts.dx_px, same.shifts.dx_px)
    assert not torch.allclose(one.proj, other.proj)


def test_scan_is_float32_of_the_set_size_with_maximum_one():
    scan = scanned(noise=NoiseConfig())
    assert scan.proj.dtype == torch.float32
    assert scan.proj.shape == (12, 24, 32)
    assert float(scan.proj.max()) == pytest.approx(1)


def test_nothing_set_is_a_perfect_scan():
    scan = scanned(misalign=STILL, noise=NoiseConfig())
    assert torch.equal(scan.proj, scan.clean)
    torch.testing.assert_close(scan.aligned(), scan.proj)


def test_scan_is_the_exact_projection_moved_by_its_shifts():
    scan = scanned(misalign=MisalignConfig(roll_sigma_deg=2))
    assert isinstance(scan.phantom, Ellipsoids)
    exact = project_ellipsoids(scan.phantom, scan.angle_rad, n_rows=24, n_cols=32, shifts=scan.shifts)
    torch.testing.assert_close(scan.proj, exact * scan.scale)


def test_clean_differs_from_what_was_seen_by_the_noise_alone():
    scan = scanned(scan=SCAN.changed(n_rows=64, n_cols=96), noise=NoiseConfig(gaussian=(0.05, 0.2), background=0.3))
    difference = scan.proj - scan.clean
    assert 0.05 <= scan.gaussian <= 0.2
    assert float(difference.std()) == pytest.approx(scan.gaussian, rel=0.03)
    assert float(difference.mean()) == pytest.approx(0, abs=0.005)


def test_background_is_one_level_a_view_within_its_range():
    scan = scanned(scan=SCAN.changed(n_views=60), noise=NoiseConfig(background=0.2), misalign=STILL)
    levels = scan.proj.amin(dim=(1, 2))
    assert 0 <= float(levels.min()) < 0.02
    assert 0.18 < float(levels.max()) <= 0.2
    torch.testing.assert_close(scan.proj - levels[:, None, None], scan.aligned(), atol=1e-5, rtol=0)


def test_rescaled_views_have_maximum_one():
    scan = scanned(noise=NoiseConfig(background=0.2, gain=0.3, gaussian=0.02, rescale=True))
    torch.testing.assert_close(scan.proj.amax(dim=(1, 2)), torch.ones(12))


def test_shape_that_is_given_goes_before_the_scans():
    scan = simulate(SimulationConfig(scan=ScanConfig(n_views=(30, 40), n_rows=(8, 90))), shape=(5, 20, 28))
    assert scan.proj.shape == (5, 20, 28)
    assert len(scan.shifts) == 5


def test_ranges_of_the_scan_are_drawn():
    wide = ScanConfig(n_views=(5, 9), n_rows=(16, 20), n_cols=(16, 20), range_deg=(90, 120), start_deg=(-10, 10))
    scans = [simulate(SimulationConfig(scan=wide, seed=s)) for s in range(12)]
    assert {s.proj.shape[0] for s in scans} <= set(range(5, 10))
    assert len({s.proj.shape for s in scans}) > 3
    spans = np.rad2deg([np.ptp(s.angle_rad) * len(s.angle_rad) / (len(s.angle_rad) - 1) for s in scans])
    assert ((spans >= 90) & (spans <= 120)).all()


def test_one_phantom_seed_shows_one_object_under_different_movements():
    one, two = (simulate(SimulationConfig(scan=SCAN, seed=s), phantom_seed=7) for s in (1, 2))
    assert isinstance(one.phantom, Ellipsoids)
    assert isinstance(two.phantom, Ellipsoids)
    np.testing.assert_array_equal(one.phantom.form, two.phantom.form)
    assert not np.allclose(one.shifts.dx_px, two.shifts.dx_px)


def test_an_object_with_a_seed_of_its_own_stays_whatever_the_stage_and_the_number_of_views():
    one = scanned(phantom_seed=7)
    other = scanned(phantom_seed=7, seed=3, scan=SCAN.changed(n_views=20), misalign=MisalignConfig(jumps=3))
    assert isinstance(one.phantom, Ellipsoids)
    assert isinstance(other.phantom, Ellipsoids)
    np.testing.assert_array_equal(one.phantom.center, other.phantom.center)
    assert not np.array_equal(one.phantom.center, scanned(phantom_seed=8).phantom.center)


def test_plans_that_differ_in_noise_have_the_same_projections():
    settings = SimulationConfig(scan=SCAN, misalign=MisalignConfig(roll_sigma_deg=1), seed=4)
    noisy_settings = settings.changed(noise=NoiseConfig(counts=200, background=0.3, gain=0.1))
    plan, other = plan_scan(settings), plan_scan(noisy_settings)
    moved = plan.project()
    assert torch.equal(moved, other.project())
    assert torch.equal(expose(other, moved).proj, simulate(noisy_settings).proj)
    assert torch.equal(moved, plan.project())  # exposing leaves them as they are


# ---------------------------------------------------------------- scans of voxel volumes


def test_a_volume_that_was_turned_before_is_scanned_as_one_that_was_not(tmp_path):
    np.save(tmp_path / "volume.npy", np.random.default_rng(0).uniform(size=(12, 20, 20)).astype(np.float32))
    phantom = PhantomConfig(kind="voxels", path=str(tmp_path / "volume.npy"))
    plan = plan_scan(SimulationConfig(scan=SCAN, phantom=phantom, misalign=MisalignConfig(roll_sigma_deg=2)))
    turned = plan.turn()
    for moved in (True, False):
        assert torch.equal(plan.project(moved=moved, turned=turned), plan.project(moved=moved))
    assert plan_scan(SimulationConfig(scan=SCAN)).turn() is None


def lopsided(k: int = 1) -> Ellipsoids:
    """Two ellipsoids, lopsided in every direction, on a k times finer grid."""
    return Ellipsoids.from_axes(
        np.array([1.0, 0.6]),
        np.array([[2.0, -1.0, 1.5], [-5.0, 4.0, -3.0]]) * k,
        np.array([[6.0, 4.0, 5.0], [3.0, 3.0, 2.5]]) * k,
        np.stack([np.eye(3)] * 2),
    )


@pytest.fixture
def head(tmp_path: Path) -> PhantomConfig:
    """A voxel file of the lopsided solid, averaged over the voxels."""
    fine = lopsided(4).voxelize(32 * 4, 24 * 4)
    np.save(tmp_path / "head.npy", fine.reshape(24, 4, 32, 4, 32, 4).mean((1, 3, 5)).numpy())
    return PhantomConfig(kind="voxels", path=str(tmp_path / "head.npy"))


def centroids(stack: torch.Tensor) -> np.ndarray:
    """(N, 2) px from the detector's centre, (u, v)."""
    _, rows, cols = stack.shape
    stack = stack.double()
    mass = stack.sum((1, 2))
    u = (stack.sum(1) * torch.from_numpy(centred_axis(cols))).sum(1) / mass
    v = (stack.sum(2) * torch.from_numpy(centred_axis(rows))).sum(1) / mass
    return torch.stack([u, v], -1).numpy()


def test_voxel_scan_moves_by_whole_pixels_as_roll_does(head: PhantomConfig):
    still = scanned(phantom=head, misalign=STILL)
    moved = scanned(phantom=head, misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1, rounded=True), seed=4)
    for i in range(12):
        dx, dy = int(moved.shifts.dx_px[i]), int(moved.shifts.dy_px[i])
        expected = torch.roll(still.proj[i] / still.scale, (dy, dx), (0, 1))
        inside = torch.zeros(24, 32, dtype=torch.bool)
        inside[max(dy, 0) + 1 : 23 + min(dy, 0), max(dx, 0) + 1 : 31 + min(dx, 0)] = True
        torch.testing.assert_close((moved.proj[i] / moved.scale)[inside], expected[inside], atol=2e-3, rtol=0)


def test_voxel_scan_turns_and_moves_as_the_exact_projector(head: PhantomConfig):
    """The same solid, shifts and rolls of over 10° through both projectors: equal within the voxel error."""
    stage = MisalignConfig(dx_sigma_px=2, dy_sigma_px=1, roll_sigma_deg=10)
    seen = scanned(phantom=head, misalign=stage, scan=SCAN.changed(n_rows=36, n_cols=44))
    finer = replace(seen.shifts, dx_px=4 * seen.shifts.dx_px, dy_px=4 * seen.shifts.dy_px)
    fine = project_ellipsoids(lopsided(4), seen.angle_rad, n_rows=36 * 4, n_cols=44 * 4, shifts=finer) / 4
    exact = fine.reshape(12, 36, 4, 44, 4).mean((2, 4))
    voxels = seen.proj / seen.scale
    np.testing.assert_allclose(centroids(voxels), centroids(exact), atol=0.02)
    assert float((voxels - exact).square().mean().sqrt() / exact.square().mean().sqrt()) < 0.06
    assert np.abs(seen.shifts.roll_deg).max() > 10


def test_volume_larger_or_smaller_than_the_detector_stays_centred(head: PhantomConfig):
    plain = scanned(phantom=head, misalign=STILL)
    small = scanned(phantom=head, misalign=STILL, scan=SCAN.changed(n_rows=16, n_cols=22))
    large = scanned(phantom=head, misalign=STILL, scan=SCAN.changed(n_rows=34, n_cols=50))
    whole = plain.proj / plain.scale
    torch.testing.assert_close(small.proj / small.scale, whole[:, 4:20, 5:27], atol=2e-3, rtol=0)
    torch.testing.assert_close((large.proj / large.scale)[:, 5:29, 9:41], whole, atol=2e-2, rtol=0)


def test_volume_file_that_was_written_anew_is_read_anew(head: PhantomConfig):
    before = scanned(phantom=head, misalign=STILL)
    volume = np.load(str(head.path))
    np.save(str(head.path), volume[:, :, ::-1])
    after = scanned(phantom=head, misalign=STILL)
    assert not torch.allclose(before.proj, after.proj, atol=0.05)


def test_missing_volume_is_the_users_fault(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone\.npy: no such file"):
        scanned(phantom=PhantomConfig(kind="voxels", path=str(tmp_path / "gone.npy")))
