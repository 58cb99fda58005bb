"""Monitor shows what the run folder holds, and says the truth about its process."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from filelock import FileLock
from kit import by_label, decoded, in_state, live_figures, live_numbers, show, well, words
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from pages.shared import run_state, watchers
from pages.shared.front_door import live_route
from pages.shared.words import pixels
from tomoalign_core.config import InputError
from tomoalign_core.learn.jobs import signal_words
from tomoalign_core.learn.runs import Run


def epochs(at: AppTest) -> Any:
    return by_label(at.select_slider, "Epoch")


def figure(at: AppTest, words_of_it: str) -> dict[str, Any]:
    """The live chart whose alternative text begins so."""
    return next(shown for alt, shown in live_figures(at).items() if alt.startswith(words_of_it))


def another_epoch(run: Run, number: int) -> None:
    shutil.copy(run.path / "samples/epoch_0003.npz", run.path / f"samples/epoch_{number:04d}.npz")


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
    bound = next(t for t in charts["Gauge-removed"]["data"] if t["name"].startswith("bound dx"))
    assert decoded(bound["y"])[0] == pytest.approx(run.metrics("epoch")[-1]["cases"]["blobs, few"]["bound_dx_px"])


def test_monitor_follows_the_latest_epoch_until_one_is_chosen(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = show("monitor", run=run.id)
    assert epochs(at).value == 3
    assert "epoch" not in at.query_params
    epochs(at).set_value(1).run()
    another_epoch(run, 4)
    assert epochs(well(at.run())).value == 1
    assert at.query_params["epoch"] == "1"
    by_label(at.button, "Latest").click().run()
    assert epochs(at).value == 4
    another_epoch(run, 5)
    assert epochs(well(at.run())).value == 5
    assert "epoch" not in at.query_params


def test_monitor_steps_through_the_epochs_by_buttons(trained: Path, workspace: Path) -> None:
    at = show("monitor", run=in_state(trained, workspace, "finished").id)
    assert by_label(at.button, "Later").disabled
    for expected in (2, 1):
        by_label(at.button, "Earlier").click().run()
        assert epochs(at).value == expected
    assert by_label(at.button, "Earlier").disabled
    by_label(at.button, "Later").click().run()
    assert at.query_params["epoch"] == "2"


def test_a_link_restores_the_view(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = well(show("monitor", run=run.id, epoch="2", along="time", smoothing="0", log="false"))
    assert epochs(at).value == 2
    loss = figure(at, "Loss")
    assert loss["layout"]["xaxis"]["title"]["text"] == "training time, s"
    assert loss["layout"]["yaxis"]["type"] == "linear"
    assert [trace["name"] for trace in loss["data"]] == ["training", "blobs, few"]  # no raw line without smoothing


def test_a_case_that_the_run_has_not_is_told_as_other_addresses_are(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = well(show("monitor", run=run.id, case="pillars"))
    assert [box.value for box in at.warning] == [
        "Not understood in the address: `case=pillars`: expected one of blobs, few; shown is blobs, few."
    ]
    assert not well(show("monitor", run=run.id, case="blobs, few")).warning


def test_an_epoch_that_is_not_there_is_said_and_the_latest_is_shown(trained: Path, workspace: Path) -> None:
    at = well(show("monitor", run=in_state(trained, workspace, "finished").id, epoch="77"))
    assert epochs(at).value == 3
    assert "Epoch 77 is not saved" in words(at)


def test_monitor_of_one_epoch_needs_no_slider(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    for epoch in (2, 3):
        (run.path / f"samples/epoch_{epoch:04d}.npz").unlink()
    at = well(show("monitor", run=run.id))
    assert not at.select_slider
    assert figure(at, "Found and true")["data"]


def test_the_histogram_counts_the_errors_of_the_sample_without_their_gauge(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    sample = run.sample_by_case(3)["blobs, few"]
    error = (sample["found"] - sample["true"]).astype(float)
    angle = sample["angle_rad"].astype(float)
    basis = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], -1)
    dx = error[:, 0] - basis @ np.linalg.lstsq(basis, error[:, 0], rcond=None)[0]
    dy = error[:, 1] - error[:, 1].mean()
    bars = {t["name"]: t for t in figure(show("monitor", run=run.id), "Histogram")["data"] if t["type"] == "bar"}
    for name, values in (("dx", dx), ("dy", dy)):
        middle, counts = decoded(bars[name]["x"]), decoded(bars[name]["y"])
        half = (middle[1] - middle[0]) / 2
        edges = [*(m - half for m in middle), middle[-1] + half]
        assert counts == np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
        assert sum(counts) == len(angle)


def test_roll_is_shown_where_a_sample_holds_it_and_older_samples_do_without(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    shown = figure(show("monitor", run=run.id), "Found and true")
    found = next(t for t in shown["data"] if t["name"] == "found" and t["yaxis"] == "y3")
    roll = run.sample_by_case(3)["blobs, few"]["found_roll_deg"].astype(float)
    assert decoded(found["y"]) == pytest.approx(roll - roll.mean(), abs=1e-6)

    st.cache_resource.clear()
    older = {name: values for name, values in run.sample(3).items() if "roll" not in name}
    np.savez(run.path / "samples/epoch_0003.npz", **older)
    assert "yaxis3" not in figure(well(show("monitor", run=run.id)), "Found and true")["layout"]


@pytest.mark.parametrize(("loss", "lines"), [("mse", 2), ("raw-mse", 3), ("smooth-l1", 0), ("laplace", 0)])
def test_a_loss_in_px2_is_shown_with_its_levels_and_others_with_none(
    loss: str, lines: int, trained: Path, workspace: Path
) -> None:
    run = in_state(trained, workspace, "finished")
    config = run.config.changed(train=run.config.train.changed(loss=loss))
    (run.path / "config.json").write_text(config.to_json())
    traces = figure(show("monitor", run=run.id), "Loss")["data"]
    levels = {t["name"].rsplit(" ", 2)[0]: decoded(t["y"])[0] for t in traces if t["line"].get("dash")}
    assert len(levels) == lines
    case = run.metrics("epoch")[-1]["cases"]["blobs, few"]
    if loss == "mse":  # summed over two passes
        assert levels["label variance"] == pytest.approx(2 * case["label_variance_px2"])
        assert levels["bound²"] == pytest.approx(case["bound_dx_px"] ** 2 + case["bound_dy_px"] ** 2)
    if loss == "raw-mse":
        assert levels["label variance"] - levels["gauge"] == pytest.approx(2 * case["label_variance_px2"])


def test_monitor_shows_the_best_and_the_last_error(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    status = run.status()
    shown = live_numbers(show("monitor", run=run.id))
    assert shown[f"Best RMSE, epoch {status.best_epoch}"] == pixels(status.best_rmse_px)
    assert shown["Last RMSE"] == pixels(run.metrics("epoch")[-1]["rmse_px"])


@pytest.mark.parametrize(
    ("state", "message", "said"),
    [
        ("failed", "the loss is nan at step 7; lower the learning rate", "It diverged: the loss is nan at step 7"),
        ("failed", "out of memory on cuda; choose a smaller batch", "It ran out of memory on cuda"),
        ("failed", "device cuda: this machine has 0 CUDA devices", "It could not begin: device cuda"),
        ("failed", "ended at step 7: 3.h5: is cut off; build it again", "It ended at step 7: 3.h5: is cut off"),
        ("failed", "OSError: [Errno 28] No space left", "an error that it has no words for: OSError"),
        ("failed", "", "without a word"),
        ("stopped", f"stopped by {signal_words(signal.SIGTERM)}", "as at a shutdown (SIGTERM)"),
        ("interrupted", "", "its process is gone"),
    ],
)
def test_monitor_says_in_words_what_became_of_a_run(
    state: str, message: str, said: str, trained: Path, workspace: Path
) -> None:
    run = in_state(trained, workspace, state)
    written = "running" if state == "interrupted" else state
    run.write_status(run.status().model_copy(update={"state": written, "message": message}))
    assert said in words(well(show("monitor", run=run.id)))


@pytest.mark.parametrize(
    ("message", "first"),
    [
        ("the loss is nan at step 7; lower the learning rate", "Duplicate with changes"),
        ("device cuda: this machine has 0 CUDA devices; use cpu or auto", "Duplicate with changes"),
        ("OSError: [Errno 28] No space left on device", "Resume"),
        ("ended at step 7: 3.h5: is not a whole simulated stack; delete its data set and build it again", "Resume"),
    ],
)
def test_a_failed_run_shows_its_log_and_puts_first_what_helps(
    message: str, first: str, trained: Path, workspace: Path
) -> None:
    run = in_state(trained, workspace, "failed")
    run.write_status(run.status().model_copy(update={"message": message}))
    (run.path / "log.txt").write_text("what the process said last")
    at = well(show("monitor", run=run.id))
    assert "what the process said last" in [block.value for block in at.code]
    assert [button.label for button in at.button if button.proto.type == "primary"] == [first]


def test_a_run_that_failed_before_its_first_step_promises_no_curves(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "failed")
    for path in (run.path / "metrics.jsonl", *(run.path / "samples").iterdir()):
        path.unlink()
    at = well(show("monitor", run=run.id))
    assert "failed before its first step" in words(at)
    assert "on their way" not in words(at) and "After the first epoch" not in words(at)
    assert not live_figures(at) and not at.toggle


def test_each_error_of_the_last_epoch_is_told_against_its_bound(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    case = run.metrics("epoch")[-1]["cases"]["blobs, few"]
    said = words(show("monitor", run=run.id))
    for part, unit in (("dx", "px"), ("dy", "px"), ("roll", "deg")):
        assert f"{case[f'rmse_{part}_{unit}'] / case[f'bound_{part}_{unit}']:.1f} times its bound" in said
    levels = figure(show("monitor", run=run.id, more="true"), "Error of the roll")["data"]
    assert f"bound {case['bound_roll_deg']:.3g}°" in [trace["name"] for trace in levels]


def test_monitor_tells_a_waiting_run_its_place_in_the_queue(trained: Path, workspace: Path) -> None:
    ahead = in_state(trained, workspace, "queued")
    ahead.write_status(ahead.status().model_copy(update={"state": "queued", "queued_at": 1.0}))
    run = Run(workspace / "runs" / "29990101-000000-000-later")
    shutil.copytree(ahead.path, run.path)
    later = {"state": "queued", "queued_at": 2.0, "message": "waiting for cpu"}
    run.write_status(run.status().model_copy(update=later))
    with FileLock(ahead.path / "alive.lock"), FileLock(run.path / "alive.lock"):
        assert "number 2 in the queue; waiting for cpu" in words(well(show("monitor", run=run.id)))
        assert "next in the queue" in words(well(show("monitor", run=ahead.id)))


def test_monitor_tells_for_how_long_a_running_training_has_been_silent(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        assert "sign of life" not in words(show("monitor", run=run.id))
        status = run.status().model_copy(update={"updated": time.time() - 3 * 3600})
        (run.path / "status.json").write_text(status.model_dump_json())
        assert "last sign of life 3 h 0 min ago" in words(show("monitor", run=run.id))


def test_notes_are_kept_in_the_folder_and_shown_to_the_next_visitor(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = show("monitor", run=run.id)
    at.text_area[0].set_value("Twice the batch: no better.").run()
    assert run.notes() == "Twice the batch: no better."
    assert sorted(p.name for p in run.path.iterdir() if "notes" in p.name) == ["notes.md"]
    assert at.text_area[0].value == well(show("monitor", run=run.id)).text_area[0].value == run.notes()
    run.write_notes("Somebody else was here.")
    assert at.run().text_area[0].value == "Somebody else was here."


def test_a_read_only_monitor_shows_notes_and_changes_nothing(
    trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = in_state(trained, workspace, "stopped")
    run.write_notes("Look at **epoch 2**.")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    at = well(show("monitor", run=run.id))
    assert "Look at **epoch 2**." in words(at)
    assert not at.text_area
    assert not [b for b in at.button if b.label in ("Stop", "Resume")]
    assert "Duplicate with changes" not in [link.proto.label for link in at.get("page_link")]
    with pytest.raises(InputError, match="TOMOALIGN_READONLY is set"):
        run.write_notes("")


def test_a_run_can_be_duplicated_with_changes(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "failed")
    links = {link.proto.label: link.proto for link in show("monitor", run=run.id).get("page_link")}
    assert links["Duplicate with changes"].page == "train"
    assert links["Duplicate with changes"].query_string == f"from={run.id}"


def test_downloads_are_offered_and_nothing_is_read_before_the_click(
    trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_early(run: Run) -> bytes:
        raise AssertionError("read before the click")

    for name in ("metrics_csv", "tensorboard_zip"):
        monkeypatch.setattr(run_state, name, too_early)
    at = well(show("monitor", run=in_state(trained, workspace, "finished").id))
    labels = {button.proto.label for button in at.get("download_button")}
    kinds = {"Metrics (CSV)", "Settings (JSON)", "TensorBoard (zip)", "Best weights", "Last weights", "Report (HTML)"}
    assert labels == kinds


def test_learning_rate_and_roll_are_drawn_when_they_are_opened_and_the_rate_is_never_smoothed(
    trained: Path, workspace: Path
) -> None:
    run = in_state(trained, workspace, "finished")
    assert "Learning" not in str(live_figures(show("monitor", run=run.id)).keys())
    rate = figure(well(show("monitor", run=run.id, more="true", smoothing="0.99")), "Learning rate")["data"][0]
    assert decoded(rate["y"]) == pytest.approx([line["learning_rate"] for line in run.metrics("step")])


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


def test_what_many_look_at_is_read_once_in_a_while(workspace: Path) -> None:
    from pages.shared.reading import MetricsTail

    run = Run(workspace)
    tail = MetricsTail(run.path / "metrics.jsonl")
    run.append_metrics({"kind": "step", "step": 1, "loss": 1.0})
    first = tail.refresh(at_most_every_s=3600)
    run.append_metrics({"kind": "step", "step": 2, "loss": 2.0})
    assert tail.refresh(at_most_every_s=3600) == first
    assert tail.course("step").x.tolist() == [1]
    assert tail.refresh() != first
    assert tail.course("step").values["loss"].tolist() == [1, 2]


def test_visitors_who_look_no_more_are_forgotten_and_many_look_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(watchers.time, "monotonic", lambda: now[0])
    here = watchers.Watchers()
    assert [here.look(who).watching for who in ("a", "b", "a")] == [1, 2, 2]
    now[0] += 10
    assert here.look("a").watching == 2
    now[0] += 10
    assert here.look("a") == (1.0, 1)
    crowd = [here.look(f"visitor {number}") for number in range(39)]
    assert crowd[3].interval_s == 1
    assert crowd[-1].watching / crowd[-1].interval_s == pytest.approx(watchers.LOOKS_PER_S)


# ---------------------------------------------------------------- the door that a browser asks


def asked(run: Run, **view: str) -> dict[str, Any]:
    from pages.shared.live_link import news

    return json.loads(news(run.id, {"visitor": "someone", **view}))


def test_the_door_answers_with_what_the_page_shows(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = show("monitor", run=run.id, along="time", smoothing="0.5", more="true")
    said = asked(run, x="time", smoothing="0.5", log_y="true", case="blobs, few", dark="false", more="true")
    drawn = {"loss": "Loss", "error": "Gauge-removed", "rate": "Learning rate", "roll": "Error of the roll"}
    for name, words_of_it in drawn.items():
        assert said["charts"][name] == figure(at, words_of_it)
    numbers = said["numbers"] | {label: value for label, value, _ in said["numbers"].pop("values")}
    assert numbers == live_numbers(at)


def test_the_link_of_a_page_asks_for_what_the_visitor_chose(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        at = show("monitor", run=run.id, along="epoch", log="false")
        said = asked(run)
        link = next(e for e in at.get("bidi_component") if e.proto.component_name == "tomoalign_live_link")
        data = json.loads(link.proto.json)
        assert data["active"]
        assert (data["state"], data["epochs"], data["version"]) == (said["state"], said["epochs"], said["version"])
        expected = {"x": "epoch", "smoothing": 0.9, "log_y": False, "case": "blobs, few", "more": False}
        assert expected.items() <= data["view"].items()


def test_charts_are_sent_only_when_there_is_something_new(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        first = asked(run)
        assert first["charts"].keys() == {"loss", "error"}
        assert asked(run, have=first["version"])["charts"] == {}
        st.cache_resource.clear()  # or it would be read again only in half a second
        run.append_metrics(run.metrics("step")[-1] | {"step": 7, "loss": 0.5})
        later = asked(run, have=first["version"])
        assert decoded(later["charts"]["loss"]["data"][0]["y"])[-1] == 0.5


def test_the_door_tells_a_new_state_and_a_new_epoch_at_once(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        before = asked(run)
        another_epoch(run, 4)
        assert asked(run)["epochs"] == before["epochs"] + 1
    assert asked(run)["state"].startswith("interrupted")
    assert before["state"].startswith("running")


def test_the_first_step_is_news_for_the_page_which_has_no_charts_before(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "running")
    lines = (run.path / "metrics.jsonl").rename(run.path / "kept")
    with FileLock(run.path / "alive.lock"):
        assert "first steps are on their way" in words(well(show("monitor", run=run.id)))
        before = asked(run)
        lines.rename(run.path / "metrics.jsonl")
        assert asked(run)["state"] != before["state"]


@pytest.mark.parametrize("view", [{}, {"x": "moon", "smoothing": "much", "case": "none", "have": "§"}])
def test_the_door_takes_any_question(view: dict[str, str], trained: Path, workspace: Path) -> None:
    assert asked(in_state(trained, workspace, "finished"), **view)["charts"].keys() == {"loss", "error"}


@pytest.mark.parametrize("name", ["nowhere", "..", "../runs", "."])
def test_the_door_knows_only_the_runs_of_the_workspace(name: str, trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    shutil.copy(run.path / "config.json", workspace / "config.json")
    shutil.copy(run.path / "config.json", workspace / "runs" / "config.json")

    def answer(name: str) -> int:
        request = {"type": "http", "path_params": {"run": name}, "query_string": b"", "headers": []}
        return live_route().endpoint(Request(request)).status_code

    assert answer(run.id) == 200
    assert answer(name) == 404


def test_with_many_watching_each_is_told_how_often_it_looks(
    trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = in_state(trained, workspace, "running")
    with FileLock(run.path / "alive.lock"):
        assert asked(run)["numbers"]["note"] == ""
        for number in range(14):
            watchers.watchers().look(f"visitor {number}")
        said = asked(run)
        assert (said["interval_s"], said["numbers"]["note"]) == (3.0, "updates every 3.0 s: 15 are watching")
