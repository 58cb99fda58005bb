"""What both kinds of report say alike: versions, the state of a score, figures of found and true shifts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tomoalign_core.doctor import findings
from tomoalign_core.geometry import Shifts
from tomoalign_core.show import figures
from tomoalign_core.show.report import Drawing, Section, Table

GAUGE = (
    "Shifts and errors are without the gauge, which no data can tell: a shift c + a·cos θ + b·sin θ in dx, or a "
    "constant in dy, is the same scan of an object that sits elsewhere. The bound (Cramér–Rao) is the least error that "
    "noise allows any method."
)
LARGEST_PICTURE_PX = 560  # what a page of a report is wide; larger pictures are binned


def versions() -> Section:
    """What made the report."""
    about = findings()
    try:
        ours = metadata.version("tomoalign")
    except metadata.PackageNotFoundError:
        ours = "not installed, run from its folder"
    names = ("python", "torch", "numpy", "scikit-image", "plotly", "h5py", "tomopy", "processor")
    rows = [("tomoalign", ours), *((name, about[name]) for name in names if name in about)]
    rows += [(name, card) for name, card in about.items() if name.startswith("cuda")]
    return Section(heading="Versions", tables=[Table(head=("part", "version"), rows=rows, of_words=True)], folded=True)


def footer(what: str) -> str:
    """What a report is of, and when it was made."""
    return f"{what}. Made by TomoAlign on {datetime.now():%-d %B %Y, %H:%M}."


def number(value: float | None, digits: int = 3) -> str:
    """A figure of a table."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def accuracy_drawings(
    found: Shifts, truth: Shifts, bound_px: Mapping[str, float], *, tilt: bool = True
) -> list[Drawing]:
    """Found and true shifts: over the angle, against each other, and how often they differ by how much.

    tilt : see ``figures.shifts_over_angle``.
    """
    parts, height = movements(found, truth), 80 + 160 * len(movements(found, truth))
    return [
        Drawing(
            figure=figures.shifts_over_angle({"found": found}, truth, parts=parts, tilt=tilt, height=height),
            alt=f"Found and true {', '.join(parts)} of each view over the angle, gauge removed",
            wide=True,
        ),
        Drawing(
            figure=figures.found_against_true(found, truth, height=330),
            alt="Found over true shift of each view, gauge removed",
        ),
        Drawing(
            figure=figures.error_histogram(found, truth, bound_px=bound_px, height=330),
            alt="Histogram of the errors of all views in dx and dy",
        ),
    ]


def movements(*tables: Shifts) -> tuple[str, ...]:
    """What there is to draw: roll only where any table has some."""
    return ("dx", "dy", "roll") if any(np.any(np.nan_to_num(table.roll_deg)) for table in tables) else ("dx", "dy")


def picture_drawings(
    sinograms: Mapping[str, NDArray[np.floating]], slices: Mapping[str, NDArray[np.floating]]
) -> list[Drawing]:
    """The same row and slice before and after, and as the truth would have it where that is known."""
    return [
        Drawing(
            figure=_pictures(sinograms, figures.SINOGRAM, height=300),
            alt=f"Sinogram of one detector row: {', '.join(sinograms)}",
            wide=True,
        ),
        Drawing(
            figure=_pictures(slices, figures.SLICE, height=400),
            alt=f"Slice of the reconstruction: {', '.join(slices)}",
            wide=True,
        ),
    ]


def _pictures(images: Mapping[str, NDArray[np.floating]], axes: figures.Axes, *, height: int) -> go.Figure:
    """Pictures that are binned where they are larger than the page, on axes that still count their own pixels."""
    rows, cols = next(iter(images.values())).shape
    down, across = (math.ceil(n / LARGEST_PICTURE_PX) for n in (rows, cols))
    small = {name: _binned(values, down, across) for name, values in images.items()}
    figure = figures.pictures(small, axes, height=height)
    figure.update_traces(dx=across, dy=down, x0=(across - 1) / 2, y0=(down - 1) / 2)
    return figure.update_xaxes(range=[-0.5, cols - 0.5]).update_yaxes(range=[rows - 0.5, -0.5])


def _binned(image: NDArray[np.floating], down: int, across: int) -> NDArray[np.floating]:
    """Means over blocks; what is left at the end makes a smaller block."""
    rows, cols = (np.arange(0, n, step) for n, step in zip(image.shape, (down, across), strict=True))
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0), cols, axis=1)
    sizes = (np.diff(np.append(starts, n)) for starts, n in zip((rows, cols), image.shape, strict=True))
    return sums / np.outer(*sizes)
