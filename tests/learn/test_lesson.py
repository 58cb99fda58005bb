"""The lesson is true: each fault does what is said of it, and the levels follow from the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tomoalign_core.config import RunConfig
from tomoalign_core.learn.dataset import training_batch
from tomoalign_core.learn.lesson import (
    ALL_COMBINATIONS,
    PROBE_PX,
    Faults,
    Levels,
    answers,
    centroid_course,
    course,
    lesson_batch,
    levels,
    load_record,
)
from tomoalign_core.learn.models import Estimate
from tomoalign_core.learn.presets import notebook

AS_WRITTEN = Faults(unmoved=True, no_step=True, forced=True, raw_labels=True)
STEPPED_AND_FREE = Faults(unmoved=True, no_step=False, forced=False, raw_labels=True)


@pytest.fixture(scope="module")
def quarter() -> RunConfig:
    """The notebook's experiment at a quarter of its size."""
    return notebook(scale=0.25)


@pytest.fixture(scope="module")
def known(quarter: RunConfig) -> Levels:
    """The levels of its labels."""
    return levels(quarter)


def test_the_levels_are_those_of_rounded_normal_labels(quarter: RunConfig, known: Levels) -> None:
    """Closed forms: rounding adds 1/12 to a variance; the gauge takes 3 of N directions of dx and 1 of N of dy."""
    n = quarter.dataset.scan.n_views
    dx, dy = 16 + 1 / 12, 1 + 1 / 12
    assert known.variance == pytest.approx((dx + dy) / 2, rel=0.05)
    assert known.free_variance == pytest.approx((dx * (1 - 3 / n) + dy * (1 - 1 / n)) / 2, rel=0.05)
    assert known.floor == pytest.approx((3 * dx / n + dy / n) / 2, rel=0.15)


def test_unmoved_images_are_turned_and_not_shifted_under_labels_that_are(quarter: RunConfig) -> None:
    moved, still = (lesson_batch(quarter, 3, moved=how) for how in (True, False))
    assert torch.equal(moved.shift, still.shift)
    assert torch.equal(moved.roll_rad, still.roll_rad)
    u = torch.arange(moved.proj.shape[3]) - (moved.proj.shape[3] - 1) / 2
    centre = [(b.clean.sum(2) @ u / b.clean.sum((2, 3)))[0] for b in (moved, still)]
    assert centre[1].std() < 0.6  # the head itself is lopsided; the labels have σ = 4
    assert torch.allclose(centre[0] - centre[1], moved.shift[0, :, 0], atol=0.35)


def test_as_written_the_loss_is_100_plus_the_variance_of_the_labels_whatever_happens(
    quarter: RunConfig, known: Levels
) -> None:
    losses, _ = course(AS_WRITTEN, quarter, steps=96)  # each stack once
    assert losses.mean() == pytest.approx(100 + known.variance, rel=0.02)
    assert losses[:48].mean() == pytest.approx(losses[-48:].mean(), rel=0.02)


@pytest.mark.slow
def test_with_the_step_called_and_the_output_free_it_says_0_and_scores_the_variance(
    quarter: RunConfig, known: Levels
) -> None:
    losses, _ = course(STEPPED_AND_FREE, quarter, steps=45)
    assert losses[-25:].mean() == pytest.approx(known.variance, rel=0.15)


@pytest.mark.slow
def test_centroid_is_below_a_hundredth_of_a_square_pixel_on_the_same_data(quarter: RunConfig) -> None:
    """It starts there, as what moves with the picture need not be learned: one step is enough, and it stays there."""
    errors, network = centroid_course(quarter, steps=12)
    assert errors.max() < 0.01
    assert np.allclose(answers(network, quarter), PROBE_PX, atol=0.3)


def test_answers_are_those_of_the_view_that_moves(quarter: RunConfig) -> None:
    class Centre(nn.Module):
        """The plain centre of mass, which moves with the view."""

        def forward(self, proj: torch.Tensor, angle_rad: torch.Tensor) -> list[Estimate]:
            u = torch.arange(proj.shape[3]) - (proj.shape[3] - 1) / 2
            at = proj.sum(2) @ u / proj.sum((2, 3))
            return [Estimate(torch.stack([at, 0 * at], -1))]

    assert np.allclose(answers(Centre(), quarter), PROBE_PX, atol=0.05)


def test_what_is_shipped_holds_every_combination_and_tells_the_same_story() -> None:
    kept = load_record()
    assert set(kept.losses) == {faults.code for faults in ALL_COMBINATIONS}
    for faults in ALL_COMBINATIONS:
        end = kept.losses[faults.code][-50:].mean()
        assert end == pytest.approx(kept.levels.of(faults, kept.n_views), rel=0.15), faults
    assert np.median(kept.centroid[-20:]) < 0.01
    assert np.abs(kept.cnn3d_says).max() < 1.0
    assert np.allclose(kept.centroid_says, PROBE_PX, atol=0.3)


def test_a_recorded_curve_is_what_the_code_gives_now(quarter: RunConfig) -> None:
    steps = 8
    losses, _ = course(AS_WRITTEN, quarter, steps=steps)
    assert np.allclose(losses, load_record().losses[AS_WRITTEN.code][:steps], rtol=0.02)
    assert float(training_batch(quarter.dataset, 0, 1).shift.abs().max()) > 5
