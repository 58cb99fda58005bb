"""What was found on the Align page: figures, scores and files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared.looks import chart, is_dark
from pages.shared.scans import bound_words
from pages.shared.words import GAUGE
from tomoalign_core.files.shifts import to_csv
from tomoalign_core.files.stacks import Stack, write_aligned
from tomoalign_core.geometry import Shifts
from tomoalign_core.show import figures


@dataclass(kw_only=True, eq=False)
class Found:
    """The shifts that one method found; the aligned stack is made when it is first looked at."""

    name: str
    made_by: str
    shifts: Shifts
    seconds: float
    aligned: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(kw_only=True, eq=False)
class Result:
    """A stack, and what the methods found in it."""

    key: str
    name: str
    stack: Stack
    bound_px: tuple[float, float] | None
    found: dict[str, Found] = field(default_factory=dict)


def find(stack: Stack, name: str, *, method: str, model: str) -> Found:
    """Run one method, on the GPU if there is one, and take its time."""
    from tomoalign_core.align import find_shifts
    from tomoalign_core.learn.train import choose_device

    device = str(choose_device("auto"))
    began = time.perf_counter()
    shifts = find_shifts(stack.proj, stack.angle_rad, method=method, model=model, device=device)
    made_by = f"network {model}" if method == "network" else method
    return Found(name=name, made_by=made_by, shifts=shifts, seconds=time.perf_counter() - began)


def show(result: Result) -> None:
    """Everything about a result."""
    n_views, n_rows, n_cols = result.stack.proj.shape
    st.markdown(f"**{result.name}** · {n_views} views of {n_rows} × {n_cols} px")
    for note in result.stack.notes:
        st.caption(f":material/info: {note}")
    _table(result)
    names = list(result.found)
    chosen = names[0]
    if len(names) > 1:
        chosen = st.segmented_control(
            "Look at",
            names,
            default=names[0],
            required=True,
            key="look-at",
            help="Whose shifts are drawn, undone and saved.",
        )
    found = result.found[chosen]
    others = {name: other.shifts for name, other in result.found.items() if name != chosen}
    figure = figures.shifts_over_angle({chosen: found.shifts} | others, result.stack.truth, dark=is_dark())
    chart(figure, key="found-shifts", alt="Found dx and dy over the angle, with the truth where it is known")
    if found.aligned is None:
        found.aligned = _undo(result.stack, found.shifts)
    _before_after(result.stack, found)
    _downloads(result, found)
    st.caption(GAUGE)


def _table(result: Result) -> None:
    from tomoalign_core.metrics import score_shifts

    rows = []
    for found in result.found.values():
        row = {
            "method": found.name,
            "time, s": round(found.seconds, 2),
            "views left out": int((~found.shifts.used).sum()),
        }
        if result.stack.truth is not None:
            score = score_shifts(found.shifts, result.stack.truth)
            row |= {"error dx, px": score.dx_rmse_px, "error dy, px": score.dy_rmse_px}
        rows.append(row)
    number = {"format": "%.3f", "help": "Root mean square over the views against the truth, gauge removed."}
    columns = {name: st.column_config.NumberColumn(**number) for name in ("error dx, px", "error dy, px")}
    st.dataframe(rows, width="stretch", hide_index=True, column_config=columns)
    if result.bound_px is not None:
        st.caption(bound_words(result.bound_px))
    if result.stack.truth is None:
        st.caption("The truth of this stack is not known: judge by the sinogram and the slice below.")


def _undo(stack: Stack, shifts: Shifts) -> tuple[np.ndarray, np.ndarray]:
    from tomoalign_core.align import undo_shifts

    bar = st.progress(0.0, "Undoing the shifts, each view once from the original …")
    every = max(1, len(shifts) // 20)

    def tell(done: int, of: int) -> None:
        if done % every == 0:
            bar.progress(done / of, f"Undoing the shifts: view {done} of {of}")

    aligned = undo_shifts(stack.proj, shifts, progress=tell)
    bar.empty()
    return aligned


def _before_after(stack: Stack, found: Found) -> None:
    from tomoalign_core.simulate.slices import find_axis, sinogram_of, slice_of

    assert found.aligned is not None
    aligned, _ = found.aligned
    _, n_rows, n_cols = stack.proj.shape
    key = f"{stack.source}-{found.name}"
    left, right = st.columns(2)
    row = left.slider("Detector row, px", 0, n_rows - 1, n_rows // 2, key="align-row", help="The row shown below.")
    axis = right.number_input(
        "Rotation axis, column px", 0.0, float(n_cols), round(find_axis(aligned, stack.angle_rad), 1), 0.5,
        format="%.1f", key=f"axis-{key}",
        help="Found from the centre of mass of the aligned stack; change it if the slice shows double edges.",
    )  # fmt: skip
    lines = {"before": sinogram_of(stack.proj, row), "after": sinogram_of(aligned, row)}
    slices = {name: slice_of(values, stack.angle_rad, axis_px=axis) for name, values in lines.items()}
    for what, images, axes, height in (
        ("Sinogram", lines, figures.SINOGRAM, 300),
        ("Slice", slices, figures.SLICE, 420),
    ):
        titled = {f"{what} {name}": values for name, values in images.items()}
        figure = figures.pictures(titled, axes, dark=is_dark(), height=height)
        chart(figure, key=f"align-{what}", alt=f"{what} before and after the shifts were undone")


def _downloads(result: Result, found: Found) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Shifts (CSV)", lambda: to_csv(found.shifts), _file_name(result, "shifts.csv"), "text/csv",
            icon=":material/download:", on_click="ignore", help="Conventions and units are in its first lines.",
        )  # fmt: skip
        st.download_button(
            "Aligned stack (HDF5)", _aligned_file(result.stack, found), _file_name(result, "aligned.h5"),
            icon=":material/download:", on_click="ignore",
            help="Data Exchange layout, with the shifts and the method inside.",
        )  # fmt: skip


def _file_name(result: Result, ending: str) -> str:
    stem = "".join(c if c.isalnum() or c in "._-" else "_" for c in Path(result.name).stem)
    return f"{stem}-{ending}"


def _aligned_file(stack: Stack, found: Found) -> Callable[[], bytes]:
    def write() -> bytes:
        assert found.aligned is not None
        proj, mask = found.aligned
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "aligned.h5"
            write_aligned(
                path, proj=proj, angle_rad=stack.angle_rad, shifts=found.shifts, mask=mask, model=found.made_by
            )
            return path.read_bytes()

    return write
