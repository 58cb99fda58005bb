"""Train starts what stands in its form, and never trains the same twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import streamlit as st
from filelock import FileLock
from kit import by_label, in_state, show, well, words
from streamlit.testing.v1 import AppTest

from pages.shared import train_form
from tomoalign_core.config import CentroidConfig, Cnn3dConfig, InputError, RunConfig, TrainConfig
from tomoalign_core.learn import runs
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.runs import Run
from tomoalign_core.learn.sweep import field_of

STARTERS = {"Start", "Resume", "Train again", "Watch"}


@pytest.fixture(autouse=True)
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough memory, said at once: to reckon it takes longer than all else on the page."""
    from tomoalign_core.learn import describe

    enough = describe.Memory(training_bytes=1, available_bytes=2, total_bytes=2, device="here", way_out="")
    if "memory" not in request.node.name:
        monkeypatch.setattr(describe, "memory_of", lambda _config: enough)


def fields_of(at: AppTest) -> dict[str, object]:
    """The fields of the form, by their keys."""
    kinds = (at.number_input, at.selectbox, at.toggle, at.text_input, at.slider)
    return {element.key: element for kind in kinds for element in kind}


def told(run: Run, **status: object) -> None:
    run.write_status(run.status().model_copy(update=status))


def started_from(at: AppTest) -> None:
    by_label(at.button, "Start").click().run()


@pytest.mark.parametrize("name", ["quick", "full", "notebook"])
def test_an_untouched_form_trains_the_preset_itself(name: str, spawned: list[Run]) -> None:
    at = show("train", preset=name)
    by_label(at.button, "Start").click().run()
    assert [run.config for run in spawned] == [preset(name)]
    assert at.title[0].value == "Monitor"


def test_a_click_counts_though_the_run_that_should_act_on_it_was_cut_short(
    monkeypatch: pytest.MonkeyPatch, spawned: list[Run]
) -> None:
    """As by a field that is left, or a theme that turns, in the moment of the click."""
    at = show("train")
    with monkeypatch.context() as cut:
        cut.setattr(train_form, "training_form", lambda *_: st.stop())
        by_label(at.button, "Start").click().run()
    assert spawned == []
    at.run()
    assert [run.config for run in spawned] == [preset("quick")]
    assert at.title[0].value == "Monitor"


def test_a_click_on_what_cannot_be_started_is_forgotten(monkeypatch: pytest.MonkeyPatch, spawned: list[Run]) -> None:
    def refuse(*_: object) -> None:
        raise InputError("one field is wrong")

    at = show("train")
    with monkeypatch.context() as wrong:
        wrong.setattr(train_form, "training_form", refuse)
        by_label(at.button, "Start").click().run()
        assert "one field is wrong" in at.error[0].value
    at.run()
    assert spawned == [] and at.title[0].value == "Train"


def test_train_opens_what_was_trained_before_instead_of_training_it_again(workspace: Path, spawned: list[Run]) -> None:
    run = runs.create_run(preset("quick"))
    run.write_status(run.status().model_copy(update={"state": "finished"}))
    at = show("train")
    assert "Already trained" in words(at)
    by_label(at.button, "Open").click().run()
    assert spawned == []
    assert len(runs.list_runs()) == 1


def test_train_says_in_one_line_what_cannot_be(spawned: list[Run]) -> None:
    at = show("train")
    by_label(at.text_input, "Name").set_value("no spaces please").run()
    assert len(well(at).error) == 1
    assert "name = 'no spaces please'" in at.error[0].value
    assert not [b for b in at.button if b.label == "Start"]


# ---------------------------------------------------------------- the form and its address


@pytest.mark.parametrize(("network", "config"), [("centroid", CentroidConfig), ("cnn3d", Cnn3dConfig)])
def test_every_setting_of_training_and_network_is_in_the_form_with_the_words_of_the_config(
    network: str, config: type[CentroidConfig] | type[Cnn3dConfig]
) -> None:
    fields = fields_of(show("train", network=network, loss="mse"))
    for part, kind in (("train", TrainConfig), ("model", config)):
        for name in kind.model_fields:
            if name != "name":
                assert fields[name].help == f"{field_of(f'{part}.{name}').description}."
    assert {"name", "network"} <= fields.keys()


FULL = {
    "preset": "full", "name": "mine", "epochs": "3", "steps_per_epoch": "7", "batch": "2", "loss": "smooth-l1",
    "optimizer": "sgd", "learning_rate": "0.00123", "momentum": "0.5", "schedule": "cosine", "warm_up": "0.1",
    "clip": "2.5", "precision": "bfloat16", "seed": "9", "device": "cuda:1", "checkpoint_every": "10", "log_every": "5",
    "profiler": "true", "channels": "24", "maps": "4", "profiles": "5", "head": "16", "search_rows": "6", "passes": "3",
}  # fmt: skip


def test_a_link_restores_the_form(spawned: list[Run]) -> None:
    started_from(well(show("train", **FULL, n_views=["20", "36"], noise_percent=["1", "4"])))
    config, base = spawned[0].config, preset("full")
    of_train = {name: value for name, value in FULL.items() if name in TrainConfig.model_fields}
    assert config.train == TrainConfig.model_validate({**of_train, "weight_decay": base.train.weight_decay})
    of_model = {name: value for name, value in FULL.items() if name in CentroidConfig.model_fields and name != "name"}
    assert config.model == CentroidConfig.model_validate(of_model)
    assert config.name == "mine"
    assert config.dataset.scan == base.dataset.scan.changed(n_views=(20, 36))
    assert {recipe.noise.gaussian for recipe in config.dataset.train} == {(0.01, 0.04)}


def test_a_link_to_the_notebook_s_network_restores_its_fields(spawned: list[Run]) -> None:
    started_from(well(show("train", preset="notebook", force_std="false", all_n_views="64", loss="mse")))
    config, base = spawned[0].config, preset("notebook")
    assert config.model == Cnn3dConfig(force_std=False)
    assert config.dataset.scan == base.dataset.scan.changed(n_views=64)
    assert config.dataset.validation[0].simulation.scan.n_views == 64  # it can be scored on no other size


def test_another_preset_sets_all_fields_anew(spawned: list[Run]) -> None:
    at = show("train")
    at.number_input(key="epochs").set_value(5).run()
    assert "Epochs 11 → **5**" in words(at)
    at.segmented_control(key="preset").set_value("full").run()
    assert "Changed from" not in words(well(at))
    started_from(at)
    assert [run.config for run in spawned] == [preset("full")]


def test_reset_brings_the_beginning_back() -> None:
    at = show("train", epochs="5", channels="24")
    assert "Epochs 11 → **5**" in words(at) and "Channels 16 → **24**" in words(at)
    by_label(at.button, "Reset").click().run()
    assert "Changed from" not in words(well(at))
    assert at.number_input(key="epochs").value == preset("quick").train.epochs


def test_the_form_keeps_what_was_set_while_another_page_was_looked_at() -> None:
    at = show("train")
    at.number_input(key="epochs").set_value(5).run()
    at.switch_page("pages/monitor.py").run()
    at.switch_page("pages/train.py").run()
    assert at.number_input(key="epochs").value == 5


@pytest.mark.parametrize("network", [CentroidConfig(channels=24, passes=2), Cnn3dConfig(force_std=True)])
def test_the_network_that_was_looked_at_on_model_is_the_one_that_is_trained(
    network: CentroidConfig | Cnn3dConfig, spawned: list[Run]
) -> None:
    from pages.shared.model_form import Choice

    started_from(well(show("train", **Choice(config=network, shape=(40, 64, 96), batch=2).query())))
    config = spawned[0].config
    assert (config.model, config.train.batch) == (network, 2)
    if network.name == "cnn3d":
        assert config.dataset.scan.largest_shape() == (40, 64, 96)


# ---------------------------------------------------------------- as another run


def test_a_form_that_begins_as_a_run_keeps_all_of_it_and_tells_what_differs(
    trained: Path, workspace: Path, spawned: list[Run]
) -> None:
    run = in_state(trained, workspace, "finished")
    at = well(show("train", **{"from": run.id}))
    assert "Already trained" in words(at) and "Changed from" not in words(at)
    at.number_input(key="epochs").set_value(9).run()
    assert "Changed from tiny: Epochs 3 → **9**" in words(at)
    started_from(at)
    course = run.config.train.changed(epochs=9)
    assert [run.config for run in spawned] == [run.config.changed(train=course)]


def test_a_link_may_begin_as_a_run_and_name_what_differs(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    at = well(show("train", **{"from": run.id}, epochs="9"))
    assert "Changed from tiny: Epochs 3 → **9**" in words(at)
    by_label(at.button, "Presets").click().run()
    assert at.segmented_control(key="preset").value == "quick"
    assert "Changed from" not in words(well(at))


def test_what_the_address_has_lost_on_the_way_comes_back_with_the_next_change() -> None:
    """A word of the server about the address, written before the browser's last change was known, takes that out."""
    at = show("train", seed="4")
    del at.query_params["seed"]
    at.number_input(key="channels").set_value(20).run()
    assert well(at).number_input(key="seed").value == 4 and dict(at.query_params)["seed"] == "4"


def test_names_that_no_field_stands_for_are_taken_out_of_the_address(trained: Path, workspace: Path) -> None:
    """What the server sends for it is the whole address: so anything that was lost of it is back in the browser."""
    run = in_state(trained, workspace, "finished")
    at = well(show("train", **{"from": run.id}, preset="full", all_n_views="64", epochs="9"))
    assert dict(at.query_params) == {"from": run.id, "epochs": "9"}


def test_a_run_that_is_not_there_is_named_and_the_form_begins_as_a_preset() -> None:
    at = well(show("train", **{"from": "nowhere"}))
    assert "nowhere: no such run" in words(at)
    assert by_label(at.button, "Start")


def test_a_link_names_the_data_set_to_train_on(workspace: Path, spawned: list[Run]) -> None:
    from tomoalign_core.learn.store import claim as begin_set

    wanted = preset("quick").dataset.changed(name="mine", fixed=6)
    built, _ = begin_set(wanted)
    at = well(show("train", dataset=built.id, epochs="4", noise_percent="0"))
    assert "On the data set **mine**" in words(at)
    assert not at.slider  # it is learnt from as it was built: what an address says of other stacks is not heard
    started_from(at)
    assert spawned[0].config.dataset == wanted
    assert spawned[0].config.train.epochs == 4
    at = well(show("train", dataset=built.id, preset="notebook"))
    assert "cnn3d needs one shape" in at.error[0].value
    by_label(at.button, "Leave it").click().run()
    assert "On the data set" not in words(well(at))
    assert not at.error


# ---------------------------------------------------------------- several at once


def test_a_grid_queues_one_run_for_each_combination_and_tells_which_are_trained(spawned: list[Run]) -> None:
    done = runs.create_run(preset("quick").changed(model=CentroidConfig(channels=8)))
    told(done, state="finished")
    at = show("train", grid=["learning_rate", "channels"], try_learning_rate="1e-3 3e-3", try_channels="8, 16")
    table = well(at).dataframe[0].value
    assert list(table["name"]) == ["quick-lr0.001-ch8", "quick-lr0.001-ch16", "quick-lr0.003-ch8", "quick-lr0.003-ch16"]
    assert list(table["state"]) == ["already trained", "new", "new", "new"]
    by_label(at.button, "Queue 3 runs").click().run()
    chosen = {(run.config.train.learning_rate, run.config.model.channels) for run in spawned}
    assert chosen == {(1e-3, 16), (3e-3, 8), (3e-3, 16)}
    assert by_label(at.button, "Nothing left to queue").disabled


def test_a_grid_may_try_both_networks(spawned: list[Run]) -> None:
    at = well(show("train", preset="notebook", grid=["network", "seed"], try_network="cnn3d centroid", try_seed="0, 1"))
    assert list(at.dataframe[0].value["network"]) == ["cnn3d", "cnn3d", "centroid", "centroid"]
    by_label(at.button, "Queue 4 runs").click().run()
    assert [run.config.model.name for run in spawned] == ["cnn3d", "cnn3d", "centroid", "centroid"]


def test_a_grid_says_in_one_line_what_cannot_be(spawned: list[Run]) -> None:
    at = show("train", grid=["channels"], try_channels="16, many")
    assert [error.value for error in well(at).error] == [
        "model.channels: 'many' is not a whole number; write values with commas between them"
    ]
    at.text_input(key="try_channels").set_value("16, 1").run()
    assert "channels = 1" in well(at).error[0].value
    assert by_label(at.button, "Start")  # the form itself is not at fault


# ---------------------------------------------------------------- what is known before the start


def test_the_queue_is_told_beside_start_and_in_the_table(workspace: Path, spawned: list[Run]) -> None:
    trains = runs.create_run(RunConfig(name="first"))
    told(trains, state="running")
    with FileLock(trains.path / "alive.lock"):
        for seed in (1, 2):
            runs.create_run(RunConfig(name=f"waits{seed}", train=TrainConfig(seed=seed)))
        at = well(show("train"))
        assert "1 trains and 2 wait before yours" in words(at)
        table = at.dataframe[0].value
        assert list(zip(table["name"], table["queue"].fillna(0), strict=True)) == [
            ("waits2", 2), ("waits1", 1), ("first", 0),
        ]  # fmt: skip
        assert "place 1 in the queue" in words(show("train", **{"from": runs.list_runs()[1].id}))


def test_the_time_follows_from_a_run_of_the_same_network(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    told(run, step=10, elapsed_s=20.0)
    (run.path / "metrics.jsonl").unlink()
    for step in range(1, 11):
        run.append_metrics({"kind": "step", "step": step, "time_s": 2.0 * step})
    at = show("train", **{"from": run.id}, epochs="30")  # of 2 steps each
    assert "about 2 min, by the usual pace of tiny" in words(at)


def test_too_little_memory_and_a_device_that_is_not_there_are_told_before_the_start() -> None:
    at = show("train", all_n_views="4000", all_n_rows="4000", all_n_cols="4000", preset="notebook", batch="64")
    (warning,) = well(at).warning
    assert warning.value.startswith("This needs about ") and "choose a batch of 1" in warning.value
    at = show("train", device="cuda:99")
    assert "device cuda:99: this machine has" in well(at).warning[0].value
    assert not well(show("train")).warning


# ---------------------------------------------------------------- read-only, deleting


def test_a_read_only_dashboard_shows_the_form_and_starts_nothing(
    trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = in_state(trained, workspace, "finished")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    for query in ({}, {"from": run.id}, {"grid": ["seed"], "try_seed": "0-3"}):
        at = well(show("train", **query))
        assert at.number_input(key="epochs")
        assert "Read-only" in words(at)
        labels = {button.label for button in at.button}
        assert not labels & STARTERS and not any("Queue" in label for label in labels)


def actions() -> None:
    """What stands below the table when all its rows are chosen; AppTest cannot choose rows."""
    import streamlit as st

    from pages.shared.runs_table import _actions, confirm_delete
    from tomoalign_core.learn.runs import list_runs

    chosen = st.session_state.get("runs-to-delete")
    if chosen:
        confirm_delete(chosen)
    else:
        _actions(list_runs())


def test_runs_are_deleted_after_a_question_and_never_under_a_process(trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, "finished")
    busy = runs.create_run(RunConfig(name="busy"))
    told(busy, state="running")
    with FileLock(busy.path / "alive.lock"):
        at = AppTest.from_function(actions).run()
        assert {button.label for button in at.button} == {"Compare", "Delete"}
        at.button(key="delete").click().run()
        assert set(runs.list_runs()) == {run, busy}  # only asked
        assert "tiny" in words(at) and "busy" in words(at)
        at.button(key="delete-sure").click().run()
        assert "is running; stop it before you delete it" in at.error[0].value
    assert runs.list_runs() == [busy]


def test_a_read_only_table_offers_no_delete(trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_state(trained, workspace, "finished")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    assert "Delete" not in {button.label for button in AppTest.from_function(actions).run().button}


def test_a_copied_workspace_keeps_the_dates_of_its_runs(trained: Path, workspace: Path) -> None:
    from pages.shared.runs_table import started

    run = in_state(trained, workspace, "finished")
    os.utime(run.path / "config.json", (0, 0))
    assert f"{started(run):%Y%m%d-%H%M%S}" == run.id[:15]


def test_a_preset_that_is_not_there_is_told_in_one_line() -> None:
    at = well(show("train", preset="nonsense"))
    assert [box.value for box in at.warning if "preset=nonsense" in box.value]
