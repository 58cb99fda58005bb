"""Score every method on stacks whose truth is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tomoalign_core import align
from tomoalign_core.align.limit import Limit, unknown_object_bound
from tomoalign_core.bench.rivals import RIVALS, NoAnswer, rival_shifts
from tomoalign_core.bench.suite import FIRST_SEED, Case, scans
from tomoalign_core.config import InputError, MisalignConfig
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.metrics import ShiftScore, cramer_rao_together, rms, scan_bound, scan_roll_bound, score_shifts
from tomoalign_core.simulate import LabelledScan, SimulatedScan
from tomoalign_core.simulate.misalign import draw_shifts
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids

METHODS = (*align.METHODS, *RIVALS)
SCAN_STAGES = {
    "jitter σ (4, 1)": MisalignConfig(dx_sigma_px=4, dy_sigma_px=1),
    "uniform ±10 px": MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=10),
}
UNKNOWN = Limit(float("nan"), float("nan"), float("nan"))


class Labelled(NamedTuple):
    """A stack, what the stage did, and the bounds in dx, dy and roll: of a known template, and of an unknown object."""

    proj: np.ndarray
    truth: Shifts
    bound: Limit = UNKNOWN
    limit: Limit = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method on one case: medians over its stacks, errors without their gauge, px, degrees and seconds.

    ``stacks`` counts those on which the method gave an answer; without any, all figures are not a number.
    ``worst_px`` is the largest error of any view in dx or dy, ``bound_…`` the Cramér-Rao bound of a view against a
    known template (0 without noise, not a number where it is unknown), ``limit_…`` that of all views of an object that
    nobody knows, nor how each view rolled (see ``align.limit``; not a number without noise); those of roll are not
    numbers where the stage does not roll. ``over_…`` are the errors over these, stack by stack. ``within_…`` is the
    share of views within 1 and 2 of the σ that the method states, ``left_out`` the share that it leaves out: those are
    in no figure. ``roll_deg`` is about the tilt of the axis, of which ``axis_tilt_deg`` is the error, without its sign;
    not a number on a real scan, whose own is unknown. ``same_…`` is the part of the error that is the same in all
    stacks, where they are one real scan moved in different ways: what the scan itself had left, or what the method
    makes of it.
    """

    case: str
    method: str
    stacks: int
    dx_px: float
    dy_px: float
    roll_deg: float
    axis_tilt_deg: float
    worst_px: float
    bound_dx_px: float
    bound_dy_px: float
    bound_roll_deg: float
    limit_dx_px: float
    limit_dy_px: float
    limit_roll_deg: float
    over_bound_dx: float
    over_bound_dy: float
    over_limit_dx: float
    over_limit_dy: float
    within_1_sigma: float
    within_2_sigma: float
    left_out: float
    seconds: float
    same_dx_px: float = float("nan")
    same_dy_px: float = float("nan")

    @property
    def ratio(self) -> tuple[float, float]:
        """Error over bound, in dx and dy; not a number where there is no bound."""
        return self.over_bound_dx, self.over_bound_dy

    @property
    def limit_ratio(self) -> tuple[float, float]:
        """Error over the bound of an unknown object, in dx and dy; not a number where there is none."""
        return self.over_limit_dx, self.over_limit_dy


def method_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """The methods to score: those named, or all there are on this machine.

    Raises
    ------
    InputError
        If there is no such method here.
    """
    for name in names or ():
        if name not in METHODS:
            raise InputError(f"no method is called {name!r} on this machine; choose one of {', '.join(METHODS)}")
    return tuple(names or METHODS)


def measure(
    case: Case, methods: Sequence[str], *, stacks: int, model: str = "pretrained", device: str = "cpu"
) -> list[Row]:
    """Score methods on the first stacks of a case of the suite."""
    return over(case.name, [_labelled(scan) for scan in scans(case, stacks)], methods, model=model, device=device)


def on_a_scan(
    path: Path, methods: Sequence[str], *, stacks: int, model: str = "pretrained", device: str = "cpu"
) -> list[Row]:
    """Score methods on a well aligned real scan, into which known movements are injected."""
    scan = read_stack(path)
    rows = []
    for name, stage in SCAN_STAGES.items():
        truths = [draw_shifts(stage, scan.angle_rad, np.random.default_rng(FIRST_SEED + i)) for i in range(stacks)]
        moved = [Labelled(align.move_views(scan.proj, t), t) for t in truths]
        rows += over(f"{path.stem}, {name}", moved, methods, model=model, device=device, one_scan=True)
    return rows


def over(
    name: str,
    stacks: Sequence[Labelled],
    methods: Sequence[str],
    *,
    model: str,
    device: str,
    one_scan: bool = False,
) -> list[Row]:
    """Score methods on labelled stacks; seconds are the median of the runs, so the first may be cold.

    one_scan : the stacks are one scan, moved in different ways: the error that they share is scored as well.
    """
    rows = []
    bound = Limit(*np.median([one.bound for one in stacks], axis=0).tolist())
    limit = Limit(*np.median([one.limit for one in stacks], axis=0).tolist())
    for method in methods:
        find = finder(method, model, device)
        figures, ratios, within, left_out, errors = [], [], [], [], []
        for stack in stacks:
            truth = stack.truth
            began = time.perf_counter()
            try:
                found = find(stack.proj, truth.angle_rad)
            except NoAnswer:
                continue
            seconds = time.perf_counter() - began
            score = score_shifts(found, truth)
            worst = max(score.dx_worst_px, score.dy_worst_px)
            tilt = np.nan if one_scan else abs(score.axis_tilt_error_deg)
            figures.append((score.dx_rmse_px, score.dy_rmse_px, score.roll_rmse_deg, tilt, worst, seconds))
            ratios.append(_over(score, stack))
            within.append(_within(found, truth))
            left_out.append(1 - found.used.mean())
            errors.append(shift_error(found, truth))
        unknown = np.full((1, 6), np.nan)
        dx, dy, roll, tilt, worst, seconds = np.median(figures or unknown, axis=0)
        over = np.median(ratios or unknown[:, :4], axis=0).tolist()
        one, two = np.mean(within or unknown[:, :2], axis=0)
        same_dx, same_dy = _same(errors) if one_scan and len(errors) > 1 else UNKNOWN[:2]
        rows.append(
            Row(
                case=name, method=method, stacks=len(figures), dx_px=float(dx), dy_px=float(dy), roll_deg=float(roll),
                axis_tilt_deg=float(tilt), worst_px=float(worst), bound_dx_px=bound.dx_px,
                bound_dy_px=bound.dy_px, bound_roll_deg=bound.roll_deg,
                limit_dx_px=limit.dx_px, limit_dy_px=limit.dy_px, limit_roll_deg=limit.roll_deg,
                over_bound_dx=over[0], over_bound_dy=over[1], over_limit_dx=over[2], over_limit_dy=over[3],
                within_1_sigma=float(one), within_2_sigma=float(two), left_out=float(np.mean(left_out or np.nan)),
                seconds=float(seconds), same_dx_px=same_dx, same_dy_px=same_dy,
            )
        )  # fmt: skip
    return rows


def as_table(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """Rows as a Markdown table: a line a case, a column a method, dx / dy in px; the bound last."""
    lines = ["| stack | " + " | ".join(methods) + " | Cramér-Rao bound |", "|" + " --- |" * (len(methods) + 2)]
    for case in dict.fromkeys(row.case for row in rows):
        cells = {row.method: row for row in rows if row.case == case}
        any_row = next(iter(cells.values()))
        errors = " | ".join(_errors(cells.get(method)) for method in methods)
        known = np.isfinite(any_row.bound_dx_px)
        bound = f"{any_row.bound_dx_px:.3f} / {any_row.bound_dy_px:.3f}" if known else "–"
        lines.append(f"| {case} | {errors} | {bound} |")
    return "\n".join(lines)


def _errors(row: Row | None) -> str:
    """The cell of a method: a dash where it was not measured."""
    if row is None:
        return "–"
    return f"{row.dx_px:.3f} / {row.dy_px:.3f}" if row.stacks else "no answer"


def _labelled(scan: LabelledScan) -> Labelled:
    proj, clean = scan.proj.numpy(), scan.clean.numpy()
    rolls = np.ptp(scan.shifts.roll_deg) > 0
    roll = scan_roll_bound(clean, gaussian=scan.gaussian, counts=scan.counts) if rolls else np.nan
    bound = Limit(*scan_bound(clean, gaussian=scan.gaussian, counts=scan.counts), roll)
    return Labelled(proj, scan.shifts, bound, _limit(scan) if bound.dx_px > 0 else UNKNOWN)


def _limit(scan: LabelledScan) -> Limit:
    """The bound of an unknown object and, of a stage that rolls, of a roll to be found with dx and dy.

    What that roll adds to dx and dy is what it does of a known template, as often as it is less well known.
    """
    dx, dy, roll = _limit_each_alone(scan)
    if np.ptp(scan.shifts.roll_deg) == 0:
        return Limit(dx, dy, np.nan)
    clean = scan.clean.numpy()
    alone = scan_bound(clean, gaussian=scan.gaussian, counts=scan.counts)
    every = cramer_rao_together(clean, scan.shifts, gaussian=scan.gaussian, counts=scan.counts)
    *together, known = (rms(each) for each in every)
    added = [(roll / known) ** 2 * (both**2 - one**2) for both, one in zip(together, alone, strict=True)]
    return Limit(float(np.sqrt(dx**2 + added[0])), float(np.sqrt(dy**2 + added[1])), roll)


def _limit_each_alone(scan: LabelledScan) -> Limit:
    """The bound of an unknown object, of which all must be shown for it, also where it is wider than the detector."""
    found = _limit_of(scan, scan.clean.numpy(), None)
    if np.isfinite(found).all() or not isinstance(scan, SimulatedScan) or not isinstance(scan.phantom, Ellipsoids):
        return found
    _, rows, cols = scan.clean.shape
    whole = project_ellipsoids(scan.phantom, scan.angle_rad, n_rows=rows, n_cols=2 * cols, shifts=scan.shifts)
    return _limit_of(scan, scan.scale * whole.numpy(), cols)


def _limit_of(scan: LabelledScan, clean: np.ndarray, cols: int | None) -> Limit:
    return unknown_object_bound(
        clean, scan.angle_rad, scan.shifts, gaussian=scan.gaussian, counts=scan.counts, cols=cols
    )


def finder(
    method: str, model: str, device: str, *, axis_tilt_deg: float = 0.0
) -> Callable[[np.ndarray, np.ndarray], Shifts]:
    """What finds the shifts of a stack and its angles by a method, of this package or a rival.

    ``axis_tilt_deg`` is from where networks look for the tilt of the axis; other methods look for none.
    """
    if method in RIVALS:
        return lambda proj, angle_rad: rival_shifts(method, proj, angle_rad)
    return lambda proj, angle_rad: align.find_shifts(
        proj, angle_rad, method=method, model=model, device=device, axis_tilt_deg=axis_tilt_deg
    )


def _over(score: ShiftScore, stack: Labelled) -> list[float]:
    """Errors in dx and dy over the bound, and over the limit, of a stack; not numbers where there is none."""
    errors = (score.dx_rmse_px, score.dy_rmse_px)
    least = (stack.bound[:2], stack.limit[:2])
    return [error / known if known > 0 else np.nan for each in least for error, known in zip(errors, each, strict=True)]


def _same(errors: Sequence[Shifts]) -> tuple[float, float]:
    """The error that views have in the mean over several stacks, in dx and dy: root mean square over the views, px."""
    weight = np.array([error.used for error in errors], float)
    share = weight / np.maximum(weight.sum(0), 1)
    dx, dy = ([getattr(error, name) for error in errors] for name in ("dx_px", "dy_px"))
    return rms((share * dx).sum(0)), rms((share * dy).sum(0))


def _within(found: Shifts, truth: Shifts) -> tuple[float, float]:
    """The share of views within 1 and 2 of the stated σ, in dx and dy together."""
    rest = shift_error(found, truth)
    error = np.abs(np.concatenate([rest.dx_px[found.used], rest.dy_px[found.used]]))
    sigma = np.concatenate([found.dx_sigma_px[found.used], found.dy_sigma_px[found.used]])
    if not np.isfinite(sigma).all():
        return float("nan"), float("nan")
    return float(np.mean(error < sigma)), float(np.mean(error < 2 * sigma))
