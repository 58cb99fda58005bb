"""The methods side by side: error, residual, bound, confidence and time of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from pages.shared.align_edits import count_words, edits_of, with_edits
from pages.shared.align_work import Found, Result, residual_key, residual_of, residuals
from pages.shared.scans import bound_words
from pages.shared.telling import telling

DRAWN_AGAIN = "residuals that the page was drawn again for"
RESIDUAL = (
    "How badly each view is foretold by all the others: they are reconstructed without it, projected at its angle, "
    "moved to where the table says it lies, and compared with the view as measured. A fraction of the view's own "
    "contrast: 0 is foretold exactly, 1 not at all. Noise and few views keep it above 0; what counts is which table "
    "has the least. It needs no truth. A slow drift that neighbours share is what it sees least."
)


def entries(result: Result) -> list[Found]:
    """The tables that are compared: as found, and after what was done by hand."""
    listed: list[Found] = []
    for found in result.found.values():
        edits = edits_of(result, found)
        listed += [found, *([with_edits(found, edits)] if edits.done else [])]
    return listed


def rows_of(result: Result) -> list[dict[str, Any]]:
    """One row for each of the entries, in their order; the best, by error or else by residual, has a star."""
    from tomoalign_core.metrics import rms, score_shifts

    rows, merit = [], []
    for found in entries(result):
        shifts, known = found.shifts, residuals().get(residual_key(result, found.shifts))
        method = f"↳ {count_words(found.edits)}" if found.edits.done else found.name
        row: dict[str, Any] = {"best": "", "method": method}
        merit.append(known.overall if known else np.inf)
        if result.stack.truth is not None:
            score = score_shifts(shifts, result.stack.truth)
            both = rms([score.dx_rmse_px, score.dy_rmse_px])
            row |= {"error dx, px": score.dx_rmse_px, "error dy, px": score.dy_rmse_px}
            row["worst, px"] = max(score.dx_worst_px, score.dy_worst_px)
            if result.bound_px is not None and max(result.bound_px) > 0:
                row["× bound"] = both / rms(result.bound_px)
            merit[-1] = both
        row["residual"] = known.overall if known else None
        sigma = np.concatenate([shifts.dx_sigma_px[shifts.used], shifts.dy_sigma_px[shifts.used]])
        row["σ, px"] = float(np.nanmedian(sigma)) if np.isfinite(sigma).any() else None
        row |= {"time, s": found.seconds, "left out": int((~shifts.used).sum())}
        rows.append(row)
    if len(rows) > 1 and np.isfinite(merit).all():
        rows[int(np.argmin(merit))]["best"] = "★"
    return rows


def show_table(result: Result, where: Any) -> None:
    error = "Root mean square over the views against the truth, gauge removed."
    number = st.column_config.NumberColumn
    columns = {
        "best": st.column_config.TextColumn("", width=24, help="Least error; where that is not known, least residual."),
        "error dx, px": number(format="%.3f", help=error),
        "error dy, px": number(format="%.3f", help=error),
        "worst, px": number(format="%.2f", help="The largest error of any used view, in dx or dy."),
        "× bound": number(format="%.1f", help="Error by the least that noise allows (Cramér–Rao), dx and dy together."),
        "residual": number(format="%.4f", help=RESIDUAL),
        "σ, px": number(format="%.3f", help="The median of the standard deviations that the network gives."),
        "time, s": number(format="%.2f"),
        "left out": number(help="Views that could not be aligned, or were left out by hand."),
    }  # fmt: skip
    with where.container():
        st.dataframe(rows_of(result), width="content", hide_index=True, column_config=columns, placeholder="–")
        if result.bound_px is not None:
            st.caption(bound_words(result.bound_px))
        elif result.stack.truth is None:
            words = "The truth of this stack is not known: the least **held-out residual** is the best guess."
            st.caption(words, help=RESIDUAL)


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
