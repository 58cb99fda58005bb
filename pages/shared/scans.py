"""Simulated scans for the screen: made once for the same settings, kept for all visitors.

Caches one on the other, so that a change computes only what it changes: the projections of a perfect stage, those of
the stage as it moved, and what the detector made of them. Noise projects nothing anew.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from tomoalign_core.config import Engine, MisalignConfig, SimulationConfig
from tomoalign_core.geometry import Shifts

if TYPE_CHECKING:
    import torch

    from tomoalign_core.simulate import ScanPlan

STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """A simulated scan as arrays (N, V, U): as measured, and as a perfect stage and detector would have it.

    ``key`` changes when anything of it does. The bounds are root mean squares over views, 0 without noise.
    """

    key: str
    proj: np.ndarray
    aligned: np.ndarray
    shifts: Shifts
    bound_px: tuple[float, float]
    roll_bound_deg: float
    engine: Engine = "torch"


def preview(config_json: str) -> Preview:
    """Simulate the settings. The result is shared: read it, never write into it.

    Raises
    ------
    InputError
        If the settings cannot be read, or the volume that they name.
    """
    config = SimulationConfig.from_json(config_json)
    volume = Path(config.phantom.path or "")
    changed_ns = volume.stat().st_mtime_ns if config.phantom.path and volume.exists() else 0
    return _preview(config_json, changed_ns)


@st.cache_resource(max_entries=4, show_spinner="Scanning the phantom …")
def _preview(config_json: str, changed_ns: int) -> Preview:
    from tomoalign_core.metrics import scan_bound, scan_roll_bound
    from tomoalign_core.simulate import expose, plan_scan

    config = SimulationConfig.from_json(config_json)
    plan = plan_scan(config)
    object_key = repr((config.phantom.path, changed_ns)) if config.phantom.path else _digest(plan)
    turn_key = repr((object_key, plan.engine, plan.n_cols, plan.shifts.angle_rad.tobytes()))
    view_key = repr((turn_key, plan.n_rows))
    stage = np.stack([plan.shifts.dx_px, plan.shifts.dy_px, plan.shifts.roll_deg])
    turned = _turned(turn_key, plan)
    scan = expose(plan, _moved(repr((view_key, stage.tobytes())), plan, turned))
    noise = {"gaussian": scan.gaussian, "counts": scan.counts}
    clean = scan.clean.numpy()
    return Preview(
        key=repr((config_json, changed_ns)),
        proj=scan.proj.numpy(),
        aligned=(_still(view_key, plan, turned) * scan.scale).numpy(),
        shifts=scan.shifts,
        bound_px=scan_bound(clean, **noise),
        roll_bound_deg=scan_roll_bound(clean, **noise),
        engine=plan.engine,
    )


@st.cache_resource(max_entries=3, show_spinner=False)
def _turned(key: str, _plan: ScanPlan) -> torch.Tensor | None:
    return _plan.turn()


@st.cache_resource(max_entries=3, show_spinner=False)
def _moved(key: str, _plan: ScanPlan, _turned: torch.Tensor | None) -> torch.Tensor:
    return _plan.project(turned=_turned)


@st.cache_resource(max_entries=3, show_spinner=False)
def _still(key: str, _plan: ScanPlan, _turned: torch.Tensor | None) -> torch.Tensor:
    return _plan.project(moved=False, turned=_turned)


def _digest(plan: ScanPlan) -> str:
    """Which ellipsoids these are, or how large tomopy's head is."""
    from tomoalign_core.simulate.phantoms import Ellipsoids

    if not isinstance(plan.phantom, Ellipsoids):
        return repr(tuple(plan.phantom.shape))
    parts = (plan.phantom.density, plan.phantom.center, plan.phantom.form)
    return hashlib.sha256(b"".join(values.tobytes() for values in parts)).hexdigest()


def stack_file(scan: Preview, config_json: str) -> bytes:
    """The scan as a Data Exchange HDF5 file, with its true shifts and its settings inside."""
    from tomoalign_core.files.writers import write_stack

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
