"""Losses by closed form, and that only raw-mse sees the gauge."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.learn.dataset import Batch
from tomoalign_core.learn.losses import errors_of, learned_passes, loss_of, without_gauge
from tomoalign_core.learn.models import Estimate
from tomoalign_core.metrics import label_variance, loss_levels, score_shifts

N = 72
ANGLE = torch.from_numpy(angles(N, range_deg=360)).expand(2, N)
WAVE = torch.cos(2 * ANGLE)  # at right angles to the gauge on a full turn


def batch() -> Batch:
    shift = torch.randn(2, N, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    stacks = torch.zeros(2, N, 4, 4, dtype=torch.float64)
    return Batch(stacks, ANGLE, shift, torch.zeros_like(ANGLE), stacks)


def off_by(error_dx: torch.Tensor, error_dy: torch.Tensor, log_b: float | None = 0.0) -> Estimate:
    error = torch.stack([error_dx, error_dy], -1)
    return Estimate(batch().shift + error, None if log_b is None else torch.full_like(error, log_b))


def gauge() -> tuple[torch.Tensor, torch.Tensor]:
    return 4 - 3 * ANGLE.cos() + 2 * ANGLE.sin(), torch.full_like(ANGLE, -5.0)


@pytest.mark.parametrize("name", ["laplace", "smooth-l1", "mse"])
def test_loss_is_unchanged_by_the_gauge(name: str):
    dx, dy = gauge()
    plain = loss_of(name, [off_by(0.4 * WAVE, -0.7 * WAVE)], batch())
    moved = loss_of(name, [off_by(0.4 * WAVE + dx, -0.7 * WAVE + dy)], batch())
    torch.testing.assert_close(plain, moved)


def test_notebooks_loss_sees_the_gauge():
    loss = loss_of("raw-mse", [off_by(*gauge(), log_b=None)], batch())
    assert float(loss) == pytest.approx((16 + 9 / 2 + 4 / 2 + 25) / 2)


def test_mse_and_smooth_l1_are_the_definitions():
    small, large = off_by(0.5 * WAVE, 0 * WAVE), off_by(0 * WAVE, 6 * WAVE)
    assert float(loss_of("mse", [small], batch())) == pytest.approx(0.5**2 / 2 / 2)
    assert float(loss_of("smooth-l1", [small], batch())) == pytest.approx(0.5 * 0.5**2 / 2 / 2)
    e = 6 * WAVE.abs()
    huber = torch.where(e < 1, e**2 / 2, e - 0.5).mean() / 2
    assert float(loss_of("smooth-l1", [large], batch())) == pytest.approx(float(huber))


@pytest.mark.parametrize("log_b", [-2.0, 0.0, 1.0])
def test_laplace_is_the_likelihood_and_a_tenth_of_smooth_l1(log_b: float):
    estimate = off_by(0.3 * WAVE, 0.3 * WAVE, log_b)
    likelihood = 0.3 * float(WAVE.abs().mean()) / math.exp(log_b) + log_b
    smooth = 0.5 * 0.3**2 / 2
    assert float(loss_of("laplace", [estimate], batch())) == pytest.approx(likelihood + 0.1 * smooth)


def test_laplace_is_least_where_b_is_the_mean_error():
    best = math.log(0.3 * float(WAVE.abs().mean()))
    losses = [float(loss_of("laplace", [off_by(0.3 * WAVE, 0.3 * WAVE, best + d)], batch())) for d in (-0.1, 0.0, 0.1)]
    assert losses[1] == min(losses)


def test_passes_of_a_network_are_summed():
    one, two = off_by(WAVE, WAVE), off_by(0.2 * WAVE, 0 * WAVE)
    both = loss_of("mse", [one, two], batch())
    torch.testing.assert_close(both, loss_of("mse", [one], batch()) + loss_of("mse", [two], batch()))


def test_reported_errors_are_those_of_the_metrics():
    """One stack: the trainer's figures and ``score_shifts`` say the same, by different code."""
    rng = np.random.default_rng(0)
    angle = angles(40, range_deg=150)
    truth, found = rng.normal(0, 3, (2, 40, 2))
    shifts = [Shifts.from_arrays(angle_rad=angle, dx_px=s[:, 0], dy_px=s[:, 1]) for s in (found, truth)]
    theta = torch.from_numpy(angle)[None]
    stacks = torch.zeros(1, 40, 2, 2)
    one = Batch(stacks, theta, torch.from_numpy(truth)[None], torch.zeros_like(theta), stacks)
    errors = errors_of(Estimate(torch.from_numpy(found)[None], None), one)
    score = score_shifts(*shifts)
    assert errors["rmse_dx_px"] == pytest.approx(score.dx_rmse_px)
    assert errors["rmse_dy_px"] == pytest.approx(score.dy_rmse_px)
    assert errors["mse_px2"] == pytest.approx((score.dx_rmse_px**2 + score.dy_rmse_px**2) / 2)
    assert errors["raw_mse_px2"] == pytest.approx((score.dx_raw_rmse_px**2 + score.dy_raw_rmse_px**2) / 2)
    assert errors["label_variance_px2"] == pytest.approx(label_variance(shifts[1]))


@pytest.mark.parametrize("name", ["mse", "raw-mse"])
def test_the_levels_of_a_loss_are_what_it_is_for_who_knows_nothing_and_for_who_knows_all_but_the_gauge(name: str):
    knows_nothing = [Estimate(torch.zeros_like(batch().shift))] * 2
    knows_all_but_gauge = [Estimate(without_gauge(batch().shift, ANGLE))] * 2
    case = errors_of(knows_nothing[0], batch()) | {"bound_dx_px": 0.3, "bound_dy_px": 0.1}
    levels = loss_levels(name, case, passes=2)
    assert levels["label variance"] == pytest.approx(float(loss_of(name, knows_nothing, batch())))
    assert levels.get("gauge", 0) == pytest.approx(float(loss_of(name, knows_all_but_gauge, batch())), abs=1e-12)
    assert levels["bound²"] == pytest.approx(0.09 + 0.01)


@pytest.mark.parametrize("name", ["laplace", "smooth-l1"])
def test_a_loss_that_is_no_mean_square_has_no_levels(name: str):
    case = {"label_variance_px2": 4.0, "gauge_px2": 1.0, "bound_dx_px": 0.3, "bound_dy_px": 0.1}
    assert loss_levels(name, case, passes=1) == {}


def test_validation_sums_the_passes_that_training_sums():
    passes = [off_by(k * WAVE, WAVE) for k in (1.0, 0.5, 0.25, 0.1)]
    assert learned_passes(passes) == [passes[0], passes[3]]
    assert learned_passes(passes[:1]) == passes[:1]


def test_each_stack_of_a_batch_has_its_gauge_removed_for_itself():
    angle = torch.stack([ANGLE[0], ANGLE[0] * 0.4])
    dx = torch.stack([3 * angle[0].cos(), 7 - 2 * angle[1].sin()])
    rest = without_gauge(torch.stack([dx, torch.ones_like(dx)], -1), angle)
    assert float(rest.abs().max()) < 1e-9


def test_noise_left_in_the_clean_views_is_a_share_of_the_noise_that_was_there():
    """All of it left costs half a unit of loss, a tenth of its power a twentieth."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(1, 5, 8, 8, generator=generator)
    noise = torch.randn(1, 5, 8, 8, generator=generator)
    zero = torch.zeros(1, 5, 2)
    stack = Batch(clean + noise, torch.linspace(0, 3, 5)[None], zero, zero[..., 0], clean)
    half = torch.nn.functional.avg_pool2d(torch.cat([clean, noise]), 2)

    def loss(left: float) -> float:
        estimate = Estimate(zero, zero, clean=half[:1] + left * half[1:])
        return float(loss_of("laplace", [estimate], stack))

    assert loss(1.0) - loss(0.0) == pytest.approx(0.5, rel=1e-2)
    assert loss(0.1**0.5) - loss(0.0) == pytest.approx(0.05, rel=1e-2)
