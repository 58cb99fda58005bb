"""A second look in twice the sampling: where it is asked for, and when its answer is taken."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from unittest import mock

import numpy as np
import pytest

from tomoalign_core.align import find_shifts, finer, refine
from tomoalign_core.align.finer import better_of, shows_details
from tomoalign_core.align.predict import can_look_finer, predict_shifts
from tomoalign_core.config import (
    Cnn3dConfig,
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
)
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate import LabelledScan, simulate


@cache
def scan(noise: float = 0.0) -> LabelledScan:
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            phantom=PhantomConfig(parts=200, part_size=(0.05, 0.1)),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=noise),
            seed=5,
        )
    )


def off(by_px: float) -> Shifts:
    """The truth but for an error of each view."""
    error = np.random.default_rng(0).normal(0, by_px, (2, 40))
    truth = scan().shifts
    return replace(truth, dx_px=truth.dx_px + error[0], dy_px=truth.dy_px + error[1])


def never() -> Shifts:
    raise AssertionError("it was asked to look")


def test_details_are_those_that_stand_out_of_the_noise() -> None:
    for unit in (1.0, 1e-20, 1e30):
        assert shows_details(scan().proj.numpy() * np.float32(unit))
    assert not shows_details(scan(0.1).proj.numpy())
    white = np.random.default_rng(0).normal(0, 1, (40, 48, 64))
    assert not shows_details(white)


@pytest.mark.parametrize("first, second, taken", [(0.3, 0.1, 1), (0.1, 0.3, 0)])
def test_the_answer_that_foretells_the_views_better_is_taken(first: float, second: float, taken: int) -> None:
    answers = off(first), off(second)
    assert better_of(scan().proj.numpy(), scan().angle_rad, answers[0], lambda: answers[1]) is answers[taken]


def test_a_stack_without_details_is_not_looked_at_again() -> None:
    found = off(0.3)
    assert better_of(scan(0.1).proj.numpy(), scan().angle_rad, found, never) is found


def test_a_stack_of_which_no_view_is_used_is_not_looked_at_again_and_not_refined() -> None:
    found = off(0.1).left_out(range(1, 40), "dark")
    assert better_of(scan().proj.numpy(), scan().angle_rad, found, lambda: pytest.fail("asked")) is found
    with pytest.raises(InputError, match="found no place for any view"):
        find_shifts(np.random.default_rng(0).random((3, 8, 8), np.float32), [0.0, 1.0, 2.0], method="network+refine")


def test_an_answer_that_leaves_out_more_views_is_not_taken() -> None:
    found = off(0.3)
    fewer = off(0.1).left_out(np.arange(40) == 7, "lost")
    assert better_of(scan().proj.numpy(), scan().angle_rad, found, lambda: fewer) is found


def test_shifts_of_a_finer_look_come_back_in_px_of_the_detector() -> None:
    network = load_weights("pretrained")
    found = predict_shifts(scan().proj.numpy(), scan().angle_rad, network, finer=True)
    score = score_shifts(found, scan().shifts)
    assert score.dx_rmse_px < 0.03 and score.dy_rmse_px < 0.03
    assert 0.003 < np.median(found.dx_sigma_px) < 0.1


def test_it_is_for_networks_that_take_any_shape_and_for_stacks_that_are_not_too_large() -> None:
    network = load_weights("pretrained")
    assert can_look_finer(np.empty((91, 135, 160)), network)
    assert not can_look_finer(np.broadcast_to(0.0, (91, 256, 256)), network)
    assert not can_look_finer(np.broadcast_to(0.0, (2000, 135, 160)), network)
    config = Cnn3dConfig()
    fixed = replace(network, network=build_model(config, (32, 44, 66)), config=config, shape=(32, 44, 66))
    assert not can_look_finer(np.empty((32, 44, 66)), fixed)


def test_refinement_begins_with_the_better_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def watched(proj: np.ndarray, *_: object) -> Shifts:
        asked.append(len(proj))
        return off(0.5)

    monkeypatch.setattr(finer, "better_of", watched)
    refined = mock.Mock(wraps=refine.refine_shifts)
    monkeypatch.setattr(refine, "refine_shifts", refined)
    find_shifts(scan().proj.numpy(), scan().angle_rad, method="network+refine")
    assert asked == [40]
    np.testing.assert_allclose(refined.call_args.args[2].dx_px, off(0.5).dx_px)
    assert refined.call_args.kwargs["settled"], "by its own steps, as the network's answer"
    find_shifts(scan().proj.numpy(), scan().angle_rad, method="network")
    assert asked == [40]
