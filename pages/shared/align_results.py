"""What was found on the Align page: the methods side by side, figures, files."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.shared.align_edits import do, edit_bar, edited, edits_of
from pages.shared.align_methods import pick_table
from pages.shared.align_notes import show_beyond, show_left_out, show_tilt
from pages.shared.align_pictures import before_after, three_cuts
from pages.shared.align_rounds import show_rounds
from pages.shared.align_table import RESIDUAL, entries, rows_of, show_table, work_out
from pages.shared.align_view import VIEW, one_view
from pages.shared.align_work import Found, Result, outside_and_beyond, residual_key, residual_of, residuals
from pages.shared.looks import CHART_CONFIG, is_dark
from pages.shared.report_button import stack_report_button
from pages.shared.run_epochs import HELP_CALIBRATION, calibration
from pages.shared.sources import STACK_TYPES, size_words
from pages.shared.telling import telling
from pages.shared.words import GAUGE
from tomoalign_core.config import InputError
from tomoalign_core.edits import Compose
from tomoalign_core.files.shifts import to_csv, to_nabu, to_xf
from tomoalign_core.geometry import Shifts, shift_error, transposed
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.show import alignment

SHIFTS, BEFORE_AFTER, CUTS, ONE_VIEW, ADD, SAVE = TABS = (
    "Shifts", "Before and after", "Three cuts", "One view", "Add a table", "Save",
)  # fmt: skip
LARGE_DOWNLOAD = 500e6  # bytes: beyond, a browser is the wrong way


def show(result: Result) -> None:
    """Everything about a result."""
    n_views, n_rows, n_cols = result.stack.proj.shape
    ends = np.rad2deg([result.stack.angle_rad.min(), result.stack.angle_rad.max()])
    first, last = (f"{angle:.0f}°".replace("-", "−") for angle in ends)
    st.markdown(f"**{result.name}** · {n_views} views of {n_rows} × {n_cols} px · {first} to {last}")
    if result.stack.notes:
        st.caption(f":material/info: {' · '.join(result.stack.notes)}")
    for name, fault in result.failed.items():
        st.error(f"{name}: {fault}", icon=":material/error:")
    if not result.found:
        return
    table, doing = st.empty(), st.empty()
    show_table(result, table)
    found = _look_at(result)
    edit_bar(result, found)
    now = edited(result, found)
    show_beyond(found.beyond)
    show_tilt(now.shifts)
    show_left_out(now.shifts, _open)
    draw: dict[str, Callable[[], None]] = {
        SHIFTS: lambda: _shifts(result, found, now),
        BEFORE_AFTER: lambda: before_after(result, now),
        CUTS: lambda: three_cuts(result, now),
        ONE_VIEW: lambda: one_view(result, found),
        ADD: lambda: _add_table(result, found),
        SAVE: lambda: _downloads(result, now),
    }
    for name, tab in zip(TABS, st.tabs(list(TABS), key="tab", bind="query-params", on_change="rerun"), strict=True):
        if tab.open:
            with tab:
                draw[name]()
    st.caption(GAUGE)
    work_out(result, table, doing)


def _look_at(result: Result) -> Found:
    names = list(result.found)
    if len(names) == 1:
        return result.found[names[0]]
    if st.session_state.get("look-at") not in names:
        st.session_state["look-at"] = names[0]
    chosen = st.segmented_control(
        "Look at", names, required=True, key="look-at", wrap=True, persist_state="session",
        help="Whose shifts are drawn, mended, undone and saved.",
    )  # fmt: skip
    return result.found[chosen]


# ---------------------------------------------------------------- shifts over the angle


def _shifts(result: Result, found: Found, now: Found) -> None:
    show_rounds(found, edited=now is not found)
    known = residuals().get(residual_key(result, now.shifts))
    suspects = known.suspects().tolist() if known else []
    others = {name: other.shifts for name, other in result.found.items() if name != found.name}
    if now is not found:
        others[f"{found.name}, as found"] = found.shifts
    view = st.session_state.get(VIEW)
    marked = {"suspects": suspects, "view": None if view is None else min(view, len(now.shifts) - 1), "dark": is_dark()}
    _clickable(
        alignment.shifts_by_view(
            now.name, now.shifts, others=others, truth=result.stack.truth, order=list(result.found), **marked
        ),
        key="found-shifts",
        alt="Found shifts over the angle, with the truth where it is known",
    )
    series, title = _per_view(result, now, known)
    if series:
        figure = alignment.bars_by_view(series, now.shifts, title=title, **marked)
        _clickable(figure, key="per-view", alt=f"{title} of each view")
    stand_out = f" {_stand_out(suspects)}" if suspects else ""
    small = f" Residuals are those of the views binned by {known.factor}." if known and known.factor > 1 else ""
    st.caption(f"A click on a view opens it under **{ONE_VIEW}**.{stand_out}{small}")
    _calibration(now, result.stack.truth)


def _stand_out(suspects: list[int]) -> str:
    if len(suspects) == 1:
        return f"View **{suspects[0]}** stands out: the others explain far less of it than of the views around it."
    return f"**{len(suspects)}** views stand out: the others explain far less of them than of the views around them."


def _calibration(now: Found, truth: Shifts | None) -> None:
    """Whether the network is as sure as it may be, where that can be known."""
    if truth is None or not np.isfinite(now.shifts.dx_sigma_px[now.shifts.used]).any():
        return
    known = now.shifts.used & np.isfinite(now.shifts.dx_sigma_px) & np.isfinite(now.shifts.dy_sigma_px)
    st.caption(calibration(now.shifts.taken(known), truth.taken(known)), help=HELP_CALIBRATION)


def _per_view(result: Result, now: Found, known: Any) -> tuple[dict[str, np.ndarray], str]:
    truth = result.stack.truth
    kinds = ["Held-out residual", "Error against the truth"]
    kind = kinds[0]
    if truth is not None:
        kind = st.segmented_control(
            "Of each view", kinds, default=kinds[0], required=True, key="per-view-kind", persist_state="session",
            help=f"{RESIDUAL} The error is without its gauge.",
        )  # fmt: skip
    if kind == kinds[1]:
        rest = shift_error(now.shifts, truth)
        error = {"dx": np.abs(rest.dx_px), "dy": np.abs(rest.dy_px)}
        return error, "error, px"
    return ({"residual": known.per_view} if known else {}), "residual, share of view"


def _open(view: int) -> None:
    """Look closely at a view: for an ``on_click``."""
    st.session_state[VIEW] = view
    st.session_state["tab"] = ONE_VIEW


def _clickable(figure: Any, *, key: str, alt: str) -> None:
    """A chart whose points open their view."""

    def opened() -> None:
        points = st.session_state[key]["selection"]["points"]
        numbers = [np.ravel(point["customdata"]) for point in points if "customdata" in point]
        if numbers:
            _open(int(numbers[0][0]))

    st.plotly_chart(
        figure, width="stretch", theme=None, config=CHART_CONFIG, key=key, alt=alt, on_select=opened,
        selection_mode="points",
    )  # fmt: skip


# ---------------------------------------------------------------- another table, files


def _add_table(result: Result, found: Found) -> None:
    st.markdown(
        "Adds the movements of another table to these, as where a stack was aligned coarsely before: the two become "
        "one, so that the pixels are resampled once."
    )
    try:
        table, name = pick_table("table-to-add", "Shift table to add (CSV)", of_transposed=result.stack.transposed)
        if table is None:
            return
        first = "the stage did these first"
        order = st.segmented_control(
            "Order", [first, "the stage did these last"], default=first, required=True, key="add-order",
            help="Matters where there is roll: what acts last moves content that the first has turned.",
        )  # fmt: skip
        edit = Compose.of(table, name=name, acts="first" if order == first else "last")
        edits_of(result, found).then(edit).apply(found.shifts)  # refused before it is done
        st.button("Add", type="primary", icon=":material/add:", key="add", on_click=do, args=(result, found, edit))
    except InputError as error:
        st.error(str(error), icon=":material/error:")


def _downloads(result: Result, found: Found) -> None:
    st.markdown(f"Of **{found.name}**:")
    turned = result.stack.transposed
    as_stored = transposed(found.shifts) if turned else found.shifts
    of_stored = " Of the views as they lie in your file." if turned else ""
    with st.container(horizontal=True):
        for words, text, ending, note in (
            ("Shifts (CSV)", to_csv(found.shifts, of_transposed=turned), "shifts.csv",
             "Units and conventions are in its first lines." + (" Of the transposed views." if turned else "")),
            ("IMOD (.xf)", to_xf(as_stored), "shifts.xf",
             "The correction, as transforms about the centre, one a view." + of_stored),
            ("nabu (text)", to_nabu(as_stored), "shifts.txt",
             "For translation_movements_file: horizontal, vertical; no roll." + of_stored),
        ):  # fmt: skip
            st.download_button(
                words, text, file_name(result.name, ending), "text/plain", icon=":material/download:",
                on_click="ignore", help=note,
            )  # fmt: skip
        st.download_button(
            "Settings (JSON)", settings_json(result, found), file_name(result.name, "alignment.json"),
            "application/json", icon=":material/settings:", on_click="ignore",
            help="What was aligned, the address of this page, by what, with which edits, and the scores.",
        )  # fmt: skip
        others = [other for name, other in result.found.items() if name != found.name]
        stack_report_button(
            result.stack, [found, *others], name=result.name, bound_px=result.bound_px,
            outside=outside_and_beyond(result), file_name=file_name(result.name, "report.html"),
        )  # fmt: skip
        size = result.stack.proj.size * 4.0
        if size < LARGE_DOWNLOAD or read_only():
            st.download_button(
                f"Aligned stack (HDF5, {size_words(size)})", aligned_file(result, found),
                file_name(result.name, "aligned.h5"), icon=":material/download:", on_click="ignore",
                help="Data Exchange layout, with the shifts and the method inside. All pixels, resampled once.",
            )  # fmt: skip
    if not read_only():
        _on_server(result, found)


def _on_server(result: Result, found: Found) -> None:
    """Write the aligned stack where the server can, view by view."""
    from tomoalign_core.align.save import save_on_server

    with st.form("save-on-server", border=False, enter_to_submit=False):
        path = st.text_input(
            "Aligned stack on the server's disk", key="save-path", placeholder="/data/aligned.h5",
            help="HDF5, written view by view; for stacks too large for the browser. No file is replaced.",
        ).strip()  # fmt: skip
        wanted = st.form_submit_button("Write", icon=":material/save:")
    if not wanted:
        return
    try:
        bar = st.progress(0.0, "Undoing the shifts …")
        tell = telling(lambda text, share: bar.progress(share, text), "Views written")
        axis = _axis_of(result, found)
        save_on_server(path, result.stack.proj, found.shifts, made_by=found.made_by, axis_px=axis, progress=tell)
        bar.empty()
        st.success(f"Written: {path}", icon=":material/check_circle:")
    except InputError as error:
        st.error(str(error), icon=":material/error:")


def _axis_of(result: Result, found: Found) -> float | None:
    """The rotation axis of the aligned stack, a column; None where too few views are left to tell."""
    return residual_of(result, found.shifts).axis_px if found.shifts.used.sum() > 1 else None


def settings_json(result: Result, found: Found) -> str:
    """What was aligned, by what and how well."""
    shown = zip(entries(result), rows_of(result), strict=True)
    row = next((row for entry, row in shown if entry.name == found.name), {})
    told = {
        "stack": result.name,
        "address": st.query_params.to_dict(),
        "shape": list(result.stack.proj.shape),
        "transposed": result.stack.transposed,
        "notes": list(result.stack.notes),
        "made_by": found.made_by,
        "edits": [edit.model_dump(mode="json") for edit in found.edits.done],
        "scores": {key: value for key, value in row.items() if key not in ("best", "method")},
        "bound_px": result.bound_px,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def aligned_file(result: Result, found: Found) -> Callable[[], bytes]:
    """The aligned stack, made when it is asked for."""

    def write() -> bytes:
        from tomoalign_core.align.save import write_undone

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "aligned.h5"
            axis = _axis_of(result, found)
            write_undone(path, result.stack.proj, found.shifts, made_by=found.made_by, axis_px=axis)
            return path.read_bytes()

    return write


def file_name(stack: str, ending: str) -> str:
    """A name that any system takes: letters, digits, dots and dashes.

    >>> file_name("blobs, 10 % noise", "shifts.csv"), file_name("a_1.h5", "shifts.csv")
    ('blobs-10-noise-shifts.csv', 'a_1-shifts.csv')
    """
    stem = re.sub(r"[^\w.]+", "-", re.sub(rf"\.({'|'.join(STACK_TYPES)})$", "", stack)).strip("-.")
    return f"{stem or 'stack'}-{ending}"
