"""The random field: its covariance, and what views say of each other by it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import integrate, special

from tomoalign_core.align import field, undo_shifts
from tomoalign_core.align.field import Field
from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.simulate import LabelledScan, simulate


@cache
def scan() -> LabelledScan:
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1, roll_sigma_deg=0.5),
            noise=NoiseConfig(gaussian=0.05),
            seed=5,
        )
    )


def test_views_foretell_each_other_without_their_noise() -> None:
    aligned, _ = undo_shifts(scan().proj.numpy(), scan().shifts)
    clean, _ = undo_shifts(scan().clean.numpy(), scan().shifts)
    left = Field(scan().shifts.angle_rad, aligned.astype(float), scan().gaussian).foretell(aligned) - clean
    assert np.std(left[:, 6:-6, 6:-6]) < 0.6 * scan().gaussian


def test_covariance_of_discs_is_the_transform_of_their_variance() -> None:
    radii, share = np.array([5.0, 12.0]), np.array([0.3, 0.7])
    k = np.array([0.01, 0.3, 1.1])

    def variance(r: float) -> float:
        return float((share / radii**2 * (r < radii)).sum())

    for value, at in zip(field._transform(k, radii, share), k, strict=True):
        top, _ = integrate.quad(lambda r, at=at: variance(r) * special.j0(at * r) * r, 0, 12, points=[5], limit=200)
        bottom, _ = integrate.quad(lambda r: variance(r) * r, 0, 12, points=[5])
        assert value == pytest.approx(top / bottom, abs=1e-6)


def test_discs_of_a_smaller_object_are_smaller() -> None:
    u = np.arange(64) - 31.5
    chord = np.sqrt(np.clip(12.0**2 - u**2, 0, None))
    rng = np.random.default_rng(0)
    views = rng.normal(size=(30, 20, 64)) * np.sqrt(chord)
    radii, share = field._discs(views, 0.0)
    assert (share * radii).sum() == pytest.approx(12, rel=0.1)
