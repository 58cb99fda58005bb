"""What all other views say of a view: by the field of all views, or by backprojection where they are very many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from tomoalign_core.align.apply import move_views, undo_shifts
from tomoalign_core.align.field import FILL_ROUNDS, Field
from tomoalign_core.align.noise import noise_of
from tomoalign_core.align.outline import background_of, with_object_aside
from tomoalign_core.geometry import Float, Shifts, angle_gaps, gauge_functions
from tomoalign_core.simulate.project import ramp_filter

Images = NDArray[np.float32]
Progress = Callable[[int, int], None]


def foretell_by_field(
    stack: Images, angle_rad: Float, table: Shifts, *, path: Float, progress: Progress | None = None
) -> Images:
    """Predict views of a stack (N, V, U) as ``table`` aligns it, from all used views but themselves: (N, V, U).

    The object is a random one, and each view the mean of what it may be given all others, see ``Field``. So what no
    view has seen, between the angles of few views or beyond those of a wedge, is not taken for empty or for smeared,
    as backprojection does; and noise is kept out as far as the views allow.

    Parameters
    ----------
    stack : attenuation as measured, with its noise.
    path : (c, a, b) of the path of the object's mass, px: the field knows the object best around the axis.
    progress : called with (views foretold, views in all): all are foretold at once, in four steps.
    """

    def told(steps: int) -> None:
        if progress is not None:
            progress(len(stack) * steps // 4, len(stack))

    level = background_of(stack)[:, None, None].astype(np.float32)
    aligned, seen = undo_shifts(stack - level, with_object_aside(table, np.append(path, 0.0)))
    told(1)
    # views that are not used have no say in what the object is like
    nearest = np.flatnonzero(table.used)[np.abs(angle_rad[:, None] - angle_rad[table.used]).argmin(1)]
    field = Field(angle_rad, aligned[nearest], noise_of(stack[table.used]))
    told(2)
    whole = field.fill(aligned, seen, field.foretell(np.where(seen, aligned, 0.0)), rounds=FILL_ROUNDS)
    told(3)
    # back from the axis to where the table has the object
    aside = gauge_functions(angle_rad, axis="dx") @ path
    back = Shifts.from_arrays(angle_rad=angle_rad, dx_px=aside, dy_px=np.zeros(len(stack)))
    foretold = move_views(field.foretell_by_others(whole).astype(np.float32), back)
    told(4)
    return foretold


def foretell_by_backprojection(
    aligned: Images,
    angle_rad: Float,
    *,
    used: NDArray[np.bool_] | None = None,
    axis_px: float | None = None,
    radius_px: float | None = None,
    views: NDArray[np.intp] | None = None,
    progress: Progress | None = None,
) -> Images:
    """Predict views of an aligned stack (N, V, U) from all used views but themselves: (N, V, U), or those of ``views``.

    No volume is made. A filtered view q of angle α, backprojected and then projected at β, is q summed over a stretch
    of its own axis: along the ray at column u it is read at ``u cos + t sin`` (of α - β, from the axis), for t within
    the circle of reconstruction, which by default reaches to the farther side of the view. With Q the running sum of
    q and h half the chord, that is ``[Q(u cos + h |sin|) - Q(u cos - h |sin|)] / |sin|``: four numbers a source view,
    the same for all rows, and so one sparse matrix a view.
    """
    n, rows, cols = aligned.shape
    axis = (cols - 1) / 2 if axis_px is None else axis_px
    source = np.arange(n) if used is None else np.flatnonzero(used)
    weight = _spacing(angle_rad[source])[:, None, None].astype(np.float32)
    filtered = ramp_filter(torch.from_numpy(aligned[source])).numpy() * weight
    running = np.zeros((len(source), cols + 1, rows), np.float32)
    running[:, 1:] = filtered.transpose(0, 2, 1)
    running = running.cumsum(axis=1).reshape(-1, rows)  # at the edges of the pixels

    u = np.arange(cols) - axis
    radius = max(axis, cols - 1 - axis) + 0.5 if radius_px is None else radius_px
    half = np.sqrt(np.clip(radius**2 - u**2, 0.25, None))
    wanted = np.arange(n) if views is None else views
    result = np.empty((len(wanted), rows, cols), np.float32)
    for done, view in enumerate(wanted):
        between = (angle_rad[source] - angle_rad[view])[:, None]
        reach = np.abs(np.sin(between)).clip(1e-3)
        middle = u * np.cos(between) + axis + 0.5
        weights = (source != view)[:, None] / reach
        matrix = _reading(np.stack([middle + half * reach, middle - half * reach]), np.stack([weights, -weights]))
        result[done] = (matrix @ running).T
        if progress is not None:
            progress(done + 1, len(wanted))
    return result


def _reading(at: Float, weights: Float) -> sparse.csr_matrix:
    """The matrix (U, K · (U + 1)) that reads K lists of U + 1 numbers at places (2, K, U), linearly, and sums them."""
    _, k, cols = at.shape
    at = at.clip(0, cols - 1e-3)
    low = at.astype(np.int32)
    part = at - low
    index = low + (np.arange(k, dtype=np.int32) * (cols + 1))[:, None]
    columns = np.stack([index, index + 1]).transpose(3, 0, 1, 2)
    values = np.stack([(1 - part) * weights, part * weights]).transpose(3, 0, 1, 2)
    begin = np.arange(cols + 1) * 4 * k
    return sparse.csr_matrix(
        (values.astype(np.float32).ravel(), columns.ravel(), begin), shape=(cols, k * (cols + 1)), copy=False
    )


def _spacing(angle_rad: Float) -> Float:
    """The angle each view stands for, radians: half the gaps beside it modulo 180°, each at most 3 mean gaps."""
    order = np.mod(angle_rad, np.pi).argsort()
    gaps = angle_gaps(angle_rad).clip(max=3 * np.pi / len(order))
    spacing = np.empty(len(order))
    spacing[order] = (gaps + np.roll(gaps, 1)) / 2
    return spacing
