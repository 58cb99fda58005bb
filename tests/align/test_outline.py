"""Where the object leaves the view, and how far off the axis it stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomoalign_core.align import undo_shifts
from tomoalign_core.align.outline import (
    Cut,
    background_of,
    blurred_noise,
    cut_of,
    off_axis_px,
    place_of_object,
    whole_views,
)
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, gauge_functions
from tomoalign_core.simulate import SimulatedScan, simulate
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids
from tomoalign_core.simulate.slices import path_of_mass

NOISE = NoiseConfig(gaussian=0.05, background=0.3)


@pytest.mark.parametrize(
    ("phantom", "cut"),
    [
        (PhantomConfig(), Cut(sides=False, ends=False, through=False)),
        (PhantomConfig(kind="foam"), Cut(sides=False, ends=False, through=False)),
        (PhantomConfig(kind="pillar", height=(1.2, 1.8)), Cut(sides=False, ends=True, through=True)),
        (PhantomConfig(radius=1.5, body=0.5), Cut(sides=True, ends=False, through=False)),
    ],
)
def test_borders_that_cut_the_object_are_seen_whatever_the_background(phantom: PhantomConfig, cut: Cut) -> None:
    for seed in (5, 6, 7):
        assert cut_of(simulate(SimulationConfig(phantom=phantom, noise=NOISE, seed=seed)).proj.numpy()) == cut


def test_a_blur_leaves_that_much_of_the_noise() -> None:
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(0, 2.0, (400, 400))
    assert ndimage.gaussian_filter(noise, 1.5).std() == pytest.approx(blurred_noise(2.0), rel=0.05)


def test_an_object_that_is_put_aside_stands_off_the_axis_by_that_much() -> None:
    still = simulate(SimulationConfig(misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0), seed=3))
    proj, angle = still.proj.numpy(), still.angle_rad
    before = off_axis_px(proj, angle)
    moved = np.stack([np.roll(view, round(6 * np.cos(a)), 1) for view, a in zip(proj, angle, strict=True)])
    np.testing.assert_allclose(off_axis_px(moved, angle) - before, 6 * np.cos(angle), atol=0.5)


def still() -> SimulatedScan:
    settings = SimulationConfig(
        scan=ScanConfig(n_views=40, n_rows=48, n_cols=64), misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0), seed=4
    )
    scan = simulate(settings)
    assert isinstance(scan, SimulatedScan)
    return scan


def drifted() -> tuple[np.ndarray, np.ndarray, Shifts]:
    """Views of an object that drifts out of them to one side, on a detector of twice the width and on its middle."""
    scan = still()
    assert isinstance(scan.phantom, Ellipsoids)
    truth = replace(scan.shifts, dx_px=np.linspace(-4, 20, 40).clip(0))
    whole = scan.scale * project_ellipsoids(scan.phantom, scan.angle_rad, n_rows=48, n_cols=128, shifts=truth)
    noise = np.random.default_rng(1).normal(0, 0.01, whole.shape).astype(np.float32)
    return whole.numpy(), (whole + torch.from_numpy(noise))[..., 32:-32].numpy(), truth


def test_whole_views_are_those_that_no_side_cuts() -> None:
    whole, seen, _ = drifted()
    lost = whole[..., 96:].sum((1, 2)) / whole.sum((1, 2))
    found = whole_views(seen)
    assert found[lost == 0].all() and not found[lost > 0.01].any() and (lost > 0.01).sum() > 5


def test_the_place_of_an_object_is_found_though_the_views_or_their_table_cut_it_off() -> None:
    """The path of the mass of all that is left in the aligned views is off by a pixel and more."""
    _, seen, truth = drifted()
    stack = seen - background_of(seen)[:, None, None].astype(np.float32)
    table = truth.gauge_free()
    gauge = gauge_functions(truth.angle_rad, axis="dx")
    there = path_of_mass(still().clean.numpy(), truth.angle_rad)
    there += np.linalg.lstsq(gauge, truth.dx_px - table.dx_px, rcond=None)[0]
    np.testing.assert_allclose(place_of_object(stack, table)[:3], there, atol=0.3)
    aligned, _ = undo_shifts(stack, table)
    assert np.abs(path_of_mass(aligned, truth.angle_rad) - there).max() > 1


def test_the_place_of_a_column_that_is_cut_off_slantwise_is_that_of_an_upright_one() -> None:
    """Of all that the views show of it, the axis is off by two pixels."""
    places = []
    for tilt_deg in (0.0, 8.0):
        config = SimulationConfig(
            scan=ScanConfig(n_views=40, n_rows=48, n_cols=64),
            phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
            misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, axis_tilt_deg=tilt_deg),
            noise=NoiseConfig(gaussian=0.02),
        )
        scan = simulate(config)
        proj = scan.proj.numpy()
        places.append(place_of_object(proj - background_of(proj)[:, None, None].astype(np.float32), scan.shifts))
    np.testing.assert_allclose(places[0], places[1], atol=0.15)
