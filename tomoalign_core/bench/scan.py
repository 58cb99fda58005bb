"""Score every method on a real scan as it is, where there is no truth: by what its own views say of each table."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tomoalign_core.align import undo_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.bench.accuracy import finder
from tomoalign_core.bench.rivals import NoAnswer
from tomoalign_core.bench.sinogram import sinogram_residual
from tomoalign_core.config import InputError
from tomoalign_core.files.stacks import Stack, empty_views
from tomoalign_core.geometry import Shifts
from tomoalign_core.metrics import score_shifts

AS_IT_IS, REFERENCE = "as it is", "reference"
NOTHING = float("nan")
SAME_ANGLE_DEG = 0.01  # a table holds its angles to nine digits, a file maybe in single precision


@dataclass(frozen=True, kw_only=True)
class ScanRow:
    """One method on one scan; what is not known is not a number.

    ``held_out`` is the residual of ``align.residual``, ``sinogram`` that of ``bench.sinogram``, both 0 at best and
    the same for every table but for the table. Refinement picks among its rounds by the first, which so favours it;
    nobody picks by the second. ``axis_tilt_deg`` is the tilt of the axis that was found. ``dx_px`` and ``dy_px``
    are the distance from the reference, rms without the gauge; ``why`` tells why a method gave no answer.
    """

    method: str
    views: int
    held_out: float = NOTHING
    sinogram: float = NOTHING
    axis_tilt_deg: float = NOTHING
    dx_px: float = NOTHING
    dy_px: float = NOTHING
    seconds: float = NOTHING
    why: str = ""


def judge_scan(
    scan: Stack,
    methods: Sequence[str],
    *,
    model: str = "pretrained",
    device: str = "cpu",
    reference: Shifts | None = None,
    axis_tilt_deg: float = 0.0,
    on_row: Callable[[ScanRow], None] | None = None,
) -> list[ScanRow]:
    """Judge a scan as it is, the reference if there is one, and what each method makes of it.

    Parameters
    ----------
    reference : what another program or person found; by default the truth that the file holds, if it does.
    axis_tilt_deg : from where networks look for the tilt of the axis, see ``align.find_shifts``.
    on_row : called with each line as it is known.

    Raises
    ------
    InputError
        If the reference is of another number of views, or there is an answer by none of the methods.
    """
    reference = scan.truth if reference is None else _of_this_scan(reference, scan)
    still, shown = np.zeros(len(scan.proj)), np.ones(len(scan.proj), bool)
    shown[empty_views(scan.proj)] = False
    as_it_is = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=still, dy_px=still, used=shown)
    rows: list[ScanRow] = []

    def note(row: ScanRow) -> None:
        rows.append(row)
        if on_row is not None:
            on_row(row)

    note(judged(scan, as_it_is, AS_IT_IS, reference))
    if reference is not None:
        note(judged(scan, reference, REFERENCE, None))
    for method in methods:
        began = time.perf_counter()
        try:
            found = finder(method, model, device, axis_tilt_deg=axis_tilt_deg)(scan.proj, scan.angle_rad)
        except (InputError, NoAnswer) as error:
            note(ScanRow(method=method, views=0, why=str(error)))
            continue
        seconds = time.perf_counter() - began
        note(replace(judged(scan, found, method, reference), seconds=seconds))
    if methods and not any(row.views for row in rows if row.method in methods):
        raise InputError("; ".join(f"{row.method}: {row.why}" for row in rows if row.why))
    return rows


def judged(scan: Stack, found: Shifts, method: str, reference: Shifts | None) -> ScanRow:
    """The figures of one table of shifts, over the views that it uses."""
    row = ScanRow(method=method, views=int(found.used.sum()))
    if row.views < 2:
        return replace(row, views=0, why="no view is used")
    residual = held_out_residual(scan.proj, scan.angle_rad, found)
    aligned, _ = undo_shifts(residual.measured, replace(residual.table, used=np.ones(len(found), bool)))
    row = replace(
        row,
        held_out=residual.overall,
        sinogram=sinogram_residual(aligned, scan.angle_rad, used=found.used),
        axis_tilt_deg=found.axis_tilt_deg,
    )
    if reference is None:
        return row
    score = score_shifts(replace(found, used=found.used & reference.used), reference)
    return replace(row, dx_px=score.dx_rmse_px, dy_px=score.dy_rmse_px)


def as_lines(rows: Sequence[ScanRow]) -> str:
    """Rows as a Markdown table, a line a method; it says so where one leaves views out, and is judged by the others."""
    whole = max(row.views for row in rows)
    compared = any(np.isfinite(row.dx_px) for row in rows)
    tilted = any(row.axis_tilt_deg for row in rows if row.views)
    names = ["method", "held-out residual", "sinogram residual"]
    names += [*["axis tilt, °"] * tilted, *["from the reference, dx / dy px"] * compared, "s"]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        apart = f"{row.dx_px:.3f} / {row.dy_px:.3f}" if np.isfinite(row.dx_px) else "–"
        tilt = f"{row.axis_tilt_deg:.2f}" if row.axis_tilt_deg else "–"
        figures = [f"{row.held_out:.4f}", f"{row.sinogram:.4f}", *[tilt] * tilted, *[apart] * compared]
        seconds = f"{row.seconds:.1f}" if np.isfinite(row.seconds) else "–"
        cells = [*figures, seconds] if row.views else ["no answer", *["–"] * (len(names) - 2)]
        left_out = f", {row.views} of {whole} views" if 0 < row.views < whole else ""
        lines.append("| " + " | ".join([row.method + left_out, *cells]) + " |")
    return "\n".join(lines)


def _of_this_scan(reference: Shifts, scan: Stack) -> Shifts:
    """A reference with the angles of the scan, if it can be of this scan."""
    if len(reference) != len(scan.proj):
        raise InputError(f"the reference is of {len(reference)} views, {scan.source} of {len(scan.proj)}; give its own")
    apart = float(np.rad2deg(np.abs(reference.angle_rad - scan.angle_rad)).max())
    if apart > SAME_ANGLE_DEG:
        raise InputError(f"the angles of the reference differ from those of {scan.source} by up to {apart:.2f}°")
    return replace(reference, angle_rad=scan.angle_rad)
