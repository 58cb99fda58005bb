"""A comparison tells the best from the last, shows only what differs, and says when it is not fair."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    DatasetConfig,
    NoiseConfig,
    Recipe,
    RunConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.learn import comparison, runs
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.runs import Run
from tomoalign_core.learn.weights import save_weights

TWO_CASES = DatasetConfig(
    train=(Recipe(name="blobs"), Recipe(name="foam")),
    validation=(ValidationCase(name="easy"), ValidationCase(name="hard, with a comma")),
)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    return tmp_path


def run_of(config: RunConfig, *epochs: dict[str, tuple[float, float]], bound: float = 0.02) -> Run:
    """A run folder whose epochs scored so in dx and dy."""
    run = runs.create_run(config)
    for number, errors in enumerate(epochs, 1):
        cases = {
            case: {"rmse_dx_px": dx, "rmse_dy_px": dy, "bound_dx_px": bound, "bound_dy_px": bound, "loss": dx + dy}
            for case, (dx, dy) in errors.items()
        }
        run.append_metrics({"kind": "epoch", "epoch": number, "step": 10 * number, "time_s": 1.0, "cases": cases})
    return run


def settings(**train: Any) -> dict[str, Any]:
    return RunConfig(train=TrainConfig(**train)).model_dump(mode="json")


def test_best_is_the_epoch_of_the_least_error_of_all_cases_and_last_is_the_last() -> None:
    hard = "hard, with a comma"
    run = run_of(
        RunConfig(dataset=TWO_CASES),
        {"easy": (0.4, 0.4), hard: (0.4, 0.4)},
        {"easy": (0.1, 0.2), hard: (0.2, 0.4)},
        {"easy": (0.05, 0.3), hard: (0.4, 0.4)},  # best in easy dx alone
    )
    summary = comparison.summarise(run)
    assert summary.best_epoch == 2
    easy, both = comparison.scores(summary, "easy"), comparison.scores(summary)
    assert (easy["best_dx_px"], easy["best_dy_px"]) == pytest.approx((0.1, 0.2))
    assert (easy["last_dx_px"], easy["last_dy_px"]) == pytest.approx((0.05, 0.3))
    assert both["best_dx_px"] == pytest.approx(math.sqrt(0.1 * 0.2))
    assert both["best_ratio"] == pytest.approx((0.1 * 0.2 * 0.2 * 0.4) ** 0.25 / 0.02)
    assert both["best_loss"] == pytest.approx((0.3 + 0.6) / 2)


def test_a_run_without_an_epoch_or_without_a_bound_has_no_such_figure() -> None:
    config = RunConfig(dataset=TWO_CASES)
    fresh = comparison.summarise(run_of(config))
    assert fresh.best_epoch is None and set(comparison.scores(fresh).values()) == {None}
    clean = comparison.summarise(run_of(config, {"easy": (0.1, 0.1)}, bound=0.0))
    assert comparison.scores(clean)["best_dx_px"] == pytest.approx(0.1)
    assert comparison.scores(clean)["best_ratio"] is None
    assert comparison.scores(clean, "hard, with a comma")["best_dx_px"] is None


def test_only_settings_that_differ_are_told() -> None:
    assert comparison.differing([settings(), settings()]) == {}
    assert comparison.differing([settings(batch=2, clip=0.5), settings(batch=4, clip=0.5)]) == {"train.batch": [2, 4]}


def test_a_range_reads_as_one_and_a_star_stands_for_every_recipe() -> None:
    def noisy(*levels: Any) -> dict[str, Any]:
        recipes = [Recipe(name=str(n), noise=NoiseConfig(gaussian=level)) for n, level in enumerate(levels)]
        return RunConfig(dataset=DatasetConfig(train=tuple(recipes))).model_dump(mode="json")

    found = comparison.differing([noisy((0, 0.2), (0, 0.2)), noisy(0.1, 0.1)])
    assert found == {"dataset.train.*.noise.gaussian": ["0–0.2", 0.1]}
    found = comparison.differing([noisy((0, 0.2), 0.1), noisy(0.1, 0.1)])
    assert found == {"dataset.train.0.noise.gaussian": ["0–0.2", 0.1]}


def test_what_only_some_have_is_no_difference_but_their_kind_is() -> None:
    other = Cnn3dConfig()
    models = (CentroidConfig(channels=8), CentroidConfig(channels=16), other)
    loss = TrainConfig(loss="mse")
    found = comparison.differing([RunConfig(model=m, train=loss).model_dump(mode="json") for m in models])
    assert found == {"model.name": ["centroid", "centroid", "cnn3d"], "model.channels": [8, 16, None]}
    mixes = [DatasetConfig(train=tuple(Recipe(name=n) for n in names)) for names in (("a", "b"), ("b",))]
    found = comparison.differing([RunConfig(dataset=mix).model_dump(mode="json") for mix in mixes])
    assert found == {"dataset.train": ["a, b", "b"]}


def test_comparing_is_fair_on_the_very_same_validation_stacks_only() -> None:
    def of(dataset: DatasetConfig) -> comparison.Summary:
        return comparison.summarise(run_of(RunConfig(dataset=dataset)))

    same = TWO_CASES.changed(train=(Recipe(name="other"),), name="other")
    seed = TWO_CASES.changed(seed=1)
    fewer = TWO_CASES.changed(validation=TWO_CASES.validation[:1])
    assert comparison.same_stacks([of(TWO_CASES), of(same)])
    assert not comparison.same_stacks([of(TWO_CASES), of(seed)])
    assert not comparison.same_stacks([of(TWO_CASES), of(fewer)])
    assert comparison.same_stacks([of(TWO_CASES), of(fewer)], "easy")


def test_the_csv_holds_every_figure_of_every_case_and_the_settings_that_differ() -> None:
    first = run_of(RunConfig(name="one", dataset=TWO_CASES), {"easy": (0.1, 0.2), "hard, with a comma": (0.3, 0.4)})
    second = run_of(RunConfig(name="two", dataset=TWO_CASES, train=TrainConfig(batch=7)))
    text = comparison.to_csv([comparison.summarise(run) for run in (first, second)])
    one, two = csv.DictReader(io.StringIO(text))
    assert (one["id"], one["name"], two["name"]) == (first.id, "one", "two")
    assert float(one["hard, with a comma/best_dx_px"]) == pytest.approx(0.3)
    assert (one["train.batch"], two["train.batch"]) == ("3", "7")
    assert two["best_dx_px"] == ""
    assert "train.clip" not in one


def test_runs_of_one_name_are_told_apart(workspace: Path) -> None:
    for number, name in enumerate(("20260102-030405-000-a-1", "20260102-030406-000-a-1", "20260102-030405-001-b-1")):
        folder = workspace / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(RunConfig(name="ab"[number // 2]).to_json())
    named = comparison.labels([comparison.summarise(run) for run in reversed(runs.list_runs())])
    assert sorted(named.values()) == ["a 03:04:05", "a 03:04:06", "b"]


@pytest.mark.parametrize("config", [CentroidConfig(channels=4), Cnn3dConfig()])
def test_parameters_are_counted_from_the_head_of_the_weights(config: Any) -> None:
    network = build_model(config, (32, 32, 32))
    run = run_of(RunConfig(model=config, train=TrainConfig(loss="mse")))
    save_weights(run.path / "best.safetensors", network, config, (32, 32, 32))
    assert comparison.summarise(run).parameters == sum(p.numel() for p in network.parameters())


def test_comparing_loads_no_torch() -> None:
    code = "import sys, tomoalign_core.learn.comparison as c; c.newest_finished(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_a_summary_can_be_made_of_lines_that_were_read_before() -> None:
    run = run_of(RunConfig(dataset=TWO_CASES), {"easy": (0.1, 0.1)})
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert comparison.summarise(run, lines) == comparison.summarise(run)
