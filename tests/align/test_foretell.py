"""What others say of a view: against a volume that is really made, and against what is left of the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from tomoalign_core.align.foretell import foretell_by_backprojection, foretell_by_field
from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import rms
from tomoalign_core.simulate import LabelledScan, simulate
from tomoalign_core.simulate.project import fbp, project_ellipsoids, project_volume
from tomoalign_core.simulate.slices import path_of_mass

NOISE = 0.05
STILL = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)


def scan(n_views: int, range_deg: float = 180, misalign: MisalignConfig = STILL, noise: float = NOISE) -> LabelledScan:
    return simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=n_views, n_rows=48, n_cols=64, range_deg=range_deg),
            misalign=misalign,
            noise=NoiseConfig(gaussian=noise),
            seed=3,
        )
    )


def said_by_field(stack: np.ndarray, angle_rad: np.ndarray, table: Shifts) -> np.ndarray:
    return foretell_by_field(stack, angle_rad, table, path=path_of_mass(stack, angle_rad))


def off(said: np.ndarray, clean: np.ndarray) -> float:
    """How far predictions are from views without noise, each up to its background, rms."""
    wrong = said - clean
    return rms(wrong - np.median(wrong, axis=(1, 2), keepdims=True))


def test_nothing_of_a_view_reaches_its_own_prediction() -> None:
    rng = np.random.default_rng(0)
    stack, angle = rng.random((20, 6, 24), np.float32), np.deg2rad(9.0 * np.arange(20))
    other = stack.copy()
    other[7] += 1
    here, there = (foretell_by_backprojection(views, angle)[7] for views in (stack, other))
    np.testing.assert_array_equal(here, there)


def test_little_of_the_noise_of_a_view_reaches_its_own_prediction_by_the_field() -> None:
    """Through the power of all views alone, in which it is one of many."""
    still = scan(40)
    proj = still.proj.numpy()
    other = proj.copy()
    noise = np.random.default_rng(0).normal(0, NOISE, proj[7].shape)
    other[7] += noise
    here, there = (said_by_field(views, still.angle_rad, still.shifts)[7] for views in (proj, other))
    assert rms(here - there) < 0.03 * rms(noise)


@pytest.mark.parametrize("range_deg", [120.0, 180.0, 360.0])
def test_field_foretells_views_better_than_backprojection_does(range_deg: float) -> None:
    """To a fraction of the noise, and the better the more of the angles a wedge has not seen."""
    still, clean = scan(60, range_deg), scan(60, range_deg, noise=0).proj.numpy()
    proj = still.proj.numpy()
    by_field = off(said_by_field(proj, still.angle_rad, still.shifts), clean)
    said = foretell_by_backprojection(proj, still.angle_rad)
    assert by_field < 0.4 * NOISE
    assert by_field < 0.6 * off(said, clean)


def test_field_foretells_what_a_moved_view_did_not_see_and_a_view_that_is_not_used() -> None:
    moved = scan(60, misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=2))
    clean = scan(60, noise=0).proj.numpy()
    proj, table = moved.proj.numpy().copy(), moved.shifts.left_out([20], "bad")
    proj[20] = 7.0
    said = foretell_by_field(proj, moved.angle_rad, table, path=np.zeros(3))
    assert off(said, clean) < 0.6 * NOISE
    assert off(said[20:21], clean[20:21]) < 0.6 * NOISE


@pytest.mark.parametrize("off_px", [-3, 0, 4])
def test_prediction_is_the_reprojected_reconstruction_of_the_other_views(off_px: int) -> None:
    """Against a volume that is really made of the others, about an axis off the middle, and really projected."""
    still = scan(50)
    aside = replace(still.shifts, dx_px=np.full(50, float(off_px)))
    proj = project_ellipsoids(still.phantom, still.angle_rad, n_rows=48, n_cols=64, shifts=aside).numpy()
    smooth = ndimage.gaussian_filter(proj, (0, 1.5, 1.5))
    said = foretell_by_backprojection(smooth, still.angle_rad, axis_px=31.5 + off_px, radius_px=48)[17]
    others = np.arange(50) != 17
    angle = torch.from_numpy(still.angle_rad)
    volume = fbp(torch.from_numpy(smooth[others]), angle[others], n=96, axis_px=31.5 + off_px) * 49 / 50
    expected = np.roll(project_volume(volume, angle[17:18], n_cols=64)[0].numpy(), off_px, axis=1)
    middle = (slice(None), slice(10, -10))  # the axis of projection is the middle: the roll brings in another edge
    assert np.linalg.norm((said - expected)[middle]) / np.linalg.norm(expected[middle]) < 0.06
