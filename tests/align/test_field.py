"""The random field: its covariance, what views say of each other by it, and the bound that it sets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import integrate, special

from tomoalign_core.align import field, undo_shifts
from tomoalign_core.align.field import Field
from tomoalign_core.align.limit import unknown_object_bound
from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import scan_bound
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


def bound(one: LabelledScan) -> tuple[float, float]:
    return unknown_object_bound(one.proj.numpy(), one.clean.numpy(), one.angle_rad, one.shifts)


def test_who_does_not_know_the_object_errs_by_more_than_who_does() -> None:
    dx, dy = bound(scan())
    known_dx, known_dy = scan_bound(scan().clean.numpy(), gaussian=0.05, counts=None)
    assert 1.1 * known_dx < dx < 4 * known_dx
    assert known_dy < dy < 2 * known_dy


def test_more_views_of_the_same_noise_tell_more_of_the_object() -> None:
    settings = SimulationConfig(
        misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0), noise=NoiseConfig(gaussian=0.05), seed=5, phantom_seed=1
    )
    few, many = (bound(simulate(settings.changed(scan=ScanConfig(n_views=n, n_rows=48, n_cols=64)))) for n in (20, 60))
    assert many[0] < few[0] and many[1] < few[1]


def test_where_all_views_are_one_picture_the_bound_is_that_of_a_mean_as_template() -> None:
    """N copies of one picture against their mean: the variance of one of them less that of the mean."""
    n, sigma = 12, 0.05
    rng = np.random.default_rng(3)
    v, u = np.mgrid[-20:20, -24:24]
    picture = np.exp(-((u - 3) ** 2 + 1.5 * v**2) / 50) + 0.6 * np.exp(-((u + 7) ** 2 + (v - 5) ** 2) / 18)
    clean = np.repeat(picture[None], n, 0).astype(np.float32)
    noisy = clean + rng.normal(0, sigma, clean.shape).astype(np.float32)
    angle = np.full(n, 0.3) + 1e-7 * np.arange(n)
    still = Shifts.from_arrays(angle_rad=angle, dx_px=np.zeros(n), dy_px=np.zeros(n))
    dx, dy = unknown_object_bound(noisy, clean, angle, replace(still))
    known = scan_bound(clean, gaussian=sigma, counts=None)
    expected = np.array(known) * np.sqrt(1 - 1 / n)
    assert dy == pytest.approx(expected[1], rel=0.15)
    assert dx == pytest.approx(expected[0], rel=0.15)
