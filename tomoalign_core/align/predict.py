"""Shifts as a trained network sees them; what it says of a stack in the end is one step further, see ``joint``.

Views are shown to it in the order of their angles, whatever order they were taken in: it matches neighbours. Views that
do not look like those beside them afterwards are looked for farther away, and the network looks once more. So it does
where the object of a wedge turns far off the axis: where it stands is free, and it is reprojected best in the middle;
and where views roll far, of which it finds a part at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import numpy as np
import torch

from tomoalign_core.align.apply import Progress, undo_shifts
from tomoalign_core.align.binning import in_units
from tomoalign_core.align.confidence import as_sure_as_noise_allows
from tomoalign_core.align.lost import leave_out_lost, places_again
from tomoalign_core.align.outline import cut_of, off_axis_px
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Shifts, is_wedge
from tomoalign_core.learn.weights import TrainedModel
from tomoalign_core.metrics import rms

LEAST_VIEWS = 8  # that are left, for the network to look again without those that were lost
LARGEST_PX = 400  # wider or taller stacks are binned first: the networks learn on stacks of about 100 px
FAR_ROLLED_DEG = 5.0  # root mean square over the views; the network learned from a third of that
FAR_OFF = 0.05  # of the width, that the object's mass stands off the axis
LARGEST_WORK = 16e9  # views squared times pixels, to which reprojection of each view from all others is proportional


@torch.no_grad()
def predict_shifts(
    proj: np.ndarray,
    angle_rad: np.ndarray,
    model: TrainedModel,
    progress: Progress | None = None,
    *,
    finer: bool = False,
) -> Shifts:
    """Predict the movement of each view of a stack (N, V, U), gauge-free, with a standard deviation in px.

    A network learns nothing of the tilt of the axis, which is 0 here; see ``joint`` for that.
    Stacks wider or taller than 400 px, or of very many views, are binned for it, and the shifts scaled back.
    ``finer`` shows the network twice the sampling instead, see ``can_look_finer``.
    ``progress`` is called with (passes done, passes) by networks that look more than once.

    Raises
    ------
    InputError
        If the network was built for stacks of one other shape (``cnn3d``).
    """
    if model.config.name == "cnn3d" and tuple(proj.shape) != model.shape:
        raise InputError(f"{model.source}: this cnn3d takes stacks of {model.shape}, not {proj.shape}; use centroid")
    order = np.argsort(angle_rad, kind="stable")
    stack, angle = in_units(np.asarray(proj, np.float32))[0][order], np.asarray(angle_rad, float)[order]
    factor = 0.5 if finer else _factor(stack, model)
    found = _look(stack, angle, model, factor, progress)
    start = _better_start(stack, found) if model.config.name == "centroid" else None
    if start is not None:
        found = _look(stack, angle, model, factor, progress, start)
    found = leave_out_lost(stack, found)
    kept = found.used
    if model.config.name == "centroid" and not kept.all() and kept.sum() >= LEAST_VIEWS:
        # what the views left out showed has pulled those beside them along
        rest = _look(stack[kept], angle[kept], model, factor, progress, found.taken(kept)).gauge_free()
        found = found.gauge_free().put(kept, rest)
    return as_sure_as_noise_allows(stack, found.gauge_free().rolled_about_axis()).taken(np.argsort(order))


def _better_start(proj: np.ndarray, found: Shifts) -> Shifts | None:
    """What the network should build on when it looks once more; None where it need not."""
    further = places_again(proj, found)
    start = replace(found, dx_px=found.dx_px + further[:, 0], dy_px=found.dy_px + further[:, 1])
    if is_wedge(start.angle_rad):
        aligned, _ = undo_shifts(proj, start)
        away = off_axis_px(aligned, start.angle_rad)
        if np.abs(away).max() > FAR_OFF * proj.shape[2] and not cut_of(aligned).sides:
            return replace(start, dx_px=start.dx_px + away)
    return start if further.any() or rms(found.roll_deg) > FAR_ROLLED_DEG else None


def _look(
    proj: np.ndarray,
    angle_rad: np.ndarray,
    model: TrainedModel,
    factor: float,
    progress: Progress | None,
    start: Shifts | None = None,
) -> Shifts:
    """What the network says of a stack, once; building on ``start``, which only a centroid network can.

    ``factor`` is how large its pixels are in those of the stack: a whole number or 1/2.
    """
    device = next(model.network.parameters()).device
    stack = torch.from_numpy(np.ascontiguousarray(proj, np.float32)).to(device)
    if factor > 1:
        stack = torch.nn.functional.avg_pool2d(stack[:, None], int(factor))[:, 0]
    elif factor < 1:
        stack = torch.nn.functional.interpolate(stack[:, None], scale_factor=1 / factor, mode="bicubic")[:, 0]
    angle = torch.from_numpy(np.asarray(angle_rad, np.float32)).to(device)
    with _counted(model, progress):
        more = () if start is None else (_tensors(start, factor, stack),)
        estimate = model.network(stack[None], angle[None], *more)[-1]
    shift = estimate.shift[0].double().cpu().numpy() * factor
    sigma = np.full_like(shift, np.nan)
    if estimate.sigma_px is not None:
        sigma = estimate.sigma_px[0].double().cpu().numpy() * factor
    roll = None if estimate.roll_rad is None else np.rad2deg(estimate.roll_rad[0].double().cpu().numpy()) + 0.0  # no -0
    return Shifts.from_arrays(
        angle_rad=angle_rad,
        dx_px=shift[:, 0],
        dy_px=shift[:, 1],
        roll_deg=roll,
        dx_sigma_px=sigma[:, 0],
        dy_sigma_px=sigma[:, 1],
    )


def _tensors(table: Shifts, factor: float, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shifts (1, N, 2) in the network's pixels, and rolls (1, N)."""
    shift = np.stack([table.dx_px, table.dy_px], -1) / factor
    return torch.from_numpy(shift)[None].to(like), torch.from_numpy(np.deg2rad(table.roll_deg))[None].to(like)


@contextmanager
def _counted(model: TrainedModel, progress: Progress | None) -> Iterator[None]:
    """Tell the passes of a centroid network, each of which ends in its head."""
    if progress is None or model.config.name != "centroid":
        yield
        return
    number, of = count(1), model.config.passes
    hook = model.network.get_submodule("head").register_forward_hook(lambda *_: progress(next(number), of))
    try:
        yield
    finally:
        hook.remove()


def can_look_finer(proj: np.ndarray, model: TrainedModel) -> bool:
    """Whether the network takes any shape, and a stack (N, V, U) in twice the sampling is not too large for it."""
    n, rows, cols = proj.shape
    return model.config.name == "centroid" and binning(n, 2 * rows, 2 * cols) == 1


def _factor(proj: np.ndarray, model: TrainedModel) -> int:
    return binning(*proj.shape) if model.config.name == "centroid" else 1


def binning(n_views: int, n_rows: int, n_cols: int) -> int:
    """The least whole factor that brings a stack into the sizes the network is meant for.

    >>> binning(180, 256, 366), binning(180, 1024, 1024), binning(1500, 400, 400)
    (1, 3, 5)
    """
    by_size = math.ceil(max(n_rows, n_cols) / LARGEST_PX)
    by_work = math.ceil(math.sqrt(n_views**2 * n_rows * n_cols / LARGEST_WORK))
    return max(by_size, by_work, 1)
