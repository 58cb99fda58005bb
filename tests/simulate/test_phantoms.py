"""Objects: the Shepp-Logan table, what the drawn kinds promise, and volumes from files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from tomoalign_core.config import InputError, PhantomConfig, ScanConfig, draw, draw_count
from tomoalign_core.simulate.phantoms import Ellipsoids, draw_phantom, load_volume, shepp3d

SCAN = ScanConfig(n_rows=60, n_cols=80)


def drawn(kind: str, seed: int, **values: object) -> Ellipsoids:
    return draw_phantom(PhantomConfig(kind=kind, **values), SCAN, np.random.default_rng(seed))  # type: ignore[arg-type]


def half_extent(phantom: Ellipsoids) -> np.ndarray:
    """Half the bounding box of each ellipsoid (M, 3): the square roots of the diagonal of its form."""
    return np.sqrt(np.einsum("mii->mi", phantom.form))


# ---------------------------------------------------------------- Shepp-Logan


def test_shepp_logan_is_ten_ellipsoids_of_the_table():
    head = shepp3d(65)  # 32 px a unit
    assert head.density.shape == (10,)
    np.testing.assert_allclose(head.density * 32, [1, -0.8, -0.2, -0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(head.center[4], [0, 0.35 * 32, -0.15 * 32])
    np.testing.assert_allclose(half_extent(head)[0], np.array([0.69, 0.92, 0.81]) * 32)
    volumes = 4 / 3 * np.pi * np.sqrt(np.linalg.det(head.form)) / 32**3
    assert volumes[2] == pytest.approx(4 / 3 * np.pi * 0.11 * 0.31 * 0.22)


def test_shepp_logan_densities_at_known_places():
    """Skull 1, brain 0.2, ventricles 0, the blob in front 0.3: sums of the table's rows."""
    head = shepp3d(101)
    volume = head.voxelize(101).numpy() * 50

    def at(x: float, y: float, z: float) -> float:
        return float(volume[50 + round(50 * z), 50 + round(50 * y), 50 + round(50 * x)])

    assert at(0, 0.9, 0) == pytest.approx(1.0)
    assert at(0, -0.3, 0) == pytest.approx(0.2)
    assert at(0.22, 0, 0) == pytest.approx(0, abs=1e-6)
    assert at(-0.22, 0, 0) == pytest.approx(0, abs=1e-6)
    assert at(0, 0.35, -0.15) == pytest.approx(0.3)
    assert at(0.95, 0, 0) == 0


def test_ventricles_lean_apart():
    """-18° about z leans the right one with its top (+y) to the right, +18° the left one to the left."""
    form = shepp3d(64).form
    assert form[2][0, 1] > 0 > form[3][0, 1]
    np.testing.assert_allclose(form[2][0, 1] / form[3][0, 1], -(0.31**2 - 0.11**2) / (0.41**2 - 0.16**2))


@pytest.mark.parametrize(("rows", "cols"), [(64, 94), (128, 184), (256, 366)])
def test_shepp_logan_fills_the_rows_of_a_detector_of_tomopys_width(rows: int, cols: int):
    """tomopy pads the width to the even number next above √2 n + 2: 64 → 94, 128 → 184, 256 → 366."""
    scan = ScanConfig(n_rows=rows, n_cols=cols)
    head = draw_phantom(PhantomConfig(kind="shepp3d"), scan, np.random.default_rng(0))
    np.testing.assert_array_equal(head.form, shepp3d(rows).form)


def test_shepp_logan_in_a_narrow_view_stays_inside_it():
    scan = ScanConfig(n_rows=100, n_cols=60)
    head = draw_phantom(PhantomConfig(kind="shepp3d"), scan, np.random.default_rng(0))
    assert (np.abs(head.center) + half_extent(head)).max() < 30


# ---------------------------------------------------------------- drawn kinds


@pytest.mark.parametrize("seed", range(5))
def test_ellipsoids_stay_in_the_cylinder_they_were_given(seed: int):
    blobs = drawn("ellipsoids", seed, radius=0.8, height=0.7, parts=(20, 40))
    away = np.hypot(blobs.center[:, 0], blobs.center[:, 1])
    sideways = np.sqrt(np.linalg.eigvalsh(blobs.form[:, :2, :2])[:, -1])
    assert (away + sideways <= 0.8 * 40 + 1e-9).all()
    assert (np.abs(blobs.center[:, 2]) + np.sqrt(blobs.form[:, 2, 2]) <= 0.7 * 30 + 1e-9).all()
    assert (blobs.density > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_pillar_leaves_the_view_at_top_and_bottom(seed: int):
    pillar = drawn("pillar", seed, height=(1.2, 1.8))
    top, bottom = pillar.center[0, 2] + np.array([-1, 1]) * half_extent(pillar)[0, 2]
    assert top < -30
    assert bottom > 30


@pytest.mark.parametrize("seed", range(5))
def test_voids_of_a_foam_do_not_touch(seed: int):
    foam = drawn("foam", seed, parts=60)
    center, reach = foam.center[1:], np.sqrt(np.linalg.eigvalsh(foam.form)[1:, -1])
    apart = np.linalg.norm(center[:, None] - center, axis=-1) - reach[:, None] - reach
    assert (apart[~np.eye(len(center), dtype=bool)] > 0).all()
    assert foam.density[0] == 1
    assert (foam.density[1:] < 0).all()


@pytest.mark.parametrize("kind", ["ellipsoids", "foam", "pillar"])
def test_same_seed_draws_the_same_object_and_another_seed_another(kind: str):
    one, same, other = drawn(kind, 1), drawn(kind, 1), drawn(kind, 2)
    np.testing.assert_array_equal(one.form, same.form)
    np.testing.assert_array_equal(one.density, same.density)
    assert one.form.shape != other.form.shape or not np.allclose(one.form, other.form)


def test_number_of_parts_is_kept():
    assert len(drawn("ellipsoids", 0, parts=13).density) == 1 + 13  # and the body they sit in


def test_ranges_are_drawn_whole_and_numbers_taken_as_they_are():
    rng = np.random.default_rng(0)
    assert {draw_count((2, 4), rng) for _ in range(100)} == {2, 3, 4}
    assert draw_count(5, rng) == 5
    drawn_values = [draw((1.0, 3.0), rng) for _ in range(200)]
    assert 1 <= min(drawn_values) < 1.1
    assert 2.9 < max(drawn_values) <= 3
    assert draw(0.5, rng) == 0.5


# ---------------------------------------------------------------- voxels


def test_voxels_of_a_sphere_are_the_lattice_points_in_it():
    """7153 points of the integer lattice lie in a ball of radius 12 (OEIS A000605)."""
    sphere = Ellipsoids.from_axes(np.array([0.5]), np.zeros((1, 3)), np.full((1, 3), 12.0), np.eye(3)[None])
    assert float(sphere.voxelize(31).sum()) == 0.5 * 7153
    assert sphere.voxelize(31, 9).shape == (9, 31, 31)


VOLUME = np.arange(4 * 5 * 6).reshape(4, 5, 6)


def write(path: Path, volume: np.ndarray) -> str:
    if path.suffix == ".npy":
        np.save(path, volume)
    elif path.suffix == ".npz":
        np.savez(path, volume)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, volume, photometric="minisblack")
    else:
        with h5py.File(path, "w") as file:
            file["angles"] = np.arange(3)
            file["entry/volume"] = volume
    return str(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tif", ".h5"])
def test_a_volume_file_is_read_as_float32(tmp_path: Path, suffix: str):
    found = load_volume(write(tmp_path / f"v{suffix}", VOLUME.astype(np.uint16))).numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VOLUME)


@pytest.mark.parametrize(
    ("name", "volume", "line"),
    [
        ("flat.npy", np.zeros((4, 5)), r"has shape \(4, 5\)"),
        ("thin.npy", np.zeros((1, 5, 5)), r"at least 2 voxels each"),
        ("nan.npy", np.full((2, 2, 2), np.nan), "NaN or infinite"),
        ("complex.npy", np.zeros((2, 2, 2), complex), "of type complex128"),
        ("text.npy", np.full((2, 2, 2), "x"), "expected real numbers"),
    ],
)
def test_volumes_that_are_none_are_refused_in_one_line(tmp_path: Path, name: str, volume: np.ndarray, line: str):
    with pytest.raises(InputError, match=line) as caught:
        load_volume(write(tmp_path / name, volume))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.tif", "v.h5"])
def test_damaged_volume_is_refused_in_one_line(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"not what the name says")
    with pytest.raises(InputError, match=f"{name}: cannot be read as a volume"):
        load_volume(str(tmp_path / name))


def test_unknown_kind_missing_file_and_empty_hdf5_are_named(tmp_path: Path):
    (tmp_path / "v.txt").write_text("1 2 3")
    with pytest.raises(InputError, match=r"unknown kind of volume '\.txt'"):
        load_volume(str(tmp_path / "v.txt"))
    with pytest.raises(InputError, match=r"gone\.npy: no such file"):
        load_volume(str(tmp_path / "gone.npy"))
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(InputError, match="holds no three-dimensional data set"):
        load_volume(str(tmp_path / "empty.h5"))
