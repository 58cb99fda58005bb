"""From settings to a scan whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from tomoalign_core.config import Engine, ScanConfig, SimulationConfig, draw
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.simulate import tomopy_engine
from tomoalign_core.simulate.misalign import add_noise, draw_levels, draw_shifts
from tomoalign_core.simulate.phantoms import Ellipsoids, draw_phantom, load_volume, shepp3d_size
from tomoalign_core.simulate.project import project_ellipsoids, project_volume
from tomoalign_core.simulate.resample import sample


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledScan:
    """A stack and what is true of it: all that a network learns from, simulated now or read from a file.

    Stacks are float32 (N, V, U); the clean maximum is 1.

    Attributes
    ----------
    proj : what the detector saw: moved, with background, gain and noise.
    clean : the same without noise; the template of the Cramér-Rao bound.
    shifts : what the stage did.
    gaussian, counts : the noise that was drawn: σ, and photons a pixel or None.
    """

    proj: torch.Tensor
    clean: torch.Tensor
    shifts: Shifts
    gaussian: float
    counts: float | None

    @property
    def angle_rad(self) -> np.ndarray:
        """View angles (N,), radians."""
        return self.shifts.angle_rad


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedScan(LabelledScan):
    """A stack whose object is at hand, so that the scan of a perfect stage can be made.

    Attributes
    ----------
    phantom : ellipsoids, or a voxel volume [z, y, x].
    scale : what made the clean maximum 1.
    engine : who projected it.
    """

    phantom: Ellipsoids | torch.Tensor
    scale: float
    engine: Engine = "torch"

    def aligned(self) -> torch.Tensor:
        """The scan of a perfect stage: no movement, no noise, no background."""
        _, rows, cols = self.proj.shape
        return _project(self.engine, self.phantom, self.angle_rad, rows, cols, None, self.proj.device) * self.scale


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanPlan:
    """All that chance decides of a scan, drawn before a pixel is computed: cheap, and enough to make the scan.

    Two plans with the same object, angles, size and shifts have the same projections, whatever their noise.

    Attributes
    ----------
    phantom : ellipsoids, or a voxel volume [z, y, x].
    shifts : what the stage does; its angles are those of the views.
    gain, offset : of each view, (N,).
    gaussian, counts : σ of the noise, and photons a pixel or None.
    noise_seed : of every pixel's noise.
    rescale, clip : whether each view is divided by its maximum, and noise cut off outside 0 to 1.
    engine : who projects.
    """

    n_rows: int
    n_cols: int
    phantom: Ellipsoids | torch.Tensor
    shifts: Shifts
    gain: np.ndarray
    offset: np.ndarray
    gaussian: float
    counts: float | None
    noise_seed: int
    rescale: bool
    clip: bool = False
    engine: Engine = "torch"

    def project(
        self, *, moved: bool = True, turned: torch.Tensor | None = None, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Line integrals (N, V, U) without noise: as the stage moved, or as a perfect stage had stood.

        ``turned`` saves most of the time where ``turn`` has given it.
        """
        shifts = self.shifts if moved else None
        if turned is not None:
            return _place(turned, self.n_rows, self.n_cols, shifts)
        return _project(self.engine, self.phantom, self.shifts.angle_rad, self.n_rows, self.n_cols, shifts, device)

    def turn(self, *, device: torch.device | str = "cpu") -> torch.Tensor | None:
        """The projections of a volume before they are moved and cut, (N, Z, W), the same whatever the stage does.

        None where the movement goes into the projection itself: for ellipsoids, and by tomopy.
        """
        if isinstance(self.phantom, Ellipsoids) or self.engine != "torch":
            return None
        return _turn(self.phantom, self.shifts.angle_rad, self.n_cols, device)


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
        Draw the object from this seed instead of the settings' own, so that several stacks show the same one.
    shape
        (N, V, U) that replaces the scan's; a batch of stacks must agree on it.
    """
    plan = plan_scan(config, phantom_seed=phantom_seed, shape=shape)
    return expose(plan, plan.project(device=device))


def plan_scan(
    config: SimulationConfig, *, phantom_seed: int | None = None, shape: tuple[int, int, int] | None = None
) -> ScanPlan:
    """Draw what the settings leave to chance, and read the volume if they name one; see ``simulate``."""
    rng = np.random.default_rng(config.seed)
    scan = _fixed(config.scan, shape, rng)
    n, rows, cols = (int(v) for v in (scan.n_views, scan.n_rows, scan.n_cols))
    spaced = tomopy_engine.angles if config.engine == "tomopy" else angles
    angle_rad = spaced(
        n, range_deg=draw(scan.range_deg, rng), start_deg=draw(scan.start_deg, rng), include_end=scan.include_end
    )
    shifts = draw_shifts(config.misalign, angle_rad, rng)
    gain, offset = draw_levels(config.noise, n, rng)
    gaussian = draw(config.noise.gaussian, rng)
    counts = None if config.noise.counts is None else draw(config.noise.counts, rng)
    noise_seed = int(rng.integers(2**62))
    own = config.phantom_seed if phantom_seed is None else phantom_seed
    phantom: Ellipsoids | torch.Tensor
    if config.phantom.kind == "voxels":
        phantom = _volume(str(config.phantom.path))
    elif config.engine == "tomopy" and config.phantom.kind == "shepp3d":
        phantom = tomopy_engine.shepp3d(shepp3d_size(rows, cols))
    else:
        phantom = draw_phantom(config.phantom, scan, rng if own is None else np.random.default_rng(own))
    return ScanPlan(
        n_rows=rows,
        n_cols=cols,
        phantom=phantom,
        shifts=shifts,
        gain=gain,
        offset=offset,
        gaussian=gaussian,
        counts=counts,
        noise_seed=noise_seed,
        rescale=config.noise.rescale,
        clip=config.noise.clip,
        engine=config.engine,
    )


def expose(plan: ScanPlan, moved: torch.Tensor) -> SimulatedScan:
    """What the detector makes of the projections ``plan.project()``, which are left as they are."""
    scale = 1 / max(float(moved.max()), 1e-12)
    clean = moved * scale * _column(plan.gain, moved) + _column(plan.offset, moved)
    generator = torch.Generator(device=moved.device).manual_seed(plan.noise_seed)
    proj = add_noise(clean, gaussian=plan.gaussian, counts=plan.counts, generator=generator)
    if plan.clip:  # before the background comes on top, as in the notebook
        offset = _column(plan.offset, moved)
        proj = (proj - offset).clamp(0, 1) + offset
    if plan.rescale:
        proj = proj / proj.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    return SimulatedScan(
        proj=proj,
        clean=clean,
        shifts=plan.shifts,
        gaussian=plan.gaussian,
        counts=plan.counts,
        phantom=plan.phantom,
        scale=scale,
        engine=plan.engine,
    )


def _fixed(scan: ScanConfig, shape: tuple[int, int, int] | None, rng: np.random.Generator) -> ScanConfig:
    """The scan with its size drawn, or given."""
    n, rows, cols = shape or scan.draw_shape(rng)
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
    engine: Engine,
    phantom: Ellipsoids | torch.Tensor,
    angle_rad: np.ndarray,
    rows: int,
    cols: int,
    shifts: Shifts | None,
    device: torch.device | str,
) -> torch.Tensor:
    if engine == "tomopy":
        views = tomopy_engine.scan(phantom, angle_rad, n_rows=rows, n_cols=cols, shifts=shifts)
        return torch.from_numpy(views).to(device)
    if isinstance(phantom, Ellipsoids):
        return project_ellipsoids(phantom, angle_rad, n_rows=rows, n_cols=cols, shifts=shifts, device=device)
    return _place(_turn(phantom, angle_rad, cols, device), rows, cols, shifts)


def _turn(volume: torch.Tensor, angle_rad: np.ndarray, cols: int, device: torch.device | str) -> torch.Tensor:
    angle = torch.from_numpy(angle_rad).to(device)
    return project_volume(volume.to(device), angle, n_cols=max(volume.shape[-1], cols))


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
