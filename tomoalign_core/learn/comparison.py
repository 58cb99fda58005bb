"""Several trainings beside each other: what they scored, and which of their settings differ. It needs no torch."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomoalign_core.learn.jobs import State
from tomoalign_core.learn.runs import Run, list_runs
from tomoalign_core.metrics import geometric_mean, overall_rmse

Cases = Mapping[str, Mapping[str, float]]
FIGURES = ("dx_px", "dy_px", "ratio", "loss")
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # in a file of weights, but not learnt


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One run of a comparison.

    Attributes
    ----------
    best, last : figures by validation case, as in metrics.jsonl, of the epoch whose weights are kept as the best
        (that of the least ``overall_rmse``), and of the last epoch; empty before the first epoch has ended.
    parameters : learnt numbers; None before there are weights.
    settings : the run's configuration as JSON values.
    """

    id: str
    name: str
    state: State
    network: str
    dataset: str
    device: str
    step: int
    steps: int
    epoch: int
    epochs: int
    elapsed_s: float
    items_per_s: float | None
    parameters: int | None
    best_epoch: int | None
    best: Cases
    last: Cases
    settings: Mapping[str, Any]


def summarise(run: Run, epochs: Sequence[Mapping[str, Any]] | None = None) -> Summary:
    """Read a run folder; ``epochs`` are its epoch lines, if they have been read already.

    Raises
    ------
    InputError
        If its settings cannot be read.
    """
    config, status = run.config, run.status()
    lines = run.metrics("epoch") if epochs is None else epochs
    best = min(lines, key=_overall, default=None)
    return Summary(
        id=run.id,
        name=config.name,
        state=status.state,
        network=config.model.name,
        dataset=config.dataset.name,
        device=status.device,
        step=status.step,
        steps=status.steps,
        epoch=status.epoch,
        epochs=status.epochs,
        elapsed_s=status.elapsed_s,
        items_per_s=status.items_per_s,
        parameters=_parameters(run.path / "best.safetensors"),
        best_epoch=best["epoch"] if best else None,
        best=best["cases"] if best else {},
        last=lines[-1]["cases"] if lines else {},
        settings=config.model_dump(mode="json"),
    )


def case_names(summaries: Sequence[Summary]) -> list[str]:
    """The validation cases that any of the runs was scored on."""
    return list(dict.fromkeys(case for summary in summaries for case in summary.last))


def scores(summary: Summary, case: str | None = None) -> dict[str, float | None]:
    """Best and last figures of a run: gauge-removed RMSE in px, its ratio to the Cramér-Rao bound, validation loss.

    Without a ``case`` they are geometric means over all cases (the loss: the mean). None where there is no figure: the
    run has no such case, or the case has no noise and hence no bound.
    """
    best, last = case_figures(summary.best, case), case_figures(summary.last, case)
    row = {f"best_{name}": best[name] for name in FIGURES} | {f"last_{name}": last[name] for name in FIGURES}
    return row | {name: last[name] for name in ("bound_dx_px", "bound_dy_px")}


def case_figures(cases: Cases, case: str | None) -> dict[str, float | None]:
    """dx_px, dy_px, their bounds, ratio and loss of one case, or of all together."""
    chosen = [values for name, values in cases.items() if case in (None, name)]

    def mean(name: str) -> float | None:
        column = [values.get(name, math.nan) for values in chosen]
        return geometric_mean(column) if column and all(v > 0 for v in column) else None

    row = {"dx_px": mean("rmse_dx_px"), "dy_px": mean("rmse_dy_px")}
    row |= {"bound_dx_px": mean("bound_dx_px"), "bound_dy_px": mean("bound_dy_px")}
    dx, dy, bound_dx, bound_dy = row.values()
    known = dx is not None and dy is not None and bound_dx is not None and bound_dy is not None
    row["ratio"] = math.sqrt(dx * dy / (bound_dx * bound_dy)) if known else None  # type: ignore[operator]
    row["loss"] = sum(values["loss"] for values in chosen) / len(chosen) if chosen else None
    return row


def same_stacks(summaries: Sequence[Summary], case: str | None = None) -> bool:
    """Whether the runs were scored on the very same validation stacks, so that comparing their errors is fair."""
    return len({_yardstick(summary.settings, case) for summary in summaries}) <= 1


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The settings that differ: dotted path to the values, one for each configuration.

    Recipes and validation cases go by their names, a star stands for every one of them; a range reads "4–8"; None is a
    setting that this configuration does not have. One that only some have differs if it does among those.

    >>> differing([{"train": {"batch": 3, "clip": 1}}, {"train": {"batch": [4, 8], "clip": 1}}])
    {'train.batch': [3, '4–8']}
    """
    flat = [dict(_flatten(config, ())) for config in configs]
    paths = list(dict.fromkeys(path for one in flat for path in one))
    columns = {path: [one.get(path) for one in flat] for path in paths}
    families: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for path in paths:
        families.setdefault(_starred(path), []).append(path)
    found: dict[str, list[Any]] = {}
    for starred, members in families.items():
        alike = all(columns[path] == columns[members[0]] for path in members)
        for path in members[:1] if alike else members:
            if len({value for value in columns[path] if value is not None}) > 1:
                found[".".join(starred if alike and len(members) > 1 else path)] = columns[path]
    return found


def labels(summaries: Sequence[Summary]) -> dict[str, str]:
    """Run id to a short name that no two of the runs share: the run's own, with its time or date where it must be."""
    forms: tuple[Callable[[Summary], str], ...] = (
        lambda s: s.name,
        lambda s: f"{s.name} {_stamp(s.id)[1]}",
        lambda s: f"{s.name} {' '.join(_stamp(s.id))}",
        lambda s: s.id,
    )
    named: dict[str, str] = {}
    for form in forms:
        rest = [s for s in summaries if s.id not in named]
        count = Counter(form(s) for s in rest)
        named |= {s.id: form(s) for s in rest if count[form(s)] == 1}
    return {s.id: named.get(s.id, s.id) for s in summaries}


def table(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """One flat row a run: what it is, its figures over all cases and by case, and the settings that differ."""
    cases = case_names(summaries)
    settings = differing([s.settings for s in summaries])
    rows = []
    for number, summary in enumerate(summaries):
        row: dict[str, Any] = {
            name: value for name, value in vars(summary).items() if name not in ("best", "last", "settings")
        }
        row |= scores(summary)
        for case in cases:
            row |= {f"{case}/{name}": value for name, value in scores(summary, case).items()}
        rows.append(row | {path: values[number] for path, values in settings.items() if path != "name"})
    return rows


def to_csv(summaries: Sequence[Summary]) -> str:
    """The table as CSV text; an empty field is a figure that there is not."""
    rows = table(summaries)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def newest_finished(most: int = 4) -> list[Run]:
    """The runs that one would look at first."""
    return [run for run in list_runs() if run.status().state == "finished"][:most]


def as_text(summaries: Sequence[Summary]) -> list[str]:
    """Lines for a terminal: the figures run by run, then the settings that differ."""
    names = labels(summaries)
    wide = max(len(name) for name in names.values()) + 2
    columns = ("best_dx_px", "best_dy_px", "best_ratio", "last_dx_px", "last_dy_px")
    lines = [
        "gauge-removed RMSE, px, geometric mean over the validation cases; ratio: to the Cramér-Rao bound",
        f"{'run':<{wide}}{'state':<13}{'epoch':>6}" + "".join(f"{name.removesuffix('_px'):>12}" for name in columns),
    ]
    for s in summaries:
        row = scores(s)
        shown = "".join(f"{'–' if row[name] is None else f'{row[name]:.3f}':>12}" for name in columns)
        lines.append(f"{names[s.id]:<{wide}}{s.state:<13}{s.best_epoch or '–':>6}{shown}")
    if not same_stacks(summaries):
        lines.append("note: their validation stacks differ, so the errors cannot fairly be compared; the ratio can")
    for path, values in differing([s.settings for s in summaries]).items():
        if path != "name":
            lines += [path, *(f"  {names[s.id]:<{wide}}{_or_dash(v)}" for s, v in zip(summaries, values, strict=True))]
    return lines


def _or_dash(value: Any) -> str:
    return "–" if value is None else str(value)


def _overall(line: Mapping[str, Any]) -> float:
    value = overall_rmse(line["cases"])
    return math.inf if math.isnan(value) else value


def _parameters(weights: Path) -> int | None:
    """The number of learnt numbers in a file of weights; only its head is read."""
    if not weights.exists():
        return None
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        learnt = [name for name in file.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118 (not a dict)
        return sum(math.prod(file.get_slice(name).get_shape()) for name in learnt)


def _yardstick(settings: Mapping[str, Any], case: str | None) -> str:
    """All that determines the validation stacks of a case, or of all: see ``dataset.validation_stacks``."""
    dataset = settings["dataset"]
    chosen = [pair for pair in enumerate(dataset["validation"]) if case in (None, pair[1]["name"])]
    return json.dumps([chosen, dataset["seed"], dataset["one_phantom"]], sort_keys=True)


class _Item(str):
    """The name of an entry of a list, as a part of a path."""


def _flatten(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            if not (name == "name" and path and isinstance(path[-1], _Item)):
                yield from _flatten(part, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        names = [str(part.get("name", number)) for number, part in enumerate(value)]
        yield path, ", ".join(names)
        for name, part in zip(names, value, strict=True):
            yield from _flatten(part, (*path, _Item(name)))
    else:
        yield path, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        numbers = len(value) == 2 and all(isinstance(v, int | float) for v in value)
        return "–".join(f"{v:g}" for v in value) if numbers else ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else value


def _starred(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("*" if isinstance(part, _Item) else part for part in path)


def _stamp(run_id: str) -> tuple[str, str]:
    """Day and time in the name of a run folder; the name itself where there is none."""
    match = re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-", run_id)
    if match is None:
        return "", run_id
    year, month, day, hour, minute, second = match.groups()
    return f"{year}-{month}-{day}", f"{hour}:{minute}:{second}"
