"""Data set: what a set takes before it is built, the truth about its state after, and a question before it goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from kit import SCAN, by_label, decoded, show, well, words
from streamlit.testing.v1 import AppTest

from tomoalign_core.config import (
    DatasetConfig,
    MisalignConfig,
    NoiseConfig,
    Recipe,
    SimulationConfig,
    ValidationCase,
)
from tomoalign_core.learn import store
from tomoalign_core.learn.presets import like_simulation, preset
from tomoalign_core.learn.room import estimate, in_words
from tomoalign_core.learn.store import BuiltSet, claim, find_set, list_sets

STAGE = MisalignConfig(roll_sigma_deg=1)
CONFIG = DatasetConfig(
    name="tiny set",
    scan=SCAN,
    train=(Recipe(name="noisy", misalign=STAGE, noise=NoiseConfig(gaussian=0.1)),),
    fixed=3,
    validation=(ValidationCase(name="blobs, few", stacks=2, simulation=SimulationConfig(scan=SCAN)),),
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real, tiny, built set."""
    from tomoalign_core.learn.build import build

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path_factory.mktemp("built")))
        one, _ = claim(CONFIG)
        assert build(one).state == "finished"
    return one.path


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[BuiltSet]:
    """The sets that were given a process; here they get none."""
    given: list[BuiltSet] = []
    monkeypatch.setattr(store, "spawn", given.append)
    return given


def in_state(finished: Path, workspace: Path, state: str) -> BuiltSet:
    """A copy of the set in the workspace; without its last stack unless it is finished."""
    one = BuiltSet(workspace / "datasets" / finished.name)
    shutil.copytree(finished, one.path)
    if state != "finished":
        (one.path / "done").unlink()
        one.stack_path(one.names()["blobs, few"][-1]).unlink()
        said = "running" if state == "interrupted" else state
        one.write_status(one.status().model_copy(update={"state": said, "done": 4, "eta_s": 61.0, "items_per_s": 2.0}))
    return one


def labels_of(at: AppTest) -> list[str]:
    """What there is to do, but to go back."""
    return [button.label for button in at.button if button.label != "All data sets"]


def progress_words(at: AppTest) -> str:
    return " ".join(element.proto.text for element in at.get("progress"))


def tables(at: AppTest) -> list[dict[str, list[Any]]]:
    return [frame.value.to_dict("list") for frame in at.dataframe]


def chart_of(at: AppTest, key: str) -> dict[str, Any]:
    """The figure of the chart with that key."""
    return next(json.loads(c.proto.spec) for c in at.get("plotly_chart") if key in c.proto.id)


# ---------------------------------------------------------------- before it is built


def test_a_fixed_set_shows_its_shapes_as_the_notebook_printed_them() -> None:
    at = well(show("dataset", base="notebook"))
    (box,) = [code.value for code in at.code if "entries" in code.value]
    assert " ".join(box.split()) == (
        "entries (120, 2) one entry (2,) its stack (1, 1, 180, 256, 366) its label (1, 360) "
        "training set (96, 2) validation set (24, 2)"
    )
    assert not [code for code in well(show("dataset", base="quick")).code if "entries" in code.value]


def test_an_empty_workspace_says_what_a_built_set_is_for_and_offers_to_build(workspace: Path) -> None:
    at = well(show("dataset"))
    assert "None yet" in words(at) and "Endless" in words(at)
    assert labels_of(at) == ["Build"]
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("name", ["quick", "notebook"])
def test_an_untouched_form_is_the_presets_own_data_set_and_says_what_it_takes(
    name: str, builds: list[BuiltSet]
) -> None:
    at = well(show("dataset", base=name))
    takes = estimate(preset(name).dataset)
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["On disk"] == in_words(takes.disk_bytes)
    assert shown["Stacks"] == str(takes.stacks)
    assert shown["Batch, memory"] == in_words(takes.batch_bytes(preset(name).train.batch))
    assert tables(at)[0]["part"] == [part.name for part in takes.parts]
    assert tables(at)[0]["stacks"] == [part.stacks for part in takes.parts]
    by_label(at.button, "Build").click().run()
    assert [one.id for one in builds] == [preset(name).dataset.key()]


def test_what_is_set_in_the_form_is_what_is_built_and_opened(builds: list[BuiltSet]) -> None:
    at = show("dataset")
    by_label(at.get("button_group"), "Training stacks").set_value("Fixed").run()
    by_label(at.number_input, "How many").set_value(5).run()
    by_label(at.text_input, "Name").set_value("mine").run()
    by_label(at.number_input, "Seed").set_value(3).run()
    by_label(at.number_input, "pillars, 3 % noise").set_value(1).run()
    by_label(at.slider, "Views, from – to").set_value((30, 30)).run()
    well(by_label(at.button, "Build").click().run())
    config = builds[0].config
    assert (config.name, config.fixed, config.seed, config.scan.n_views) == ("mine", 5, 3, 30)
    assert [case.stacks for case in config.validation] == [8, 1]
    assert at.query_params["set"] == config.key()
    assert "queued" in words(at) and "0 of 14 stacks" in progress_words(at)


def test_stacks_like_the_scan_set_on_simulate(builds: list[BuiltSet]) -> None:
    mine = SimulationConfig(scan=SCAN, noise=NoiseConfig(gaussian=0.2), seed=4)
    at = show("dataset")
    at.session_state["simulation"] = mine.to_json(indent=None)
    at.run()
    by_label(at.selectbox, "Begin from").set_value("as set on the Simulate page").run()
    well(by_label(at.button, "Build").click().run())
    assert builds[0].config == like_simulation(mine)
    assert {r.noise for r in builds[0].config.train} == {mine.noise}


def test_simulate_leads_to_a_data_set_of_its_scan(builds: list[BuiltSet]) -> None:
    at = show("simulate", views="24", rows="16", cols="24")
    by_label(at.button, "Make a data set of this").click().run()
    assert by_label(at.selectbox, "Begin from").value == "as set on the Simulate page"
    assert set(tables(well(at))[0]["shape"]) == {"24 × 16 × 24"}


def test_a_set_without_a_name_is_refused() -> None:
    at = show("dataset")
    by_label(at.text_input, "Name").set_value("  ").run()
    assert "the name is empty" in words(well(at))
    assert labels_of(at) == []


def test_a_disk_that_is_too_small_is_said_before_and_refused_after(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import dataset_form

    for module in (store, dataset_form):
        monkeypatch.setattr(module, "free_bytes", lambda _path=None: 1_000_000)
    at = well(show("dataset"))
    assert "The disk has 1 MB free" in words(at)
    by_label(at.button, "Build").click().run()
    assert "make room" in words(well(at))
    assert list_sets() == []


# ---------------------------------------------------------------- while it is built


def test_a_living_build_shows_its_progress_and_can_be_cancelled(finished: Path, workspace: Path) -> None:
    one = in_state(finished, workspace, "running")
    with FileLock(one.path / "alive.lock"):
        at = well(show("dataset", set=one.id))
        assert "running" in words(at)
        shown = {metric.label: metric.value for metric in at.metric}
        assert (shown["Training stacks"], shown["Validation stacks"]) == ("3 of 3", "1 of 2")
        assert progress_words(at) == "4 of 5 stacks · 1 min 1 s left · 2 stacks a second"
        assert labels_of(at) == ["Cancel"]
        by_label(at.button, "Cancel").click().run()
        assert (one.path / "stop").exists()
        assert by_label(at.button, "Cancelling …").disabled


@pytest.mark.parametrize("state", ["interrupted", "stopped", "failed"])
def test_a_build_without_a_process_is_told_and_goes_on_when_asked(
    state: str, finished: Path, workspace: Path, builds: list[BuiltSet]
) -> None:
    one = in_state(finished, workspace, state)
    at = well(show("dataset", set=one.id))
    assert state in words(at) and "4 of 5 stacks" in progress_words(at)
    assert labels_of(at) == ["Resume", "Delete"]
    by_label(at.button, "Resume").click().run()
    assert builds == [one]


def test_the_form_knows_what_was_built_before(
    finished: Path, workspace: Path, builds: list[BuiltSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form stands at the preset; its set is here the finished one."""
    one = in_state(finished, workspace, "finished")
    quick = preset("quick").dataset
    moved = one.path.rename(one.path.with_name(quick.key()))
    (moved / "config.json").write_text(quick.to_json())
    at = well(show("dataset"))
    assert "Built before:" in words(at)
    by_label(at.button, "Open").click().run()
    assert builds == [] and at.query_params["set"] == quick.key()
    by_label(at.button, "All data sets").click().run()
    assert "Built before:" in words(well(at))


# ---------------------------------------------------------------- what is built


def test_an_opened_set_shows_size_split_key_and_the_spread_of_its_shifts(finished: Path, workspace: Path) -> None:
    one = in_state(finished, workspace, "finished")
    at = well(show("dataset", set=one.id))
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown == {"Training stacks": "3", "Validation stacks": "2", "On disk": in_words(one.size_bytes)}
    assert one.id in words(at) and tables(at)[0]["shape"] == ["14 × 24 × 28"] * 2
    bars = chart_of(at, "spread")["data"]
    assert [bar["name"] for bar in bars] == ["dx", "dy", "roll"]
    assert all(sum(decoded(bar["y"])) == 5 * 14 for bar in bars)


def test_a_link_restores_the_stack_that_was_looked_at(finished: Path, workspace: Path) -> None:
    one = in_state(finished, workspace, "finished")
    at = well(show("dataset", set=one.id, part="blobs, few", stack="1", view="5", row="7"))
    truth = chart_of(at, "sample-movement")["data"][0]
    from tomoalign_core.files.simulated import read_truth

    path = one.stack_path("validation/0-blobs-few-001")
    np.testing.assert_allclose(decoded(truth["y"]), read_truth(path)[0].dx_px)
    assert at.slider(key="view").value == 5
    links = {link.proto.label: link.proto.query_string for link in at.get("page_link")}
    assert one.id in links["Train on it"]
    assert "001.h5" in links["Align this stack"] and "Server" in links["Align this stack"]


def test_deleting_asks_first(finished: Path, workspace: Path) -> None:
    one = in_state(finished, workspace, "finished")
    at = well(show("dataset", set=one.id))
    by_label(at.button, "Delete").click().run()
    assert "tiny set" in words(at) and find_set(CONFIG) is not None
    at.button(key="keep").click().run()
    assert find_set(CONFIG) is not None
    at.button(key="delete").click().run()
    at.button(key="delete-now").click().run()
    assert find_set(CONFIG) is None
    assert "None yet" in words(well(at))


def test_the_list_holds_every_set_with_its_state(finished: Path, workspace: Path) -> None:
    one = in_state(finished, workspace, "interrupted")
    listed = tables(well(show("dataset")))[-1]
    assert (listed["name"], listed["state"], listed["key"]) == (["tiny set"], ["interrupted"], [one.id])
    assert (listed["kind"], listed["stacks"]) == (["fixed"], ["3 + 1"])


def test_a_set_that_is_not_there_is_named() -> None:
    assert "no data set nowhere" in words(well(show("dataset", set="nowhere")))


@pytest.mark.parametrize("state", ["finished", "running", "interrupted"])
def test_where_one_may_only_read_nothing_can_be_built_cancelled_or_deleted(
    state: str, finished: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = in_state(finished, workspace, state)
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    with FileLock(one.path / ("alive.lock" if state == "running" else "other.lock")):
        assert labels_of(well(show("dataset", set=one.id))) == []
        assert labels_of(well(show("dataset"))) == []
