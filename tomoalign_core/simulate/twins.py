"""Two scans that no data can tell apart: the gauge, as an object that sits elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tomoalign_core.geometry import Shifts
from tomoalign_core.simulate.phantoms import Ellipsoids


def twin(
    phantom: Ellipsoids, shifts: Shifts, *, x_px: float, y_px: float, z_px: float = 0.0
) -> tuple[Ellipsoids, Shifts]:
    """The same object elsewhere, and the movements of the stage with which its scan is the same, pixel by pixel.

    An object that sits at (x, y, z) appears at ``u = x cos + y sin``, ``v = z``; a stage that moves each view back by
    just that hides it. Exact where the roll is 0 (a roll turns that offset with the view).

    Raises
    ------
    ValueError
        If the stage rolls.
    """
    if np.any(shifts.roll_deg):
        raise ValueError("twins are exact without roll only")
    angle = shifts.angle_rad
    across = x_px * np.cos(angle) + y_px * np.sin(angle)
    moved = replace(shifts, dx_px=shifts.dx_px - across, dy_px=shifts.dy_px - z_px)
    return replace(phantom, center=phantom.center + np.array([x_px, y_px, z_px])), moved
