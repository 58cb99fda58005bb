"""The time of a training follows from a run of the same network on the same device, or is not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomoalign_core.config import CentroidConfig, DatasetConfig, RunConfig, ScanConfig, TrainConfig
from tomoalign_core.learn.forecast import forecast
from tomoalign_core.learn.runs import Run, create_run

SMALL = DatasetConfig(scan=ScanConfig(n_views=(20, 40), n_rows=20, n_cols=30))


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))


def config(**train: object) -> RunConfig:
    course = {"epochs": 2, "steps_per_epoch": 50, "batch": 2, "device": "cpu"} | train
    return RunConfig(dataset=SMALL, train=TrainConfig.model_validate(course))


def trained(config: RunConfig, **status: object) -> Run:
    run = create_run(config)
    run.write_status(run.status().model_copy(update={"state": "finished", "device": "cpu"} | status))
    return run


def test_without_a_run_nothing_is_told() -> None:
    assert forecast(config()) is None
    trained(config(), step=2, elapsed_s=9.0)  # two steps tell nothing
    trained(config(seed=1))
    assert forecast(config()) is None


def test_time_grows_with_steps_stacks_and_pixels() -> None:
    run = trained(config(), step=100, elapsed_s=50.0)
    same = forecast(config())
    assert same is not None and same.run == run
    assert same.seconds == pytest.approx(50)
    for changed, factor in ((config(epochs=6), 3), (config(steps_per_epoch=25), 0.5), (config(batch=6), 3)):
        found = forecast(changed)
        assert found is not None and found.seconds == pytest.approx(50 * factor)
    wide = DatasetConfig(scan=ScanConfig(n_views=60, n_rows=40, n_cols=30))  # 2 · 2 · 1 of the middle of SMALL
    found = forecast(config().changed(dataset=wide))
    assert found is not None and found.seconds == pytest.approx(200)


def test_only_the_same_network_precision_and_device_tell() -> None:
    trained(config(), step=100, elapsed_s=50.0)
    assert forecast(config().changed(model=CentroidConfig(channels=8))) is None
    assert forecast(config(precision="bfloat16")) is None
    assert forecast(config(device="cuda")) is None


def test_the_newest_run_tells_and_a_resolved_device_counts() -> None:
    trained(config(device="auto"), step=100, elapsed_s=50.0)
    newest = trained(config(device="auto", seed=1), step=50, elapsed_s=50.0)
    found = forecast(config())
    assert found is not None and found.run == newest
    assert found.seconds == pytest.approx(100)
