"""Every page shows itself without an exception box, in every state of the workspace, and says the truth about it."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from filelock import FileLock
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from tomoalign_core.config import (
    DatasetConfig,
    NoiseConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.files.shifts import read_csv
from tomoalign_core.files.stacks import read_stack, write_stack
from tomoalign_core.learn import runs
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.runs import Run

ROOT = Path(__file__).parents[1]
COLD = PagesManager.__init__
PAGES = ("overview", "simulate", "train", "monitor", "align")
SCAN = ScanConfig(n_views=14, n_rows=24, n_cols=28)
SCAN_OF_SIMULATE = {"views": 20, "rows": 24, "cols": 32}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real, tiny, finished training."""
    from tomoalign_core.learn.recorder import run_training

    check = ValidationCase(
        name="blobs, few", stacks=1, simulation=SimulationConfig(scan=SCAN, noise=NoiseConfig(gaussian=0.1))
    )
    course = TrainConfig(epochs=3, steps_per_epoch=2, batch=1, device="cpu", log_every=1)
    config = RunConfig(name="tiny", dataset=DatasetConfig(scan=SCAN, validation=(check,)), train=course)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path_factory.mktemp("trained")))
        run = runs.create_run(config)
        assert run_training(run).state == "finished"
    for number, handler in handlers.items():  # run_training takes the signals of its process
        signal.signal(number, handler)
    return run.path


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty workspace; no cache remembers another one."""
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield tmp_path
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on which app.py has run before, as Streamlit remembers it; AppTest forgets it before each run."""

    def init(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        PagesManager.uses_pages_directory = False
        COLD(self, *args, **kwargs)

    monkeypatch.setattr(PagesManager, "__init__", init)


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were given a process; here they get none."""
    given: list[Run] = []
    monkeypatch.setattr(runs, "spawn", given.append)
    return given


def in_state(trained: Path, workspace: Path, state: str) -> Run:
    """A copy of the training in the workspace, whose status says ``state``."""
    run = Run(workspace / "runs" / trained.name)
    shutil.copytree(trained, run.path)
    said = "running" if state == "interrupted" else state
    run.write_status(run.status().model_copy(update={"state": said, "eta_s": 61.0, "step": 4, "epoch": 2}))
    return run


def show(page: str, **query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        at.query_params[name] = value
    if page != "overview":
        at.switch_page(f"pages/{page}.py")
    return at.run()


def words(at: AppTest) -> str:
    """All that is written on the page."""
    kinds = ("title", "markdown", "caption", "info", "warning", "error", "metric")
    return "\n".join(str(element.value) for kind in kinds for element in at.get(kind))


def well(at: AppTest) -> AppTest:
    assert [box.value for box in at.exception] == []
    return at


def by_label(elements: Any, label: str) -> Any:
    return next(e for e in elements if e.label == label)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_on_an_empty_workspace(page: str, workspace: Path) -> None:
    at = well(show(page))
    assert len(at.title) == 1
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_deep_link_on_a_cold_server_goes_through_app_py(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagesManager, "__init__", COLD)
    at = well(show(page))
    assert at.sidebar.caption


@pytest.mark.parametrize("state", ["running", "finished", "interrupted", "stopped", "failed"])
@pytest.mark.parametrize("page", ["overview", "train", "monitor", "align"])
def test_every_page_works_with_a_run_in_every_state(page: str, state: str, trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, state)
    if state == "running":
        with FileLock(run.path / "alive.lock"):
            well(show(page))
    else:
        well(show(page))


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
    charts = {}
    for element in at.get("bidi_component"):
        data = json.loads(element.proto.json or "{}")
        if "figure" in data:
            charts[data["alt"].split()[0]] = json.loads(data["figure"])
    assert {"Loss", "Gauge-removed", "Found", "sinogram", "slice"} <= charts.keys()
    raw = next(t for t in charts["Loss"]["data"] if t["name"] == "training, each step")
    assert decoded(raw["y"]) == pytest.approx([m["loss"] for m in run.metrics("step")])
    bound = next(t for t in charts["Gauge-removed"]["data"] if t["name"] == "bound dx")
    assert decoded(bound["y"])[0] == pytest.approx(run.metrics("epoch")[-1]["cases"]["blobs, few"]["bound_dx_px"])


def decoded(values: object) -> list[float]:
    """A column of a figure, which Plotly writes in base64 where it is an array."""
    if isinstance(values, dict):
        import base64

        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).tolist()
    return list(values)  # type: ignore[call-overload]


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


@pytest.mark.parametrize("name", ["quick", "full", "notebook"])
def test_an_untouched_form_trains_the_preset_itself(name: str, spawned: list[Run]) -> None:
    at = show("train", preset=name)
    by_label(at.button, "Start").click().run()
    assert [run.config for run in spawned] == [preset(name)]
    assert at.title[0].value == "Monitor"


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


def test_the_demo_starts_a_real_small_training(spawned: list[Run]) -> None:
    at = show("overview")
    by_label(at.button, "Run the demo").click().run()
    from tomoalign_core.demo import demo_config

    assert [run.config for run in spawned] == [demo_config(10)]


def test_simulate_takes_its_settings_from_the_address_and_tells_the_bound() -> None:
    query = {name: str(value) for name, value in SCAN_OF_SIMULATE.items()}
    at = well(show("simulate", kind="Foam", noise="None", **query))
    assert "exactly" in at.info[0].value
    assert at.slider(key="views").value == 20
    at.segmented_control(key="noise").set_value("gaussian").run()
    assert "No method can do better" in well(at).info[0].value


def test_a_bad_path_is_one_line_and_not_an_exception_box() -> None:
    at = show("align", source="Server file", path="/nowhere/scan.h5")
    at.button(key="align").click().run()
    assert [e.value for e in well(at).error] == ["/nowhere/scan.h5: no such file or folder; give the path of a stack"]


def test_align_finds_the_shifts_of_a_file_and_scores_them(workspace: Path) -> None:
    from tomoalign_core.simulate import simulate

    scan = simulate(SimulationConfig(scan=SCAN, seed=1))
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    at = show("align", source="Server file", path=str(path))
    at.pills(key="methods").set_value(["center-of-mass", "profile-correlation"]).run()
    at.button(key="align").click().run()
    table = well(at).dataframe[0].value
    assert list(table["method"]) == ["centre of mass", "profile correlation"]
    assert table["error dx, px"].between(0, 1).all()
    files = [button.label for button in at.get("download_button")]
    assert files == ["Shifts (CSV)", "Aligned stack (HDF5)"]


def test_what_align_offers_to_save_is_what_it_found(tmp_path: Path) -> None:
    from pages.shared.align_results import _aligned_file, find
    from tomoalign_core.align import undo_shifts
    from tomoalign_core.files.shifts import to_csv
    from tomoalign_core.files.stacks import Stack
    from tomoalign_core.simulate import simulate

    scan = simulate(SimulationConfig(scan=SCAN, seed=1))
    stack = Stack(proj=scan.proj.numpy(), angle_rad=scan.angle_rad, source="here")
    found = find(stack, "centre of mass", method="center-of-mass", model="pretrained")
    found.aligned = undo_shifts(stack.proj, found.shifts)
    (tmp_path / "a.h5").write_bytes(_aligned_file(stack, found)())
    (tmp_path / "a.csv").write_text(to_csv(found.shifts))
    saved = read_stack(tmp_path / "a.h5")
    assert np.array_equal(saved.proj, found.aligned[0])
    assert "center-of-mass" in saved.notes[0]
    assert np.allclose(read_csv(tmp_path / "a.csv").dx_px, found.shifts.dx_px, atol=1e-8)


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
