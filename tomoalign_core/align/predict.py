"""Shifts by a trained network."""

from __future__ import annotations

import numpy as np
import torch

from tomoalign_core.config import InputError
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.weights import TrainedModel

LARGEST_PX = 400  # wider or taller stacks are binned first: the networks learn on stacks of about 100 px


@torch.no_grad()
def predict_shifts(proj: np.ndarray, angle_rad: np.ndarray, model: TrainedModel) -> Shifts:
    """Predict the movement of each view of a stack (N, V, U), gauge-free, with a standard deviation in px.

    Stacks wider or taller than 400 px are binned for the prediction and the shifts scaled back.

    Raises
    ------
    InputError
        If the network was built for stacks of one other shape (``cnn3d``).
    """
    if model.config.name == "cnn3d" and tuple(proj.shape) != model.shape:
        raise InputError(f"{model.source}: this cnn3d takes stacks of {model.shape}, not {proj.shape}; use centroid")
    device = next(model.network.parameters()).device
    stack = torch.from_numpy(np.ascontiguousarray(proj, np.float32)).to(device)
    factor = -(-max(stack.shape[1:]) // LARGEST_PX) if model.config.name == "centroid" else 1
    if factor > 1:
        stack = torch.nn.functional.avg_pool2d(stack[:, None], factor)[:, 0]
    angle = torch.from_numpy(np.asarray(angle_rad, np.float32)).to(device)
    estimate = model.network(stack[None], angle[None])[-1]
    shift = estimate.shift[0].double().cpu().numpy() * factor
    sigma = np.full_like(shift, np.nan)
    if estimate.log_b is not None:  # σ of a Laplace distribution of scale b
        sigma = np.sqrt(2) * estimate.log_b[0].double().exp().cpu().numpy() * factor
    roll = None if estimate.roll_rad is None else np.rad2deg(estimate.roll_rad[0].double().cpu().numpy())
    return Shifts.from_arrays(
        angle_rad=angle_rad,
        dx_px=shift[:, 0],
        dy_px=shift[:, 1],
        roll_deg=roll,
        dx_sigma_px=sigma[:, 0],
        dy_sigma_px=sigma[:, 1],
    ).gauge_free()
