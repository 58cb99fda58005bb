"""Aligners of another library, corrct, brought to our conventions; they are measured where it is installed.

corrct (N. Viganò; MIT licence) gives the moves that bring views back, rows first.
"""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec

import numpy as np

from tomoalign_core.geometry import Shifts

RIVALS = ("corrct-pre", "corrct-xc") if find_spec("corrct") else ()


class NoAnswer(Exception):
    """A rival gives up on a stack."""


def rival_shifts(method: str, proj: np.ndarray, angle_rad: np.ndarray) -> Shifts:
    """What corrct finds in a stack (N, V, U): by profiles and centroids ("corrct-pre"), or by cross-correlation.

    Raises
    ------
    NoAnswer
        If it gives up, as where an image has no mass to take a centroid of.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from corrct.alignment import DetectorShiftsPRE, DetectorShiftsXC

        stack = np.ascontiguousarray(proj.transpose(1, 0, 2))
        try:
            if method == "corrct-pre":
                found = DetectorShiftsPRE(stack, angle_rad, verbose=False)
                back_v = found.fit_v()
                with np.errstate(invalid="ignore"):
                    back_u, _ = found.fit_u(background=np.median(proj[..., :4]))
            else:
                back_v, back_u = DetectorShiftsXC(stack, angle_rad, verbose=False).fit_vu()
        except (ValueError, RuntimeError) as error:
            raise NoAnswer(f"{method}: {error}") from error
    return Shifts.from_arrays(angle_rad=angle_rad, dx_px=-back_u, dy_px=-back_v).gauge_free()
