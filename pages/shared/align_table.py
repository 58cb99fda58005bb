"""The methods side by side: error, residual, bound, confidence and time of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from pages.shared.align_edits import count_words, edits_of, with_edits
from pages.shared.align_work import LEAST_VIEWS, Found, Result, residual_key, residual_of, residuals
from pages.shared.run_epochs import HELP_CALIBRATION
from pages.shared.scans import bound_words
from pages.shared.telling import telling
from pages.shared.words import HELP_AXIS_TILT

DRAWN_AGAIN = "residuals that the page was drawn again for"
RESIDUAL = (
    "Held-out residual: the share of each view that the others do not explain; 0 is perfect, 1 is all of it. The "
    "others are reconstructed without the view, projected at its angle, moved to where the table says it lies, and "
    "compared with it. Noise and few views keep it above 0; what counts is which table has the least. It needs no "
    "truth. A slow drift that neighbouring views share is what it sees least."
)
BEST = (
    "★ has the least error; where the truth is not known, the least held-out residual. 'tie': these cannot be told "
    "apart, as they differ by less than 1 %, or than chance from view to view explains. All are judged on the views "
    "that every table uses, so that none wins by leaving views out."
)


def entries(result: Result) -> list[Found]:
    """The tables that are compared: as found, and after what was done by hand."""
    listed: list[Found] = []
    for found in result.found.values():
        edits = edits_of(result, found)
        listed += [found, *([with_edits(found, edits)] if edits.done else [])]
    return listed


def rows_of(result: Result) -> list[dict[str, Any]]:
    """One row for each of the entries, in their order, all about the views that every one uses; the best are marked."""
    from tomoalign_core.align.notes import axis_tilt_words
    from tomoalign_core.metrics import rms, score_shifts

    rows, views, truth = [], common_views(result), result.stack.truth
    tables = [found.shifts for found in entries(result)] + ([truth] if truth is not None else [])
    rolls = any(np.ptp(np.nan_to_num(table.roll_deg)) > 0 for table in tables)
    tilted = any(axis_tilt_words(table) for table in tables)
    for found in entries(result):
        shifts, known = found.shifts, residuals().get(residual_key(result, found.shifts))
        method = f"↳ {count_words(found.edits)}" if found.edits.done else found.name
        row: dict[str, Any] = {"best": "", "method": method}
        if truth is not None:
            score = score_shifts(replace(shifts, used=views), truth)
            both = rms([score.dx_rmse_px, score.dy_rmse_px])
            row |= {"error dx, px": score.dx_rmse_px, "error dy, px": score.dy_rmse_px}
            if rolls:
                row["error roll, °"] = score.roll_rmse_deg
            if tilted:
                row["error axis, °"] = abs(score.axis_tilt_error_deg)
            row["worst, px"] = max(score.dx_worst_px, score.dy_worst_px)
            if result.bound_px is not None and max(result.bound_px) > 0:
                row["× bound"] = both / rms(result.bound_px)
        row["residual"] = rms(known.per_view[views]) if known else None
        sigma = np.concatenate([shifts.dx_sigma_px[shifts.used], shifts.dy_sigma_px[shifts.used]])
        row["σ, px"] = float(np.nanmedian(sigma)) if np.isfinite(sigma).any() else None
        row |= {"time, s": found.seconds, "left out": int((~shifts.used).sum())}
        rows.append(row)
    best = _best(result, views) if len(rows) > 1 else []
    for number in best:
        rows[number]["best"] = "★" if len(best) == 1 else "tie"
    return rows


def common_views(result: Result) -> np.ndarray:
    """Which views every table uses; where there are hardly any, all."""
    common = np.logical_and.reduce([found.shifts.used for found in entries(result)])
    return common if common.sum() >= LEAST_VIEWS else np.ones(len(common), bool)


def _best(result: Result, views: np.ndarray) -> list[int]:
    """The best of the entries, as far as that can be told; none as long as a residual is missing."""
    from tomoalign_core.align.ranking import best_of, squared_errors

    if result.stack.truth is not None:
        return best_of([squared_errors(found.shifts, result.stack.truth, views) for found in entries(result)])
    squares: list[np.ndarray] = []
    origin: Found | None = None
    for found in entries(result):
        known = residuals().get(residual_key(result, found.shifts))
        if known is None:
            return []
        # leaving views out moves none: such a table is as good as the one it came from
        same = origin is not None and found.edits.done and _moves_alike(origin, found)
        squares.append(squares[-1] if same else known.per_view[views] ** 2)
        origin = found
    return best_of(squares)


def _moves_alike(one: Found, other: Found) -> bool:
    columns = ("dx_px", "dy_px", "roll_deg")
    return all(np.array_equal(getattr(one.shifts, c), getattr(other.shifts, c), equal_nan=True) for c in columns)


def show_table(result: Result, where: Any) -> None:
    error = "Error: root mean square over the views against the truth, gauge removed."
    number = st.column_config.NumberColumn
    columns = {
        "best": st.column_config.TextColumn("", width=34, help=BEST),
        "error dx, px": number("Δdx, px", format="%.3f", help=error),
        "error dy, px": number("Δdy, px", format="%.3f", help=error),
        "error roll, °": number("Δroll, °", format="%.2f", help=f"{error} Who finds no roll errs by all of it."),
        "error axis, °": number("Δaxis, °", format="%.2f", help=f"Error of the tilt of the axis. {HELP_AXIS_TILT}"),
        "worst, px": number(format="%.2f", help="The largest error of any used view, in dx or dy."),
        "× bound": number(format="%.1f", help="Error by the least that noise allows (Cramér–Rao), dx and dy together."),
        "residual": number(format="%.4f", help=RESIDUAL),
        "σ, px": number(format="%.3f", help=f"Typical σ of dx and dy that the network states. {HELP_CALIBRATION}"),
        "time, s": number(format="%.2f", help="Seconds that the method took here."),
        "left out": number(help="Views that could not be aligned, or were left out by hand; below stands why."),
    }  # fmt: skip
    rows = rows_of(result)
    shown = [name for name in rows[0] if name != "left out" or any(row[name] for row in rows)]
    with where.container():
        st.dataframe(rows, width="content", hide_index=True, column_config=columns, column_order=shown, placeholder="–")
        views = common_views(result)
        if not views.all():
            st.caption(f"Compared on the {views.sum()} of {len(views)} views that every table uses.", help=BEST)
        if result.bound_px is not None:
            st.caption(bound_words(result.bound_px))
        elif result.stack.truth is None:
            words = (
                "The truth of this stack is not known: the least **held-out residual** (the share of each view that "
                "the others do not explain) is the best guess. Methods that tie cannot be told apart by it; of those "
                "prefer the network, which is wrong by the least on simulated scans."
            )
            st.caption(words, help=RESIDUAL)
        known = [one for found in entries(result) if (one := residuals().get(residual_key(result, found.shifts)))]
        if known and (doubt := min(known, key=lambda one: one.overall).doubt()):
            st.warning(doubt, icon=":material/warning:")


def work_out(result: Result, table: Any, doing: Any) -> None:
    """The residuals that are still missing, once the page is drawn; then it is drawn again, with them."""
    missing = [f for f in entries(result) if residuals().get(residual_key(result, f.shifts)) is None]
    for found in missing:
        words = f"Held-out residual of {found.name}"
        bar = doing.progress(0.0, f"{words} …")
        tell = telling(lambda text, share, bar=bar: bar.progress(share, text), words)
        residual_of(result, found.shifts, tell)
        show_table(result, table)
    keys = [residual_key(result, f.shifts) for f in missing]
    # once for the same tables: where there are more of them than room on the shelf, they would take turns for ever
    if missing and st.session_state.get(DRAWN_AGAIN) != keys:
        st.session_state[DRAWN_AGAIN] = keys
        st.rerun()
    doing.empty()
