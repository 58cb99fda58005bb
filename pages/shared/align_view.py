"""One view of the Align page: as measured, as the others predict it, and the means to move it or leave it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.shared.align_edits import AS_FOUND, do, edits_of
from pages.shared.align_work import LEAST_VIEWS, Found, Result, nearest_residual, residual_of
from pages.shared.fields import whole_number
from pages.shared.looks import chart, is_dark
from tomoalign_core.edits import Edits, Nudge, Use
from tomoalign_core.geometry import Shifts
from tomoalign_core.show import alignment

if TYPE_CHECKING:
    from tomoalign_core.align.residual import ViewCheck

VIEW = "view"
PICTURE_PX = 190  # width of one of three pictures on a laptop
STEPS = {"dx": ("ddx_px", (-1.0, -0.1, 0.1, 1.0), " px"), "dy": ("ddy_px", (-1.0, -0.1, 0.1, 1.0), " px"),
         "roll": ("droll_deg", (-0.1, 0.1), "°")}  # fmt: skip
COLUMNS = {"ddx_px": "dx_px", "ddy_px": "dy_px", "droll_deg": "roll_deg"}
HELP_NUDGE = (
    "Says that the stage moved this view further than was found: to the right, down, from right towards down. The cyan "
    "prediction moves; the red measurement stays."
)


def one_view(result: Result, found: Found) -> None:
    """Look at a view, and mend it."""
    edits = Edits() if st.session_state.get(AS_FOUND) else edits_of(result, found)
    known = nearest_residual(result, found, edits)
    if known is None:
        with st.spinner("Predicting each view from the others …"):
            known = residual_of(result, edits.apply(found.shifts)), edits
    residual, base = known
    shifts = edits.apply(found.shifts)
    suspects = residual.suspects().tolist()
    number, told, do_with = st.columns([1, 1, 1.2], gap="medium", vertical_alignment="bottom")
    with number:
        view = _pick(len(shifts))
    placed, before = base.apply(found.shifts), _without_nudges(edits).apply(found.shifts)
    check = residual.view(view, **_further(shifts, placed, view))
    was = residual.view(view, **_further(before, placed, view))
    with told:
        change = check.residual - was.residual
        st.metric(
            "Residual of this view", f"{check.residual:.4f}",
            f"{change:+.4f}".replace("-", "−") if change else None,
            delta_color="red" if change > 0 else "green", delta_arrow="up" if change > 0 else "down",
            help="The share of it that the others do not explain, 0 to 1; below, what your nudges changed.",
        )  # fmt: skip
    with do_with:
        _in_or_out(result, found, shifts, view)
        if suspects:
            _next_suspect(view, suspects)
    with st.container(key="nudges"):
        _pad(result, found, shifts, view)
    _draw(check, view, residual.factor)


def _draw(check: ViewCheck, view: int, factor: int) -> None:
    """The three pictures."""
    how = st.segmented_control(
        "Third picture", ["Both in one", "Difference"], default="Both in one", required=True, key="third-picture",
        help="Red and cyan make grey where measurement and prediction agree; colours at edges: it lies off there.",
        persist_state="session",
    )  # fmt: skip
    rows, cols = check.measured.shape
    figure = alignment.against_the_others(
        check.measured, check.foretold, factor=factor, difference=how == "Difference", dark=is_dark(),
        height=round(PICTURE_PX * min(rows / cols, 2)) + 80,
    )  # fmt: skip
    chart(figure, key="one-view", alt=f"View {view} as measured, as predicted from the others, and both in one")
    small = f" and binned by {factor}" if factor > 1 else ""
    legend = (
        "Red where more was measured than predicted, blue where less."
        if how == "Difference"
        else "Measured in red, predicted in cyan."
    )
    st.caption(
        f"{legend} Both blurred alike{small}, as they are compared; the prediction has the gain and offset of the view."
    )


def _in_or_out(result: Result, found: Found, shifts: Shifts, view: int) -> None:
    used = bool(shifts.used[view])
    st.button(
        "Leave it out" if used else "Use it again",
        icon=":material/visibility_off:" if used else ":material/visibility:",
        on_click=do, args=(result, found, Use(view=view, used=not used)), key="use-view", width="stretch",
        disabled=used and shifts.used.sum() <= LEAST_VIEWS,
        help="A view left out takes no part in the reconstruction; it stays in the files, marked.",
    )  # fmt: skip
    if not used:
        from tomoalign_core.align.notes import reason_of

        st.caption(f"Left out: {reason_of(shifts, view)}.")


def _next_suspect(view: int, suspects: list[int]) -> None:
    following = next((s for s in suspects if s > view), suspects[0])
    st.button(
        f"Next odd one: {following}", icon=":material/report:", on_click=_go_to, args=(following,),
        key="next-suspect", width="stretch",
        help=f"The others explain far less of these than of the views around them: {', '.join(map(str, suspects))}.",
    )  # fmt: skip


def _pick(n_views: int) -> int:
    """The number of the view, kept in the address."""
    return whole_number(
        f"View, 0 to {n_views - 1}", 0, n_views - 1, key=VIEW, help="A click on one of the shifts opens its view."
    )


def _go_to(view: int) -> None:
    st.session_state[VIEW] = view


def _pad(result: Result, found: Found, shifts: Shifts, view: int) -> None:
    """Where the view lies, and buttons that nudge it."""
    for column, (part, (field, steps, unit)) in zip(st.columns([1, 1, 0.6]), STEPS.items(), strict=True):
        with column:
            value = getattr(shifts, COLUMNS[field])[view]
            st.markdown(f"{part} **{value:.2f}**{unit}".replace("-", "−"), help=HELP_NUDGE)
            with st.container(horizontal=True, gap=None):
                for by in steps:
                    st.button(
                        f"{by:+.3g}".replace("-", "−"), key=f"nudge-{part}{by:+g}", on_click=do, width="stretch",
                        args=(result, found, Nudge(view=view, **{field: by})),
                    )  # fmt: skip


def _without_nudges(edits: Edits) -> Edits:
    """The edits up to the last table that was added."""
    last = max((i for i, edit in enumerate(edits.done) if edit.kind == "compose"), default=-1)
    return Edits(done=edits.done[: last + 1])


def _further(a: Shifts, b: Shifts, view: int) -> dict[str, float]:
    """How much further a table moves a view than another does."""
    return {name: float(np.nan_to_num(getattr(a, c)[view] - getattr(b, c)[view])) for name, c in COLUMNS.items()}
