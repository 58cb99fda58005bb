"""Objects to scan: sums of ellipsoids (whose projections are known exactly) and voxel volumes.

Lengths are px of the detector, coordinates (x, y, z) count from the middle of the object; z points down, like v.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from tomoalign_core.config import InputError, PhantomConfig, ScanConfig, draw, draw_count

Array = NDArray[np.float64]

# tomopy's shepp3d on the cube -1..1: density; semi-axes; centre; turn in the x-y plane (degrees).
# Shepp & Logan (1974); the 3-D table after Kak & Slaney (1988).
SHEPP3D = (
    (1.0, (0.69, 0.92, 0.81), (0.0, 0.0, 0.0), 0.0),
    (-0.8, (0.6624, 0.874, 0.78), (0.0, -0.0184, 0.0), 0.0),
    (-0.2, (0.11, 0.31, 0.22), (0.22, 0.0, 0.0), -18.0),
    (-0.2, (0.16, 0.41, 0.28), (-0.22, 0.0, 0.0), 18.0),
    (0.1, (0.21, 0.25, 0.41), (0.0, 0.35, -0.15), 0.0),
    (0.1, (0.046, 0.046, 0.05), (0.0, 0.1, 0.25), 0.0),
    (0.1, (0.046, 0.046, 0.05), (0.0, -0.1, 0.25), 0.0),
    (0.1, (0.046, 0.023, 0.05), (-0.08, -0.605, 0.0), 0.0),
    (0.1, (0.023, 0.023, 0.02), (0.0, -0.606, 0.0), 0.0),
    (0.1, (0.023, 0.046, 0.02), (0.06, -0.605, 0.0), 0.0),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ellipsoids:
    """A sum of M solid ellipsoids {p : (p - c)ᵀ Σ⁻¹ (p - c) ≤ 1} of constant density.

    Attributes
    ----------
    density : (M,) per px of path length.
    center : (M, 3) px.
    form : (M, 3, 3) px², Σ = R diag(semi-axes²) Rᵀ.
    """

    density: Array
    center: Array
    form: Array

    @classmethod
    def from_axes(cls, density: Array, center: Array, axes: Array, turn: Array) -> Ellipsoids:
        """From semi-axes (M, 3) and rotation matrices (M, 3, 3)."""
        form = np.einsum("mij,mj,mkj->mik", turn, axes**2, turn)
        return cls(density=np.asarray(density, float), center=np.asarray(center, float), form=form)

    def voxelize(self, n: int, n_slices: int | None = None) -> torch.Tensor:
        """Sample the density at voxel centres: float32 volume [z, y, x] of n_slices × n × n."""
        axis = torch.arange(n) - (n - 1) / 2
        depth = torch.arange(n_slices or n) - ((n_slices or n) - 1) / 2
        z, y, x = torch.meshgrid(depth, axis, axis, indexing="ij")
        points = torch.stack([x, y, z], -1)
        volume = torch.zeros(points.shape[:-1])
        for density, center, form in zip(self.density, self.center, self.form, strict=True):
            inverse = torch.from_numpy(np.linalg.inv(form)).float()
            away = points - torch.from_numpy(center).float()
            volume += density * (torch.einsum("...i,ij,...j->...", away, inverse, away) <= 1)
        return volume


def shepp3d(size: int) -> Ellipsoids:
    """The 3-D Shepp-Logan head on a cube of ``size`` px (tomopy's table, ten ellipsoids)."""
    scale = (size - 1) / 2
    turn = np.stack([_about_z(np.deg2rad(row[3])) for row in SHEPP3D])
    return Ellipsoids.from_axes(
        np.array([row[0] for row in SHEPP3D]) / scale,
        np.array([row[2] for row in SHEPP3D]) * scale,
        np.array([row[1] for row in SHEPP3D]) * scale,
        turn,
    )


def shepp3d_size(n_rows: int, n_cols: int) -> int:
    """The largest head that a detector has room for, by tomopy's rule for the width: the cube's diagonal and 2 px.

    >>> shepp3d_size(256, 366)
    256
    """
    return min(n_rows, int((n_cols - 2) / np.sqrt(2)))


def draw_phantom(config: PhantomConfig, scan: ScanConfig, rng: np.random.Generator) -> Ellipsoids:
    """Draw one ellipsoid phantom that fits the scan; ``config.kind`` is not 'voxels'."""
    rows, cols = draw_count(scan.n_rows, rng), draw_count(scan.n_cols, rng)
    if config.kind == "shepp3d":
        return shepp3d(shepp3d_size(rows, cols))
    radius = draw(config.radius, rng) * cols / 2
    height = draw(config.height, rng) * rows / 2
    n = draw_count(config.parts, rng)
    low, high = config.part_size if isinstance(config.part_size, tuple) else (config.part_size, config.part_size)
    axes = radius * np.exp(rng.uniform(np.log(low), np.log(high), (n, 3)))
    axes = np.minimum(axes, [radius / 2, radius / 2, max(height / 2, 1.0)])
    if config.kind == "foam":
        return _foam(axes, radius, height, rng)
    parts = Ellipsoids.from_axes(rng.uniform(0.3, 1.5, n), _places(axes, radius, height, rng), axes, _turns(n, rng))
    if config.kind == "pillar":
        return _pillar(parts, radius, height, rng)
    return _in_a_body(parts, draw(config.body, rng), radius, height, rng)


def load_volume(path: str) -> torch.Tensor:
    """Read a voxel volume [z, y, x] as float32.

    Raises
    ------
    InputError
        If the file is missing, unreadable, of an unknown kind, not three-dimensional, not real or not finite.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; give a voxel volume [z, y, x]")
    try:
        volume = _read_volume(path)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, tifffile.TiffFileError):
        raise InputError(f"{path}: cannot be read as a volume; is it damaged or of another format?") from None
    if volume.dtype.kind not in "biuf":
        raise InputError(f"{path}: the voxels are of type {volume.dtype}; expected real numbers")
    if volume.ndim != 3 or min(volume.shape) < 2:
        raise InputError(f"{path}: the volume has shape {volume.shape}; expected [z, y, x] of at least 2 voxels each")
    if not np.isfinite(volume).all():
        raise InputError(f"{path}: the volume holds NaN or infinite voxels; replace them first")
    return torch.from_numpy(np.ascontiguousarray(volume, np.float32))


def _read_volume(path: str) -> np.ndarray:
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[archive.files[0]])
    if suffix in (".tif", ".tiff"):
        return np.asarray(tifffile.imread(path))
    if suffix in (".h5", ".hdf5"):
        return _first_volume(path)
    raise InputError(f"{path}: unknown kind of volume '{suffix}'; use .npy, .npz, .tif or .h5")


def _first_volume(path: str) -> np.ndarray:
    found: list[np.ndarray] = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: found.append(item[()]) if not found and getattr(item, "ndim", 0) == 3 else None)
    if not found:
        raise InputError(f"{path}: holds no three-dimensional data set; a voxel volume [z, y, x] is needed")
    return found[0]


def _about_z(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _turns(n: int, rng: np.random.Generator) -> Array:
    """Uniform random rotations from normal quaternions (Shoemake, 1992)."""
    w, x, y, z = (q := rng.normal(size=(4, n))) / np.linalg.norm(q, axis=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _places(axes: Array, radius: float, height: float, rng: np.random.Generator) -> Array:
    """Centres, uniform over the cylinder, such that a part of these semi-axes stays inside it."""
    reach = axes.max(axis=1)
    r = np.sqrt(rng.uniform(size=len(axes))) * np.maximum(radius - reach, 0)
    around = rng.uniform(0, 2 * np.pi, len(axes))
    z = rng.uniform(-1, 1, len(axes)) * np.maximum(height - reach, 0)
    return np.stack([r * np.cos(around), r * np.sin(around), z], -1)


def _in_a_body(parts: Ellipsoids, density: float, radius: float, height: float, rng: np.random.Generator) -> Ellipsoids:
    """Ellipsoids in a larger, fainter one that holds most of them, as grains in a matrix."""
    axes = np.array([[radius, radius * rng.uniform(0.7, 1.0), height]])
    body = Ellipsoids.from_axes(np.array([density]), np.zeros((1, 3)), axes, _turns_about_z(1, rng))
    return Ellipsoids(
        density=np.concatenate([body.density, parts.density]),
        center=np.concatenate([body.center, parts.center]),
        form=np.concatenate([body.form, parts.form]),
    )


def _pillar(parts: Ellipsoids, radius: float, height: float, rng: np.random.Generator) -> Ellipsoids:
    """Inclusions, some of them holes, in a column that leaves the view at both ends from a height of 1 on."""
    axes = np.array([[radius * rng.uniform(0.7, 1.0), radius * rng.uniform(0.7, 1.0), 1.6 * height]])
    offset = np.array([0.0, 0.0, rng.uniform(-0.6, 0.6) * height])
    body = Ellipsoids.from_axes(np.array([rng.uniform(0.1, 0.6)]), np.zeros((1, 3)), axes, _turns_about_z(1, rng))
    hole = rng.uniform(size=len(parts.density)) < 0.3
    inside = np.where(hole, -body.density * rng.uniform(0.3, 0.9, len(hole)), 0.5 * parts.density)
    return Ellipsoids(
        density=np.concatenate([body.density, inside]),
        center=np.concatenate([body.center, parts.center]) + offset,
        form=np.concatenate([body.form, parts.form]),
    )


def _turns_about_z(n: int, rng: np.random.Generator) -> Array:
    return np.stack([_about_z(a) for a in rng.uniform(0, np.pi, n)])


def _foam(axes: Array, radius: float, height: float, rng: np.random.Generator) -> Ellipsoids:
    """A body full of voids that do not touch: each is kept only if its bounding sphere is free."""
    body = np.array([[radius, radius * rng.uniform(0.7, 1.0), height]])
    reach = axes.max(axis=1)
    kept: list[int] = []
    places = np.zeros((len(axes), 3))
    for i in range(len(axes)):
        direction = rng.normal(size=3)
        unit = direction / np.linalg.norm(direction) * rng.uniform() ** (1 / 3)
        places[i] = unit * np.maximum(body[0] - reach[i] - 1, 0)
        apart = np.linalg.norm(places[kept] - places[i], axis=1) - reach[kept]
        if (apart > reach[i]).all():
            kept.append(i)
    density = np.concatenate([[1.0], -rng.uniform(0.6, 1.0, len(kept))])
    turn = _turns_about_z(1, rng)
    return Ellipsoids.from_axes(
        density,
        np.concatenate([np.zeros((1, 3)), places[kept] @ turn[0].T]),  # the voids turn with the body
        np.concatenate([body, axes[kept]]),
        np.concatenate([turn, _turns(len(kept), rng)]),
    )
