"""Charts of a run on the Monitor page: its course, and what it sees at any epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from pages.shared import reading
from pages.shared.live_plot import live_plot
from pages.shared.looks import is_dark
from tomoalign_core.learn.runs import Run, sample_shifts
from tomoalign_core.show import curves, figures

PICTURES = {"sinogram": 250, "slice": 320}
X_AXES = {"step": "step", "epoch": "epoch", "time_s": "training time, s"}


def charts(run: Run) -> None:
    """Loss and error over the course of the training."""
    tail = reading.metrics_of(str(run.path))
    version = tail.refresh()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = st.segmented_control(
            "Along", list(X_AXES), default="step", required=True, key="along",
            format_func=lambda name: name.split("_")[0], help="What the horizontal axes count.",
        )  # fmt: skip
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, 0.9, 0.01, key="smoothing", width=220,
            help="Weight of the past in the moving average; 0 shows each step.",
        )  # fmt: skip
        log_y = st.toggle("Log scale", True, key="log-y", help="Where values are above zero.")
        cases = list(reading.case_courses(tail, "step"))
        if cases and st.session_state.get("case") not in cases:
            st.session_state["case"] = cases[0]
        case = st.selectbox(
            "Validation", cases, key="case", width=240, placeholder="after the first epoch",
            disabled=not cases, help="Stacks of phantoms never trained on, always the same.",
        )  # fmt: skip
    if not version[1]:
        st.info("The first steps are on their way; curves appear here.", icon=":material/hourglass_top:")
        return
    loss, error = curve_figures(version, x, smoothing, log_y, case, is_dark())
    left, right = st.columns(2)
    with left:
        live_plot(loss, key="live-loss", height=330, alt="Loss of training and validation over the training")
    with right:
        live_plot(error, key="live-error", height=330, alt="Gauge-removed error in dx and dy over the training")


@st.cache_data(max_entries=64, show_spinner=False)
def curve_figures(
    version: reading.Version, x: str, smoothing: float, log_y: bool, case: str | None, dark: bool
) -> tuple[str, str]:
    """The two charts as JSON; made once for all who watch the same version of a run."""
    tail = reading.metrics_of(version[0].removesuffix("/metrics.jsonl"))
    look = curves.Look(x_title=X_AXES[x], smoothing=smoothing, log_y=log_y, dark=dark)
    train, cases = reading.train_course(tail, x), reading.case_courses(tail, x)
    empty = curves.Course(x=np.array([]), values={"rmse_dx_px": np.array([]), "rmse_dy_px": np.array([])})
    shown = cases.get(case or "", empty)
    last = {name: float(column[-1]) for name, column in shown.values.items() if len(column)}
    error = curves.error_curve(
        train,
        shown,
        look,
        bound_px={part: last.get(f"bound_{part}_px", 0.0) for part in ("dx", "dy")},
        label_sigma_px=np.sqrt(last["label_variance_px2"]) if "label_variance_px2" in last else None,
    )
    return curves.loss_curve(train, cases, look).to_json(), error.to_json()


def epoch_window(run: Run) -> None:
    """What the network saw and said on a validation stack, at any epoch; the latest until one is chosen."""
    epochs = run.sample_epochs()
    if not epochs:
        st.info("After the first epoch: found and true shifts, and a slice before and after.", icon=":material/image:")
        return
    epoch = _pick_epoch(run, epochs)
    drawn = sample_figures(str(run.path), epoch, st.session_state.get("case"), is_dark())
    left, right = st.columns([2, 1])
    with left:
        live_plot(drawn["shifts"], key="live-shifts", height=380, alt="Found and true dx and dy over the angle")
    with right:
        live_plot(drawn["scatter"], key="live-scatter", height=380, alt="Found over true shift of each view")
    for what, height in PICTURES.items():
        words = f"{what} before and after correction, and by the truth"
        live_plot(drawn[what], key=f"live-{what}", height=height, alt=words)


@st.cache_data(max_entries=128, show_spinner=False)
def sample_figures(path: str, epoch: int, case: str | None, dark: bool) -> dict[str, str]:
    """The figures of an epoch as JSON; its samples are written once, hence never stale."""
    cases = Run(Path(path)).sample_by_case(epoch)
    arrays = cases[case] if case in cases else next(iter(cases.values()))
    found, truth = sample_shifts(arrays)
    drawn = {
        "shifts": figures.shifts_over_angle({"found": found}, truth, dark=dark, height=380),
        "scatter": figures.found_against_true(found, truth, dark=dark, height=380),
    }
    for (what, height), axes in zip(PICTURES.items(), (figures.SINOGRAM, figures.SLICE), strict=True):
        names = {"before": "as measured", "after": "corrected by the network", "true": "corrected by the truth"}
        images = {f"{what.capitalize()}, {words}": arrays[f"{what}_{name}"] for name, words in names.items()}
        drawn[what] = figures.pictures(images, axes, dark=dark, height=height)
    return {name: figure.to_json() for name, figure in drawn.items()}


def _pick_epoch(run: Run, epochs: list[int]) -> int:
    """The slider goes with the latest epoch until someone moves it."""

    def touched() -> None:
        st.session_state["epoch-kept"] = (run.id, st.session_state["epoch"])

    kept = st.session_state.get("epoch-kept")
    follows = kept is None or kept[0] != run.id or kept[1] not in epochs
    chosen = epochs[-1] if follows else kept[1]
    if len(epochs) == 1:
        st.caption(f"Epoch {chosen}")
        return chosen
    slider, button = st.columns([6, 1], vertical_alignment="bottom")
    with slider:
        st.session_state["epoch"] = chosen
        st.select_slider(
            "Epoch", epochs, key="epoch", on_change=touched,
            help="The network at the end of this epoch, on one validation stack; follows the training until moved.",
        )  # fmt: skip
    with button:
        if follows:
            st.badge("latest", icon=":material/sync:", color="green")
        else:
            st.button(
                "Latest",
                icon=":material/sync:",
                key="follow",
                help="Follow the training again.",
                on_click=lambda: st.session_state.pop("epoch-kept"),
            )
    return chosen
