"""A slice to look at: the background is gone, the axis is found where it was put, the slice shows the object."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import move_views, undo_shifts
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.simulate import simulate
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids
from tomoalign_core.simulate.slices import (
    centre_of_mass,
    find_axis,
    path_of_mass,
    realigned_sinogram,
    sinogram_of,
    slice_of,
    slices_of,
)

STILL = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)


def test_the_background_of_each_view_is_taken_out_of_the_sinogram() -> None:
    clean = np.zeros((4, 9, 30), np.float32)
    clean[:, :, 10:20] = 1
    lifted = clean + np.arange(4, dtype=np.float32)[:, None, None]
    assert np.allclose(sinogram_of(lifted, 3), clean[:, 3], atol=1e-6)


@pytest.mark.parametrize("range_deg", [120.0, 180.0, 360.0])
@pytest.mark.parametrize("kind", ["ellipsoids", "foam", "pillar"])
def test_the_axis_is_found_where_it_was_put(kind: str, range_deg: float) -> None:
    config = SimulationConfig(
        phantom=PhantomConfig(kind=kind),
        scan=ScanConfig(n_views=48, n_rows=40, n_cols=80, range_deg=range_deg),
        misalign=STILL,
        noise=NoiseConfig(gaussian=0.02, background=0.2),
        seed=3,
    )
    scan = simulate(config)
    moved = np.roll(scan.proj.numpy(), 3, axis=2)
    assert find_axis(moved, scan.angle_rad) == pytest.approx(79 / 2 + 3, abs=0.4)


def test_the_slice_shows_a_ball_where_it_is_about_whichever_axis() -> None:
    angle = angles(90)
    ball = Ellipsoids(center=np.array([[8.0, -5.0, 0.0]]), form=np.eye(3)[None] * 16.0, density=np.array([1.0]))
    proj = np.roll(project_ellipsoids(ball, angle, n_rows=9, n_cols=48).numpy(), 2, axis=2)
    image = slice_of(sinogram_of(proj, 4), angle, axis_px=47 / 2 + 2)
    row, col = np.argwhere(image > 0.5).mean(axis=0)
    assert (row, col) == (pytest.approx(47 / 2 - 5, abs=0.3), pytest.approx(47 / 2 + 8, abs=0.3))
    assert image[int(row), int(col)] == pytest.approx(1, abs=0.1)


def test_a_row_realigned_by_the_true_movement_is_that_of_a_perfect_stage() -> None:
    stage = MisalignConfig(dx_sigma_px=4, dy_sigma_px=3, roll_sigma_deg=2)
    scan = simulate(SimulationConfig(scan=ScanConfig(n_views=40, n_rows=64, n_cols=80), misalign=stage, seed=5))
    proj, perfect = scan.proj.numpy(), scan.aligned().numpy()
    off = [sinogram_of(proj, row) - sinogram_of(perfect, row) for row in (20, 40)]
    left = [realigned_sinogram(proj, scan.shifts, row) - sinogram_of(perfect, row) for row in (20, 40)]
    assert np.std(left) < 0.08 * np.std(off)


def test_slices_made_together_are_those_made_alone() -> None:
    scan = simulate(SimulationConfig(scan=ScanConfig(n_views=20, n_rows=16, n_cols=24)))
    lines = {"a": sinogram_of(scan.proj.numpy(), 8), "b": sinogram_of(scan.proj.numpy(), 3)}
    together = slices_of(lines, scan.angle_rad, axis_px=12)
    for name, sinogram in lines.items():
        np.testing.assert_allclose(together[name], slice_of(sinogram, scan.angle_rad, axis_px=12), atol=1e-6)


def test_views_that_the_border_cuts_do_not_pull_the_path_of_the_mass() -> None:
    """The same scan on a detector that is wide enough, and on one where every fifth view loses a part."""
    noise = NoiseConfig(gaussian=0.03)
    scan = simulate(SimulationConfig(scan=ScanConfig(n_cols=180), misalign=STILL, noise=noise, seed=4))
    whole = scan.proj.numpy()[..., 36:-36]
    off = np.zeros(len(whole))
    off[::5] = 22
    stage = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=off, dy_px=np.zeros_like(off))
    cut, _ = undo_shifts(move_views(scan.proj.numpy(), stage)[..., 36:-36], stage)
    wanted = path_of_mass(whole, scan.angle_rad)
    assert np.abs(path_of_mass(cut[::5], scan.angle_rad[::5]) - wanted).max() > 2, "those views are cut"
    np.testing.assert_allclose(path_of_mass(cut, scan.angle_rad), wanted, atol=0.3)


def test_a_centre_of_mass_beyond_the_view_is_none() -> None:
    """As much darker as brighter than what is around it, as of counts taken for attenuation."""
    views = np.zeros((3, 8, 41), np.float32)
    views[:, :, 10], views[:, :, 30] = 1.0, 0.5
    views[2, :, 30] = -0.99
    found = centre_of_mass(views)
    assert found[:2] == pytest.approx(-10 / 3)
    assert np.isnan(found[2])
