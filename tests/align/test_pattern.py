"""A fixed pattern of the detector: found, not imagined, and kept from misleading the refinement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tomoalign_core.align import together
from tomoalign_core.align.pattern import fixed_pattern
from tomoalign_core.align.refine import refine_shifts
from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate import simulate

RNG = np.random.default_rng(3)
NOISE = RNG.normal(0, 1, (40, 30, 50))
PATTERN = RNG.normal(0, 1, (30, 50))


def test_it_is_found_as_far_as_the_noise_of_the_mean_allows() -> None:
    foretold = np.cumsum(NOISE, axis=0)  # whatever it is: what is left counts
    found = fixed_pattern(foretold + NOISE[::-1] + 0.8 * PATTERN, foretold)
    assert np.corrcoef(found.ravel(), PATTERN.ravel())[0, 1] > 0.95
    assert np.std(found) == pytest.approx(0.8 / np.sqrt(1 + 1 / (40 * 0.64)), rel=0.05)  # Wiener's share


def test_noise_alone_makes_none_and_neither_does_a_brighter_view() -> None:
    assert not fixed_pattern(NOISE, np.zeros_like(NOISE)).any()
    assert not fixed_pattern(NOISE + RNG.normal(0, 9, (40, 1, 1)), np.zeros_like(NOISE)).any()


def test_it_does_not_mislead_the_refinement(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=0.02),
            seed=5,
        )
    )
    truth = scan.shifts
    off = np.random.default_rng(0).normal(0, 0.1, (2, 40))
    sigma = np.full(40, 0.1)
    start = replace(truth, dx_px=truth.dx_px + off[0], dy_px=truth.dy_px + off[1], dx_sigma_px=sigma, dy_sigma_px=sigma)
    worn = scan.proj.numpy() + np.random.default_rng(1).normal(0, 0.05, (48, 64)).astype(np.float32)

    def errors() -> tuple[float, float]:
        score = score_shifts(refine_shifts(worn, scan.angle_rad, start).shifts, truth)
        return score.dx_rmse_px, score.dy_rmse_px

    without = errors()
    monkeypatch.setattr(together, "fixed_pattern", lambda views, foretold: np.zeros_like(views[0]))
    misled = errors()
    assert without[0] < 0.9 * misled[0] and without[1] < 0.7 * misled[1]
