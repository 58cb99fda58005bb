"""The best of several tables is one only where that is more than chance, and never for the views it leaves out."""

from __future__ import annotations

import numpy as np

from tomoalign_core.align.ranking import best_of, squared_errors
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.metrics import rms, score_shifts

N = 60
RNG = np.random.default_rng(3)
HARD = RNG.uniform(0.01, 0.02, N)  # what no table can explain


def test_a_clear_winner_stands_alone() -> None:
    assert best_of([HARD * 1.2, HARD, HARD * 1.1]) == [1]


def test_less_than_a_per_cent_is_a_tie_even_where_it_is_the_same_in_every_view() -> None:
    assert best_of([HARD, HARD * 1.015]) == [0, 1]  # squares: 0.75 % of the root
    assert best_of([HARD, HARD * 1.05]) == [0]


def test_what_a_few_views_decide_is_a_tie() -> None:
    one, other = HARD.copy(), HARD.copy()
    other[7] += 0.2  # much worse, in a single view
    assert other.mean() > 1.1 * one.mean() and best_of([one, other]) == [0, 1]


def test_squared_errors_are_those_of_the_score() -> None:
    angle = angles(N)
    truth = Shifts.from_arrays(angle_rad=angle, dx_px=RNG.normal(0, 3, N), dy_px=RNG.normal(0, 1, N))
    found = Shifts.from_arrays(
        angle_rad=angle, dx_px=truth.dx_px + 2 + np.sin(angle) + RNG.normal(0, 0.1, N), dy_px=truth.dy_px - 1
    )
    squares = squared_errors(found, truth, np.ones(N, bool))
    score = score_shifts(found, truth)
    np.testing.assert_allclose(squares.mean(), score.dx_rmse_px**2 + score.dy_rmse_px**2)
    assert rms(np.sqrt(squares)) < 0.15  # the gauge is out
