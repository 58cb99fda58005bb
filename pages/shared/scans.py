"""Simulated scans for the screen: made once for the same settings, kept for all visitors."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts

STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)
SAMPLES: dict[str, SimulationConfig] = {
    "blobs, 10 % noise": SimulationConfig(misalign=STAGE, noise=NoiseConfig(gaussian=0.1, background=0.2), seed=7),
    "pillar taller than the view, 3 % noise": SimulationConfig(
        phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
        misalign=STAGE,
        noise=NoiseConfig(gaussian=0.03, background=0.2),
        seed=7,
    ),
    "foam, drift, jumps and outliers, 5 % noise": SimulationConfig(
        phantom=PhantomConfig(kind="foam", parts=(20, 40), part_size=(0.08, 0.25)),
        scan=ScanConfig(n_views=120),
        misalign=MisalignConfig(dx_sigma_px=0.5, dy_sigma_px=0.5, drift_px=4, jumps=2, outlier_fraction=0.04),
        noise=NoiseConfig(gaussian=0.05),
        seed=7,
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """A simulated scan as arrays (N, V, U): as measured, and as a perfect stage and detector would have it."""

    proj: np.ndarray
    aligned: np.ndarray
    shifts: Shifts
    bound_px: tuple[float, float]


@st.cache_resource(max_entries=6, show_spinner="Scanning the phantom …")
def preview(config_json: str) -> Preview:
    """Simulate the settings. The result is shared: read it, never write into it."""
    from tomoalign_core.metrics import scan_bound
    from tomoalign_core.simulate import simulate

    scan = simulate(SimulationConfig.from_json(config_json))
    return Preview(
        proj=scan.proj.numpy(),
        aligned=scan.aligned().numpy(),
        shifts=scan.shifts,
        bound_px=scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts),
    )


def stack_file(scan: Preview, config_json: str) -> bytes:
    """The scan as a Data Exchange HDF5 file, with its true shifts and its settings inside."""
    from tomoalign_core.files.stacks import write_stack

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.h5"
        write_stack(path, proj=scan.proj, angle_rad=scan.shifts.angle_rad, truth=scan.shifts, config_json=config_json)
        return path.read_bytes()


def bound_words(bound_px: tuple[float, float]) -> str:
    """What the Cramér-Rao bound of a scan means, in a sentence."""
    dx, dy = bound_px
    if max(dx, dy) == 0:
        return "Without noise there is no limit: a perfect method would find these shifts exactly."
    return f"No method can do better than **{dx:.3f} px** in dx and **{dy:.3f} px** in dy here (Cramér–Rao bound)."
