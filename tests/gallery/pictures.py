"""The small pictures of the README, drawn from arrays that the core made, and the figures that stand beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from paper import FAINT, INK, Plot, grey, save, sheet, words
from PIL import Image

from tomoalign_core.align import find_shifts, move_views, undo_shifts
from tomoalign_core.config import SimulationConfig
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.geometry import Shifts, side_by_side
from tomoalign_core.learn.lesson import PROBE_PX, Faults, load_record
from tomoalign_core.metrics import rms, scan_bound, score_shifts
from tomoalign_core.samples import sample
from tomoalign_core.show.curves import smooth
from tomoalign_core.show.figures import grey_levels
from tomoalign_core.show.style import CASES, COLOUR
from tomoalign_core.simulate import simulate
from tomoalign_core.simulate.misalign import draw_shifts
from tomoalign_core.simulate.slices import find_axis, sinogram_of, slice_of

# the scan of `simulate scan.h5 --sample easy --views 120`
SIMULATED = sample("easy").changed(scan=sample("easy").scan.changed(n_views=120))
# the movement of `simulate moved.h5 --scan …`
INJECTED = SimulationConfig()
WIDTH, GAP, TOP = 312, 12, 34  # of a picture, between two, above them; px
PLOT = 150  # height of a plot, px
Images = NDArray[np.float32]
Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """Stacks (N, V, U) by what they show, in the order of the columns, and the movement that was found and the true."""

    stacks: dict[str, Images]
    found: Shifts
    truth: Shifts
    row: int


def draw_align(folder: Path) -> Figures:
    """Simulate and align: a scan as measured, aligned by the network in the box, and as of a perfect stage."""
    scan = simulate(SIMULATED)
    proj, perfect = scan.proj.numpy(), scan.aligned().numpy()
    found = find_shifts(proj, scan.angle_rad)
    stacks = {
        "As measured": proj,
        "Aligned by the network": undo_shifts(proj, found)[0],
        "Perfect stage, no noise": perfect,
    }
    seen = Aligned(stacks=stacks, found=found, truth=scan.shifts, row=proj.shape[1] // 2)
    bound = scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=scan.counts)
    figures = _scores(seen) | {"dx_bound_px": bound[0], "dy_bound_px": bound[1]}
    _draw_aligned(seen, figures, folder / "align.png")
    return figures


def draw_scan(folder: Path, path: Path) -> Figures:
    """A real scan: moved by a known jitter, aligned, and as it was."""
    scan = read_stack(path)
    truth = draw_shifts(INJECTED.misalign, scan.angle_rad, np.random.default_rng(INJECTED.seed))
    moved = move_views(scan.proj, truth)
    found = find_shifts(moved, scan.angle_rad)
    stacks = {
        "Moved by known shifts": moved,
        "Aligned by the network": undo_shifts(moved, found)[0],
        "As scanned": scan.proj,
    }
    seen = Aligned(stacks=stacks, found=found, truth=truth, row=3 * scan.proj.shape[1] // 4)
    figures = _scores(seen)
    _draw_aligned(seen, figures, folder / "scan.png")
    return figures


def draw_lesson(folder: Path) -> Figures:
    """Why the notebook did not converge: its loss and ours, and what both networks answer to a movement."""
    record = load_record()
    written, mended = Faults(), Faults(False, False, False, False)
    courses = {
        "the notebook as written": record.losses[written.code],
        "its four faults mended": record.losses[mended.code],
        "centroid, on the same stacks": record.centroid,
    }
    colours = (CASES[0], CASES[3], CASES[1])
    paper = sheet(3 * WIDTH + 2 * GAP, 330)
    left = Plot(paper=paper, left=58, top=66, width=490, height=210, x=(0, 120), y=(1e-4, 400), log_y=True)
    left.axes(range(0, 121, 20), (1e-4, 1e-2, 1, 100), x_title="step", title="Loss, square px")
    level = record.levels.of(mended, record.n_views)
    left.level(level, f"knowing nothing: {level:.1f}")
    across = 58.0
    for colour, (name, course) in zip(colours, courses.items(), strict=True):
        left.line(np.arange(1, len(course) + 1), smooth(course, 0.9), colour)
        across += 30 + words(paper, (across, 10), name, fill=colour)
    right = Plot(paper=paper, left=650, top=66, width=290, height=210, x=(-5.4, 5.4), y=(-5.4, 5.4))
    right.axes((-5, 0, 5), (-5, 0, 5), x_title="one view is moved by, px", title="What the network says of its dx, px")
    for colour, says in zip(colours[1:], (record.cnn3d_says, record.centroid_says), strict=True):
        right.line(PROBE_PX, says, colour)
        right.dots(PROBE_PX, says, colour, radius=3.4)
    save(paper, folder / "lesson.png", [FAINT, *colours])
    ends = (_end(course) for course in courses.values())
    return dict(zip(("written_px2", "mended_px2", "centroid_px2"), ends, strict=True))


def _end(course: NDArray[np.float64]) -> float:
    """The mean of the last quarter."""
    return float(course[-len(course) // 4 :].mean())


def _scores(seen: Aligned) -> Figures:
    score, moved = score_shifts(seen.found, seen.truth), seen.truth.gauge_free()
    return {
        "dx_moved_px": rms(moved.dx_px),
        "dy_moved_px": rms(moved.dy_px),
        "dx_rms_px": score.dx_rmse_px,
        "dy_rms_px": score.dy_rmse_px,
    }


def _draw_aligned(seen: Aligned, figures: Figures, path: Path) -> None:
    """Sinograms above slices, one column a stack; below them the movement, true and found."""
    lines = {name: sinogram_of(proj, seen.row) for name, proj in seen.stacks.items()}
    angle_rad = seen.truth.angle_rad
    slices = {
        name: slice_of(lines[name], angle_rad, axis_px=find_axis(proj, angle_rad)) for name, proj in seen.stacks.items()
    }
    n, cols = next(iter(lines.values())).shape
    across, down = max(1, round(WIDTH / cols)), max(1, round(WIDTH * 0.75 / n))
    below = TOP + n * down + GAP
    bottom = below + cols * across
    paper = sheet(3 * cols * across + 2 * GAP, bottom + PLOT + 108)
    for column, name in enumerate(seen.stacks):
        at = column * (cols * across + GAP)
        words(paper, (at, TOP - 11), name, size=17, anchor="ls")
        for top, images, block in ((TOP, lines, (across, down)), (below, slices, (across, across))):
            levels = grey_levels(list(images.values())[-1], black=0.0)
            grey(paper, (at, top), images[name], levels, block=block)
    _draw_movement(paper, seen, figures, bottom + 54)
    save(paper, path, [COLOUR["dx"], COLOUR["dy"]])


def _draw_movement(paper: Image.Image, seen: Aligned, figures: Figures, top: int) -> None:
    found, truth = side_by_side(seen.found, seen.truth)
    angle = np.rad2deg(truth.angle_rad)
    half = (paper.width - 3 * 44) // 2
    for place, part in enumerate(("dx", "dy")):
        true, ours = (getattr(table, f"{part}_px") for table in (truth, found))
        reach = float(np.ceil(np.abs(true).max() / 2) * 2)
        plot = Plot(
            paper=paper, left=44 + place * (half + 44), top=top, width=half, height=PLOT,
            x=(angle.min(), angle.max()), y=(-1.1 * reach, 1.1 * reach),
        )  # fmt: skip
        title = f"{part}, px: line true, dots found; {figures[f'{part}_rms_px']:.3f} px rms apart"
        ticks = np.arange(np.ceil(angle.min() / 30) * 30, angle.max() + 1, 30)
        plot.axes(ticks, (-reach, 0, reach), x_title="angle, degrees", title=title)
        plot.line(angle, true, INK, width=1.2)
        plot.dots(angle, ours, COLOUR[part])
