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
    model, views = aligned()
    clean, _ = undo_shifts(scan().clean.numpy(), scan().shifts)
    left = model.foretell(views) - clean
    assert np.std(left[:, 6:-6, 6:-6]) < 0.6 * scan().gaussian


def aligned() -> tuple[Field, np.ndarray]:
    views, _ = undo_shifts(scan().proj.numpy(), scan().shifts)
    return Field(scan().shifts.angle_rad, views.astype(float), scan().gaussian), views.astype(float)


def test_what_others_say_of_a_view_does_not_depend_on_it() -> None:
    model, views = aligned()
    changed = views.copy()
    changed[7] += np.random.default_rng(0).normal(size=views[7].shape)
    before, after = model.foretell_by_others(views), model.foretell_by_others(changed)
    np.testing.assert_allclose(after[7], before[7], atol=1e-9)
    assert np.abs(after[8] - before[8]).max() > 0.01
    clean, _ = undo_shifts(scan().clean.numpy(), scan().shifts)
    assert np.corrcoef(before[7].ravel(), clean[7].ravel())[0, 1] > 0.98


def test_what_others_say_is_the_mean_of_a_view_given_the_others() -> None:
    """Against the covariance written out, of one frequency: conditioned by solving for the other views."""
    model, _ = aligned()
    real = model._real
    signal = 1 / real.noise[2, :, 0] - 1  # of each mode
    covariance = (real.modes[2] * (1 + signal)) @ real.modes[2].T
    views = np.random.default_rng(1).normal(size=(len(real.noise), len(covariance), real.noise.shape[2]))
    others = np.arange(len(covariance)) != 5
    expected = covariance[5, others] @ np.linalg.solve(covariance[np.ix_(others, others)], views[2, others, 0])
    assert real.told_by_others(views)[2, 5, 0] == pytest.approx(expected, rel=1e-6)


def test_what_was_not_seen_is_filled_with_its_most_likely_value() -> None:
    """There, the inverse covariance times the views is nothing; and the fill is nearer to the truth than a guess."""
    model, views = aligned()
    seen = np.ones(views.shape, bool)
    seen[3, 30:] = False
    filled = model.fill(views, seen, np.zeros_like(views), rounds=200)
    np.testing.assert_array_equal(filled[seen], views[seen])
    missing = np.where(seen, 0.0, filled - model.foretell(filled))
    before = np.where(seen, views, 0.0)
    assert np.linalg.norm(missing) < 2e-3 * np.linalg.norm(np.where(seen, 0.0, model.foretell(before)))
    clean, _ = undo_shifts(scan().clean.numpy(), scan().shifts)
    assert np.std((filled - clean)[~seen]) < 0.3 * np.std(clean[~seen])


def test_pixels_with_more_noise_count_the_less() -> None:
    """What the filled views say is the mean of the object given the pixels, each with its own noise R.

    That is S (S + R)⁻¹ x; of views so filled the residual is share (x - S (S + R)⁻¹ x), with share = noise² / R.
    """
    model, views = aligned()
    share = np.where(np.arange(views.shape[2]) < 30, 0.25, 1.0) * np.ones(views.shape)
    share[5, :, 40:] = 0
    filled = model.fill(views, share, model.foretell(views), rounds=300)
    said = model.foretell(filled)
    np.testing.assert_allclose(filled - said, share * (views - said), atol=2e-3)
    loud = views + np.sqrt(1 / share.clip(0.1) - 1) * np.random.default_rng(3).normal(0, scan().gaussian, views.shape)
    clean, _ = undo_shifts(scan().clean.numpy(), scan().shifts)
    weighed = model.foretell(model.fill(loud, share, model.foretell(loud), rounds=30))
    assert np.std((weighed - clean)[..., 6:-6]) < 0.95 * np.std((model.foretell(loud) - clean)[..., 6:-6])


def test_single_precision_foretells_as_double_does() -> None:
    model, views = aligned()
    single = Field(scan().shifts.angle_rad, views.astype(np.float32), scan().gaussian)
    for wanted, found in (
        (model.foretell(views), single.foretell(views.astype(np.float32))),
        (model.foretell_by_others(views), single.foretell_by_others(views.astype(np.float32))),
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-4 * scan().gaussian)


def test_power_across_the_rows_is_told_apart() -> None:
    """An object that is smooth from row to row has most of its power at low frequencies across."""
    model, _ = aligned()
    assert len(model._bands[1]) > 2
    assert (np.diff(model._real.noise[1], axis=1) >= 0).all()


def test_covariance_of_discs_is_the_transform_of_their_variance() -> None:
    radii, share = np.array([5.0, 12.0]), np.array([0.3, 0.7])
    k = np.array([0.01, 0.3, 1.1])
    transform = field._transform(radii, share, highest=2.0)

    def variance(r: float) -> float:
        return float((share / radii**2 * (r < radii)).sum())

    for value, at in zip(transform(k), k, strict=True):
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
