"""The report of a training: its settings, its course, what its best network scores and sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tomoalign_core.config import MisalignConfig, NoiseConfig, RunConfig, ScanConfig, Settings
from tomoalign_core.learn.comparison import Summary, case_figures, scores, summarise
from tomoalign_core.learn.runs import Run, sample_shifts
from tomoalign_core.report.common import GAUGE, accuracy_drawings, footer, number, picture_drawings, versions
from tomoalign_core.show.curves import Course, Look, course_of, error_curve, loss_curve
from tomoalign_core.show.numbers import duration
from tomoalign_core.show.report import Drawing, Report, Section, Table

MOST_EPOCHS = 1000  # of a curve; more would only make the file larger


def run_report(run: Run) -> Report:
    """All that a run folder tells, as a report.

    Raises
    ------
    InputError
        If its settings cannot be read.
    """
    epochs = run.metrics("epoch")
    summary = summarise(run, epochs)
    config = run.config
    sections = [_scores(summary), _course(run, epochs, summary), *_samples(run, summary), *_settings(config)]
    if run.notes().strip():
        sections.insert(0, Section(heading="Notes", text=run.notes()))
    return Report(
        title=f"Training “{config.name}”",
        below=f"Run {run.id}",
        lead=_lead(summary),
        facts=_facts(summary, config),
        sections=[*sections, versions()],
        footer=footer(f"Run {run.id}, key {config.key()}"),
    )


def _lead(summary: Summary) -> str:
    """The result in a sentence or two."""
    if not summary.best:
        return f"No epoch has ended yet: {summary.state}, step {summary.step:,} of {summary.steps:,}."
    said = []
    for case in summary.best:
        row = case_figures(summary.best, case)
        words = f"dx {number(row['dx_px'])} px, dy {number(row['dy_px'])} px rms on {case}"
        dx, dy = row["bound_dx_px"], row["bound_dy_px"]
        said.append(f"{words}; the bound is {number(dx)} px and {number(dy)} px" if dx and dy else words)
    return f"{'. '.join(said)}. Validation stacks, best epoch ({summary.best_epoch} of {summary.epochs})."


def _facts(summary: Summary, config: RunConfig) -> list[tuple[str, str]]:
    rate = f", {summary.items_per_s:.1f} stacks a second" if summary.items_per_s else ""
    size = f", {summary.parameters:,} parameters" if summary.parameters else ""
    return [
        ("State", summary.state),
        ("Network", summary.network + size),
        ("Data set", summary.dataset),
        ("Loss and optimizer", f"{config.train.loss}, {config.train.optimizer}"),
        ("Course", f"{summary.step:,} of {summary.steps:,} steps, {summary.epoch} of {summary.epochs} epochs"),
        ("Trained for", f"{duration(summary.elapsed_s)} on {summary.device or 'no device yet'}{rate}"),
    ]


def _scores(summary: Summary) -> Section:
    head = ("validation case", "dx, px", "bound", "dy, px", "bound", "ratio to bound", "last dx, px", "last dy, px",
            "roll, degrees", "knowing nothing, px")  # fmt: skip
    rows = []
    for case, figures in summary.best.items():
        row = scores(summary, case)
        names = ("best_dx_px", "bound_dx_px", "best_dy_px", "bound_dy_px")
        cells = [number(row[name]) for name in names]
        cells += [number(row["best_ratio"], 2), number(row["last_dx_px"]), number(row["last_dy_px"])]
        cells.append(number(figures.get("rmse_roll_deg")))
        rows.append((case, *cells, number(float(np.sqrt(figures.get("label_variance_px2", np.nan))), 2)))
    words = f"Root mean square errors in the best epoch ({summary.best_epoch}) and in the last. {GAUGE}"
    if not rows:
        return Section(heading="Scores", words="There are none before the first epoch has ended.")
    return Section(heading="Scores", words=words, tables=[Table(head=head, rows=rows)])


def _course(run: Run, epochs: Sequence[Mapping[str, Any]], summary: Summary) -> Section:
    """Loss, and the error on each validation case, over the steps."""
    steps = course_of(run.metrics("step"), "step")
    thinned = _thinned(epochs, summary.best_epoch)
    cases = {case: course_of(thinned, "step", case=case) for case in summary.best}
    look = Look(height=340)
    drawings = []
    if len(steps.x) or cases:
        drawings.append(
            Drawing(figure=loss_curve(steps, cases, look), alt="Loss of training and validation over the steps")
        )
    for case, course in cases.items():
        figure = error_curve(steps, course, look, bound_px=_bound(summary, case), label_sigma_px=_label_sigma(course))
        figure.update_layout(title={"text": case, "font": {"size": 13}, "x": 0.5, "y": 0.99}, margin_t=62)
        drawings.append(Drawing(figure=figure, alt=f"Gauge-removed error in dx and dy on {case} over the steps"))
    words = "" if drawings else "No step has been noted yet."
    return Section(heading="Course of the training", words=words, drawings=drawings)


def _thinned(epochs: Sequence[Mapping[str, Any]], best: int | None) -> list[Mapping[str, Any]]:
    """Every so many-th epoch, with the best and the last."""
    every = max(1, len(epochs) // MOST_EPOCHS)
    return [e for n, e in enumerate(epochs) if n % every == 0 or n == len(epochs) - 1 or e["epoch"] == best]


def _samples(run: Run, summary: Summary) -> list[Section]:
    """What the best network sees on the first stack of each validation case."""
    kept = run.sample_epochs()
    if not kept:
        return []
    epoch = summary.best_epoch if summary.best_epoch in kept else kept[-1]
    which = "best epoch" if epoch == summary.best_epoch else "the samples of the best epoch are gone; this is"
    words = f"The first of its stacks, {which} {epoch}."
    sections = []
    for case, arrays in run.sample_by_case(epoch).items():
        found, truth = sample_shifts(arrays)
        names = {"before": "as measured", "after": "corrected by the network", "true": "corrected by the truth"}
        pictures = [
            {f"{what}, {said}": arrays[f"{what.lower()}_{name}"] for name, said in names.items()}
            for what in ("Sinogram", "Slice")
        ]
        drawings = [*accuracy_drawings(found, truth, _bound(summary, case), tilt=False), *picture_drawings(*pictures)]
        sections.append(Section(heading=f"Validation: {case}", words=words, drawings=drawings))
    return sections


def _bound(summary: Summary, case: str) -> dict[str, float]:
    row = case_figures(summary.last, case)
    return {part: row[f"bound_{part}_px"] or 0.0 for part in ("dx", "dy")}


def _label_sigma(course: Course) -> float | None:
    variance = course.values.get("label_variance_px2")
    return float(np.sqrt(variance[-1])) if variance is not None and len(variance) else None


def _settings(config: RunConfig) -> list[Section]:
    head = ("setting", "value", "meaning")
    tables = [
        Table(head=(title, *head[1:]), rows=_rows(part), of_words=True)
        for title, part in (("network", config.model), ("training", config.train))
    ]
    total = sum(recipe.weight for recipe in config.dataset.train)
    drawn = [
        (r.name, f"{100 * r.weight / total:.0f} %", r.phantom.kind, *_stage(r.misalign), _noise(r.noise))
        for r in config.dataset.train
    ]
    checks = [
        (c.name, str(c.stacks), _size(c.simulation.scan), c.simulation.phantom.kind, *_stage(c.simulation.misalign),
         _noise(c.simulation.noise))
        for c in config.dataset.validation
    ]  # fmt: skip
    movement = ("jitter in dx, σ in px", "jitter in dy, σ in px", "jitter of roll, σ in °", "further movement", "noise")
    fixed = config.dataset.fixed
    endless = f"{fixed} fixed stacks" if fixed else "endless: no stack is seen twice"
    data = [
        Table(head=("training stacks", "share", "object", *movement), rows=drawn, of_words=True),
        Table(head=("validation stacks", "number", "size", "object", *movement), rows=checks, of_words=True),
    ]
    return [
        Section(heading="Settings", tables=tables),
        Section(
            heading=f"Data set “{config.dataset.name}”",
            words=f"Training stacks of {_size(config.dataset.scan)}; {endless}. Jitter moves each view by chance: σ is "
            "its standard deviation, and about two views in three are moved by less than σ.",
            tables=data,
        ),
        Section(
            heading="All settings as JSON",
            words="As config.json: python -m tomoalign_core train --config config.json trains the same again.",
            text=config.to_json(),
            folded=True,
        ),
    ]


def _rows(part: Settings) -> list[tuple[str, str, str]]:
    fields = type(part).model_fields
    return [
        (name.replace("_", " "), _said(getattr(part, name)), fields[name].description or "")
        for name in fields
    ]  # fmt: skip


def _said(value: Any) -> str:
    """A setting as text; a range by its ends."""
    if isinstance(value, tuple):
        return f"{value[0]:g}–{value[1]:g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _size(scan: ScanConfig) -> str:
    views, rows, cols = (_said(value) for value in (scan.n_views, scan.n_rows, scan.n_cols))
    return f"{views} views of {rows} × {cols} px over {_said(scan.range_deg)}°"


def _stage(stage: MisalignConfig) -> tuple[str, str, str, str]:
    further = []
    for value, words in (
        (stage.uniform_px, "uniform ±{} px"),
        (stage.drift_px, "drift {} px"),
        (stage.jumps, "{} jumps"),
    ):
        if value != 0:
            further.append(words.format(_said(value)))
    if stage.outlier_fraction != 0:
        further.append(f"outliers, fraction {_said(stage.outlier_fraction)}")
    if stage.rounded:
        further.append("rounded")
    jitter = (_said(stage.dx_sigma_px), _said(stage.dy_sigma_px), _said(stage.roll_sigma_deg))
    return *jitter, ", ".join(further) or "none"


def _noise(noise: NoiseConfig) -> str:
    parts = []
    if noise.gaussian != 0:
        parts.append(f"{_percent(noise.gaussian)} Gaussian")
    if noise.counts is not None:
        parts.append(f"{_said(noise.counts)} counts a pixel")
    if noise.background != 0:
        parts.append(f"background to {_percent(noise.background)}")
    if noise.gain != 0:
        parts.append(f"gain ±{_percent(noise.gain)}")
    return ", ".join(parts) or "none"


def _percent(value: float | tuple[float, float]) -> str:
    return f"{_said(tuple(100 * v for v in value) if isinstance(value, tuple) else 100 * value)} %"
