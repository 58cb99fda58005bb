"""The two engines side by side, within stated tolerances. Figures measured with tomopy 1.15.2 stand in the tests."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tomoalign_core import engines
from tomoalign_core.align import find_shifts, move_views
from tomoalign_core.config import (
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
)
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.metrics import rms, score_shifts
from tomoalign_core.simulate import simulate, tomopy_engine
from tomoalign_core.simulate.phantoms import SHEPP3D, Ellipsoids, draw_phantom, shepp3d
from tomoalign_core.simulate.project import project_ellipsoids, project_volume
from tomoalign_core.simulate.slices import slice_of

needs_tomopy = pytest.mark.skipif(
    not engines.tomopy_installed(), reason=f"tomopy is not installed: {engines.HOW_TO_GET_TOMOPY}"
)


def off(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square difference, relative to the expected."""
    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))


def drawn_stage(angle_rad: np.ndarray, *, whole: bool, roll_deg: float = 0.0, seed: int = 0) -> Shifts:
    moves = np.random.default_rng(seed).normal(size=(3, len(angle_rad))) * [[4], [1], [roll_deg]]
    dx, dy, roll = np.round(moves) if whole else moves
    return Shifts.from_arrays(angle_rad=angle_rad, dx_px=dx, dy_px=dy, roll_deg=roll)


# ---------------------------------------------------------------- without tomopy


@pytest.fixture
def no_tomopy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "tomopy_installed", lambda: False)


def test_without_tomopy_its_engine_is_refused_with_the_command_that_installs_it(no_tomopy: None):
    with pytest.raises(InputError, match="tomopy, which is not installed; conda install -c conda-forge tomopy"):
        simulate(SimulationConfig(engine="tomopy"))
    assert engines.tomopy_version() is None


def test_a_broken_tomopy_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "tomopy", raising=False)
    (tmp_path / "tomopy.py").write_text("raise ModuleNotFoundError('A required library, tomo-recon, was not found.')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"cannot be loaded \(A required library, tomo-recon, was not found"):
        simulate(SimulationConfig(engine="tomopy"))


def test_the_notebooks_noise_is_cut_off_before_the_background_comes_on_top():
    scan = ScanConfig(n_views=20, n_rows=24, n_cols=32)
    faults = NoiseConfig(gaussian=0.1, clip=True, background=0.2)
    drawn = simulate(SimulationConfig(scan=scan, noise=faults))
    free = simulate(SimulationConfig(scan=scan, noise=faults.changed(clip=False)))
    offset = (drawn.clean - simulate(SimulationConfig(scan=scan)).clean).mean(dim=(1, 2), keepdim=True)
    assert float(offset.min()) > 0 and float(offset.max()) < 0.2
    torch.testing.assert_close(drawn.proj, (free.proj - offset).clamp(0, 1) + offset, atol=1e-5, rtol=0)
    # half of the noise of empty pixels is below zero and gone
    assert float(((drawn.proj - offset).abs() < 1e-5).float().mean()) > 0.2


# ---------------------------------------------------------------- with tomopy


@needs_tomopy
@pytest.mark.parametrize("include_end", [True, False])
def test_angles_are_the_same(include_end: bool):
    for n, span, start in ((180, 180.0, 0.0), (61, 360.0, -30.0)):
        ours = angles(n, range_deg=span, start_deg=start, include_end=include_end)
        theirs = tomopy_engine.angles(n, range_deg=span, start_deg=start, include_end=include_end)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-12)


def tomopys_reading_of_the_table(size: int) -> Ellipsoids:
    """The ten ellipsoids as tomopy turns them: its Euler angles φ = ∓108°, θ = 90°, ψ = 100° of the two ventricles.

    Columns of the matrix are the ellipsoid's axes in (x, y, z), and its centre is given along them.
    """
    turns = []
    for number in range(len(SHEPP3D)):
        sign = {2: -1, 3: 1}.get(number, 0)
        lean, turn = sign * np.deg2rad(18), sign * np.deg2rad(10)
        out_of_the_slice = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
        within = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        turns.append(out_of_the_slice @ within)
    turn = np.stack(turns)
    scale = (size - 1) / 2
    axes, center = (np.array([row[i] for row in SHEPP3D]) * scale for i in (1, 2))
    return Ellipsoids.from_axes(
        np.array([row[0] for row in SHEPP3D]) / scale, np.einsum("mij,mj->mi", turn, center), axes, turn
    )


@needs_tomopy
def test_shepp_logan_is_the_tables_but_for_how_two_ellipsoids_lean():
    size = 64
    theirs = tomopy_engine.shepp3d(size)
    scale = (size - 1) / 2
    same = tomopys_reading_of_the_table(size).voxelize(size).clamp(min=0)
    assert int(((theirs - same).abs() * scale > 1e-4).sum()) == 0
    apart = (theirs - shepp3d(size).voxelize(size).clamp(min=0)).abs() * scale
    assert float((apart > 1e-4).float().mean()) < 0.005  # measured 0.0036
    assert float(apart.max()) < 0.21  # the density of those two is -0.2


@needs_tomopy
def test_project_agrees_with_rotating_and_summing_the_same_voxels():
    angle = angles(60, include_end=True)
    volume = tomopy_engine.shepp3d(64)
    theirs = tomopy_engine.project(volume, angle)
    assert theirs.shape == (60, 64, 94)
    ours = project_volume(volume, torch.from_numpy(angle), n_cols=94).numpy()
    assert off(theirs, ours) < 0.05  # measured 0.035: sharp voxels there, linear ones here
    assert theirs.sum() == pytest.approx(ours.sum(), rel=1e-3)


STAGES = {"still": None, "moved": (False, 0.0), "rolled too": (False, 2.0)}


@needs_tomopy
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("kind", "rows", "cols"), [("foam", 64, 94), ("foam", 47, 61), ("pillar", 48, 61)])
def test_a_scan_from_voxels_lies_on_the_exact_one(kind: str, rows: int, cols: int, stage: str):
    """Even and odd sizes, an object taller than the view; and at ±0.1 px beside the match is worse, to both sides."""
    angle = angles(24)
    phantom = draw_phantom(
        PhantomConfig(kind=kind, height=1.5 if kind == "pillar" else 0.8),  # type: ignore[arg-type]
        ScanConfig(n_rows=rows, n_cols=cols),
        np.random.default_rng(3),
    )
    how = STAGES[stage]
    shifts = None if how is None else drawn_stage(angle, whole=how[0], roll_deg=how[1])
    theirs = tomopy_engine.scan(phantom, angle, n_rows=rows, n_cols=cols, shifts=shifts)
    still = shifts or Shifts.from_arrays(angle_rad=angle, dx_px=0 * angle, dy_px=0 * angle)

    def beside(dx: float = 0.0, dy: float = 0.0) -> float:
        moved = replace(still, dx_px=still.dx_px + dx, dy_px=still.dy_px + dy)
        return off(theirs, project_ellipsoids(phantom, angle, n_rows=rows, n_cols=cols, shifts=moved).numpy())

    here = beside()
    assert here < 0.05  # measured 0.014 to 0.032: voxels of one px against exact chords
    assert min(beside(dx=0.1), beside(dx=-0.1), beside(dy=0.1), beside(dy=-0.1)) > here


@needs_tomopy
def test_shift_images_behind_the_door_moves_as_our_stage_does():
    angle = angles(40, include_end=True)
    still = tomopy_engine.project(tomopy_engine.shepp3d(64), angle)
    before = still.copy()
    inside = (slice(None), slice(8, -8), slice(16, -16))
    for whole, limit in ((True, 1e-6), (False, 0.03)):  # measured 6e-8, and 0.014: it cuts overshoots off
        stage = drawn_stage(angle, whole=whole)
        assert off(tomopy_engine.move_views(still, stage)[inside], move_views(still, stage)[inside]) < limit
    stage = drawn_stage(angle, whole=True, roll_deg=2)
    mirrored = replace(stage, roll_deg=-stage.roll_deg)
    ours = tomopy_engine.move_views(still, stage)[inside]
    assert off(ours, move_views(still, stage)[inside]) < 0.03
    assert off(ours, move_views(still, mirrored)[inside]) > 0.06
    np.testing.assert_array_equal(still, before)


@needs_tomopy
@pytest.mark.parametrize(("cols", "beside_px"), [(96, 0.0), (95, 0.0), (96, 3.0)])
def test_gridrec_shows_what_filtered_backprojection_shows(cols: int, beside_px: float):
    scan = ScanConfig(n_views=180, n_rows=16, n_cols=cols)
    still = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=0)
    drawn = simulate(SimulationConfig(scan=scan, phantom=PhantomConfig(radius=0.6, height=3.0), misalign=still))
    lines = drawn.proj[:, 8].numpy()
    axis = (cols - 1) / 2
    if beside_px:
        lines, axis = np.roll(lines, int(beside_px), axis=1), axis + beside_px
    theirs = tomopy_engine.gridrec(lines, drawn.angle_rad, axis_px=axis)
    ours = slice_of(lines, drawn.angle_rad, axis_px=axis)
    y, x = np.mgrid[:cols, :cols] - (cols - 1) / 2
    inside = np.hypot(x, y) < 0.4 * cols
    a, b = theirs[inside], ours[inside]
    scale = (a @ b) / (a @ a)
    assert scale == pytest.approx(1, abs=0.05)  # measured 1.00 to 1.01
    assert off(scale * a, b) < 0.1  # measured 0.03 to 0.05; the mirrored slice is 0.6 off
    assert off(scale * np.roll(theirs, 1, axis=1)[inside], b) > 0.1


@needs_tomopy
def test_a_simulation_by_tomopy_has_the_same_truth_and_noise_and_nearly_the_same_pixels():
    settings = SimulationConfig(
        scan=ScanConfig(n_views=30, n_rows=64, n_cols=94, include_end=True),
        phantom=PhantomConfig(kind="shepp3d"),
        misalign=MisalignConfig(roll_sigma_deg=1, rounded=True),
        noise=NoiseConfig(gaussian=0.05, background=0.2),
        seed=5,
    )
    ours, theirs = simulate(settings), simulate(settings.changed(engine="tomopy"))
    for name in ("angle_rad", "dx_px", "dy_px", "roll_deg"):
        np.testing.assert_allclose(getattr(theirs.shifts, name), getattr(ours.shifts, name), atol=1e-12)
    assert float(theirs.clean.max()) == pytest.approx(float(ours.clean.max()), rel=0.1)
    torch.testing.assert_close(theirs.proj - theirs.clean, ours.proj - ours.clean, atol=1e-5, rtol=0)
    assert off(theirs.clean.numpy(), ours.clean.numpy()) < 0.12  # the shell of a head of 64 px is one voxel thick
    assert off(theirs.aligned().numpy(), ours.aligned().numpy()) < 0.12
    assert theirs.proj.shape == ours.proj.shape and theirs.proj.dtype == torch.float32


@needs_tomopy
@pytest.mark.slow
def test_align_joint_finds_the_shifts_in_our_signs():
    """A clean Shepp-Logan head, 64 px, 60 views, whole shifts, σ = (4, 1) px: 0.33 to 0.63 and 0.05 to 0.10 px rms."""
    angle = angles(60, include_end=True)
    stage = drawn_stage(angle, whole=True)
    volume = tomopy_engine.shepp3d(64)
    moved = tomopy_engine.scan(volume, angle, n_rows=64, n_cols=94, shifts=stage)
    before = moved.copy()
    found = find_shifts(moved, angle, method="tomopy-joint")
    score = score_shifts(found, stage)
    assert rms(stage.gauge_free().dx_px) > 3
    assert score.dx_rmse_px < 0.8 and score.dy_rmse_px < 0.15
    free = found.gauge_free()
    np.testing.assert_allclose(free.dx_px, found.dx_px, atol=1e-9)
    np.testing.assert_array_equal(moved, before)
