"""From settings to a scan whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tomoalign_core.config import ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.simulate.misalign import add_noise, draw_levels, draw_shifts
from tomoalign_core.simulate.phantoms import Ellipsoids, draw, draw_count, draw_phantom, load_volume
from tomoalign_core.simulate.project import project_ellipsoids, project_volume
from tomoalign_core.simulate.resample import sample


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedScan:
    """A stack and the truth about it. Stacks are float32 (N, V, U); the clean maximum is 1.

    Attributes
    ----------
    proj : what the detector saw: moved, with background, gain and noise.
    clean : the same without noise; the template of the Cramér-Rao bound.
    shifts : what the stage did.
    gaussian, counts : the noise that was drawn: σ, and photons a pixel or None.
    phantom : ellipsoids, or a voxel volume [z, y, x].
    """

    proj: torch.Tensor
    clean: torch.Tensor
    shifts: Shifts
    gaussian: float
    counts: float | None
    phantom: Ellipsoids | torch.Tensor
    scale: float

    @property
    def angle_rad(self) -> np.ndarray:
        """View angles (N,), radians."""
        return self.shifts.angle_rad

    def aligned(self) -> torch.Tensor:
        """The scan of a perfect stage: no movement, no noise, no background."""
        _, rows, cols = self.proj.shape
        return _project(self.phantom, self.angle_rad, rows, cols, None, self.proj.device) * self.scale


def simulate(
    config: SimulationConfig,
    *,
    device: torch.device | str = "cpu",
    phantom_seed: int | None = None,
    shape: tuple[int, int, int] | None = None,
) -> SimulatedScan:
    """Draw a phantom, a misalignment and noise from the settings and scan it.

    Parameters
    ----------
    phantom_seed
        Draw the object from this seed instead of the stack's own, so that several stacks show the same one.
    shape
        (N, V, U) that replaces the scan's; a batch of stacks must agree on it.
    """
    rng = np.random.default_rng(config.seed)
    scan = _fixed(config.scan, shape, rng)
    n, rows, cols = (int(v) for v in (scan.n_views, scan.n_rows, scan.n_cols))
    angle_rad = angles(
        n, range_deg=draw(scan.range_deg, rng), start_deg=draw(scan.start_deg, rng), include_end=scan.include_end
    )
    shifts = draw_shifts(config.misalign, angle_rad, rng)
    gain, offset = draw_levels(config.noise, n, rng)
    gaussian = draw(config.noise.gaussian, rng)
    counts = None if config.noise.counts is None else draw(config.noise.counts, rng)
    generator = torch.Generator(device=device).manual_seed(int(rng.integers(2**62)))
    phantom_rng = rng if phantom_seed is None else np.random.default_rng(phantom_seed)
    phantom: Ellipsoids | torch.Tensor
    if config.phantom.kind == "voxels":
        phantom = _volume(str(config.phantom.path))
    else:
        phantom = draw_phantom(config.phantom, scan, phantom_rng)

    moved = _project(phantom, angle_rad, rows, cols, shifts, device)
    scale = 1 / max(float(moved.max()), 1e-12)
    clean = moved * scale * _column(gain, moved) + _column(offset, moved)
    proj = add_noise(clean, gaussian=gaussian, counts=counts, generator=generator)
    if config.noise.rescale:
        proj = proj / proj.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    return SimulatedScan(
        proj=proj, clean=clean, shifts=shifts, gaussian=gaussian, counts=counts, phantom=phantom, scale=scale
    )


def _fixed(scan: ScanConfig, shape: tuple[int, int, int] | None, rng: np.random.Generator) -> ScanConfig:
    """The scan with its size drawn, or given."""
    n, rows, cols = shape or tuple(draw_count(s, rng) for s in (scan.n_views, scan.n_rows, scan.n_cols))
    return scan.changed(n_views=n, n_rows=rows, n_cols=cols)


def _column(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values).to(like)[:, None, None]


def _volume(path: str) -> torch.Tensor:
    return _volume_of(path, Path(path).stat().st_mtime_ns if Path(path).exists() else 0)


@lru_cache(maxsize=2)
def _volume_of(path: str, _changed_ns: int) -> torch.Tensor:
    """A file that was written anew is read anew."""
    return load_volume(path)


def _project(
    phantom: Ellipsoids | torch.Tensor,
    angle_rad: np.ndarray,
    rows: int,
    cols: int,
    shifts: Shifts | None,
    device: torch.device | str,
) -> torch.Tensor:
    if isinstance(phantom, Ellipsoids):
        return project_ellipsoids(phantom, angle_rad, n_rows=rows, n_cols=cols, shifts=shifts, device=device)
    volume = phantom.to(device)
    stack = project_volume(volume, torch.from_numpy(angle_rad).to(device), n_cols=max(volume.shape[-1], cols))
    return _place(stack, rows, cols, shifts)


def _place(stack: torch.Tensor, rows: int, cols: int, shifts: Shifts | None) -> torch.Tensor:
    """Move a voxel scan (N, Z, W) and cut or pad it to the detector, in one cubic resampling."""
    n, z, w = stack.shape
    v = torch.arange(rows, device=stack.device) - (rows - 1) / 2
    u = torch.arange(cols, device=stack.device) - (cols - 1) / 2
    at = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1).expand(n, rows, cols, 2)
    if shifts is not None:
        move = torch.from_numpy(np.stack([shifts.dx_px, shifts.dy_px], -1)).to(stack)
        turn = torch.deg2rad(torch.from_numpy(shifts.roll_deg)).to(stack)
        c, s = turn.cos(), turn.sin()
        back = torch.stack([torch.stack([c, s], -1), torch.stack([-s, c], -1)], -2)
        at = torch.einsum("nij,nrcj->nrci", back, at - move[:, None, None])
    wide = torch.nn.functional.pad(stack, (2, 2, 2, 2))  # outside the volume there is nothing
    return sample(wide, at[..., 0] + (w + 3) / 2, at[..., 1] + (z + 3) / 2)
