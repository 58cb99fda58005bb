"""What is known of movements beforehand: least of rolls as of an object that leans, and no more of slow dx by size."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import beforehand
from tomoalign_core.align.beforehand import believed, moments_believed, moments_in_dx, prior_of
from tomoalign_core.align.outline import Cut
from tomoalign_core.geometry import Shifts, angles

N = 40
ANGLE = angles(N)
NOTHING = np.zeros(N)
WHOLE = Cut(sides=False, ends=False)


def variance_of(block: int, wave: np.ndarray) -> float:
    """What the prior takes the variance of a movement for that goes like ``wave``: of dx, dy, roll, gain or offset."""
    sigma = np.full(N, 0.1)
    start = Shifts.from_arrays(angle_rad=ANGLE, dx_px=NOTHING, dy_px=NOTHING, dx_sigma_px=sigma, dy_sigma_px=sigma)
    part = slice(block * N, (block + 1) * N)
    unit = wave / np.linalg.norm(wave)
    return float(unit @ np.linalg.inv(prior_of(start, largest=1.0)[part, part]) @ unit)


def test_rolls_of_an_object_that_leans_are_known_least() -> None:
    of_none_in_common = np.cos(ANGLE - ANGLE.mean() + np.pi / 2)
    once, often = variance_of(2, of_none_in_common), variance_of(2, np.cos(8 * ANGLE))
    assert once == pytest.approx((1 + beforehand.LEAN) * often, rel=0.05)
    assert np.rad2deg(np.sqrt(often)) * 1 / beforehand.LEVER_PX == pytest.approx(beforehand.ROLL_SIGMA_DEG, rel=0.02)


def test_nothing_is_known_of_the_roll_that_all_views_have_in_common() -> None:
    in_common = np.sqrt(variance_of(2, np.ones(N)) / N)
    assert np.rad2deg(in_common / beforehand.LEVER_PX) == pytest.approx(beforehand.AXIS_TILT_SIGMA_DEG, rel=0.01)


def test_too_few_views_are_not_taken_to_tell_a_tilt_of_the_axis() -> None:
    few = beforehand.LEAST_VIEWS_OF_TILT - 1
    table = Shifts.from_arrays(angle_rad=angles(few), dx_px=NOTHING[:few], dy_px=NOTHING[:few])
    of_rolls = np.linalg.inv(prior_of(table, largest=1.0)[2 * few : 3 * few, 2 * few : 3 * few])
    in_common = np.sqrt(np.ones(few) @ of_rolls @ np.ones(few)) / few
    assert np.rad2deg(in_common / beforehand.LEVER_PX) < 2


def test_near_views_err_alike() -> None:
    assert variance_of(0, np.cos(ANGLE)) > variance_of(0, np.cos(19 * ANGLE))


def test_slow_dx_is_believed_less_the_slowest_least_and_no_more_beyond_a_size() -> None:
    belief, few = (1.0, 1.0, 1.0, 1.0, 1.0), int(beforehand.SLOW_PIXELS)
    seen = np.eye(5 * N)
    slow, fast = (np.concatenate([np.cos(m * ANGLE), np.zeros(4 * N)]) for m in (5, 21))

    def told(wave: np.ndarray, pixels: int) -> float:
        return float(wave @ believed(seen, belief, ANGLE, WHOLE, pixels=pixels, moments=True) @ wave / (wave @ wave))

    slowest = np.concatenate([np.cos(3 * ANGLE), np.zeros(4 * N)])
    assert told(fast, few) == pytest.approx(1, abs=0.05)
    assert told(slow, few) == pytest.approx(beforehand.SLOW_BELIEF, rel=0.01)
    assert told(slowest, few) == pytest.approx(beforehand.SLOWEST_BELIEF, rel=0.01)
    assert told(slow, 4 * few) == pytest.approx(0.25 * told(slow, few), rel=0.01)
    assert told(fast, 4 * few) == pytest.approx(1, abs=0.1)


def test_a_roll_that_goes_once_around_is_believed_less() -> None:
    found = believed(np.eye(5 * N), (1.0,) * 5, ANGLE, WHOLE, pixels=1, moments=True)[2 * N : 3 * N, 2 * N : 3 * N]
    once = np.cos(ANGLE + 0.3) / np.linalg.norm(np.cos(ANGLE + 0.3))
    assert once @ found @ once == pytest.approx(beforehand.LEAN_BELIEF)
    often = np.sign(np.cos(9 * ANGLE))
    assert often @ found @ often > 0.9 * often @ often


def test_where_top_and_bottom_cut_the_object_slow_dy_is_believed_less() -> None:
    slow, fast = (np.concatenate([NOTHING, np.cos(m * ANGLE), np.zeros(3 * N)]) for m in (2, 20))
    for wave, told in ((slow, beforehand.BORDER_BELIEF), (fast, 1.0)):
        cuts = (Cut(sides=False, ends=True, through=through) for through in (True, False))
        cut, whole = (
            wave @ believed(np.eye(5 * N), (1.0,) * 5, ANGLE, one, pixels=1, moments=True) @ wave for one in cuts
        )
        assert cut / whole == pytest.approx(told, rel=0.02)


def some_information() -> np.ndarray:
    root = np.random.default_rng(0).normal(size=(5 * N, 8 * N))
    return root @ root.T


def test_moments_tell_what_is_asked_whatever_dx_does() -> None:
    information = some_information()
    found = moments_believed(information, ANGLE, highest_in_dx=0, rolls=True)
    assert not found[:N].any() and not found[:, :N].any()
    # the covariance of all others is what it is with dx unknown
    rest = slice(N, None)
    belief = np.repeat(np.sqrt(beforehand.MOMENTS_BELIEF[1:]), N)
    expected = np.linalg.inv(np.linalg.inv(information)[rest, rest]) * belief[:, None] * belief
    np.testing.assert_allclose(found[rest, rest], expected, rtol=0.05, atol=0.002 * expected.max())
    still = moments_believed(information, ANGLE, highest_in_dx=0, rolls=False)
    assert not still[2 * N : 3 * N].any() and still[N : 2 * N].any()


def test_moments_tell_slow_dx_only() -> None:
    def told(highest: int) -> float:
        found = moments_believed(some_information(), ANGLE, highest_in_dx=highest, rolls=True)[:N, :N]
        slow, fast = np.cos(3 * ANGLE), np.cos(35 * ANGLE)
        ways = beforehand.slow_movements(ANGLE, "dx", beforehand.MOMENTS_HARMONIC)
        fast -= ways @ (ways.T @ fast)
        return (fast @ found @ fast) / (slow @ found @ slow)

    assert told(beforehand.MOMENTS_HARMONIC) < 0.01
    assert told(beforehand.ALL_HARMONICS) > 0.3


def test_slow_dy_and_rolls_of_large_stacks_are_left_to_the_moments() -> None:
    def told(kind: int, harmonic: int, *, moments: bool) -> float:
        wave = np.zeros((5, N))
        wave[kind] = np.cos(harmonic * ANGLE)
        found = believed(
            np.eye(5 * N), (1.0,) * 5, ANGLE, WHOLE, pixels=int(4 * beforehand.SLOW_PIXELS), moments=moments
        )
        return float(wave.ravel() @ found @ wave.ravel() / (wave**2).sum())

    for kind, slow in ((1, 2), (2, 5)):
        assert told(kind, slow, moments=True) == pytest.approx(0.25, rel=0.02)
        assert told(kind, slow, moments=False) == pytest.approx(1, rel=0.02)
        assert told(kind, 20 + slow, moments=True) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("cut", "clear", "highest"),
    [
        (Cut(sides=False, ends=False), 1.0, beforehand.MOMENTS_HARMONIC),
        (Cut(sides=False, ends=False), 0.0, 0),
        (Cut(sides=False, ends=True, through=True), 1.0, beforehand.ALL_HARMONICS),
        (Cut(sides=False, ends=True, through=True), 0.1, 0),
        (Cut(sides=False, ends=True), 1.0, 0),
    ],
)
def test_how_far_moments_are_believed_in_dx(cut: Cut, clear: float, highest: int) -> None:
    assert moments_in_dx(cut, clear=clear) == highest
