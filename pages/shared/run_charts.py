"""Charts of the course of a training on the Monitor page, and the controls of all charts there.

All that is drawn is made once for all who look at the same, and kept as the bytes that go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import streamlit as st

from pages.shared import reading
from pages.shared.live_plot import live_plot
from pages.shared.looks import is_dark
from tomoalign_core.config import RunConfig
from tomoalign_core.learn.jobs import State
from tomoalign_core.learn.runs import Run
from tomoalign_core.metrics import loss_levels
from tomoalign_core.show import curves

HEIGHT = 300
X_AXES = {"step": ("step", "step"), "epoch": ("epoch", "epoch"), "time": ("time_s", "training time, s")}
LOSS_TITLES = {
    "laplace": "loss, −log likelihood",
    "smooth-l1": "loss, smooth L1",
    "mse": "loss, mean square, px²",
    "raw-mse": "loss, raw mean square, px²",
}


class View(NamedTuple):
    """What a visitor has chosen to see."""

    x: str
    smoothing: float
    log_y: bool
    case: str
    dark: bool


def cases_of(run: Run) -> list[str]:
    """The names of its validation cases."""
    return [case.name for case in reading.config_of(str(run.path)).dataset.validation]


def choose_view(run: Run) -> View:
    """The controls of the charts; what is chosen is in the address."""
    cases = cases_of(run)
    if st.session_state.get("case", cases[0]) not in cases:
        st.session_state["case"] = cases[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        case = st.selectbox(
            "Validation", cases, key="case", bind="query-params", width=230,
            help="Stacks of phantoms never trained on, always the same.",
        )  # fmt: skip
        x = st.segmented_control(
            "Along", list(X_AXES), default="step", required=True, key="along", bind="query-params",
            help="What the horizontal axes count.",
        )  # fmt: skip
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, 0.9, 0.01, key="smoothing", bind="query-params", width=200,
            help="Weight of the past in the moving average of the training lines; 0 shows each step. "
            "Validation and learning rate are never smoothed.",
        )  # fmt: skip
        log_y = st.toggle(
            "Log scale", True, key="log", bind="query-params", help="Where all values are above zero."
        )  # fmt: skip
    return View(x or "step", smoothing, log_y, case or cases[0], is_dark())


def usual_view(run: Run) -> View:
    """What is seen where nothing is there to choose from."""
    return View("step", 0.9, True, cases_of(run)[0], is_dark())


def nothing_measured(state: State) -> None:
    """Say that a run which has ended made no step."""
    words = {"failed": "It failed before its first step", "stopped": "It was stopped before its first step"}
    st.info(f"{words.get(state, 'It ended before its first step')}: there are no curves.", icon=":material/show_chart:")


def course_charts(run: Run, view: View, version: reading.Version, state: State) -> None:
    """Loss and error over the course of the training, and how near it is to its bound."""
    if not version[1]:
        words = {"queued": "Curves appear here when its turn has come."}
        st.info(
            words.get(state, "The first steps are on their way; curves appear here."), icon=":material/hourglass_top:"
        )
        return
    drawn = course_figures(str(run.path), version, view)
    left, right = st.columns(2)
    with left:
        words = "Loss of training and validation over the training"
        live_plot(drawn["loss"], key=f"loss-{run.id}", height=HEIGHT, alt=words, file=f"{run.id}-loss", live="loss")
    with right:
        words = "Gauge-removed error in dx and dy over the training"
        live_plot(drawn["error"], key=f"error-{run.id}", height=HEIGHT, alt=words, file=f"{run.id}-error", live="error")
    if words := verdict(_last_of(run, view.case)):
        st.caption(f"After the last epoch, on “{view.case}”: {words}.")


def more_curves(run: Run, view: View, version: reading.Version) -> bool:
    """Learning rate and error of the roll; drawn only while they are looked at, which is told back."""
    label = "Learning rate and roll"
    with st.expander(label, icon=":material/show_chart:", key="more", on_change="rerun", bind="query-params") as more:
        if not more.open or not version[1]:
            return bool(more.open)
        drawn = more_figures(str(run.path), version, view)
        left, right = st.columns(2)
        with left:
            words = "Learning rate over the training"
            live_plot(
                drawn["rate"], key=f"rate-{run.id}", height=220, alt=words, file=f"{run.id}-learning-rate", live="rate"
            )
        with right:
            words = "Error of the roll over the training"
            live_plot(drawn["roll"], key=f"roll-{run.id}", height=220, alt=words, file=f"{run.id}-roll", live="roll")
    return True


@st.cache_resource(max_entries=64, show_spinner=False)
def course_figures(path: str, version: reading.Version, view: View) -> dict[str, str]:
    """Loss and error as JSON; ``version`` is for the cache."""
    tail, config = reading.metrics_of(path), reading.config_of(path)
    train, cases = tail.course(X_AXES[view.x][0]), tail.cases(X_AXES[view.x][0])
    shown, look = cases.get(view.case, curves.Course()), _look(view, HEIGHT)
    last = _last(shown)
    loss = curves.loss_sketch(
        train, cases, look,
        y_title=LOSS_TITLES[config.train.loss],
        levels=loss_levels(config.train.loss, last, passes=passes_in_loss(config)) if last else {},
    )  # fmt: skip
    error = curves.error_sketch(
        train, shown, look,
        bound_px={part: last.get(f"bound_{part}_px", 0.0) for part in ("dx", "dy")},
        label_sigma_px=np.sqrt(last["label_variance_px2"]) if last else None,
    )  # fmt: skip
    return {"loss": curves.to_json(loss), "error": curves.to_json(error)}


@st.cache_resource(max_entries=32, show_spinner=False)
def more_figures(path: str, version: reading.Version, view: View) -> dict[str, str]:
    """Learning rate and roll as JSON; ``version`` is for the cache."""
    tail, look, along = reading.metrics_of(path), _look(view, 220), X_AXES[view.x][0]
    train, shown = tail.course(along), tail.cases(along).get(view.case, curves.Course())
    last = _last(shown)
    roll = curves.roll_sketch(
        train, shown, look,
        bound_deg=last.get("bound_roll_deg", 0.0), label_sigma_deg=last.get("label_sigma_roll_deg", 0.0),
    )  # fmt: skip
    drawn = {"rate": curves.rate_sketch(train, look), "roll": roll}
    return {name: curves.to_json(sketch) for name, sketch in drawn.items()}


def passes_in_loss(config: RunConfig) -> int:
    """Over how many passes of the network its loss is summed: the first and the last."""
    return min(config.model.passes, 2) if config.model.name == "centroid" else 1


def _look(view: View, height: int) -> curves.Look:
    title = X_AXES[view.x][1]
    return curves.Look(x_title=title, smoothing=view.smoothing, log_y=view.log_y, dark=view.dark, height=height)


def bound_of(run: Run, case: str) -> tuple[float, float]:
    """The Cramér-Rao bound of a validation case in dx and dy, px; 0 where there is none, or none known yet."""
    last = _last_of(run, case)
    return last.get("bound_dx_px", 0.0), last.get("bound_dy_px", 0.0)


def verdict(last: Mapping[str, float]) -> str:
    """The errors of a validation case, each against its bound or else against knowing nothing, in words."""
    said = []
    for part, unit in (("dx", "px"), ("dy", "px"), ("roll", "deg")):
        error, bound = last.get(f"rmse_{part}_{unit}"), last.get(f"bound_{part}_{unit}", 0.0)
        if not error or not np.isfinite(error):  # cnn3d gives no roll, and its error is noted as 0
            continue
        nothing = last.get("label_sigma_roll_deg", 0.0) if part == "roll" else last["label_variance_px2"] ** 0.5
        mark = "°" if unit == "deg" else " px"
        said.append(f"{part} {error:.3f}{mark}")
        if bound > 0:
            said[-1] += f", {error / bound:.1f} times its bound"
        if nothing > 0 and error > 0.9 * nothing:
            said[-1] += f", no better than knowing nothing ({nothing:.2f}{mark})"
    return "; ".join(said)


def _last_of(run: Run, case: str) -> dict[str, float]:
    return _last(reading.metrics_of(str(run.path)).cases("epoch").get(case, curves.Course()))


def _last(course: curves.Course) -> dict[str, float]:
    return {name: float(column[-1]) for name, column in course.values.items() if len(column)}
