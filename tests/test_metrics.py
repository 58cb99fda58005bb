"""Scores of shifts, the Cramér-Rao bound, and quality of a reconstruction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tomoalign_core.geometry import Shifts, angles, gauge_vectors
from tomoalign_core.metrics import (
    cramer_rao,
    cramer_rao_roll,
    cramer_rao_together,
    label_variance,
    psnr,
    rms,
    scan_bound,
    score_shifts,
    ssim,
)

ANGLE = angles(48)
NUMBER = st.floats(-30, 30)


def table(seed: int = 0, angle: np.ndarray = ANGLE, **extra: np.ndarray) -> Shifts:
    rng = np.random.default_rng(seed)
    dx, dy, roll = rng.normal(size=(3, len(angle))) * [[4], [1], [0.5]]
    return Shifts.from_arrays(angle_rad=angle, dx_px=dx, dy_px=dy, roll_deg=roll, **extra)


def off_by(truth: Shifts, dx: np.ndarray, dy: np.ndarray, used: np.ndarray | None = None) -> Shifts:
    return Shifts.from_arrays(
        angle_rad=truth.angle_rad, dx_px=truth.dx_px + dx, dy_px=truth.dy_px + dy, roll_deg=truth.roll_deg, used=used
    )


# ---------------------------------------------------------------- shifts


def test_the_truth_scores_zero():
    score = score_shifts(table(), table())
    assert max(score.as_dict().values()) < 1e-12


def test_errors_outside_the_gauge_are_counted_whole():
    """cos 2θ on a full turn is at right angles to the gauge: RMSE, median and worst are those of the wave itself."""
    angle = angles(72, range_deg=360)
    truth = replace(table(angle=angle), roll_deg=np.zeros(72))
    wave = 0.3 * np.cos(2 * angle)
    score = score_shifts(off_by(truth, wave, 2 * wave), truth)
    assert score.dx_rmse_px == pytest.approx(0.3 / np.sqrt(2))
    assert score.dy_rmse_px == pytest.approx(0.6 / np.sqrt(2))
    assert score.dx_worst_px == pytest.approx(0.3)
    assert score.dx_median_px == pytest.approx(np.median(np.abs(wave)))
    assert score.dx_raw_rmse_px == pytest.approx(0.3 / np.sqrt(2))
    assert score.roll_rmse_deg == pytest.approx(0, abs=1e-12)


def test_rolls_are_scored_about_the_tilt_of_the_axis_and_that_by_itself():
    truth = table()
    found = replace(truth, roll_deg=truth.roll_deg + 0.5 + 0.2 * np.cos(6 * ANGLE))
    score = score_shifts(found, truth)
    assert score.axis_tilt_error_deg == pytest.approx(0.5)
    assert score.roll_rmse_deg == pytest.approx(0.2 / np.sqrt(2))


@given(a=NUMBER, b=NUMBER, c=NUMBER, d=NUMBER)
@settings(max_examples=30, deadline=None)
def test_score_is_unchanged_by_the_gauge(a: float, b: float, c: float, d: float):
    truth, found = table(0), table(1)
    moved = off_by(found, *(gauge_vectors(ANGLE, truth.roll_deg) @ [c, a, b, d]).T)
    before, after = score_shifts(found, truth).as_dict(), score_shifts(moved, truth).as_dict()
    for name, value in before.items():
        if "raw" not in name:
            assert after[name] == pytest.approx(value, abs=1e-9), name


def test_raw_error_sees_the_gauge():
    truth = replace(table(), roll_deg=np.zeros(48))
    score = score_shifts(off_by(truth, np.full(48, 3.0), np.full(48, -2.0)), truth)
    assert (score.dx_raw_rmse_px, score.dy_raw_rmse_px) == pytest.approx((3, 2))
    assert score.dx_rmse_px == pytest.approx(0, abs=1e-12)


def test_views_that_are_left_out_are_not_scored():
    truth = table()
    wrong = np.zeros(48)
    wrong[7] = 50
    used = wrong == 0
    assert score_shifts(off_by(truth, wrong, wrong, used), truth).dx_worst_px < 1e-12
    assert score_shifts(off_by(truth, wrong, wrong), truth).dx_worst_px > 40


def test_tables_of_different_length_are_refused():
    with pytest.raises(ValueError, match="3 views were found, the truth has 48"):
        score_shifts(table(angle=angles(3)), table())


def test_label_variance_is_the_score_of_knowing_nothing():
    truth = table()
    nothing = Shifts.from_arrays(angle_rad=ANGLE, dx_px=np.zeros(48), dy_px=np.zeros(48))
    score = score_shifts(nothing, truth)
    assert label_variance(truth) == pytest.approx((score.dx_rmse_px**2 + score.dy_rmse_px**2) / 2)


# ---------------------------------------------------------------- bound


def blob(
    center: tuple[float, float] = (0.0, 0.0), *, height: float = 1.0, width: float = 5.0, size: int = 61
) -> np.ndarray:
    """One view (V, U) of a Gaussian blob; its analytic Σ (∂p/∂u)² is π height² / 2, whatever its width."""
    axis = np.arange(size) - (size - 1) / 2
    u, v = axis - center[0], axis[:, None] - center[1]
    return height * np.exp(-(u**2 + v**2) / (2 * width**2))


@pytest.mark.parametrize("width", [4.0, 6.0])
def test_gaussian_bound_of_a_blob_is_the_closed_form(width: float):
    dx, dy = cramer_rao(blob(height=0.7, width=width)[None], gaussian=0.05)
    expected = 0.05 / np.sqrt(np.pi * 0.7**2 / 2)
    # a central difference underestimates a slope by about 1 - 1 / (4 width²)
    assert dx[0] == pytest.approx(expected, rel=1 / (2 * width**2))
    assert dy[0] == pytest.approx(dx[0])


def test_roll_bound_of_a_round_blob_is_the_closed_form():
    """A turn by δ moves a round blob at a distance d from the centre by d·δ, across the line to it."""
    bound = cramer_rao_roll(blob((9.0, -12.0), height=0.7, width=4.0)[None], gaussian=0.05)
    expected = np.rad2deg(0.05 / np.sqrt(np.pi * 0.7**2 / 2) / np.hypot(9, 12))
    assert bound[0] == pytest.approx(expected, rel=1 / (2 * 4.0**2))
    assert cramer_rao_roll(blob()[None], gaussian=0.05)[0] > 100 * expected


def test_who_does_not_know_the_roll_errs_by_what_it_turns_aside():
    """Two round blobs at ±12 px from a middle, along u: a roll about a point d aside moves it by d·δ.

    Its variance is that of dy over 12², as both blobs tell of either.
    """
    for aside in (0.0, 6.0, -9.0):
        pair = sum(blob((aside + far, 0.0), height=0.7, width=3.0) for far in (-12.0, 12.0))[None]
        dx, dy = cramer_rao(pair, gaussian=0.05)
        still = Shifts.from_arrays(angle_rad=[0.0], dx_px=[0.0], dy_px=[0.0])
        with_dx, with_dy, roll = cramer_rao_together(pair, still, gaussian=0.05)
        assert with_dy[0] ** 2 - dy[0] ** 2 == pytest.approx((aside * dy[0] / 12) ** 2, rel=0.05, abs=1e-4 * dy[0] ** 2)
        assert with_dx[0] == pytest.approx(dx[0], rel=1e-3)
        assert roll[0] == pytest.approx(np.rad2deg(dy[0] / 12), rel=0.03)
        # a stage that moved the middle there turns about it
        moved = Shifts.from_arrays(angle_rad=[0.0], dx_px=[aside], dy_px=[0.0])
        assert cramer_rao_together(pair, moved, gaussian=0.05)[1][0] == pytest.approx(dy[0], rel=1e-3)


def test_bound_tells_rows_from_columns():
    """A ridge that runs down the view is sharp sideways and says nothing about up and down."""
    ridge = np.broadcast_to(blob()[30], (61, 61))
    dx, dy = cramer_rao(ridge[None], gaussian=0.1)
    assert dx[0] < 0.05
    assert dy[0] > 1e6


def test_count_bound_is_the_gaussian_one_with_the_poisson_weight():
    """A flat weight: where the slope is, p is the same everywhere, so that var(-log counts) = exp(p) / counts."""
    ramp = np.tile(np.where(np.arange(40) % 2, 1.0, 1.001), (30, 1))
    ramp[:, 20:] += 1e-3
    dx, _ = cramer_rao(ramp[None], counts=400.0)
    same, _ = cramer_rao(ramp[None], gaussian=float(np.sqrt(np.exp(1.001) / 400)))
    assert dx[0] == pytest.approx(same[0], rel=2e-3)


def test_four_times_the_photons_halve_the_bound():
    few, many = (cramer_rao(blob()[None], counts=c)[0][0] for c in (100.0, 400.0))
    assert few / many == pytest.approx(2)


def fitted(noisy: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The shift (dx, dy) of one view against the known blob, by weighted least squares with scipy."""
    return least_squares(lambda s: ((noisy - blob((s[0], s[1]))) * weight).ravel(), [0.0, 0.0]).x


def test_least_squares_fit_reaches_the_gaussian_bound():
    rng = np.random.default_rng(0)
    truth = np.array([0.6, -1.3])
    clean = blob((truth[0], truth[1]))
    errors = [fitted(clean + 0.1 * rng.normal(size=clean.shape), np.ones_like(clean)) - truth for _ in range(150)]
    bound = np.array(cramer_rao(clean[None], gaussian=0.1))[:, 0]
    # 300 errors: their RMS is known to 1 / sqrt(2 · 300) = 4 %
    assert rms(errors / bound) == pytest.approx(1, abs=0.12)


def test_least_squares_fit_reaches_the_bound_for_counts():
    rng = np.random.default_rng(1)
    clean = blob()
    weight = np.sqrt(np.exp(-clean) * 2000)
    errors = [fitted(-np.log(np.maximum(rng.poisson(2000 * np.exp(-clean)), 0.5) / 2000), weight) for _ in range(150)]
    bound = np.array(cramer_rao(clean[None], counts=2000.0))[:, 0]
    assert rms(errors / bound) == pytest.approx(1, abs=0.12)


def test_without_noise_there_is_no_bound():
    with pytest.raises(ValueError, match="give gaussian, counts or both"):
        cramer_rao(blob()[None])
    assert scan_bound(blob()[None], gaussian=0, counts=None) == (0, 0)


def test_bound_of_a_scan_is_the_root_mean_square_over_its_views():
    views = np.stack([blob(height=h) for h in (0.5, 1.0, 2.0)])
    dx, dy = cramer_rao(views, gaussian=0.1)
    assert scan_bound(views, gaussian=0.1, counts=None) == pytest.approx((rms(dx), rms(dy)))


def test_variances_of_two_noises_add_up_in_each_pixel():
    """Where p is nearly flat the counts have one variance, and both noises are one Gaussian of the summed variance."""
    faint = blob(height=1e-3)[None]
    both = cramer_rao(faint, gaussian=0.1, counts=100.0)[0]
    np.testing.assert_allclose(both, cramer_rao(faint, gaussian=float(np.hypot(0.1, 0.1)))[0], rtol=1e-3)


# ---------------------------------------------------------------- reconstructions


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    truth = 3 * rng.normal(size=(16, 24)).cumsum(0).cumsum(1)
    return truth, truth + rng.normal(size=truth.shape)


def test_psnr_of_an_image_with_itself_is_infinite(pair: tuple[np.ndarray, np.ndarray]):
    assert psnr(pair[0], pair[0].copy()) == np.inf


def test_psnr_is_the_definition_and_skimage(pair: tuple[np.ndarray, np.ndarray]):
    truth, image = pair
    span = truth.max() - truth.min()
    assert psnr(truth, image) == pytest.approx(10 * np.log10(span**2 / np.mean((truth - image) ** 2)))
    assert psnr(truth, image) == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=span))


def test_ssim_is_one_for_identical_and_skimage_otherwise(pair: tuple[np.ndarray, np.ndarray]):
    truth, image = pair
    assert ssim(truth, truth) == pytest.approx(1)
    assert ssim(truth, image) == pytest.approx(structural_similarity(truth, image, data_range=np.ptp(truth)))
    assert ssim(truth, image) < 1
