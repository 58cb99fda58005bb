"""The mass of rows tells of rolls and of slow dx: in closed form, of blobs that are Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.rows import told_by_rows
from tomoalign_core.geometry import angles, centred_axis

VIEWS, ROWS, COLS, NOISE = 40, 60, 80, 0.02
ANGLE = angles(VIEWS)
BLOBS = np.array([[9.0, -4.0, -17.0], [-6.0, 8.0, 12.0], [2.0, -11.0, 3.0], [0.0, 0.0, 0.0]])  # x, y, z in px
WIDTH_PX = 1.5
SLOW = np.deg2rad(0.2) * np.cos(3 * ANGLE + 0.4)


def views(roll: np.ndarray, dx: np.ndarray | float = 0.0, blobs: np.ndarray = BLOBS) -> np.ndarray:
    """Views (N, V, U) of blobs, each rolled about its centre: a Gaussian stays one."""
    u = blobs[:, 0] * np.cos(ANGLE)[:, None] + blobs[:, 1] * np.sin(ANGLE)[:, None] + np.reshape(dx, (-1, 1))
    v = np.broadcast_to(blobs[:, 2], u.shape)
    # a positive roll turns u towards v, see geometry
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    across, down = c * u - s * v, s * u + c * v
    by_u = np.exp(-0.5 * ((centred_axis(COLS) - across[..., None]) / WIDTH_PX) ** 2)
    by_v = np.exp(-0.5 * ((centred_axis(ROWS) - down[..., None]) / WIDTH_PX) ** 2)
    return np.einsum("nbv,nbu->nvu", by_v, by_u)


def found_of(seen_as: np.ndarray, told: np.ndarray, **kwargs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = kwargs.pop("seen", np.ones(seen_as.shape, bool))
    information, slope = told_by_rows(
        seen_as, seen, told, ANGLE, noise=NOISE, row=0.0, slow=np.zeros((VIEWS, 0)), rolls=True
    )
    assert not information[:VIEWS].any() and not slope[:VIEWS].any(), "of dx nothing was asked"
    return information[VIEWS:, VIEWS:], slope[VIEWS:]


def estimate(information: np.ndarray, slope: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.linalg.lstsq(information, slope, rcond=1e-3)[0]
    return found


def without_lean(roll: np.ndarray) -> np.ndarray:
    """What goes with cos α and sin α is that of an object which leans: rows do not tell it."""
    lean = np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1)
    rest: np.ndarray = roll - lean @ np.linalg.lstsq(lean, roll, rcond=None)[0]
    return rest


@pytest.mark.parametrize("dx", [0.0, 0.3 * np.cos(3 * ANGLE)], ids=["dx known", "dx moves too"])
def test_a_slow_roll_is_found_whatever_dx_does(dx: np.ndarray | float) -> None:
    moved = views(SLOW, dx)
    found = estimate(*found_of(moved, moved))
    np.testing.assert_allclose(without_lean(found), without_lean(SLOW), atol=0.1 * np.abs(SLOW).max())


def test_dx_does_not_pass_for_a_roll() -> None:
    moved = views(np.zeros(VIEWS), 0.3 * np.cos(3 * ANGLE))
    found = estimate(*found_of(moved, moved))
    assert np.abs(without_lean(found)).max() < 0.03 * np.abs(SLOW).max()


@pytest.mark.parametrize("rolls", [True, False])
def test_slow_dx_is_found_where_it_is_asked_for(rolls: bool) -> None:
    slow, _ = np.linalg.qr(np.stack([np.cos(3 * ANGLE), np.sin(3 * ANGLE)], 1))
    drift, jitter = 0.3 * np.cos(3 * ANGLE + 0.4), 0.2 * np.cos(17 * ANGLE)
    moved = views(np.zeros(VIEWS), drift + jitter)
    information, slope = told_by_rows(
        moved, np.ones(moved.shape, bool), moved, ANGLE, noise=NOISE, row=0.0, slow=slow, rolls=rolls
    )
    found = estimate(information, slope)
    np.testing.assert_allclose(found[:VIEWS], drift, atol=0.05 * np.abs(drift).max())
    assert information[VIEWS:, VIEWS:].any() == rolls


def test_a_ball_does_not_tell_how_it_is_turned() -> None:
    ball, several = (views(np.zeros(VIEWS), blobs=blobs) for blobs in (BLOBS[-1:], BLOBS))
    nothing, something = (np.diag(found_of(proj, proj)[0]).mean() for proj in (ball, several))
    assert nothing < 0.01 * something


def test_information_is_the_scatter_of_the_slope_under_noise() -> None:
    rng, still = np.random.default_rng(0), views(np.zeros(VIEWS))
    drawn = [found_of(still + rng.normal(0, NOISE, still.shape), still) for _ in range(60)]
    information = np.mean([one for one, _ in drawn], axis=0)
    scatter = np.mean([slope**2 for _, slope in drawn], axis=0)
    assert np.mean(scatter / np.diag(information)) == pytest.approx(1, abs=0.15)
    assert abs(np.mean([slope.mean() for _, slope in drawn])) < 0.3 * np.sqrt(np.diag(information).mean())


def test_what_differs_by_more_than_noise_is_trusted_less() -> None:
    still = views(np.zeros(VIEWS))
    rng = np.random.default_rng(0)
    sure, unsure = (np.trace(found_of(still + rng.normal(0, s, still.shape), still)[0]) for s in (NOISE, 4 * NOISE))
    assert unsure == pytest.approx(sure / 16, rel=0.2)


def test_rows_that_were_not_seen_tell_nothing() -> None:
    moved = views(SLOW)
    seen = np.ones(moved.shape, bool)
    seen[7, :, 36:44] = False
    information, slope = found_of(np.where(seen, moved, 9.0), moved, seen=seen)
    assert information[7, 7] == slope[7] == 0
    others = np.arange(VIEWS) != 7
    found = np.zeros(VIEWS)
    found[others] = estimate(information[np.ix_(others, others)], slope[others])
    np.testing.assert_allclose(without_lean(found)[others], without_lean(SLOW)[others], atol=0.2 * np.abs(SLOW).max())
