"""Classical aligners: they find known shifts, with the stage's sign, within what the method can."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.classical import METHODS, center_of_mass, phase_correlation, profile_correlation
from tomoalign_core.geometry import Shifts, angles, centred_axis, remove_gauge

# tomopy's shepp3d: density; semi-axes a b c; centre x y z; turn in the x-y plane in degrees
SHEPP_LOGAN = np.array(
    [
        (1, 0.69, 0.92, 0.81, 0, 0, 0, 0),
        (-0.8, 0.6624, 0.874, 0.78, 0, -0.0184, 0, 0),
        (-0.2, 0.11, 0.31, 0.22, 0.22, 0, 0, -18),
        (-0.2, 0.16, 0.41, 0.28, -0.22, 0, 0, 18),
        (0.1, 0.21, 0.25, 0.41, 0, 0.35, -0.15, 0),
        (0.1, 0.046, 0.046, 0.05, 0, 0.1, 0.25, 0),
        (0.1, 0.046, 0.046, 0.05, 0, -0.1, 0.25, 0),
        (0.1, 0.046, 0.023, 0.05, -0.08, -0.605, 0, 0),
        (0.1, 0.023, 0.023, 0.02, 0, -0.606, 0, 0),
        (0.1, 0.023, 0.046, 0.02, 0.06, -0.605, 0, 0),
    ]
)


def shepp_logan(angle: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Projections (N, 64, 94) of the head in a 64³ volume: the chord of an ellipsoid, seen along the y'-axis."""
    v, u = np.meshgrid(centred_axis(64) / 31.5, centred_axis(94) / 31.5, indexing="ij")
    proj = np.zeros((len(angle), 64, 94))
    for n, theta in enumerate(angle):
        for rho, a, b, c, x, y, z, phi in SHEPP_LOGAN:
            turn = theta - np.deg2rad(phi)
            half_width = np.hypot(a * np.cos(turn), b * np.sin(turn))
            across = u - dx[n] / 31.5 - x * np.cos(theta) - y * np.sin(theta)
            inside = 1 - (across / half_width) ** 2 - ((v - dy[n] / 31.5 - z) / c) ** 2
            proj[n] += rho * 2 * a * b / half_width * np.sqrt(np.maximum(inside, 0))
    return proj


def blobs(angle: np.ndarray, dx: np.ndarray, dy: np.ndarray, *, rows: int = 60, tall: bool = False) -> np.ndarray:
    """Projections (N, rows, 80) of round Gaussians with maximum 1; ``tall``: they reach beyond the view."""
    rng = np.random.default_rng(7)
    v, u = centred_axis(rows), centred_axis(80)
    proj = np.zeros((len(angle), rows, 80))
    for _ in range(60 if tall else 15):
        x, y = rng.uniform(-18, 18, 2)
        z = rng.uniform(-rows, rows) if tall else rng.uniform(-18, 18)
        size, weight = rng.uniform(2, 5), rng.uniform(0.3, 1)
        across = u - (x * np.cos(angle) + y * np.sin(angle) + dx)[:, None]
        down = v - (z + dy)[:, None]
        proj += weight * np.exp(-(down**2)[:, :, None] / (2 * size**2) - (across**2)[:, None, :] / (2 * size**2))
    return proj / proj.max()


def error(found: Shifts, dx: np.ndarray, dy: np.ndarray) -> tuple[float, float]:
    """Gauge-removed root mean square error in dx and dy."""
    ex = remove_gauge(found.dx_px - dx, found.angle_rad, axis="dx")
    ey = remove_gauge(found.dy_px - dy, found.angle_rad, axis="dy")
    return float(np.sqrt(np.mean(ex**2))), float(np.sqrt(np.mean(ey**2)))


@pytest.fixture
def jitter() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return angles(60), rng.normal(0, 4, 60), rng.normal(0, 1, 60)


@pytest.mark.parametrize(
    ("method", "dx_limit", "dy_limit"),
    [("center-of-mass", 0.01, 0.005), ("profile-correlation", 0.01, 0.005), ("phase-correlation", 0.18, 0.005)],
)
def test_whole_pixel_shifts_of_the_clean_shepp_logan_head(
    jitter: tuple[np.ndarray, ...], method: str, dx_limit: float, dy_limit: float
) -> None:
    angle, dx, dy = jitter[0], *np.rint(jitter[1:])
    found = METHODS[method](shepp_logan(angle, dx, dy), angle)
    ex, ey = error(found, dx, dy)
    assert ex < dx_limit
    assert ey < dy_limit


@pytest.mark.parametrize("method", METHODS)
def test_sub_pixel_shifts_are_found_with_the_sign_of_the_stage(jitter: tuple[np.ndarray, ...], method: str) -> None:
    angle, dx, dy = jitter
    found = METHODS[method](shepp_logan(angle, dx, dy), angle)
    ex, ey = error(found, dx, dy)
    assert ex < (0.18 if method == "phase-correlation" else 0.02)
    assert ey < 0.02
    # an aligner that gives the correction instead has twice the shifts as its error
    assert np.corrcoef(found.dx_px, remove_gauge(dx, angle, axis="dx"))[0, 1] > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_a_drift_keeps_its_direction(method: str) -> None:
    angle = angles(40)
    dx, dy = np.linspace(-6, 6, 40) ** 3 / 40, np.linspace(4, -4, 40)
    found = METHODS[method](shepp_logan(angle, dx, dy), angle)
    assert max(error(found, dx, dy)) < 0.25


@pytest.mark.parametrize("method", METHODS)
def test_the_answer_holds_nothing_of_the_gauge(jitter: tuple[np.ndarray, ...], method: str) -> None:
    angle, dx, dy = jitter
    here = METHODS[method](blobs(angle, dx, dy), angle)
    again = here.gauge_free()
    np.testing.assert_allclose(again.dx_px, here.dx_px, atol=1e-9)
    np.testing.assert_allclose(again.dy_px, here.dy_px, atol=1e-9)
    elsewhere = METHODS[method](blobs(angle, dx + 1.5 * np.cos(angle) - 2, dy + 1), angle)
    np.testing.assert_allclose(elsewhere.dx_px, here.dx_px, atol=0.12)
    np.testing.assert_allclose(elsewhere.dy_px, here.dy_px, atol=0.12)


def test_background_and_gain_of_each_view_do_not_matter(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, dy = jitter
    rng = np.random.default_rng(1)
    proj = rng.uniform(0.7, 1.3, (60, 1, 1)) * blobs(angle, dx, dy) + rng.uniform(0, 0.3, (60, 1, 1))
    for method in (center_of_mass, profile_correlation):
        assert max(error(method(proj, angle), dx, dy)) < 0.01


def test_centre_of_mass_in_noise_is_far_better_than_the_plain_centroid(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, dy = jitter
    proj = np.pad(blobs(angle, dx, dy), ((0, 0), (10, 10), (15, 15)))  # an object with empty space around it
    proj += 0.1 * np.random.default_rng(2).standard_normal(proj.shape)
    mass = proj.sum((1, 2))
    plain = Shifts.from_arrays(
        angle_rad=angle,
        dx_px=proj.sum(1) @ centred_axis(110) / mass,
        dy_px=proj.sum(2) @ centred_axis(80) / mass,
    )
    ours, theirs = error(center_of_mass(proj, angle), dx, dy), error(plain, dx, dy)
    assert ours[0] < theirs[0] / 2 and ours[1] < theirs[1] / 2


def test_profiles_of_an_object_taller_than_the_view_are_matched(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, dy = jitter
    proj = blobs(angle, dx, 3 * dy, tall=True) + 0.01 * np.random.default_rng(3).standard_normal((60, 60, 80))
    assert error(profile_correlation(proj, angle), dx, 3 * dy)[1] < 0.05
    assert error(center_of_mass(proj, angle), dx, 3 * dy)[1] > 0.5  # which is why there is the other


def test_large_vertical_jumps_are_found_by_profiles(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, _ = jitter
    dy = np.where(np.arange(60) < 25, -8.0, 7.25)
    assert error(profile_correlation(blobs(angle, dx, dy, rows=80), angle), dx, dy)[1] < 0.01


def test_phase_correlation_survives_noise(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, dy = jitter
    proj = shepp_logan(angle, dx, dy)
    proj += 0.1 * proj.max() * np.random.default_rng(4).standard_normal(proj.shape)
    assert max(error(phase_correlation(proj, angle), dx, dy)) < 0.25


def test_a_view_that_shows_nothing_is_not_used(jitter: tuple[np.ndarray, ...]) -> None:
    angle, dx, dy = jitter
    proj = blobs(angle, dx, dy)
    proj[11] = 0
    found = center_of_mass(proj, angle)
    assert np.flatnonzero(~found.used).tolist() == [11] and found.dx_px[11] == 0
    assert np.isfinite(found.dx_px).all()
