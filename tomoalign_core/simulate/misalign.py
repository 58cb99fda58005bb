"""What the stage, the source and the detector do to a clean scan."""

from __future__ import annotations

import numpy as np
import torch

from tomoalign_core.config import MisalignConfig, NoiseConfig, draw, draw_count
from tomoalign_core.geometry import Shifts


def draw_shifts(config: MisalignConfig, angle_rad: np.ndarray, rng: np.random.Generator) -> Shifts:
    """Draw the movement of each view: jitter + uniform + drift + jumps + outliers + the tilt of the axis."""
    n = len(angle_rad)
    jitter = rng.normal(size=(3, n)) * [
        [draw(config.dx_sigma_px, rng)],
        [draw(config.dy_sigma_px, rng)],
        [draw(config.roll_sigma_deg, rng)],
    ]
    if config.rounded:
        jitter = np.round(jitter)
    move = jitter[:2] + rng.uniform(-1, 1, (2, n)) * draw(config.uniform_px, rng)
    move += draw(config.drift_px, rng) * _drift(n, rng)
    for _ in range(draw_count(config.jumps, rng)):
        step = rng.normal(size=2) * draw(config.jump_px, rng)
        move[:, rng.integers(1, n) :] += step[:, None]
    thrown = rng.uniform(size=n) < draw(config.outlier_fraction, rng)
    move += thrown * rng.normal(size=(2, n)) * draw(config.outlier_px, rng)
    roll = jitter[2] + draw(config.axis_tilt_deg, rng)
    return Shifts.from_arrays(angle_rad=angle_rad, dx_px=move[0], dy_px=move[1], roll_deg=roll)


def _drift(n: int, rng: np.random.Generator) -> np.ndarray:
    """A slow random walk in two directions, shape (2, n), root mean square 1."""
    walk = np.cumsum(rng.normal(size=(2, n)), axis=1)
    window = np.hanning(max(3, n // 8) + 2)[1:-1]
    smooth = np.stack([np.convolve(np.pad(w, len(window), mode="edge"), window, mode="same") for w in walk])
    smooth = smooth[:, len(window) : len(window) + n]
    smooth -= smooth.mean(axis=1, keepdims=True)
    return smooth / np.maximum(np.sqrt((smooth**2).mean(axis=1, keepdims=True)), 1e-9)


def draw_levels(config: NoiseConfig, n_views: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gain (n_views,) and offset (n_views,) of each view."""
    gain = 1 + rng.uniform(-1, 1, n_views) * draw(config.gain, rng)
    return gain, rng.uniform(0, 1, n_views) * draw(config.background, rng)


def add_noise(
    clean: torch.Tensor, *, gaussian: float, counts: float | None, generator: torch.Generator
) -> torch.Tensor:
    """Add Gaussian noise of σ = ``gaussian``, or Poisson noise of ``counts`` photons a pixel, to attenuation."""
    noisy = clean
    if counts is not None:
        photons = torch.poisson(counts * torch.exp(-clean), generator=generator)
        noisy = -torch.log(photons.clamp(min=0.5) / counts)
    if gaussian > 0:
        noisy = noisy + gaussian * torch.randn(clean.shape, generator=generator, device=clean.device)
    return noisy
