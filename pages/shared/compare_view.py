"""What the Compare page shows of the chosen runs: table, curves, best errors, parallel coordinates, errors by view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import reading
from pages.shared.live_plot import live_plot
from pages.shared.looks import STATES, is_dark
from pages.shared.words import duration, plain
from tomoalign_core.learn import comparison
from tomoalign_core.learn.comparison import Summary
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.runs import Run, sample_shifts
from tomoalign_core.show import comparison as figures
from tomoalign_core.show.curves import Course, Look, course_of

ALL = "all cases together"
X_AXES = {"step": "step", "epoch": "epoch", "time_s": "training time, s"}
QUANTITIES = {"dx": "error in dx", "dy": "error in dy", "loss": "loss"}
COLUMNS = {"dx": "rmse_dx_px", "dy": "rmse_dy_px", "loss": "loss"}
MOST_AXES = 5  # of parallel coordinates; more are not readable


@dataclass(frozen=True, kw_only=True)
class View:
    """How the visitor wants to see the runs."""

    case: str | None
    quantities: tuple[str, ...]
    of: str
    x: str
    smoothing: float
    log_y: bool


def view_controls(cases: Sequence[str]) -> View:
    """What to draw; every choice stands in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        case = st.selectbox(
            "Validation", [ALL, *cases], key="of-case", bind="query-params", width=230,
            help="The stacks that table and curves are about. All together: the geometric mean over the cases, by "
            "which the best epoch is chosen.",
        )  # fmt: skip
        quantities = st.pills(
            "Curves", list(QUANTITIES), selection_mode="multi", default=["dx", "dy"], key="curves",
            bind="query-params", format_func=QUANTITIES.get,
            help="Root mean square errors are those of the shifts with the gauge removed.",
        )  # fmt: skip
        of = st.segmented_control(
            "Measured in", ["validation", "training"], default="validation", required=True, key="measured-in",
            bind="query-params", help="Validation: at the end of each epoch. Training: at each step, on its own batch.",
        )  # fmt: skip
        x = st.segmented_control(
            "Along", list(X_AXES), default="step", required=True, key="compare-along", bind="query-params",
            format_func=lambda name: name.split("_")[0], help="What the horizontal axes count.",
        )  # fmt: skip
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, 0.0 if of == "validation" else 0.9, 0.01, key=f"smooth-{of}", width=170,
            bind="query-params", help="Weight of the past in the moving average; 0 shows the values as they are.",
        )  # fmt: skip
        log_y = st.toggle("Log scale", True, key="compare-log", bind="query-params", help="Where values are above 0.")
    return View(
        case=None if case == ALL else case, quantities=tuple(quantities), of=of, x=x, smoothing=smoothing, log_y=log_y
    )


def summaries_of(runs: Sequence[Run]) -> list[Summary]:
    """The runs as they are now; of a growing metrics file only what is new is read."""
    found = []
    for run in runs:
        tail = reading.metrics_of(str(run.path))
        tail.refresh()
        found.append(comparison.summarise(run, tail.lines("epoch")))
    return found


def keys_of(summaries: Sequence[Summary], slots: Mapping[str, int]) -> dict[str, figures.Key]:
    """Run id to its name, colour, dash and symbol."""
    names = comparison.labels(summaries)
    return {s.id: figures.key_of(names[s.id], slots[s.id]) for s in summaries}


def table(summaries: Sequence[Summary], keys: Mapping[str, figures.Key], case: str | None) -> None:
    """Best and last figures and the settings that differ, one row a run."""
    settings = _settings(summaries)
    rows = []
    for number, summary in enumerate(summaries):
        row: dict[str, Any] = {
            "key": figures.swatch(keys[summary.id]),
            "run": keys[summary.id].name,
            "state": [summary.state],
        }
        row |= comparison.scores(summary, case)
        row |= {
            "best_epoch": summary.best_epoch,
            "progress": f"{summary.step:,} of {summary.steps:,}",
            "trained_for": duration(summary.elapsed_s),
            "rate": summary.items_per_s,
            "device": summary.device or "–",
            "parameters": summary.parameters,
        }
        row |= {path: values[number] for path, values in settings.items()}
        rows.append(row | {"monitor": f"monitor?run={summary.id}", "train": f"train?from={summary.id}"})
    ways = ("monitor",) if read_only() else ("monitor", "train")
    first = ("key", "run", "state", *ways, "best_dx_px", "best_dy_px", "best_ratio", "last_dx_px", "last_dy_px")
    then = ("best_epoch", "best_loss", "last_loss", "progress", "trained_for", "rate", "device", "parameters")
    shown: dict[str, Any] = {"best_loss": plain, "last_loss": plain}  # a column's own format has no minus sign
    shown |= {path: "{:g}" for path, values in settings.items() if all(isinstance(v, float) for v in values)}
    st.dataframe(
        pd.DataFrame(rows).style.format(shown, na_rep="–"),
        width="stretch",
        hide_index=True,
        placeholder="–",
        key="compare-table",
        column_order=[*first, *settings, *then],
        column_config=_columns() | {path: st.column_config.Column(_short(path), help=path) for path in settings},
    )
    if len(summaries) > 1 and not settings:
        st.caption("These runs have the same settings.")
    elif settings:
        st.caption("Of the settings only those that differ are shown; the name of a column tells its whole path.")


def _columns() -> dict[str, Any]:
    number, states = st.column_config.NumberColumn, list(STATES)
    error = "Root mean square over the views, gauge removed, px, "
    return {
        "key": st.column_config.ImageColumn(
            "", help="Colour, dash and symbol of the run in all charts.", width=56, pinned=True
        ),
        "run": st.column_config.TextColumn("run", pinned=True),
        "state": st.column_config.MultiselectColumn(
            "state", options=states, color=[STATES[state].colour for state in states]
        ),
        "best_dx_px": number("best dx, px", format="%.3f", help=error + "in the best epoch."),
        "best_dy_px": number("best dy, px", format="%.3f", help=error + "in the best epoch."),
        "best_ratio": number(
            "ratio to bound", format="%.2f", help="Best error over the Cramér–Rao bound, dx and dy together."
        ),
        "last_dx_px": number("last dx, px", format="%.3f", help=error + "in the last epoch."),
        "last_dy_px": number("last dy, px", format="%.3f", help=error + "in the last epoch."),
        "best_epoch": number("best epoch", format="%d", help="The one of the least error; its weights are kept."),
        "best_loss": number("best loss", help="Validation loss in the best epoch."),
        "last_loss": number("last loss", help="Validation loss in the last epoch."),
        "progress": st.column_config.TextColumn("steps"),
        "trained_for": st.column_config.TextColumn("trained for"),
        "rate": number("stacks/s", format="%.1f", help="Training stacks simulated and learnt from."),
        "device": st.column_config.TextColumn("device"),
        "parameters": number("parameters", format="localized", help="Learnt numbers of the network."),
        "monitor": st.column_config.LinkColumn("", display_text="Monitor", help="Open this run on the Monitor page."),
        "train": st.column_config.LinkColumn("", display_text="Train", help="Train with changes to these settings."),
    }


def fairness(summaries: Sequence[Summary], case: str | None) -> bool:
    """Say where figures cannot fairly be compared; True if the validation stacks are the same."""
    fair = comparison.same_stacks(summaries, case)
    if not fair:
        what = f"“{case}”" if case else "validation"
        st.warning(
            f"The {what} stacks of these runs are not the same, so their errors cannot fairly be compared, and no "
            "common bound is drawn. The ratio to each run's own bound can.",
            icon=":material/balance:",
        )
    unscored = [s.name for s in summaries if case is not None and s.last and case not in s.last]
    if unscored:
        st.caption(f"Not scored on “{case}”: {', '.join(unscored)}.")
    return fair


def curves(
    summaries: Sequence[Summary], runs: Mapping[str, Run], keys: Mapping[str, figures.Key], view: View, fair: bool
) -> None:
    """The chosen quantities of all runs, one chart each."""
    if not view.quantities:
        st.caption("Choose one of the curves above.")
        return
    courses = {s.id: _course(runs[s.id], view) for s in summaries}
    validation = view.of == "validation"
    scored = next((s for s in summaries if s.last), summaries[0])
    bounds = comparison.case_figures(scored.last, view.case) if fair and validation else {}
    best_at = {s.id: _best_place(runs[s.id], s, view.x) for s in summaries if validation and s.best_epoch}
    look = Look(x_title=X_AXES[view.x], smoothing=view.smoothing, log_y=view.log_y, dark=is_dark(), height=360)
    for column, quantity in zip(st.columns(len(view.quantities)), view.quantities, strict=True):
        words = "loss" if quantity == "loss" else f"RMSE of {quantity}, gauge removed, px"
        figure = figures.overlay(
            courses, keys, COLUMNS[quantity], look, y_title=f"{words} ({view.of})",
            bound_px=bounds.get(f"bound_{quantity}_px"), best_at=best_at,
        )  # fmt: skip
        with column:
            if figure.data:
                live_plot(
                    figure, key=f"compare-{quantity}", height=360, alt=f"{QUANTITIES[quantity]} of the runs, overlaid"
                )
            else:
                st.info("No epoch has ended yet.", icon=":material/hourglass_top:")
    if validation and any(courses[s.id].x.size for s in summaries):
        st.caption("The best epoch of each run is ringed: the one whose weights are kept.")
    if "loss" in view.quantities and len({s.settings["train"]["loss"] for s in summaries}) > 1:
        st.caption("These runs learn by different loss functions: compare their losses by shape only.")


def _course(run: Run, view: View) -> Course:
    """The lines of a run as columns: of its steps, or of its epochs' validation."""
    tail = reading.metrics_of(str(run.path))
    if view.of == "training":
        return tail.course(view.x)
    return _validation(tail.refresh(), view.case, view.x)


@st.cache_data(max_entries=256, show_spinner=False)
def _validation(version: reading.Version, case: str | None, x: str) -> Course:
    """The validation lines of a run, made once for each version of its metrics."""
    lines = reading.metrics_of(version[0].removesuffix("/metrics.jsonl")).lines("epoch")
    return course_of([{x: line[x], **_figures(line, case)} for line in lines], x)


def _figures(line: Mapping[str, Any], case: str | None) -> dict[str, float | None]:
    found = comparison.case_figures(line["cases"], case)
    return {"rmse_dx_px": found["dx_px"], "rmse_dy_px": found["dy_px"], "loss": found["loss"]}


def _best_place(run: Run, summary: Summary, x: str) -> float:
    """Where the best epoch is along x."""
    lines = reading.metrics_of(str(run.path)).lines("epoch")
    return next(float(line[x]) for line in lines if line["epoch"] == summary.best_epoch)


def best_errors(summaries: Sequence[Summary], keys: Mapping[str, figures.Key]) -> None:
    """The best error of each run on each case, before the bound."""
    best = {s.id: [_best_of(s, case) for case in s.best] for s in summaries if s.best}
    if not best:
        return
    figure = figures.best_errors(best, keys, dark=is_dark())
    height = int(figure.layout.height)
    live_plot(figure, key="compare-best", height=height, alt="Best error of each run by validation case, and the bound")


def _best_of(summary: Summary, case: str) -> figures.BestOf:
    found = comparison.case_figures(summary.best, case)
    return figures.BestOf(
        case=case,
        error_px={part: error for part in ("dx", "dy") if (error := found[f"{part}_px"]) is not None},
        bound_px={part: found[f"bound_{part}_px"] for part in ("dx", "dy")},
    )


def parallel(summaries: Sequence[Summary], keys: Mapping[str, figures.Key], case: str | None) -> None:
    """Settings and best errors as parallel coordinates, where there are runs enough."""
    scored = [s for s in summaries if comparison.scores(s, case)["best_dx_px"] is not None]
    if len(scored) < 3:
        have = ("none of the chosen has", "one of the chosen has", "two of the chosen have")[len(scored)]
        st.caption(f"Parallel coordinates need three runs that have ended an epoch; {have}.")
        return
    settings = _settings(scored)
    if not settings:
        st.caption("These runs have the same settings: there is nothing to set against their errors.")
        return
    paths = sorted(settings, key=lambda path: path.startswith("dataset."))  # those of the data set are often words
    place = st.container()
    if len(paths) > MOST_AXES:
        paths = st.multiselect(
            "Axes", paths, default=paths[:MOST_AXES], key="axes",
            help=f"Settings that differ; more than {MOST_AXES} axes are hard to read.",
        )  # fmt: skip
    columns: dict[str, Sequence[Any]] = {_short(path): settings[path] for path in paths}
    figured = [comparison.scores(s, case) for s in scored]
    for name, words in (("best_dx_px", "best dx, px"), ("best_dy_px", "best dy, px")):
        columns[words] = [row[name] for row in figured]
    figure = figures.parallel(columns, [keys[s.id] for s in scored], dark=is_dark())
    with place:
        words = "Parallel coordinates of settings and best errors"
        live_plot(figure, key="compare-parallel", height=int(figure.layout.height), alt=words)
        st.caption("Drag along an axis to keep only the runs that pass there; drag an axis by its name to move it.")


def errors_by_view(
    summaries: Sequence[Summary], runs: Mapping[str, Run], keys: Mapping[str, figures.Key], case: str | None
) -> None:
    """Found minus true of every view of a validation stack, best epoch, where all runs saw the same stack."""
    shown = case or next(iter(comparison.case_names(summaries)), None)
    pairs = {}
    for s in summaries:
        if s.best_epoch in runs[s.id].sample_epochs() and shown in s.best:
            pairs[s.id] = _sample(str(runs[s.id].path), s.best_epoch)[shown]
    if not pairs or not comparison.same_stacks([s for s in summaries if s.id in pairs], shown):
        return
    st.markdown(f"**Error of each view**, first stack of “{shown}”, best epoch")
    for column, part in zip(st.columns(2), ("dx", "dy"), strict=True):
        with column:
            figure = figures.errors_over_angle(pairs, keys, part, dark=is_dark())
            live_plot(figure, key=f"compare-views-{part}", height=280, alt=f"Found minus true {part} over the angle")


@st.cache_data(max_entries=64, show_spinner=False)
def _sample(path: str, epoch: int) -> dict[str, Any]:
    """Found and true shifts by case; the samples of an epoch are written once."""
    return {case: sample_shifts(arrays) for case, arrays in Run(Path(path)).sample_by_case(epoch).items()}


def _settings(summaries: Sequence[Summary]) -> dict[str, list[Any]]:
    """The settings that differ, in columns of one type each; the name of a run is no setting."""
    found = comparison.differing([s.settings for s in summaries])
    found.pop("name", None)
    return {
        path: values
        if all(v is None or isinstance(v, int | float) for v in values)
        else ["–" if v is None else str(v) for v in values]
        for path, values in found.items()
    }


def _short(path: str) -> str:
    """A setting by its last two names.

    >>> _short("dataset.train.*.noise.gaussian"), _short("train.batch")
    ('noise gaussian', 'train batch')
    """
    return " ".join(path.split(".")[-2:]).replace("_", " ")
