"""How views change with movements, and that the noise of templates is not taken for a change."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import undo_shifts
from tomoalign_core.align.field import Field
from tomoalign_core.align.ways import LEVER_PX, noise_in_slope, noise_of_slopes, ways_of
from tomoalign_core.geometry import Shifts, angles, centred_axis

VIEWS, ROWS, COLS, NOISE = 20, 40, 56, 0.03
ANGLE = angles(VIEWS)
V, U = centred_axis(ROWS)[:, None], centred_axis(COLS)


def ellipse(down_px: float, across_px: float) -> np.ndarray:
    """Views (N, V, U) of a body with a soft rim, 4 px wide."""
    far = np.sqrt((V / down_px) ** 2 + (U / across_px) ** 2)
    body = 0.5 * (1 - np.tanh((far - 1) * min(down_px, across_px) / 4))
    return np.broadcast_to(body, (VIEWS, ROWS, COLS)).astype(np.float32)


def seen() -> np.ndarray:
    return np.ones((VIEWS, ROWS, COLS), bool)


@pytest.mark.parametrize("kind", ["dx", "dy", "roll"])
def test_they_are_the_changes_of_views_that_move(kind: str) -> None:
    still = ellipse(9, 17)
    step = 0.2
    size = {"dx_px": 0.0, "dy_px": 0.0, "roll_deg": 0.0} | {
        "dx": {"dx_px": step}, "dy": {"dy_px": step}, "roll": {"roll_deg": np.rad2deg(step / LEVER_PX)},
    }[kind]  # fmt: skip
    table = Shifts.from_arrays(angle_rad=ANGLE, **{name: np.full(VIEWS, -value) for name, value in size.items()})
    moved, _ = undo_shifts(still, table)
    way = ways_of(still, seen(), row=0.0, noise=None)[("dx", "dy", "roll").index(kind)]
    change = (moved - still)[:, 4:-4, 4:-4] / step
    assert np.corrcoef(change.ravel(), way[:, 4:-4, 4:-4].ravel())[0, 1] > 0.99
    assert way[:, 4:-4, 4:-4].std() == pytest.approx(change.std(), rel=0.05)


def test_what_was_not_seen_does_not_change() -> None:
    part = seen()
    part[3, :, 10:20] = False
    assert not any(way[3, :, 10:20].any() for way in ways_of(ellipse(9, 17), part, row=0.0, noise=None))


def test_noise_on_the_rim_of_a_round_body_is_no_change_by_a_roll() -> None:
    noise = np.random.default_rng(0).normal(0, NOISE, (VIEWS, ROWS, COLS)).astype(np.float32)
    level = tuple(float(part.std()) for part in ways_of(noise, seen(), row=0.0, noise=None)[:2])
    assert level[0] == pytest.approx(level[1], rel=0.05)

    def size_of_roll(body: np.ndarray, known: tuple[float, float] | None) -> float:
        return float((ways_of(body + noise, seen(), row=0.0, noise=known)[2] ** 2).mean())

    round_body, long_body = ellipse(14, 14), ellipse(8, 18)
    clean = size_of_roll(long_body - noise, None)
    assert size_of_roll(round_body, None) > 0.2 * clean
    assert size_of_roll(round_body, level) < 0.02 * clean
    assert size_of_roll(long_body, level) == pytest.approx(clean, rel=0.2)


def test_the_noise_of_slopes_is_what_noise_in_the_views_leaves() -> None:
    field = Field(ANGLE, ellipse(9, 17), NOISE)
    level = noise_of_slopes(field, np.ones((VIEWS, ROWS, COLS), np.float32), NOISE, even=True)
    noise = np.random.default_rng(7).normal(0, NOISE, (VIEWS, ROWS, COLS)).astype(np.float32)
    ways = ways_of(field.foretell_by_others(noise), seen(), row=0.0, noise=None)
    assert level == pytest.approx((ways[0].std(), ways[1].std()), rel=0.1)
    twice = noise_of_slopes(field, np.ones((VIEWS, ROWS, COLS), np.float32), 2 * NOISE, even=True)
    assert twice == pytest.approx([2 * each for each in level])


def test_where_noise_is_louder_slopes_are() -> None:
    """The left half has a ninth of the weight, and three times the noise."""
    field = Field(ANGLE, ellipse(9, 17), NOISE)
    share = np.ones((VIEWS, ROWS, COLS), np.float32)
    even = noise_of_slopes(field, share, NOISE, even=False)
    share[..., : COLS // 2] = 1 / 9
    for before, after in zip(even, noise_of_slopes(field, share, NOISE, even=False), strict=True):
        left, right = ((np.asarray(after) / before)[8:-8, half].mean() for half in (slice(4, 12), slice(-12, -4)))
        assert left > 1.3 * right


def test_a_movement_told_by_slopes_with_noise_is_off_by_more() -> None:
    """By Monte Carlo: the scatter of what a noisy template says of how far a view has moved."""
    rng = np.random.default_rng(0)
    slope = 0.05 * np.sin(U / 4) * np.exp(-((V / 12) ** 2))
    of_slope, of_pixel, many = 0.02, 0.03, 2000
    noisy = slope + rng.normal(0, of_slope, (many, ROWS, COLS))
    views = rng.normal(0, of_pixel, (many, ROWS, COLS))  # which have not moved
    told = (noisy * views).sum((1, 2)) / (noisy * slope).sum((1, 2)).mean()
    by_information = of_pixel / np.sqrt((noisy**2).sum((1, 2)).mean())
    more = noise_in_slope(noisy, np.ones_like(noisy, bool), of_slope)
    assert more > 0.3
    assert np.std(told) == pytest.approx((1 + more) * by_information, rel=0.05)


def test_of_slopes_that_are_nothing_but_noise_no_more_is_said_than_that() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (VIEWS, ROWS, COLS))
    assert noise_in_slope(noise, seen(), 0.1) == pytest.approx(10, rel=0.05)
    assert noise_in_slope(np.zeros_like(noise), seen(), 0.0) == 0.0
