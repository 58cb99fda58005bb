"""Before and after: sinogram and slice, and three cuts through the reconstruction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from pages.shared.align_work import Found, Pictures, Result, pictures_of, residual_of
from pages.shared.looks import chart, is_dark
from pages.shared.telling import telling
from tomoalign_core.show import alignment, figures

CORONAL = figures.Axes(x="x, px", y="row z, px", black=0.0)
CUT_PX, AROUND_PX = 150, 105  # width of a cut on a laptop, and the height of what stands around two of them
SAGITTAL = figures.Axes(x="y, px", y="row z, px", black=0.0)


def _pictures(result: Result, now: Found) -> tuple[Pictures, Pictures, float]:
    """Before and after, about the axis that the views agree on, and that axis."""
    place = st.empty()
    bar = place.progress(0.0, "Looking for the rotation axis …")

    def told(words: str) -> Callable[[int, int], None]:
        return telling(lambda text, share: bar.progress(share, text), words)

    axis = round(residual_of(result, now.shifts, told("Each view is predicted from the others")).axis_px, 2)
    before = pictures_of(result, None, axis)
    after = pictures_of(result, now.shifts, axis, told("Undoing the shifts of the views"))
    place.empty()
    if before.factor > 1:
        st.caption(f":material/info: Binned by {before.factor} to be looked at; what is saved has all pixels.")
    return before, after, axis


def before_after(result: Result, now: Found) -> None:
    from tomoalign_core.align.binning import binned_column
    from tomoalign_core.simulate.slices import sinogram_of, slice_of

    before, after, axis = _pictures(result, now)
    _, n_rows, n_cols = result.stack.proj.shape
    left, right = st.columns(2)
    st.session_state["row"] = min(int(st.session_state.get("row", n_rows // 2)), n_rows - 1)
    row = left.slider("Detector row, px", 0, n_rows - 1, key="row", bind="query-params", help="The row shown below.")
    axis = right.number_input(
        "Rotation axis, column px", 0.0, float(n_cols), axis, 0.5, format="%.2f", key=f"axis-{axis}",
        help="Where the views explain each other best; change it if the slice shows double edges.",
    )  # fmt: skip
    line = min(row // before.factor, before.views.shape[1] - 1)
    lines = {name: sinogram_of(p.views, line) for name, p in (("before", before), ("after", after))}
    used = {"before": np.ones(len(now.shifts), bool), "after": now.shifts.used}
    column = binned_column(axis, n_cols, before.factor)
    slices = {
        name: slice_of(values[used[name]], result.stack.angle_rad[used[name]], axis_px=column)
        for name, values in lines.items()
    }
    for what, images, axes, height in (
        ("Sinogram", lines, figures.SINOGRAM, 300),
        ("Slice", slices, figures.SLICE, 380),
    ):
        titled = {f"{what} {name}": values for name, values in images.items()}
        figure = figures.pictures(titled, axes, dark=is_dark(), height=height)
        chart(figure, key=f"align-{what}", alt=f"{what} before and after the shifts were undone")


def three_cuts(result: Result, now: Found) -> None:
    from tomoalign_core.align.cuts import cuts

    before, after, _ = _pictures(result, now)
    _, n_rows, n_cols = after.views.shape
    with st.container(key="cuts"):
        places = st.columns(3)
    ends = {"z": n_rows, "y": n_cols, "x": n_cols}
    names = {"z": "Row z, px", "y": "y, px", "x": "x, px"}
    at = {
        name: column.slider(
            names[name], 0, end - 1, end // 2, key=f"cut-{name}-{end}", persist_state="session",
            help="Where the cut below passes; dotted in the others.",
        )
        for column, (name, end) in zip(places, ends.items(), strict=True)
    }  # fmt: skip
    pairs = zip(cuts(before.filtered, **at), cuts(after.filtered, **at), strict=True)
    looks = (
        ("Axial", figures.SLICE, (at["x"], at["y"])),
        ("Coronal", CORONAL, (at["x"], at["z"])),
        ("Sagittal", SAGITTAL, (at["y"], at["z"])),
    )
    for column, (old, new), (name, axes, cross) in zip(places, pairs, looks, strict=True):
        levels = figures.grey_levels(new, black=0.0)
        titled = {f"{name} before": old, f"{name} after": new}
        height = round(2 * CUT_PX * min(new.shape[0] / new.shape[1], 2)) + AROUND_PX
        figure = figures.pictures(titled, axes, levels=levels, stacked=True, dark=is_dark(), height=height)
        with column:
            chart(alignment.cross_hair(figure, cross), key=f"cut-{name}", alt=f"{name} cut, before above after")
