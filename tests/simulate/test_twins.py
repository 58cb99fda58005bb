"""The gauge is real: two objects, two stages, one scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomoalign_core.config import PhantomConfig, ScanConfig
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate.phantoms import draw_phantom
from tomoalign_core.simulate.project import project_ellipsoids
from tomoalign_core.simulate.twins import twin


def stage(n: int, roll: float = 0.0) -> Shifts:
    rng = np.random.default_rng(3)
    return Shifts.from_arrays(
        angle_rad=angles(n), dx_px=rng.normal(0, 4, n), dy_px=rng.normal(0, 1, n), roll_deg=np.full(n, roll)
    )


def test_twins_show_the_same_scan_and_differ_by_nothing_but_the_gauge() -> None:
    scan = ScanConfig(n_views=16, n_rows=24, n_cols=32)
    phantom = draw_phantom(PhantomConfig(), scan, np.random.default_rng(5))
    one = stage(16)
    elsewhere, other = twin(phantom, one, x_px=3.0, y_px=-2.0, z_px=1.5)
    stacks = [
        project_ellipsoids(p, one.angle_rad, n_rows=24, n_cols=32, shifts=s)
        for p, s in ((phantom, one), (elsewhere, other))
    ]
    assert torch.allclose(*stacks, atol=2e-4 * float(stacks[0].max()))
    assert np.abs(one.dx_px - other.dx_px).max() > 3
    score = score_shifts(other, one)
    assert score.dx_rmse_px < 1e-12
    assert score.dy_rmse_px < 1e-12
    assert score.dx_raw_rmse_px > 2


def test_a_rolling_stage_has_no_exact_twin() -> None:
    phantom = draw_phantom(PhantomConfig(), ScanConfig(), np.random.default_rng(5))
    with pytest.raises(ValueError, match="without roll"):
        twin(phantom, stage(4, roll=1.0), x_px=1.0, y_px=0.0)
