"""A stack whose axis is tilted, as an upright one, and back: what networks see is upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tomoalign_core.align.apply import undo_shifts
from tomoalign_core.geometry import Shifts, compose, transposed


def stood_up(proj: np.ndarray, tilt_deg: float) -> np.ndarray:
    """Views (N, V, U) turned back by the tilt of their axis, degrees from +u towards +v; as they are where it is 0."""
    return undo_shifts(proj, _tilted(np.zeros(len(proj)), tilt_deg))[0] if tilt_deg else proj


def as_measured(found: Shifts, tilt_deg: float) -> Shifts:
    """The movements of the views as measured, from those that were found after ``stood_up``.

    σ is that of the errors along the columns and the rows as measured, taken for independent.
    """
    if not tilt_deg:
        return found
    along, across = np.cos(np.deg2rad(tilt_deg)) ** 2, np.sin(np.deg2rad(tilt_deg)) ** 2
    dx, dy = found.dx_sigma_px**2, found.dy_sigma_px**2
    return replace(
        compose(found, _tilted(found.angle_rad, tilt_deg)),
        used=found.used,
        reason=found.reason,
        dx_sigma_px=np.sqrt(along * dx + across * dy),
        dy_sigma_px=np.sqrt(across * dx + along * dy),
    )


def from_transposed(found: Shifts) -> Shifts:
    """The movements of views (V, U) from those of the same views as (U, V), whose axis is nearer to the columns."""
    there = transposed(found)
    return replace(there, roll_deg=there.roll_deg + 90)  # the rolls of an object that lies


def _tilted(angle_rad: np.ndarray, tilt_deg: float) -> Shifts:
    still = np.zeros(len(angle_rad))
    return Shifts.from_arrays(angle_rad=angle_rad, dx_px=still, dy_px=still, roll_deg=still + tilt_deg)
