"""What the network saw and said at the end of any epoch: the lower half of the Monitor page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared import reading
from pages.shared.live_plot import live_plot
from pages.shared.run_charts import View, bound_of
from tomoalign_core.geometry import Shifts, shift_error
from tomoalign_core.learn.runs import Run, sample_shifts
from tomoalign_core.metrics import share_within
from tomoalign_core.show import figures

TITLES = {"before": "As measured", "after": "Corrected", "true": "By true shifts"}  # short, for narrow windows
PICTURES = {"sinogram": (240, figures.SINOGRAM), "slice": (300, figures.SLICE)}
PROMISED = {1: 68, 2: 95}  # per cent of errors within so many σ
HELP_CALIBRATION = (
    "With each shift the network states its standard deviation σ: 68 % of the errors should lie within it, and 95 % "
    "within twice as much. Where more do, it errs less than it says; where fewer do, more."
)


def epoch_window(run: Run, view: View, *, active: bool) -> None:
    """One validation stack at the end of an epoch; the latest until one is chosen."""
    epochs = reading.sample_epochs(run)
    if not epochs:
        when = "After the first epoch" if active else "It ended before its first epoch did. There would be"
        st.info(f"{when}: found and true shifts, and a slice before and after.", icon=":material/image:")
        return
    epoch = pick_epoch(epochs)
    drawn = sample_figures(str(run.path), epoch, view.case, bound_of(run, view.case), view.dark)
    file = f"{run.id}-epoch-{epoch}"
    left, right = st.columns([2, 1])
    with left:
        words = "Found and true movement over the angle"
        live_plot(drawn["shifts"], key=f"shifts-{run.id}", height=500, alt=words, file=f"{file}-shifts")
    with right:
        words = "Found over true shift of each view"
        live_plot(drawn["scatter"], key=f"scatter-{run.id}", height=250, alt=words, file=f"{file}-scatter")
        words = "Histogram of the errors of all views"
        live_plot(drawn["histogram"], key=f"histogram-{run.id}", height=250, alt=words, file=f"{file}-errors")
    if drawn["calibration"]:
        st.caption(drawn["calibration"], help=HELP_CALIBRATION)
    for what, (height, _) in PICTURES.items():
        words = f"{what} before and after correction, and by the truth"
        live_plot(drawn[what], key=f"{what}-{run.id}", height=height, alt=words, file=f"{file}-{what}")


def begin_with_address(run: Run) -> None:
    """Take the epoch from the address when a visitor comes to a run; from then on the address only tells it.

    A rerun that is on its way carries the address and the slider as they were: what it says of the epoch is old.
    """
    if st.session_state.get("epoch-run") != run.id:
        asked = st.query_params.get("epoch", "")
        st.session_state["epoch-run"], st.session_state["epoch"] = run.id, int(asked) if asked.isdigit() else None


def pick_epoch(epochs: tuple[int, ...]) -> int:
    """A slider over all saved epochs; it goes with the latest until someone moves it, and then is in the address."""
    state = st.session_state
    wanted = state.get("epoch")
    follows = wanted not in epochs
    chosen = epochs[-1] if follows else wanted
    _tell_address(wanted)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(epochs) > 1:
            _slider(epochs, chosen)
            place = epochs.index(chosen)
            steps = {"Earlier": (place - 1, "chevron_left"), "Later": (place + 1, "chevron_right")}
            for name, (other, icon) in steps.items():
                there = 0 <= other < len(epochs)
                st.button(
                    name, icon=f":material/{icon}:", key=f"epoch-{name}", disabled=not there,
                    on_click=state.update, args=({"epoch": epochs[other] if there else chosen},),
                )  # fmt: skip
        else:
            st.markdown(f"Epoch {chosen}")
        if follows:
            st.badge("latest", icon=":material/sync:", color="green", help="It follows the training.")
        else:
            st.button(
                "Latest", icon=":material/sync:", key="epoch-follow", help="Follow the training again.",
                on_click=state.update, args=({"epoch": None},),
            )  # fmt: skip
    if wanted is not None and follows:
        st.caption(f"Epoch {wanted} is not saved; this is the latest.")
    return chosen


def _slider(epochs: tuple[int, ...], chosen: int) -> None:
    """The slider; where the page itself moves it, a new one stands in its place.

    A rerun that is on its way brings the old value of the old one, and would seem to be a move by hand.
    """
    state = st.session_state
    number = state.get("epoch-slider", 0)
    if state.get(f"epoch-slider-{number}", chosen) != chosen:
        number = state["epoch-slider"] = number + 1
    key = f"epoch-slider-{number}"

    def moved() -> None:
        if number == state.get("epoch-slider", 0):  # else a late word of one that is gone
            state["epoch"] = state[key]

    st.select_slider(
        "Epoch", epochs, value=chosen, key=key, on_change=moved,
        help="The network at the end of this epoch, on one validation stack. It follows the training until moved; "
        "the arrow keys move it by one.",
    )  # fmt: skip


def _tell_address(epoch: int | None) -> None:
    if st.query_params.get("epoch") != (None if epoch is None else str(epoch)):
        if epoch is None:
            del st.query_params["epoch"]
        else:
            st.query_params["epoch"] = str(epoch)


@st.cache_resource(max_entries=128, show_spinner=False)
def sample_figures(path: str, epoch: int, case: str, bound_px: tuple[float, float], dark: bool) -> dict[str, str]:
    """The figures of an epoch as JSON, and its calibration in words; samples are written once, hence never stale."""
    cases = Run(Path(path)).sample_by_case(epoch)
    arrays = cases[case] if case in cases else next(iter(cases.values()))
    found, truth = sample_shifts(arrays)
    parts = ("dx", "dy", "roll") if "found_roll_deg" in arrays else ("dx", "dy")
    bound = dict(zip(("dx", "dy"), bound_px, strict=True))
    drawn = {
        "shifts": figures.shifts_over_angle({"found": found}, truth, parts=parts, tilt=False, dark=dark, height=500),
        "scatter": figures.found_against_true(found, truth, dark=dark, height=250),
        "histogram": figures.error_histogram(found, truth, bound_px=bound, dark=dark, height=250),
    }
    for what, (height, axes) in PICTURES.items():
        images = {words: arrays[f"{what}_{name}"] for name, words in TITLES.items()}
        drawn[what] = figures.pictures(images, axes, dark=dark, height=height)
    said = {name: figure.to_json() for name, figure in drawn.items()}
    return said | {"calibration": calibration(found, truth) if "sigma" in arrays else ""}


def calibration(found: Shifts, truth: Shifts) -> str:
    """Whether the network knows how well it does: the share of errors within its own ±σ, gauge removed."""
    rest = shift_error(found, truth)
    errors = {"dx": rest.dx_px, "dy": rest.dy_px}
    sigmas = {"dx": found.dx_sigma_px, "dy": found.dy_sigma_px}
    said = []
    for factor, promised in PROMISED.items():
        shares = (f"{part} {100 * share_within(errors[part], sigmas[part], factor):.0f} %" for part in errors)
        said.append(f"within ±{'' if factor == 1 else factor}σ {', '.join(shares)} (it promises {promised} %)")
    return f"Whether it knows how sure it may be: errors {'; '.join(said)}."
