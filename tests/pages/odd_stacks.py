"""A stack with views that cannot be aligned, a network that learned from others than it, and views that roll far."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.files.writers import write_stack
from tomoalign_core.geometry import Shifts
from tomoalign_core.simulate import simulate

EMPTY, NOISE = 5, 9  # views that are the same everywhere, and noise where the object should be


def odd_stack(path: Path, *, noise: float = 0.02) -> Path:
    """24 views of 32 × 40 px, two of which show no object."""
    scan = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=24, n_rows=32, n_cols=40),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=1),
            noise=NoiseConfig(gaussian=noise),
            seed=3,
        )
    )
    proj = scan.proj.numpy().copy()
    proj[EMPTY] = 0
    proj[NOISE] = np.random.default_rng(0).normal(0, noise * proj.max(), proj[NOISE].shape)
    write_stack(path, proj=proj, angle_rad=scan.angle_rad)
    return path


def weights_of_larger_stacks(path: Path) -> Path:
    """The network in the box, in a file that says that it learned from stacks over twice as large as the odd one."""
    from tomoalign_core.learn.presets import wide_mix
    from tomoalign_core.learn.weights import load_weights, save_weights

    model = load_weights("pretrained")
    scan = ScanConfig(n_views=(45, 90), n_rows=(80, 100), n_cols=(100, 120), range_deg=(115, 360))
    save_weights(path, model.network, model.config, model.shape, learned_from=wide_mix().changed(scan=scan))
    return path


def rolling_far(angle_rad: np.ndarray) -> Shifts:
    """A table of views that roll by 15° (rms), as found by a network that learned from a tenth of that."""
    n = len(angle_rad)
    small = np.linspace(0, 0.1, n)
    return Shifts.from_arrays(
        angle_rad=angle_rad, dx_px=small, dy_px=small, roll_deg=np.where(np.arange(n) % 2, 15.0, -15.0),
        dx_sigma_px=small + 0.01, dy_sigma_px=small + 0.01,
    )  # fmt: skip
