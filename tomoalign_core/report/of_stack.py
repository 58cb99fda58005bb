"""The report of an alignment: what was found in a stack, how good it is, the pictures before and after."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.align import NETWORKS, beyond_domain, find_shifts, outside_domain, undo_shifts
from tomoalign_core.align.notes import OUTSIDE, axis_tilt_words, left_out_words, outside_lines
from tomoalign_core.align.refine import Round
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.align.rounds import MEANING, best_of, outcome
from tomoalign_core.config import InputError, SimulationConfig
from tomoalign_core.edits import check_same_scan
from tomoalign_core.files.shifts import read_csv, to_csv
from tomoalign_core.files.stacks import Stack
from tomoalign_core.geometry import Shifts, placed_as, shift_error
from tomoalign_core.learn.train import choose_device
from tomoalign_core.metrics import psnr, rms, scan_bound, scan_roll_bound, score_shifts
from tomoalign_core.report.common import GAUGE, accuracy_drawings, footer, movements, number, picture_drawings, versions
from tomoalign_core.show import alignment, figures
from tomoalign_core.show.report import Drawing, Report, Section, Table
from tomoalign_core.simulate.slices import find_axis, sinogram_of, slice_of

RESIDUAL = (
    "The truth is not known. Each view is predicted from all the others, reconstructed without it, and compared with "
    "the view as measured: the residual is the share of a view that the others do not explain, 0 is perfect. Noise and "
    "few views keep it above 0; what counts is which table has the least."
)
SPARE_ROWS = 32
Images = NDArray[np.float32]
BEFORE, AFTER, TRUE = "as measured", "aligned", "by the true shifts"
PERFECT = "perfect stage, no noise"


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """The shifts of a stack, the name of what found them, how long that took, by which rounds if it was refined."""

    name: str
    shifts: Shifts
    seconds: float | None = None
    rounds: Sequence[Round] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """What is known of a simulated stack beside its shifts: the bound, and the scan of a perfect stage."""

    bound_px: tuple[float, float]
    roll_bound_deg: float
    perfect: Images


def simulated(stack: Stack) -> Simulated | None:
    """Simulate a stack anew from the settings in its file; None where that does not give the stack itself."""
    if stack.config_json is None:
        return None
    from tomoalign_core.simulate import simulate

    try:
        scan = simulate(SimulationConfig.from_json(stack.config_json))
    except InputError:  # its voxels may be gone, or its settings those of another version
        return None
    proj = scan.proj.numpy()
    if proj.shape != stack.proj.shape or not np.allclose(proj, stack.proj, atol=1e-4):
        return None
    clean, gaussian, counts = scan.clean.numpy(), scan.gaussian, scan.counts
    bound = scan_bound(clean, gaussian=gaussian, counts=counts)
    roll = scan_roll_bound(clean, gaussian=gaussian, counts=counts) if np.ptp(scan.shifts.roll_deg) > 0 else 0.0
    return Simulated(bound_px=bound, roll_bound_deg=roll, perfect=scan.aligned().numpy())


def aligned_report(
    stack: Stack,
    *,
    methods: Sequence[str] | None = None,
    model: str = "pretrained",
    shifts_path: Path | None = None,
    axis_tilt_deg: float = 0.0,
    device: str = "auto",
) -> Report:
    """Align a stack, or take a table found before, and report it.

    Parameters
    ----------
    methods : the first is looked at closely, unless there is a table; by default the network, or the table alone.
    shifts_path : CSV, a shift table.
    axis_tilt_deg : from where networks look for the tilt of the rotation axis, see ``find_shifts``.

    Raises
    ------
    InputError
        If a method, the model or the table is at fault.
    """
    found = []
    outside: dict[str, tuple[str, ...]] = {}
    if shifts_path is not None:
        found.append(
            Alignment(
                name=f"the table {shifts_path.name}", shifts=read_csv(shifts_path, of_transposed=stack.transposed)
            )
        )
    for method in methods or ([] if found else ["network"]):
        if method in NETWORKS and not outside:
            outside[f"network {model}"] = outside_domain(stack.proj, stack.angle_rad, model=model)
        began = time.perf_counter()
        rounds: list[Round] = []
        shifts = find_shifts(
            stack.proj, stack.angle_rad, method=method, model=model, device=str(choose_device(device)),
            axis_tilt_deg=axis_tilt_deg, on_round=rounds.append,
        )  # fmt: skip
        name = method.replace("network", f"network {model}")
        if beyond := beyond_domain(shifts, stack.proj, method=method, model=model):
            of_network = f"network {model}"
            outside[of_network] = tuple(dict.fromkeys((*outside[of_network], *beyond)))
        found.append(Alignment(name=name, shifts=shifts, seconds=time.perf_counter() - began, rounds=rounds))
    known = simulated(stack)
    if known is None:
        return stack_report(stack, found, outside=outside)
    return stack_report(stack, found, bound_px=known.bound_px, perfect=known.perfect, outside=outside)


def stack_report(
    stack: Stack,
    alignments: Sequence[Alignment],
    *,
    bound_px: tuple[float, float] | None = None,
    perfect: Images | None = None,
    outside: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """What was found in a stack, as a report; the first alignment is the one that is looked at closely.

    Parameters
    ----------
    bound_px : the Cramér-Rao bound in dx and dy, where it is known.
    perfect : (N, V, U), the scan of a perfect stage, where it is known.
    outside : how the stack differs from what a network learned from (``outside_domain``), by the network's name.

    Raises
    ------
    InputError
        If a table of shifts belongs to another scan, or uses no view.
    """
    for one in alignments:
        check_same_scan(one.shifts, stack.angle_rad, one.name)
        if not one.shifts.used.any():
            raise InputError(f"{one.name}: uses no view of {stack.source}; set used to 1 where a view is good")
    first, name = alignments[0], Path(stack.source).name
    judged = {} if stack.truth is not None else _residuals(stack, alignments)
    return Report(
        title=f"Alignment of {name}",
        below=f"{stack.source}, by {first.name}",
        lead=_lead(stack, first, name, bound_px, judged),
        facts=_facts(stack, first),
        sections=[
            *_mind(first, outside or {}),
            _before_after(stack, first.shifts, perfect),
            _shifts(stack, alignments, bound_px),
            *_refinement(alignments),
            *_confidence(first, stack.truth),
            _methods(stack, alignments, bound_px, judged),
            Section(
                heading="The shifts as a table",
                words="Save this text as shifts.csv: TomoAlign reads it.",
                text=to_csv(first.shifts, of_transposed=stack.transposed),
                folded=True,
            ),
            versions(),
        ],
        footer=footer(stack.source),
    )


def _still(stack: Stack) -> Shifts:
    """The table of a stage that did not move."""
    nothing = np.zeros(len(stack.proj))
    return Shifts.from_arrays(angle_rad=stack.angle_rad, dx_px=nothing, dy_px=nothing)


def _residuals(stack: Stack, alignments: Sequence[Alignment]) -> dict[str, float]:
    """How badly the views predict each other, as measured and by each alignment."""
    tables = {BEFORE: _still(stack)} | {one.name: one.shifts for one in alignments}
    return {name: held_out_residual(stack.proj, stack.angle_rad, table).overall for name, table in tables.items()}


def _lead(
    stack: Stack, first: Alignment, name: str, bound_px: tuple[float, float] | None, judged: Mapping[str, float]
) -> str:
    """The result in a sentence or two."""
    if stack.truth is None:
        free = first.shifts.gauge_free()
        dx, dy = (rms(values[first.shifts.used]) for values in (free.dx_px, free.dy_px))
        return (
            f"{name} moved by {number(dx, 2)} px in dx and {number(dy, 2)} px in dy (rms, gauge removed). Its truth is "
            f"not known; as measured, {100 * judged[BEFORE]:.1f} % of a view is not explained by the other views, once "
            f"aligned {100 * judged[first.name]:.1f} %."
        )
    score = score_shifts(first.shifts, stack.truth)
    words = f"dx {number(score.dx_rmse_px)} px, dy {number(score.dy_rmse_px)} px rms on {name}"
    if bound_px is None:
        return f"{words}, against the truth in the file."
    if max(bound_px) == 0:
        return f"{words}; without noise there is no bound."
    return f"{words}; the bound is {number(bound_px[0])} px and {number(bound_px[1])} px."


def _facts(stack: Stack, first: Alignment) -> list[tuple[str, str]]:
    n, rows, cols = stack.proj.shape
    angle = np.rad2deg(stack.angle_rad)
    left_out = int((~first.shifts.used).sum())
    return [
        ("Stack", f"{n} views of {rows} × {cols} px"),
        ("Angles", f"{angle.min():.1f}° to {angle.max():.1f}°"),
        ("Found by", first.name + ("" if first.seconds is None else f", in {first.seconds:.2f} s")),
        ("Rotation axis", axis_tilt_words(first.shifts) or "along the columns"),
        ("Views left out", str(left_out) if left_out else "none"),
        *(("Note", note) for note in stack.notes),
    ]


def _mind(first: Alignment, outside: Mapping[str, Sequence[str]]) -> list[Section]:
    """What the reader should know before the results: how far they can be trusted, and what they leave out."""
    rows = [[OUTSIDE, line] for line in outside_lines(outside)]
    if not first.shifts.used.all():
        rows.append(["left out", left_out_words(first.shifts)])
    if not rows:
        return []
    return [Section(heading="To bear in mind", tables=[Table(head=["about", "this stack"], rows=rows, of_words=True)])]


def _before_after(stack: Stack, found: Shifts, perfect: Images | None) -> Section:
    placed = found if stack.truth is None else placed_as(found, stack.truth)
    band = _band(stack.proj.shape, [placed] if stack.truth is None else [placed, stack.truth])
    proj = stack.proj[:, band]
    stacks = {BEFORE: proj, AFTER: undo_shifts(proj, placed)[0]}
    if perfect is not None:
        stacks[PERFECT] = perfect[:, band]
    elif stack.truth is not None:
        stacks[TRUE] = undo_shifts(proj, stack.truth)[0]
    row = stack.proj.shape[1] // 2
    sinograms = {name: sinogram_of(proj, row - band.start) for name, proj in stacks.items()}
    slices = {
        name: slice_of(sinograms[name], stack.angle_rad, axis_px=find_axis(proj, stack.angle_rad))
        for name, proj in stacks.items()
    }
    words = f"Detector row {row}, and the slice that filtered backprojection makes of it."
    best = list(slices)[2:]
    if best:
        before, after = (psnr(slices[best[0]], slices[name]) for name in (BEFORE, AFTER))
        words += f" Likeness of the slice to the last one (PSNR): {before:.1f} dB before, {after:.1f} dB after."
    return Section(heading="Before and after", words=words, drawings=picture_drawings(sinograms, slices)[::-1])


def _band(shape: tuple[int, ...], tables: Sequence[Shifts]) -> slice:
    """The rows from which the middle one is made, alike on both sides of the centre of rolls, and some for the axis."""
    _, rows, cols = shape
    dy = max(float(np.abs(table.dy_px[table.used]).max()) for table in tables)
    roll_deg = max(float(np.abs(table.roll_deg[table.used]).max()) for table in tables)
    half = math.ceil(dy + cols / 2 * math.sin(math.radians(roll_deg))) + SPARE_ROWS
    cut = max(0, rows // 2 - half)
    return slice(cut, rows - cut)


def _shifts(stack: Stack, alignments: Sequence[Alignment], bound_px: tuple[float, float] | None) -> Section:
    first = alignments[0]
    heading = "Found shifts"
    if stack.truth is not None:
        bound = dict(zip(("dx", "dy"), bound_px or (0.0, 0.0), strict=True))
        return Section(heading=heading, words=GAUGE, drawings=accuracy_drawings(first.shifts, stack.truth, bound))
    parts = movements(*(one.shifts for one in alignments))
    tables = {one.name: one.shifts for one in alignments}
    figure = figures.shifts_over_angle(tables, parts=parts, height=80 + 160 * len(parts))
    words = f"Found {', '.join(parts)} of each view over the angle, gauge removed"
    drawing = Drawing(figure=figure, alt=words, wide=True)
    return Section(heading=heading, words=GAUGE, drawings=[drawing])


def _refinement(alignments: Sequence[Alignment]) -> list[Section]:
    """How the refinements among them went, round by round."""
    refined = [one for one in alignments if one.rounds]
    if not refined:
        return []
    drawings = [
        Drawing(
            figure=alignment.rounds_of_refinement(
                [r.residual for r in one.rounds], [r.step_px for r in one.rounds], best=best_of(one.rounds), height=240
            ),
            alt=f"Held-out residual and step after each round of {one.name}",
            wide=True,
        )
        for one in refined
    ]
    came_to = " ".join(f"Of {one.name}: {outcome(one.rounds)}." for one in refined)
    return [Section(heading="Refinement", words=f"{came_to} {MEANING}", drawings=drawings)]


def _confidence(first: Alignment, truth: Shifts | None) -> list[Section]:
    """What the method says of its own errors, and whether it is right where the truth is known."""
    shifts = first.shifts
    sigmas = {"dx": shifts.dx_sigma_px, "dy": shifts.dy_sigma_px}
    if not all(np.isfinite(sigma[shifts.used]).any() for sigma in sigmas.values()):
        return []
    rows, head = [], ["direction", "σ of a typical view, px", "largest σ, px", "number of that view"]
    for part, sigma in sigmas.items():
        largest = int(np.nanargmax(np.where(shifts.used, sigma, np.nan)))
        row = [part, number(float(np.nanmedian(sigma[shifts.used]))), number(float(sigma[largest])), str(largest)]
        if truth is not None:
            error = np.abs(getattr(shift_error(shifts, truth), f"{part}_px"))[shifts.used]
            row += [f"{100 * np.mean(error < k * sigma[shifts.used]):.0f} %" for k in (1, 2)]
        rows.append(row)
    if truth is not None:
        head += ["true errors below σ", "below 2σ"]
    words = (
        "How far off the network expects to be: with each shift it states σ, the standard deviation of its error, in "
        "px. Where it knows itself, the error is below σ in 68 % of the views, and below 2σ in 95 %. "
        "More than that: it is better than it says; fewer: worse. Views are counted from 0."
    )
    return [Section(heading="Confidence", words=words, tables=[Table(head=head, rows=rows)])]


def _methods(
    stack: Stack,
    alignments: Sequence[Alignment],
    bound_px: tuple[float, float] | None,
    judged: Mapping[str, float],
) -> Section:
    """The methods side by side: by their errors, or else by how well the views predict each other."""
    head, rows = ["method", "time, s", "views left out"], []
    tilted = stack.truth is not None and any(map(axis_tilt_words, (stack.truth, *(one.shifts for one in alignments))))
    for one in (Alignment(name=BEFORE, shifts=_still(stack)), *alignments):
        row = [one.name, number(one.seconds, 2), str(int((~one.shifts.used).sum()))]
        if stack.truth is not None:
            s = score_shifts(one.shifts, stack.truth)
            row += [number(v) for v in (s.dx_rmse_px, s.dy_rmse_px, s.dx_worst_px, s.dy_worst_px, s.roll_rmse_deg)]
            row += [number(abs(s.axis_tilt_error_deg))] * tilted
        else:
            row.append(number(judged[one.name]))
        rows.append(row)
    if stack.truth is not None:
        words = (
            "Errors against the known truth over all views that are used, without the gauge: how far off a view is "
            "(root mean square), and how far the one that is farthest off."
        )
        head += ["error dx, px", "error dy, px", "largest error dx, px", "largest error dy, px", "error roll, degrees"]
        head += ["error tilt of the axis, degrees"] * tilted
        if bound_px is not None and max(bound_px) > 0:
            rows.append(
                ["Cramér–Rao bound", "", "", number(bound_px[0]), number(bound_px[1]), "", "", "", *[""] * tilted]
            )
    else:
        words = RESIDUAL
        head.append("held-out residual")
    return Section(heading="Methods on this stack", words=words, tables=[Table(head=head, rows=rows)])
