"""Pixels without a value: those of a dead detector element, and views that were never written whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MOST_DEAD = 0.1  # of the detector: pixels that have no value in any view, gaps between its modules included
MOST_OF_A_VIEW = 0.01  # of its pixels: a view that lacks more is left out
MOST_LISTED = 5
MOST_VIEWS = 0.5  # of a stack that may lack more; beyond, it is not these views that are broken


def mend(proj: NDArray[np.float32], dead: NDArray[np.bool_]) -> None:
    """Replace dead pixels (V, U), in all views (N, V, U), by the median of live ones, in the smallest square.

    In place. Not all pixels may be dead.
    """
    for row, col in np.argwhere(dead):
        reach, window = 0, (slice(0), slice(0))  # empty, of which all() is true
        while dead[window].all():
            reach += 1
            window = (slice(max(row - reach, 0), row + reach + 1), slice(max(col - reach, 0), col + reach + 1))
        proj[:, row, col] = np.median(proj[:, *window][:, ~dead[window]], axis=1)


def mend_unwritten(proj: NDArray[np.float32]) -> tuple[str, ...]:
    """Mend what is NaN or infinite in a stack (N, V, U), in place, and say how; what is too much stays as it is.

    Pixels that have no value in any view are dead, and so are up to 1 % of any one view: the median of their
    neighbours takes their place. A view that lacks more is set to zero, so that it shows nothing and is left out, as
    long as more than half of the views are whole.
    """
    lacks = np.array([view.size - np.count_nonzero(np.isfinite(view)) for view in proj])
    if not lacks.any():
        return ()
    size = proj[0].size
    common = ~np.isfinite(proj[lacks.argmin()])
    for view in proj[lacks < size]:
        common &= ~np.isfinite(view)
    if common.mean() > MOST_DEAD:
        return ()
    lacks = lacks - int(common.sum())
    broken = lacks > MOST_OF_A_VIEW * size
    if broken.mean() >= MOST_VIEWS:
        return ()
    proj[broken] = 0
    mend(proj, common)
    for view in np.flatnonzero(~broken & (lacks > 0)):
        mend(proj[view : view + 1], ~np.isfinite(proj[view]))
    return tuple(_told(int(common.sum()), int(lacks[~broken].sum()), np.flatnonzero(broken).tolist()))


def listed(views: list[int]) -> str:
    """The first of these views, and how many more there are.

    >>> listed([3]), listed(list(range(7)))
    ('view 3', 'views 0, 1, 2, 3, 4 and 2 more')
    """
    more = f" and {len(views) - MOST_LISTED} more" if len(views) > MOST_LISTED else ""
    return f"{'view' if len(views) == 1 else 'views'} {', '.join(map(str, views[:MOST_LISTED]))}{more}"


def _told(everywhere: int, here_and_there: int, broken: list[int]) -> Iterator[str]:
    for count, where in ((everywhere, " in all views"), (here_and_there, "")):
        if count:
            yield (
                f"{count} pixel{'s'[: count != 1]} NaN or infinite{where}, replaced by the median of their neighbours"
            )
    if broken:
        lacks = f"over {MOST_OF_A_VIEW:.0%} of the pixels are NaN or infinite"
        yield f"{listed(broken)} (from 0): {lacks}; set to zero, and so left out"
