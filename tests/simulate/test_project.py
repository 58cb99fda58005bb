"""Projectors against line integrals, against each other, and against what a reconstruction must give back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.transform import iradon

from tomoalign_core.config import PhantomConfig, ScanConfig
from tomoalign_core.geometry import Shifts, angles, centred_axis, rotation
from tomoalign_core.metrics import psnr
from tomoalign_core.simulate.phantoms import Ellipsoids, draw_phantom, shepp3d
from tomoalign_core.simulate.project import backproject, fbp, project_ellipsoids, project_volume, ramp_filter


def sphere(
    radius: float = 9.0, center: tuple[float, float, float] = (0.0, 0.0, 0.0), density: float = 0.5
) -> Ellipsoids:
    return Ellipsoids.from_axes(np.array([density]), np.array([center]), np.full((1, 3), radius), np.eye(3)[None])


def some_phantom(kind: str = "ellipsoids", seed: int = 0) -> Ellipsoids:
    return draw_phantom(PhantomConfig(kind=kind), ScanConfig(n_rows=32, n_cols=44), np.random.default_rng(seed))  # type: ignore[arg-type]


def enlarged(phantom: Ellipsoids, k: int) -> Ellipsoids:
    """The same object on a k times finer grid, the same attenuation along a ray."""
    return Ellipsoids(density=phantom.density / k, center=phantom.center * k, form=phantom.form * k**2)


def pixel_means(phantom: Ellipsoids, angle: np.ndarray, rows: int, cols: int, k: int = 4) -> torch.Tensor:
    """Exact projections averaged over the area of each pixel."""
    fine = project_ellipsoids(enlarged(phantom, k), angle, n_rows=rows * k, n_cols=cols * k)
    return fine.reshape(len(angle), rows, k, cols, k).mean((2, 4))


def voxel_means(phantom: Ellipsoids, n: int, n_slices: int, k: int = 4) -> torch.Tensor:
    """The density averaged over each voxel."""
    fine = enlarged(phantom, k).voxelize(n * k, n_slices * k) * k
    return fine.reshape(n_slices, k, n, k, n, k).mean((1, 3, 5))


# ---------------------------------------------------------------- exact


def test_sphere_casts_its_chords_wherever_it_is_and_from_every_side():
    angle = angles(5, range_deg=250, start_deg=-20)
    shifts = Shifts.from_arrays(
        angle_rad=angle, dx_px=[0, 3.3, -2.1, 0, 1], dy_px=[0, 0.4, -5, 2, 0], roll_deg=[0, 30, 0, -90, 7]
    )
    x, y, z = 4.2, -3.1, 2.6
    proj = project_ellipsoids(sphere(7, (x, y, z)), angle, n_rows=40, n_cols=50, shifts=shifts).numpy()
    u, v = centred_axis(50), centred_axis(40)[:, None]
    for i, a in enumerate(angle):
        at = np.array([x * np.cos(a) + y * np.sin(a), z])  # the definition of the package
        cu, cv = rotation(shifts.roll_deg[i])[0] @ at + [shifts.dx_px[i], shifts.dy_px[i]]
        chord = 2 * 0.5 * np.sqrt(np.maximum(7**2 - (u - cu) ** 2 - (v - cv) ** 2, 0))
        # in single precision the root takes 1e-5 of a px² at the rim to 3e-3
        np.testing.assert_allclose(proj[i], chord, atol=5e-3)


@pytest.mark.parametrize("kind", ["ellipsoids", "pillar", "foam"])
def test_exact_projection_is_the_line_integral_with_shift_and_roll_in_the_ray(kind: str):
    """Rays marched through the solid in steps of 0.02 px, each from the pixel back to where the stage took it."""
    phantom = some_phantom(kind, seed=3)
    angle = np.array([0.3, 1.1, 2.5])
    shifts = Shifts.from_arrays(angle_rad=angle, dx_px=[2.4, -6.3, 0], dy_px=[-1.7, 3.2, 0.5], roll_deg=[11, -35, 0])
    proj = project_ellipsoids(phantom, angle, n_rows=32, n_cols=44, shifts=shifts).numpy()
    inverse = np.linalg.inv(phantom.form)
    step = 0.02
    t = np.arange(-45, 45, step)
    rng = np.random.default_rng(0)
    for i in range(3):
        for row, col in zip(rng.integers(0, 32, 25), rng.integers(6, 38, 25), strict=True):
            seen = np.array([col - 21.5, row - 15.5]) - [shifts.dx_px[i], shifts.dy_px[i]]
            u, z = rotation(-shifts.roll_deg[i])[0] @ seen
            c, s = np.cos(angle[i]), np.sin(angle[i])
            points = np.stack([u * c - t * s, u * s + t * c, np.full_like(t, z)], -1)
            away = points[:, None] - phantom.center
            inside = np.einsum("tmi,mij,tmj->tm", away, inverse, away) <= 1
            marched = (inside @ phantom.density).sum() * step
            # each ellipsoid the ray enters and leaves may be wrong by one step
            tolerance = step * np.abs(phantom.density[inside.any(0)]).sum() + 5e-3
            assert proj[i, row, col] == pytest.approx(marched, abs=tolerance)


def test_shift_by_whole_pixels_moves_the_picture_right_and_down():
    angle = angles(4)
    shifts = Shifts.from_arrays(angle_rad=angle, dx_px=[3, 0, -2, 0], dy_px=[0, 4, 0, -1])
    still = project_ellipsoids(some_phantom(), angle, n_rows=60, n_cols=70)
    moved = project_ellipsoids(some_phantom(), angle, n_rows=60, n_cols=70, shifts=shifts)
    for i in range(4):
        expected = torch.roll(still[i], (int(shifts.dy_px[i]), int(shifts.dx_px[i])), (0, 1))
        torch.testing.assert_close(moved[i], expected, atol=5e-3, rtol=0)


def test_quarter_turn_of_roll_takes_right_to_down():
    angle = np.zeros(1)
    shifts = Shifts.from_arrays(angle_rad=angle, dx_px=[0], dy_px=[0], roll_deg=[90])
    image = project_ellipsoids(sphere(3, (10, 0, 0)), angle, n_rows=41, n_cols=41, shifts=shifts)[0]
    assert divmod(int(image.argmax()), 41) == (30, 20)


def test_mass_is_the_same_from_every_side_and_that_of_the_solid():
    phantom = some_phantom()
    proj = pixel_means(phantom, angles(30), 64, 88).double()
    volume = 4 / 3 * np.pi * np.sqrt(np.linalg.det(phantom.form))
    np.testing.assert_allclose(proj.sum((1, 2)), (phantom.density * volume).sum(), rtol=2e-3)


def test_what_leaves_the_detector_is_cut_and_does_not_wrap_around():
    angle = angles(3)
    wide = project_ellipsoids(some_phantom("pillar"), angle, n_rows=80, n_cols=90)
    narrow = project_ellipsoids(some_phantom("pillar"), angle, n_rows=30, n_cols=20)
    torch.testing.assert_close(narrow, wide[:, 25:55, 35:55], atol=5e-3, rtol=0)
    far = Shifts.from_arrays(angle_rad=angle, dx_px=[500, -500, 0], dy_px=[0, 0, 500])
    assert float(project_ellipsoids(sphere(), angle, n_rows=30, n_cols=30, shifts=far).abs().max()) == 0


def test_projection_is_the_sum_over_the_parts():
    phantom, angle = some_phantom(), angles(3)
    parts = [
        Ellipsoids(density=phantom.density[i : i + 1], center=phantom.center[i : i + 1], form=phantom.form[i : i + 1])
        for i in range(len(phantom.density))
    ]
    total = sum(project_ellipsoids(p, angle, n_rows=32, n_cols=44) for p in parts)
    torch.testing.assert_close(project_ellipsoids(phantom, angle, n_rows=32, n_cols=44), total, atol=1e-4, rtol=0)


# ---------------------------------------------------------------- voxels


def test_exact_and_voxel_projector_agree_within_the_voxel_error():
    """Both averaged over pixels: 5 % of the root mean square at 32 px, falling with the voxel size to 2.5 % at 96."""
    errors = []
    for n in (32, 96):
        angle = angles(9)
        exact = pixel_means(shepp3d(n), angle, 8, n)
        voxels = project_volume(voxel_means(shepp3d(n), n, 8), torch.from_numpy(angle), n_cols=n)
        errors.append(float((voxels - exact).square().mean().sqrt() / exact.square().mean().sqrt()))
        np.testing.assert_allclose(voxels.sum((1, 2)), exact.sum((1, 2)), rtol=1e-2)
    assert errors[0] < 0.055
    assert errors[1] < 0.025


def test_voxel_projection_at_right_angles_is_the_plain_sum():
    volume = torch.randn(3, 11, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    proj = project_volume(volume, torch.tensor([0.0, np.pi / 2, np.pi], dtype=torch.float64), n_cols=11)
    torch.testing.assert_close(proj[0], volume.sum(1))
    torch.testing.assert_close(proj[1], volume.sum(2))
    torch.testing.assert_close(proj[2], volume.sum(1).flip(-1))


@pytest.mark.parametrize(("n", "n_cols"), [(17, 17), (16, 25), (20, 11)])
def test_projector_and_backprojector_pass_the_dot_product_test(n: int, n_cols: int):
    generator = torch.Generator().manual_seed(n)
    angle = torch.from_numpy(angles(7, range_deg=200, start_deg=13))
    x = torch.randn(3, n, n, generator=generator, dtype=torch.float64)
    y = torch.randn(7, 3, n_cols, generator=generator, dtype=torch.float64)
    forward = (project_volume(x, angle, n_cols=n_cols) * y).sum()
    backward = (x * backproject(y, angle, n=n)).sum()
    assert abs(float(forward - backward)) < 1e-10 * float(x.norm() * y.norm())


def test_projector_is_differentiable_to_its_adjoint():
    angle = torch.from_numpy(angles(4))
    x = torch.rand(2, 9, 9, dtype=torch.float64, requires_grad=True)
    residual = project_volume(x, angle, n_cols=9) - 1
    (gradient,) = torch.autograd.grad(residual.square().sum() / 2, x)
    torch.testing.assert_close(gradient, backproject(residual.detach(), angle, n=9))


# ---------------------------------------------------------------- reconstruction


def test_reconstruction_of_clean_projections_returns_the_head():
    """Shepp-Logan 64, 180 views: 28.0 dB against the voxel means, the sharp edges being what is missing."""
    angle = angles(180)
    volume = fbp(pixel_means(shepp3d(64), angle, 8, 95), torch.from_numpy(angle), n=65)
    assert psnr(voxel_means(shepp3d(64), 65, 8), volume) > 27.5


def test_reconstruction_agrees_with_skimage():
    angle = angles(180)
    proj = pixel_means(shepp3d(64), angle, 1, 65)
    ours = fbp(proj, torch.from_numpy(angle))[0].numpy()
    # skimage's y points up
    theirs = iradon(proj[:, 0].double().numpy().T, theta=np.rad2deg(angle), circle=False, output_size=65)[::-1]
    assert psnr(ours, theirs) > 33


@pytest.mark.parametrize(("range_deg", "n_views"), [(180, 90), (360, 180), (540, 270)])
def test_density_is_recovered_whatever_the_number_of_turns(range_deg: float, n_views: int):
    angle = angles(n_views, range_deg=range_deg)
    proj = project_ellipsoids(sphere(12), angle, n_rows=5, n_cols=41)
    middle = fbp(proj, torch.from_numpy(angle))[2, 16:25, 16:25]
    assert float(middle.mean()) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("off_axis", [-6, 2.5])
def test_axis_off_the_middle_is_told_to_the_reconstruction(off_axis: float):
    """A detector that stands off by some px sees all views moved; with ``axis_px`` the slice is the same."""
    angle = angles(60)
    shifts = Shifts.from_arrays(angle_rad=angle, dx_px=np.full(60, off_axis), dy_px=np.zeros(60))
    centred = project_ellipsoids(sphere(8, (5, -3, 0)), angle, n_rows=3, n_cols=64)
    moved = project_ellipsoids(sphere(8, (5, -3, 0)), angle, n_rows=3, n_cols=64, shifts=shifts)
    theta = torch.from_numpy(angle)
    true, told = fbp(centred, theta, n=40), fbp(moved, theta, n=40, axis_px=31.5 + off_axis)
    assert psnr(true, told) > (28 if off_axis % 1 else 55)
    assert psnr(true, fbp(moved, theta, n=40)) < 22


def test_slice_is_in_the_coordinates_of_the_phantom():
    angle = angles(90)
    proj = project_ellipsoids(sphere(4, (9, -5, 0)), angle, n_rows=3, n_cols=51)
    image = fbp(proj, torch.from_numpy(angle))[1].clamp(min=0).double()
    axis = torch.from_numpy(centred_axis(51))
    inside = image * (image > 0.2)
    x, y = (inside * axis).sum() / inside.sum(), (inside * axis[:, None]).sum() / inside.sum()
    assert (float(x), float(y)) == pytest.approx((9, -5), abs=0.1)


def test_ramp_filter_takes_out_a_constant_row_and_keeps_the_shape():
    rows = torch.ones(2, 3, 33)
    filtered = ramp_filter(rows)
    assert filtered.shape == rows.shape
    assert float(filtered.abs().max()) < 0.02
