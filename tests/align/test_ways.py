"""How views change with movements, and that the noise of templates is not taken for a change."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import undo_shifts
from tomoalign_core.align.field import Field
from tomoalign_core.align.ways import BEND, LEVER_PX, PLAIN, Slopes, learn_slopes, noise_in_slope, ways_of
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
    way = ways_of(still, seen(), row=0.0, slopes=Slopes())[("dx", "dy", "roll").index(kind)]
    change = (moved - still)[:, 4:-4, 4:-4] / step
    assert np.corrcoef(change.ravel(), way[:, 4:-4, 4:-4].ravel())[0, 1] > 0.99
    assert way[:, 4:-4, 4:-4].std() == pytest.approx(change.std(), rel=0.05)


def test_what_was_not_seen_does_not_change() -> None:
    part = seen()
    part[3, :, 10:20] = False
    assert not any(way[3, :, 10:20].any() for way in ways_of(ellipse(9, 17), part, row=0.0, slopes=Slopes()))


def test_noise_on_the_rim_of_a_round_body_is_no_change_by_a_roll() -> None:
    noise = np.random.default_rng(0).normal(0, NOISE, (VIEWS, ROWS, COLS)).astype(np.float32)
    across, down = (float(part.std()) for part in ways_of(noise, seen(), row=0.0, slopes=PLAIN)[:2])
    assert across == pytest.approx(down, rel=0.05)
    known = PLAIN._replace(noise=(across, down))

    def size_of_roll(body: np.ndarray, slopes: Slopes) -> float:
        return float((ways_of(body + noise, seen(), row=0.0, slopes=slopes)[2] ** 2).mean())

    round_body, long_body = ellipse(14, 14), ellipse(8, 18)
    clean = size_of_roll(long_body - noise, PLAIN)
    assert size_of_roll(round_body, PLAIN) > 0.1 * clean
    assert size_of_roll(round_body, known) < 0.02 * clean
    assert size_of_roll(long_body, known) == pytest.approx(clean, rel=0.2)


def test_the_steps_of_a_round_rim_are_no_change_by_a_roll() -> None:
    """Of a ball, whose rim is as steep as pixels allow; beside it, a long body that does change."""
    ball = np.sqrt(np.clip(1 - (V**2 + U**2) / 14.3**2, 0, None)).astype(np.float32)
    known = Slopes(noise=(0.01, 0.01))

    def size_of_roll(body: np.ndarray, bend: float) -> float:
        return float((ways_of(body, seen(), row=0.0, slopes=known._replace(bend=bend))[2] ** 2).mean())

    ball = np.broadcast_to(ball, (VIEWS, ROWS, COLS))
    assert size_of_roll(ball, BEND) < 0.5 * size_of_roll(ball, 0.0)
    assert size_of_roll(ellipse(8, 18), BEND) == pytest.approx(size_of_roll(ellipse(8, 18), 0.0), rel=0.02)


def learned(body: np.ndarray, *, noise: float = NOISE, **asked: object) -> tuple[Field, Slopes]:
    """Of views of a body with noise, all alike."""
    views = body + np.random.default_rng(3).normal(0, noise, body.shape).astype(np.float32)
    field = Field(ANGLE, views, noise)
    known = {"share": np.ones_like(body), "noise": noise, "clear": 1.0, "even": True} | asked
    return field, learn_slopes(field, views, **known)


@pytest.mark.parametrize("clear", [0.0, 0.5, 1.0])
def test_the_noise_of_slopes_is_what_noise_in_the_views_leaves(clear: float) -> None:
    field, slopes = learned(ellipse(9, 17), clear=clear)
    noise = np.random.default_rng(7).normal(0, NOISE, (VIEWS, ROWS, COLS)).astype(np.float32)
    ways = ways_of(field.foretell_by_others(noise), seen(), row=0.0, slopes=slopes)
    assert slopes.noise == pytest.approx((ways[0].std(), ways[1].std()), rel=0.1)


def test_where_noise_is_louder_slopes_are() -> None:
    """The left half has a ninth of the weight, and three times the noise."""
    share = np.ones((VIEWS, ROWS, COLS), np.float32)
    _, even = learned(ellipse(9, 17), share=share, clear=0.0, even=False)
    share[..., : COLS // 2] = 1 / 9
    _, uneven = learned(ellipse(9, 17), share=share, clear=0.0, even=False)
    for before, after in zip(even.noise, uneven.noise, strict=True):
        left, right = ((np.asarray(after) / before)[8:-8, half].mean() for half in (slice(4, 12), slice(-12, -4)))
        assert left > 1.15 * right


@pytest.mark.parametrize(("axis", "along"), [(2, 0), (1, 1)], ids=["u", "v"])
def test_slopes_of_fine_details_are_as_steep_as_they_are(axis: int, along: int) -> None:
    """A wave of 6 px; differences of neighbours alone would have it 17 % less steep."""
    place = np.arange((VIEWS, ROWS, COLS)[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
    wave, slope = np.sin(np.pi / 3 * place), np.pi / 3 * np.cos(np.pi / 3 * place)
    inside = np.s_[:, 5:-5, 5:-5]

    def steep(slopes: Slopes) -> float:
        told = -ways_of(np.broadcast_to(wave, (VIEWS, ROWS, COLS)), seen(), row=0.0, slopes=slopes)[along][inside]
        true = np.broadcast_to(slope, (VIEWS, ROWS, COLS))[inside]
        return float((told * true).sum() / (true**2).sum())

    assert steep(Slopes()) == pytest.approx(1, abs=0.04)
    assert steep(PLAIN) < 0.7
    # each direction has its own share
    other = Slopes(sharp=(1.0, 0.0) if along == 0 else (0.0, 1.0))
    assert steep(other) == pytest.approx(steep(Slopes()))


def test_without_noise_all_that_is_along_edges_is_kept() -> None:
    assert [learned(ellipse(9, 17), clear=clear)[1].bend for clear in (0.0, 0.5)] == [0.0, BEND]


def test_fine_details_are_kept_as_far_as_they_are_not_noise() -> None:
    weave = ellipse(12, 20) * (1 + 0.5 * np.sin(np.pi / 2 * V) * np.sin(np.pi / 2 * U)).astype(np.float32)
    keeps = {noise: learned(weave, noise=noise)[1].sharp for noise in (0.01, 0.3, 4.0)}
    assert min(keeps[0.01]) > 0.95
    assert max(keeps[4.0]) < 0.4
    for more, less in ((0.01, 0.3), (0.3, 4.0)):
        assert all(a > b for a, b in zip(keeps[more], keeps[less], strict=True))
    _, half = learned(weave, noise=0.01, clear=0.5)
    assert half.sharp == pytest.approx([0.5 * share for share in keeps[0.01]])
    assert learned(weave, noise=0.01, clear=0.0)[1].sharp == (0.0, 0.0)


def test_what_was_not_seen_has_no_say_in_what_is_kept() -> None:
    share = np.ones((VIEWS, ROWS, COLS), np.float32)
    share[:, :, : COLS // 2] = 0
    still = ellipse(12, 20).copy()
    still[:, :, : COLS // 2] += np.random.default_rng(1).normal(0, 0.5, (VIEWS, ROWS, COLS // 2)).astype(np.float32)
    _, alone = learned(still, share=share)
    _, both = learned(still)
    assert max(alone.sharp) < min(both.sharp)


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
