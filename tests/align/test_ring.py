"""What views of a Gaussian object tell of movements: against the covariance of all of them written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoalign_core.align.ring import Ring, information, information_of_part, ring_of
from tomoalign_core.geometry import Float, centred_axis

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
    in_dx, in_dy, in_roll = information(POWER, COLS, EXTENT, ring)
    beside = np.tile(centred_axis(COLS), VIEWS)
    for harmonic in range(ring.harmonics):
        movement = np.cos(harmonic * angle) if harmonic else np.ones(VIEWS)
        each = np.repeat(movement / np.linalg.norm(movement), COLS)
        if whole or harmonic % 2:
            change = each[:, None] * slope
            change = change + change.T
            assert in_dx[harmonic] == pytest.approx(np.trace(inverse @ change @ inverse @ change) / 2, rel=0.02)
            turned = (each * beside)[:, None] * c - c * each * beside  # columns move along v as they stand beside
            direct = -np.trace(inverse @ turned @ inverse @ turned) / 2
            assert in_roll[harmonic] == pytest.approx(direct, rel=0.02)
        if whole or not harmonic % 2:  # a phase: the change is i (θ C - C θ)
            turned = each[:, None] * c - c * each
            direct = -np.trace(inverse @ turned @ inverse @ turned) / 2
            assert in_dy[harmonic] == pytest.approx(direct, rel=0.02, abs=1e-9)


@pytest.mark.parametrize("views", [9, 10])
def test_the_information_of_a_part_of_the_ring_is_that_of_its_views(views: int) -> None:
    """Of each two views, in a wedge of 9 or 10 of 15, of which one has a view in the middle."""
    ring = Ring(15, False)
    angle = np.arange(views) * np.pi / ring.views
    c, slope = covariance(angle)
    inverse = np.linalg.inv(c)
    in_dx, in_dy, in_roll = information_of_part(POWER, COLS, EXTENT, ring, views)
    beside = np.tile(centred_axis(COLS), views)

    def written_out(change: Callable[[Float], NDArray[np.generic]]) -> Float:
        ways = [inverse @ change(np.repeat(np.eye(views)[view], COLS)) for view in range(views)]
        return np.array([[np.trace(one @ other).real / 2 for other in ways] for one in ways])

    def moved(each: Float) -> Float:
        half = each[:, None] * slope
        return half + half.T

    np.testing.assert_allclose(in_dx, written_out(moved), atol=0.02 * in_dx.max())
    turned = written_out(lambda each: 1j * (each[:, None] * c - c * each))
    np.testing.assert_allclose(in_dy, turned, atol=0.02 * in_dy.max())
    turned = written_out(lambda each: 1j * ((each * beside)[:, None] * c - c * each * beside))
    np.testing.assert_allclose(in_roll, turned, atol=0.02 * in_roll.max())
    np.testing.assert_allclose(in_dy.sum(0), 0, atol=1e-6 * in_dy.max())  # all views up: nothing has changed


def test_angles_must_be_evenly_spaced() -> None:
    assert ring_of(np.linspace(0, 2 * np.pi, 50, endpoint=False)) == Ring(50, True)
    with pytest.raises(ValueError, match="evenly spaced"):
        ring_of(np.array([0.0, 0.1, 0.3, 0.4]))
