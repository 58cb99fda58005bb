"""Compare sets runs beside each other: what they scored, what differs, and what cannot fairly be compared."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from kit import by_label, decoded, live_figures, show, well, words

from tomoalign_core.learn.runs import Run

CASE = "blobs, few"


def variant(trained: Path, workspace: Path, name: str, *, error: float = 1.0, **settings: Any) -> Run:
    """A copy of the training with other settings ("part.field": value), all errors of validation times ``error``."""
    run = Run(workspace / "runs" / f"{trained.name[:19]}-{name}")
    shutil.copytree(trained, run.path)
    config = json.loads((run.path / "config.json").read_text())
    config["name"] = name
    for path, value in settings.items():
        *parents, field = path.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[field] = value
    (run.path / "config.json").write_text(json.dumps(config))
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        for values in line.get("cases", {}).values():
            values["rmse_dx_px"] *= error
            values["rmse_dy_px"] *= error
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture
def three(trained: Path, workspace: Path) -> list[Run]:
    return [
        variant(trained, workspace, "plain"),
        variant(trained, workspace, "fast", error=0.5, train__learning_rate=0.01),
        variant(trained, workspace, "wide", error=2.0, train__learning_rate=0.02, train__batch=2),
    ]


def names(runs: list[Run]) -> str:
    return ",".join(run.id for run in runs)


def test_an_empty_workspace_leads_to_train() -> None:
    at = well(show("compare"))
    assert "no training to compare" in words(at)
    assert not at.get("multiselect")


def test_the_table_tells_best_and_last_and_only_the_settings_that_differ(three: list[Run]) -> None:
    at = well(show("compare", runs=names(three)))
    table = at.dataframe[0].value.set_index("run")
    assert list(table.index) == ["plain", "fast", "wide"]
    assert [name for name in table.columns if "." in name] == ["train.batch", "train.learning_rate"]
    assert list(table["train.batch"]) == [1, 1, 2]
    for run in three:
        lines = [line["cases"][CASE] for line in run.metrics("epoch")]
        best = min(lines, key=lambda case: case["rmse_dx_px"] * case["rmse_dy_px"])
        row = table.loc[run.config.name]
        assert row["best_dx_px"] == pytest.approx(best["rmse_dx_px"])
        assert row["last_dy_px"] == pytest.approx(lines[-1]["rmse_dy_px"])
        assert row["best_ratio"] == pytest.approx(
            (best["rmse_dx_px"] * best["rmse_dy_px"] / best["bound_dx_px"] / best["bound_dy_px"]) ** 0.5
        )
        assert row["monitor"].endswith(f"monitor?run={run.id}")


def test_curves_of_all_runs_lie_over_each_other_with_the_common_bound(three: list[Run]) -> None:
    at = well(show("compare", runs=names(three)))
    figure = next(figure for alt, figure in live_figures(at).items() if alt.startswith("error in dx"))
    lines = {trace["name"].partition(" ")[0]: trace for trace in figure["data"] if "name" in trace}
    assert {"plain", "fast", "wide", "Cramér–Rao"} <= lines.keys()
    assert len({lines[name]["line"]["color"] for name in ("plain", "fast", "wide")}) == 3
    measured = [line["cases"][CASE]["rmse_dx_px"] for line in three[1].metrics("epoch")]
    assert decoded(lines["fast"]["y"]) == pytest.approx(measured)
    bound = three[0].metrics("epoch")[-1]["cases"][CASE]["bound_dx_px"]
    assert decoded(lines["Cramér–Rao"]["y"]) == pytest.approx([bound, bound])


def test_a_run_keeps_its_colour_in_all_charts_when_another_leaves(three: list[Run]) -> None:
    def colour(at: Any, name: str) -> set[str]:
        charts = (figure for alt, figure in live_figures(at).items() if "arallel" not in alt)
        traces = (trace for figure in charts for trace in figure["data"] if trace.get("name") == name)
        return {trace.get("line", trace["marker"]).get("color") or trace["marker"]["color"] for trace in traces}

    at = show("compare", runs=names(three))
    before = colour(at, "wide")
    assert len(before) == 1
    assert next(iter(before)).replace("#", "%23") in at.dataframe[0].value.set_index("run").loc["wide", "key"]
    at.multiselect(key="compared").unselect(three[0].id).run()
    assert colour(well(at), "wide") == before


def test_parallel_coordinates_hold_the_numbers_and_need_three_runs(three: list[Run]) -> None:
    at = well(show("compare", runs=names(three)))
    (figure,) = (figure for alt, figure in live_figures(at).items() if alt.startswith("Parallel"))
    axes = {axis["label"]: axis for axis in figure["data"][0]["dimensions"]}
    assert decoded(axes["train batch"]["values"])[:3] == pytest.approx([1, 1, 2])
    table = at.dataframe[0].value
    assert decoded(axes["best dx, px"]["values"])[:3] == pytest.approx(list(table["best_dx_px"]))
    at = well(show("compare", runs=names(three[:2])))
    assert "need three runs" in words(at)
    assert not [alt for alt in live_figures(at) if alt.startswith("Parallel")]


def test_the_address_names_the_runs_and_unknown_ones_are_told(three: list[Run]) -> None:
    at = well(show("compare", runs=f"{three[2].id},nobody"))
    assert "nobody" in at.warning[0].value
    assert at.multiselect(key="compared").value == [three[2].id]
    assert at.query_params["runs"] == three[2].id
    assert "stands alone" in words(at)
    at.multiselect(key="compared").select(three[0].id).run()
    assert at.query_params["runs"] == f"{three[2].id},{three[0].id}"
    at.multiselect(key="compared").set_value([]).run()
    assert "Choose the runs" in words(well(at))


def test_the_newest_finished_runs_are_compared_at_first(three: list[Run]) -> None:
    three[0].write_status(three[0].status().model_copy(update={"state": "failed"}))
    at = well(show("compare"))
    assert set(at.multiselect(key="compared").value) == {three[1].id, three[2].id}


def test_two_runs_of_one_name_and_second_can_both_be_chosen(trained: Path, workspace: Path) -> None:
    twins = [Run(workspace / "runs" / f"{trained.name}-{number}") for number in (1, 2)]
    for run in twins:  # Streamlit knows a choice by its label: two alike would be one
        shutil.copytree(trained, run.path)
        os.utime(run.path / "config.json", (1e9, 1e9))
    at = well(show("compare", runs=names(twins)))
    options = at.multiselect(key="compared").options
    assert len(set(options)) == 2
    at.toggle(key="compare-log").set_value(False).run()
    assert at.multiselect(key="compared").value == [run.id for run in twins]
    assert [monitor.split("=")[1] for monitor in well(at).dataframe[0].value["monitor"]] == [run.id for run in twins]


def test_filters_narrow_what_can_be_chosen(three: list[Run]) -> None:
    at = show("compare", runs=three[0].id)
    at.text_input(key="with-name").set_value("fas").run()
    assert len(well(at).multiselect(key="compared").options) == 2  # the chosen one, and what is found
    at.multiselect(key="with-state").set_value(["failed"]).run()
    assert len(well(at).multiselect(key="compared").options) == 1


def test_runs_scored_on_other_stacks_are_called_unfair_and_share_no_bound(
    trained: Path, workspace: Path, three: list[Run]
) -> None:
    other = variant(trained, workspace, "other", dataset__seed=5)
    at = well(show("compare", runs=names([three[0], other])))
    assert "cannot fairly be compared" in at.warning[0].value
    figure = next(figure for alt, figure in live_figures(at).items() if alt.startswith("error in dx"))
    assert "bound" not in [trace["name"] for trace in figure["data"]]


def test_a_run_that_trains_is_followed_and_one_without_an_epoch_is_shown(
    trained: Path, workspace: Path, three: list[Run]
) -> None:
    fresh = variant(trained, workspace, "fresh")
    (fresh.path / "metrics.jsonl").unlink()
    fresh.write_status(fresh.status().model_copy(update={"state": "running"}))
    with FileLock(fresh.path / "alive.lock"):
        at = well(show("compare", runs=names([three[0], fresh])))
    table = at.dataframe[0].value.set_index("run")
    assert list(table.loc["fresh", "state"]) == ["running"]
    assert table["best_dx_px"].isna().tolist() == [False, True]


def test_a_folder_that_cannot_be_read_is_named_and_hides_no_other(three: list[Run]) -> None:
    (three[0].path / "config.json").write_text("{}}")
    at = well(show("compare"))
    assert three[0].id in at.warning[0].value
    assert set(at.multiselect(key="compared").value) == {three[1].id, three[2].id}


def test_training_steps_can_be_overlaid_and_nothing_starts_when_read_only(
    three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = show("compare", runs=names(three))
    assert by_label(at.get("page_link"), "Train with changes to fast, the best of these")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    at.segmented_control(key="measured-in").set_value("training").run()
    figure = next(figure for alt, figure in live_figures(well(at)).items() if alt.startswith("error in dx"))
    assert {trace["name"] for trace in figure["data"] if trace.get("showlegend", True)} == {"plain", "fast", "wide"}
    assert not [link for link in at.get("page_link") if "Train" in link.label]


def test_a_run_without_an_epoch_has_dashes_and_a_loss_below_zero_a_minus_sign(
    three: list[Run],
) -> None:
    (three[2].path / "metrics.jsonl").unlink()
    lines = [{**line, "cases": {CASE: {**line["cases"][CASE], "loss": -1.5}}} for line in three[0].metrics("epoch")]
    for line in lines:
        three[0].append_metrics(line)
    table = well(show("compare", runs=names(three))).dataframe[0]
    assert table.value.set_index("run").loc["plain"]["best_loss"] == -1.5
    assert table.proto.placeholder == "–"
    assert "−1.5" in table.proto.arrow_data.styler.display_values.decode(errors="ignore")
