"""What is minimised, and what is reported beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tomoalign_core.geometry import gauge_projector
from tomoalign_core.learn.dataset import Batch
from tomoalign_core.learn.models.estimate import Estimate


def without_gauge(error: torch.Tensor, angle_rad: torch.Tensor, roll_rad: torch.Tensor | None = None) -> torch.Tensor:
    """Take the unobservable part out of errors (B, N, 2) by least squares, per stack; ``roll_rad`` (B, N) is true."""
    q = gauge_projector(angle_rad, roll_rad)
    x = error.flatten(1)[..., None]
    return (x - q @ (q.mT @ x)).view_as(error)


def loss_of(name: str, estimates: list[Estimate], batch: Batch) -> torch.Tensor:
    """The loss of a batch, summed over the passes of the network.

    ``laplace``: |e| / b + log b, the likelihood of the predicted confidence, plus a little smooth-L1 and a little of
    the errors of roll and of the noise-free views, where the network gives them;
    ``smooth-l1`` and ``mse``: of the gauge-removed error e; ``raw-mse``: of the raw error, as the notebook.
    """
    total = batch.proj.new_zeros(())
    for estimate in estimates:
        raw = estimate.shift - batch.shift
        if name == "raw-mse":
            total = total + raw.square().mean()
            continue
        error = without_gauge(raw, batch.angle_rad, batch.roll_rad)
        smooth = F.smooth_l1_loss(error, torch.zeros_like(error))
        if name == "laplace":
            assert estimate.log_b is not None
            likelihood = (error.abs() * (-estimate.log_b).exp() + estimate.log_b).mean()
            total = total + likelihood + 0.1 * smooth + 0.5 * _roll_error(estimate, batch).abs().mean()
            total = total + 0.5 * _noise_left(estimate, batch)
        else:
            total = total + (smooth if name == "smooth-l1" else error.square().mean())
    return total


def learned_passes(estimates: list[Estimate]) -> list[Estimate]:
    """The passes whose loss a training sums, the first and the last, so that validation is on the same scale."""
    return estimates if len(estimates) < 2 else [estimates[0], estimates[-1]]


def _roll_error(estimate: Estimate, batch: Batch) -> torch.Tensor:
    """Error of the roll (B, N), degrees, its mean over the views taken out; zero from a network that gives none."""
    if estimate.roll_rad is None:
        return torch.zeros_like(batch.roll_rad)
    error = torch.rad2deg(estimate.roll_rad - batch.roll_rad)
    return error - error.mean(dim=1, keepdim=True)


def _noise_left(estimate: Estimate, batch: Batch) -> torch.Tensor:
    """The part of the noise's power that is left in the noise-free views; zero from a network that gives none."""
    if estimate.clean is None:
        return batch.proj.new_zeros(())
    noisy, clean = (F.avg_pool2d(stack, 2, ceil_mode=True) for stack in (batch.proj, batch.clean))
    there = (noisy - clean).square().mean(dim=(1, 2, 3)) + 1e-4 * clean.square().mean(dim=(1, 2, 3))
    return ((estimate.clean - clean).square().mean(dim=(1, 2, 3)) / there).mean()


def errors_of(estimate: Estimate, batch: Batch) -> dict[str, float]:
    """Gauge-removed RMSE in px and mean squares in px² of one estimate, beside those of the labels.

    ``label_variance_px2`` is the mean square of the labels without their gauge, ``gauge_px2`` that of their gauge.
    """
    error = without_gauge(estimate.shift - batch.shift, batch.angle_rad, batch.roll_rad)
    square = error.square().mean(dim=(0, 1))
    label = without_gauge(batch.shift, batch.angle_rad, batch.roll_rad)
    values = {
        "rmse_dx_px": square[0].sqrt(),
        "rmse_dy_px": square[1].sqrt(),
        "rmse_roll_deg": _roll_error(estimate, batch).square().mean().sqrt(),
        "mse_px2": square.mean(),
        "raw_mse_px2": (estimate.shift - batch.shift).square().mean(),
        "label_variance_px2": label.square().mean(),
        "gauge_px2": (batch.shift - label).square().mean(),
    }
    return {name: float(value) for name, value in values.items()}
