"""Reprojection without a volume: against projecting a reconstruction, and against movements put in by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tomoalign_core.config import MisalignConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import angles, turned_about
from tomoalign_core.learn.models.reprojection import match_reprojection, reproject
from tomoalign_core.simulate import simulate
from tomoalign_core.simulate.project import fbp, project_ellipsoids, project_volume

STILL = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)


def still_scan(n_views: int = 90, **scan: object) -> tuple[torch.Tensor, torch.Tensor]:
    config = SimulationConfig(
        scan=ScanConfig.model_validate({"n_views": n_views, "n_rows": 24, "n_cols": 48} | scan), misalign=STILL, seed=4
    )
    drawn = simulate(config)
    return drawn.proj, torch.from_numpy(drawn.angle_rad).float()


def test_a_view_is_reprojected_from_all_others_as_a_volume_without_it_would_be():
    proj, angle = still_scan()
    found = reproject(proj, angle)[30]
    others = torch.arange(90) != 30
    # fbp takes its views as equally spaced, and gives the missing one's share to the others
    volume = fbp(proj[others], angle[others], n=48) * 89 / 90
    expected = project_volume(volume, angle[30:31], n_cols=48)[0]
    middle = (slice(None), slice(6, -6))
    assert float((found - expected)[middle].norm() / expected[middle].norm()) < 0.06


@pytest.mark.parametrize("span", [180.0, 360.0])
def test_consistent_views_are_their_own_reprojection(span: float):
    proj, angle = still_scan(120, range_deg=span)
    found = reproject(proj, angle)
    assert float((found - proj).norm() / proj.norm()) < 0.12


@pytest.mark.parametrize(("axis", "size", "row"), [(0, 0.5, 0.0), (1, -0.4, 0.0), (2, 0.5, 0.0), (2, 0.5, 12.0)])
def test_a_view_that_stands_off_is_seen_to_stand_off(axis: int, size: float, row: float):
    """The direction and about the size, for one view among still ones; roll at 20 px from what it turns about."""
    config = SimulationConfig(scan=ScanConfig(n_views=90, n_rows=48, n_cols=64), misalign=STILL, seed=2)
    drawn = simulate(config)
    move = np.zeros((3, 90))
    move[axis, 40] = size
    truth = replace(drawn.shifts, dx_px=move[0], dy_px=move[1], roll_deg=np.rad2deg(move[2] / 20))
    truth = turned_about(truth, -row)  # these movements, about that row
    moved = project_ellipsoids(drawn.phantom, drawn.angle_rad, n_rows=48, n_cols=64, shifts=truth)[None]
    angle, whole = torch.from_numpy(drawn.angle_rad).float()[None], torch.ones(moved.shape, dtype=torch.bool)
    off, gain = match_reprojection(moved, moved, angle, 1.0, whole, torch.tensor([row]))
    assert off[0, 40, 0].tolist() == pytest.approx([size if k == axis else 0 for k in range(3)], abs=0.15)
    others = np.delete(off[0, :, 0, axis].numpy(), [39, 40, 41])
    assert np.sqrt(np.mean(others**2)) < 0.12
    assert float(gain.median()) == pytest.approx(1, abs=0.15)


def test_empty_and_few_views_give_finite_answers():
    for n in (2, 3):
        angle = torch.from_numpy(angles(n)).float()[None]
        empty = torch.zeros(1, n, 8, 8)
        whole = torch.ones_like(empty, dtype=torch.bool)
        off, gain = match_reprojection(empty, empty, angle, 2.0, whole, torch.zeros(1))
        assert off.isfinite().all() and gain.isfinite().all()


def test_noise_of_a_view_does_not_reach_its_own_reprojection():
    """Leaving a view out: its template is what it was, whatever the view shows."""
    proj, angle = still_scan(40)
    other = proj.clone()
    other[7] += torch.rand(proj.shape[1:], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(reproject(proj, angle)[7], reproject(other, angle)[7])
