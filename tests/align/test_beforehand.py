"""What is known of movements beforehand: least of rolls as of an object that leans, and no more of slow dx by size."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import beforehand
from tomoalign_core.align.beforehand import believed, prior_of
from tomoalign_core.geometry import Shifts, angles

N = 40
ANGLE = angles(N)
NOTHING = np.zeros(N)


def variance_of(block: int, wave: np.ndarray) -> float:
    """What the prior takes the variance of a movement for that goes like ``wave``: of dx, dy, roll, gain or offset."""
    sigma = np.full(N, 0.1)
    start = Shifts.from_arrays(angle_rad=ANGLE, dx_px=NOTHING, dy_px=NOTHING, dx_sigma_px=sigma, dy_sigma_px=sigma)
    part = slice(block * N, (block + 1) * N)
    unit = wave / np.linalg.norm(wave)
    return float(unit @ np.linalg.inv(prior_of(start, largest=1.0)[part, part]) @ unit)


def test_rolls_of_an_object_that_leans_are_known_least() -> None:
    once, often = variance_of(2, np.cos(ANGLE + 0.3)), variance_of(2, np.cos(9 * ANGLE))
    assert once == pytest.approx((1 + beforehand.LEAN) * often, rel=0.05)
    assert np.rad2deg(np.sqrt(often)) * 1 / beforehand.LEVER_PX == pytest.approx(beforehand.ROLL_SIGMA_DEG, rel=0.01)


def test_near_views_err_alike() -> None:
    assert variance_of(0, np.cos(ANGLE)) > variance_of(0, np.cos(19 * ANGLE))


def test_slow_dx_is_believed_in_proportion_to_the_size_up_to_a_size() -> None:
    belief, few = (1.0, 1.0, 1.0, 1.0, 1.0), int(beforehand.SLOW_PIXELS)
    seen = np.eye(5 * N)
    slow, fast = (np.concatenate([np.cos(m * ANGLE), np.zeros(4 * N)]) for m in (5, 21))

    def told(wave: np.ndarray, pixels: int) -> float:
        return float(wave @ believed(seen, belief, ANGLE, pixels=pixels) @ wave / (wave @ wave))

    assert told(slow, few) == told(fast, few) == pytest.approx(1)
    assert told(slow, 4 * few) == pytest.approx(0.25)
    assert told(fast, 4 * few) == pytest.approx(1, abs=0.05)
