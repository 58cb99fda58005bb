"""The bound of an unknown object: its information against the covariance written out, and what it depends on."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.limit import Ring, information, ring_of, unknown_object_bound
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Float
from tomoalign_core.metrics import scan_bound
from tomoalign_core.simulate import LabelledScan, simulate

VIEWS, COLS, EXTENT = 10, 20, 6.3
POWER = 200 * np.exp(-((np.pi * np.arange(41) / 40 * 1.3) ** 2))


def covariance(angle: Float) -> tuple[Float, Float]:
    """Of a row of all views of dots in a disc, noise 1 (N U, N U); and that of its shift, by central differences."""
    omega = 2 * np.pi * np.fft.fftfreq(80)
    amplitude = np.sqrt(np.interp(np.abs(omega), np.pi * np.arange(41) / 40, POWER))
    radius = (np.arange(7) + 0.5) * EXTENT / 7
    turn = 2 * np.pi * np.arange(200) / 200
    x, y = (np.outer(radius, part(turn)).ravel() for part in (np.cos, np.sin))
    share = np.repeat(radius / radius.sum(), 200) / 200
    seen, moved = [], []
    for a in angle:
        at = amplitude[:, None] * np.exp(-1j * omega[:, None] * (x * np.cos(a) + y * np.sin(a) + (COLS - 1) / 2))
        seen.append(np.fft.ifft(at, axis=0).real[:COLS])
        moved.append(np.fft.ifft(-1j * np.sin(omega)[:, None] * at, axis=0).real[:COLS])
    dots, slopes = np.concatenate(seen), np.concatenate(moved)
    return (dots * share) @ dots.T + np.eye(len(dots)), (slopes * share) @ dots.T


@pytest.mark.parametrize("whole", [False, True])
def test_the_information_is_that_of_the_whole_covariance(whole: bool) -> None:
    ring = Ring(VIEWS, whole)
    angle = np.arange(VIEWS) * 2 * np.pi / ring.harmonics
    c, slope = covariance(angle)
    inverse = np.linalg.inv(c)
    in_dx, in_dy = information(POWER, COLS, EXTENT, ring)
    for harmonic in range(ring.harmonics):
        movement = np.cos(harmonic * angle) if harmonic else np.ones(VIEWS)
        each = np.repeat(movement / np.linalg.norm(movement), COLS)
        if whole or harmonic % 2:
            change = each[:, None] * slope
            change = change + change.T
            assert in_dx[harmonic] == pytest.approx(np.trace(inverse @ change @ inverse @ change) / 2, rel=0.02)
        if whole or not harmonic % 2:  # a phase: the change is i (θ C - C θ)
            turned = each[:, None] * c - c * each
            direct = -np.trace(inverse @ turned @ inverse @ turned) / 2
            assert in_dy[harmonic] == pytest.approx(direct, rel=0.02, abs=1e-9)


def scan(views: int = 40, **more: object) -> LabelledScan:
    still = MisalignConfig(dx_sigma_px=1, dy_sigma_px=1)
    settings = SimulationConfig(misalign=still, noise=NoiseConfig(gaussian=0.05), seed=5, phantom_seed=1)
    return simulate(settings.changed(scan=ScanConfig(n_views=views, n_rows=48, n_cols=64), **more))


def ratios(one: LabelledScan) -> Float:
    """The bound in dx and dy over that of a known template."""
    noise = {"gaussian": one.gaussian, "counts": one.counts}
    bound = unknown_object_bound(one.clean.numpy(), one.angle_rad, one.shifts, **noise)
    return np.array(bound) / scan_bound(one.clean.numpy(), **noise)


def test_who_does_not_know_the_object_errs_by_more_above_all_in_dx() -> None:
    dx, dy = ratios(scan())
    assert 1.1 < dx < 2 and 1 < dy < 1.4 and dx > dy


def test_more_views_tell_more_of_the_object() -> None:
    few, many = ratios(scan(views=20)), ratios(scan(views=80))
    assert (many < few).all()


def test_with_counts_as_with_even_noise_only_the_distance_from_a_template_differs() -> None:
    even, counted = ratios(scan()), ratios(scan(noise=NoiseConfig(counts=500)))
    np.testing.assert_allclose(counted, even, rtol=0.1)


def test_an_object_wider_than_the_view_has_no_such_bound() -> None:
    one = scan(phantom=PhantomConfig(radius=(1.4, 1.5)))
    assert np.isnan(unknown_object_bound(one.clean.numpy(), one.angle_rad, one.shifts, gaussian=0.05)).all()


def test_angles_must_be_evenly_spaced() -> None:
    assert ring_of(np.linspace(0, 2 * np.pi, 50, endpoint=False)) == Ring(50, True)
    with pytest.raises(ValueError, match="evenly spaced"):
        ring_of(np.array([0.0, 0.1, 0.3, 0.4]))
