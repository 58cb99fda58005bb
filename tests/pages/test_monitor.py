"""Monitor shows what the run folder holds, and says the truth about its process."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from filelock import FileLock
from kit import by_label, decoded, in_state, live_figures, show, well, words

from tomoalign_core.learn.runs import Run


def test_monitor_of_an_empty_workspace_says_where_to_start() -> None:
    assert "no training to watch" in words(show("monitor"))


def test_monitor_calls_a_run_without_a_process_interrupted_and_offers_to_resume_it(
    trained: Path, workspace: Path, spawned: list[Run]
) -> None:
    run = in_state(trained, workspace, "interrupted")
    at = show("monitor", run=run.id)
    assert "interrupted" in words(at)
    assert [b.label for b in at.button if b.label in ("Stop", "Resume")] == ["Resume"]
    by_label(at.button, "Resume").click().run()
    assert spawned == [run]


def test_monitor_asks_a_living_run_to_stop(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        at = show("monitor", run=run.id)
        assert "1 min 1 s" in words(at)
        by_label(at.button, "Stop").click().run()
        assert (run.path / "stop").exists()
        assert by_label(at.button, "Stopping …").disabled


def test_monitor_draws_what_the_run_folder_holds(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = well(show("monitor", run=run.id))
    charts = {alt.split()[0]: figure for alt, figure in live_figures(at).items()}
    assert {"Loss", "Gauge-removed", "Found", "sinogram", "slice"} <= charts.keys()
    raw = next(t for t in charts["Loss"]["data"] if t["name"] == "training, each step")
    assert decoded(raw["y"]) == pytest.approx([m["loss"] for m in run.metrics("step")])
    bound = next(t for t in charts["Gauge-removed"]["data"] if t["name"] == "bound dx")
    assert decoded(bound["y"])[0] == pytest.approx(run.metrics("epoch")[-1]["cases"]["blobs, few"]["bound_dx_px"])


def test_monitor_follows_the_latest_epoch_until_one_is_chosen(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = show("monitor", run=run.id)
    assert at.select_slider(key="epoch").value == 3
    at.select_slider(key="epoch").set_value(1).run()
    shutil.copy(run.path / "samples/epoch_0003.npz", run.path / "samples/epoch_0004.npz")
    assert well(at.run()).select_slider(key="epoch").value == 1
    at.button(key="follow").click().run()
    assert at.select_slider(key="epoch").value == 4


def test_monitor_names_a_run_that_is_not_there(trained: Path, workspace: Path) -> None:
    in_state(trained, workspace, "finished")
    assert "no run nowhere" in words(well(show("monitor", run="nowhere")))


def test_the_metrics_tail_reads_what_run_metrics_reads_while_the_file_grows(workspace: Path) -> None:
    from pages.shared.reading import MetricsTail

    run = Run(workspace)
    tail = MetricsTail(run.path / "metrics.jsonl")
    assert tail.refresh()[1] == 0
    for step in (1, 2, 3, 2, 4):
        run.append_metrics({"kind": "step", "step": step, "loss": time.perf_counter()})
        tail.refresh()
        assert tail.lines("step") == run.metrics("step")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 9')
    tail.refresh()
    assert tail.lines("step") == run.metrics("step")
    run.trim_metrics()
    run.append_metrics({"kind": "step", "step": 5, "loss": 0.0})
    tail.refresh()
    assert tail.lines("step") == run.metrics("step")
