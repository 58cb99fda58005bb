"""The held-out residual ranks tables of shifts as the truth would, and does not ask where the object sits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import spearmanr

from tomoalign_core.align import find_shifts, residual
from tomoalign_core.align.binning import binned, binned_column, full_column
from tomoalign_core.align.outline import with_object_aside
from tomoalign_core.align.residual import best_axis, binning, held_out_residual
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.simulate import SimulatedScan, simulate
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids

STAGE = MisalignConfig(dx_sigma_px=2, dy_sigma_px=1, roll_sigma_deg=0.5)
SCANS = {
    "blobs, 5 % noise": SimulationConfig(
        scan=ScanConfig(n_views=50, n_rows=48, n_cols=64),
        misalign=STAGE,
        noise=NoiseConfig(gaussian=0.05, background=0.2, gain=0.1),
        seed=3,
    ),
    "pillar, 3 % noise": SimulationConfig(
        scan=ScanConfig(n_views=50, n_rows=48, n_cols=64),
        phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
        misalign=STAGE,
        noise=NoiseConfig(gaussian=0.03),
        seed=3,
    ),
    "foam over 360 degrees, 5 % noise": SimulationConfig(
        scan=ScanConfig(n_views=50, n_rows=48, n_cols=64, range_deg=360),
        phantom=PhantomConfig(kind="foam", parts=(20, 40), part_size=(0.08, 0.25)),
        misalign=STAGE,
        noise=NoiseConfig(gaussian=0.05),
        seed=3,
    ),
}


@pytest.fixture(scope="module", params=list(SCANS))
def scan(request: pytest.FixtureRequest) -> SimulatedScan:
    return simulate(SCANS[request.param])


@pytest.fixture(scope="module")
def blobs() -> SimulatedScan:
    return simulate(SCANS["blobs, 5 % noise"])


def overall(scan: SimulatedScan, table: Shifts) -> float:
    return held_out_residual(scan.proj.numpy(), scan.angle_rad, table).overall


def perturbed(truth: Shifts, sigma_px: float, seed: int) -> Shifts:
    dx, dy = np.random.default_rng(seed).normal(0, sigma_px, (2, len(truth)))
    return replace(truth, dx_px=truth.dx_px + dx, dy_px=truth.dy_px + dy)


def test_residual_ranks_tables_as_their_true_errors_do(scan: SimulatedScan) -> None:
    sigmas = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 0.15, 0.3, 0.6, 1.2]
    residuals = [overall(scan, perturbed(scan.shifts, sigma, seed)) for seed, sigma in enumerate(sigmas)]
    assert spearmanr(sigmas, residuals).statistic > 0.95
    assert np.argmin(residuals) == 0


def test_a_drift_that_neighbours_share_is_seen_and_the_axis_of_the_truth_is_the_middle(scan: SimulatedScan) -> None:
    found = []
    for size in (0.0, 0.5, 1.0, 2.0):
        dx = scan.shifts.dx_px + size * np.cos(3 * scan.angle_rad)
        table = replace(scan.shifts, dx_px=dx, dy_px=scan.shifts.dy_px + size * np.sin(2 * scan.angle_rad))
        found.append(held_out_residual(scan.proj.numpy(), scan.angle_rad, table))
    assert np.all(np.diff([one.overall for one in found]) > 0)
    assert found[0].axis_px == pytest.approx(31.5, abs=0.2)


@pytest.mark.parametrize("axis", ["dx", "dy"])
def test_residual_does_not_ask_where_the_object_and_the_axis_sit(blobs: SimulatedScan, axis: str) -> None:
    here = held_out_residual(blobs.proj.numpy(), blobs.angle_rad, blobs.shifts)
    place = [1.4, 3.0, -2.5, 0.0] if axis == "dx" else [0.0, 0.0, 0.0, 2.5]
    elsewhere = with_object_aside(blobs.shifts, np.array(place))
    there = held_out_residual(blobs.proj.numpy(), blobs.angle_rad, elsewhere)
    assert there.overall == pytest.approx(here.overall, rel=1e-3)
    # a correction by 1.4 px more to the left takes the axis along
    assert there.axis_px == pytest.approx(here.axis_px - (1.4 if axis == "dx" else 0), abs=0.02)


def moved_blobs(blobs: SimulatedScan, dx_px: np.ndarray, dy_px: np.ndarray) -> tuple[np.ndarray, Shifts]:
    """The same object moved otherwise, exactly, under the same noise."""
    assert isinstance(blobs.phantom, Ellipsoids)
    table = Shifts.from_arrays(angle_rad=blobs.angle_rad, dx_px=dx_px, dy_px=dy_px)
    proj = project_ellipsoids(blobs.phantom, blobs.angle_rad, n_rows=48, n_cols=64, shifts=table)
    noise = torch.randn(proj.shape, generator=torch.Generator().manual_seed(0))
    return (proj + 0.05 * proj.max() * noise).numpy(), table


def test_smoothing_by_half_pixels_wins_nothing(blobs: SimulatedScan) -> None:
    """Views that lie on whole pixels are not resampled; those half a pixel off are, and lose of their noise."""
    half = np.where(np.arange(50) % 2, 0.5, -0.5)
    still, steady = moved_blobs(blobs, np.zeros(50), np.zeros(50))
    wobbling, wobble = moved_blobs(blobs, half, half[::-1])
    whole, halves = (
        held_out_residual(proj, blobs.angle_rad, table).overall for proj, table in ((still, steady), (wobbling, wobble))
    )
    assert halves == pytest.approx(whole, rel=0.01)


def test_a_view_moved_off_stands_out_and_is_suspected(blobs: SimulatedScan) -> None:
    dx = blobs.shifts.dx_px.copy()
    dx[20] += 3
    found = held_out_residual(blobs.proj.numpy(), blobs.angle_rad, replace(blobs.shifts, dx_px=dx))
    assert found.per_view.argmax() == 20
    assert 20 in found.suspects()
    assert held_out_residual(blobs.proj.numpy(), blobs.angle_rad, blobs.shifts).suspects().size == 0
    back = found.view(20, ddx_px=-3)
    assert back.residual < found.view(20).residual / 1.5
    assert found.view(20).residual == pytest.approx(found.per_view[20])


def test_of_a_view_that_shows_nothing_the_others_still_foretell_the_object(blobs: SimulatedScan) -> None:
    proj = blobs.proj.numpy().copy()
    proj[7] = 0.5
    said = held_out_residual(proj, blobs.angle_rad, blobs.shifts.left_out([7], "dark")).view(7)
    assert said.residual == 1.0
    clean = blobs.clean[7].numpy()
    assert np.corrcoef(said.foretold.ravel(), clean.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("far_px", [1.0, 3.0, 8.0])
def test_one_view_far_off_is_the_only_suspect(blobs: SimulatedScan, far_px: float) -> None:
    dx = blobs.shifts.dx_px.copy()
    dx[30] += far_px
    found = held_out_residual(blobs.proj.numpy(), blobs.angle_rad, replace(blobs.shifts, dx_px=dx))
    assert found.suspects().tolist() == [30]


def test_small_errors_of_views_without_noise_are_no_suspects(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = simulate(SCANS["blobs, 5 % noise"].changed(noise=NoiseConfig(gaussian=0.002)))
    dx = clear.shifts.dx_px + np.random.default_rng(0).normal(0, 0.01, 50)
    dx[30] += 0.1
    found = held_out_residual(clear.proj.numpy(), clear.angle_rad, replace(clear.shifts, dx_px=dx))
    assert found.suspects().size == 0
    monkeypatch.setattr(residual, "LEAST_SUSPICIOUS", 0)
    assert 30 in found.suspects()


def test_views_beside_one_that_is_left_out_are_no_suspects(blobs: SimulatedScan) -> None:
    proj, table = blobs.proj.numpy(), blobs.shifts.left_out([5, 9, 20], "by hand")
    assert held_out_residual(proj, blobs.angle_rad, table).suspects().size == 0
    dx = table.dx_px.copy()
    dx[30] += 3
    assert held_out_residual(proj, blobs.angle_rad, replace(table, dx_px=dx)).suspects().tolist() == [30]


def test_in_a_wedge_the_axis_is_that_of_the_mass() -> None:
    stage = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)
    scan = ScanConfig(n_views=60, n_rows=48, n_cols=80, range_deg=130)
    still = simulate(SimulationConfig(scan=scan, misalign=stage, noise=NoiseConfig(gaussian=0.03), seed=4))
    found = held_out_residual(still.proj.numpy(), still.angle_rad, still.shifts)
    assert abs(found.axis_px - 39.5) < 1.5


def test_a_view_left_out_foretells_nothing_and_counts_for_nothing(blobs: SimulatedScan) -> None:
    proj, used = blobs.proj.numpy().copy(), np.ones(50, bool)
    used[[4, 31]] = False
    table = replace(blobs.shifts, used=used)
    here = held_out_residual(proj, blobs.angle_rad, table)
    proj[4] = np.random.default_rng(1).random(proj[4].shape)
    there = held_out_residual(proj, blobs.angle_rad, table)
    assert there.overall == pytest.approx(here.overall, rel=1e-6)
    assert there.per_view[4] > 0.7 > here.per_view[4]  # it is foretold all the same, well or badly


def test_noise_alone_is_not_foretold_and_that_is_said(blobs: SimulatedScan) -> None:
    proj = np.random.default_rng(2).standard_normal((30, 32, 40)).astype(np.float32)
    angle = np.deg2rad(6.0 * np.arange(30))
    zero = Shifts.from_arrays(angle_rad=angle, dx_px=np.zeros(30), dy_px=np.zeros(30))
    noise = held_out_residual(proj, angle, zero)
    assert noise.overall == pytest.approx(1, abs=0.05)
    assert "did not align" in noise.doubt()
    assert not held_out_residual(blobs.proj.numpy(), blobs.angle_rad, blobs.shifts).doubt()


def test_of_views_that_are_aligned_noise_is_what_is_left(blobs: SimulatedScan) -> None:
    noisy = blobs.proj.numpy() + np.random.default_rng(3).normal(0, 0.1 * blobs.proj.max(), blobs.proj.shape)
    left = held_out_residual(noisy.astype(np.float32), blobs.angle_rad, blobs.shifts)
    assert left.overall == pytest.approx(left.noise, rel=0.15)


def test_shifts_found_with_wrong_angles_are_doubted_though_less_than_half_is_left(blobs: SimulatedScan) -> None:
    proj, wrong = blobs.proj.numpy(), 2 * blobs.angle_rad
    found = find_shifts(proj, wrong)
    left = held_out_residual(proj, wrong, found)
    assert left.overall < residual.UNEXPLAINED and "may not have aligned" in left.doubt()
    assert not replace(left, noise=left.overall / 2).doubt(), "noise explains it"
    assert not replace(left, table=left.table.taken(range(20))).doubt(), "of so few views as much is left of good ones"


def test_very_many_views_are_foretold_by_backprojection(blobs: SimulatedScan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "MOST_IN_FIELD", 49)
    true = held_out_residual(blobs.proj.numpy(), blobs.angle_rad, blobs.shifts)
    moved = replace(blobs.shifts, dx_px=blobs.shifts.dx_px + np.random.default_rng(0).normal(0, 0.5, 50))
    assert true.overall < 0.9 * overall(blobs, moved)


def test_gain_and_offset_of_a_view_do_not_matter_to_its_own_residual(blobs: SimulatedScan) -> None:
    proj = blobs.proj.numpy().copy()
    here = held_out_residual(proj, blobs.angle_rad, blobs.shifts).per_view[12]
    proj[12] = 3 * proj[12] + 5
    assert held_out_residual(proj, blobs.angle_rad, blobs.shifts).per_view[12] == pytest.approx(here, rel=0.02)


@pytest.mark.parametrize("off_px", [-2.3, 0.0, 1.6])
def test_axis_is_found_within_a_tenth_of_a_pixel(blobs: SimulatedScan, off_px: float) -> None:
    proj, _ = moved_blobs(blobs, np.full(50, off_px), np.zeros(50))
    smooth = ndimage.gaussian_filter(proj, (0, 1.5, 1.5))
    assert best_axis(smooth, blobs.angle_rad, np.ones(50, bool)) == pytest.approx(31.5 + off_px, abs=0.1)


def test_binning_keeps_the_centre_and_large_stacks_are_judged_in_small() -> None:
    image = np.zeros((1, 22, 26), np.float32)
    image[0, 10:12, 12:14] = 1  # about the centre
    small = binned(image, 4)
    assert small.shape == (1, 5, 6)
    v, u = ndimage.center_of_mass(small[0])
    assert (v, u) == pytest.approx((2, 2.5))
    assert full_column(u, 26, 4) == 12.5 and binned_column(12.5, 26, 4) == u
    assert binning(91, 135, 160) == 1 < binning(720, 1024, 1024)


def test_progress_counts_views_and_lengths_must_agree(blobs: SimulatedScan) -> None:
    seen: list[tuple[int, int]] = []
    held_out_residual(
        blobs.proj.numpy(), blobs.angle_rad, blobs.shifts, progress=lambda done, of: seen.append((done, of))
    )
    assert seen[-1] == (50, 50)
    with pytest.raises(ValueError, match="49 views but 50"):
        held_out_residual(blobs.proj.numpy()[1:], blobs.angle_rad[1:], blobs.shifts)
    with pytest.raises(ValueError, match="1 views are used"):
        held_out_residual(blobs.proj.numpy(), blobs.angle_rad, replace(blobs.shifts, used=np.arange(50) == 3))
