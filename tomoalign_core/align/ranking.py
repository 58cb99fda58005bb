"""Which of several tables of shifts are the best on a stack, as far as that can be told from its views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tomoalign_core.geometry import Float, Shifts, shift_error

TIE = 0.01  # of the root mean square: a smaller difference is no difference
SURE = 2.0  # standard errors by which one must be better than another


def squared_errors(found: Shifts, truth: Shifts, views: np.ndarray) -> Float:
    """The squared error of dx and dy of each of these views, px², without the gauge, which is fitted to them."""
    error = shift_error(replace(found, used=views), truth)
    squares: Float = (error.dx_px**2 + error.dy_px**2)[views]
    return squares


def best_of(squares: Sequence[Float]) -> list[int]:
    """The best of several tables, and those that cannot be told from it.

    One is better than another if its root mean square is smaller by over 1 %, and if that is more than chance: the
    differences, view by view, have a mean of more than two of its standard errors. Views that are hard for all do not
    blur that comparison, as both tables are judged on the same.

    Parameters
    ----------
    squares : for each table the squared errors, or residuals, of the same N views.

    >>> rng = np.random.default_rng(0)
    >>> hard = rng.random(60)
    >>> best_of([hard + 0.1, hard, hard + rng.normal(0, 0.2, 60)])
    [1, 2]
    """
    means = [float(values.mean()) for values in squares]
    first = int(np.argmin(means))

    def tied(other: int) -> bool:
        further = squares[other] - squares[first]
        chance = float(further.std(ddof=1)) / np.sqrt(len(further)) if len(further) > 1 else np.inf
        return bool(means[other] <= (1 + TIE) ** 2 * means[first] or further.mean() <= SURE * chance)

    return [other for other in range(len(squares)) if other == first or tied(other)]
