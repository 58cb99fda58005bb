"""The time of a training follows from a run of the same network on the same device, or is not told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomoalign_core.config import CentroidConfig, DatasetConfig, RunConfig, ScanConfig, TrainConfig
from tomoalign_core.learn.forecast import forecast, pace_of
from tomoalign_core.learn.runs import Run, create_run

SMALL = DatasetConfig(scan=ScanConfig(n_views=(20, 40), n_rows=20, n_cols=30))


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))


def config(**train: object) -> RunConfig:
    course = {"epochs": 2, "steps_per_epoch": 50, "batch": 2, "device": "cpu"} | train
    return RunConfig(dataset=SMALL, train=TrainConfig.model_validate(course))


def trained(config: RunConfig, *, steps: int = 0, step_s: float = 1.0) -> Run:
    run = create_run(config)
    status = {"state": "finished", "device": "cpu", "step": steps, "elapsed_s": steps * step_s}
    run.write_status(run.status().model_copy(update=status))
    for step in range(1, steps + 1):
        run.append_metrics({"kind": "step", "step": step, "time_s": 3.0 + step * step_s})
    return run


def test_without_a_run_nothing_is_told() -> None:
    assert forecast(config()) is None
    trained(config(), steps=2)  # two steps tell nothing
    trained(config(seed=1))
    assert forecast(config()) is None


def test_time_grows_with_steps_stacks_and_pixels() -> None:
    run = trained(config(), steps=100, step_s=0.5)
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
    trained(config(), steps=100, step_s=0.5)
    assert forecast(config().changed(model=CentroidConfig(channels=8))) is None
    assert forecast(config(precision="bfloat16")) is None
    assert forecast(config(device="cuda")) is None


def test_the_newest_run_tells_and_a_resolved_device_counts() -> None:
    trained(config(device="auto"), steps=100, step_s=0.5)
    newest = trained(config(device="auto", seed=1), steps=50)
    found = forecast(config())
    assert found is not None and found.run == newest
    assert found.seconds == pytest.approx(100)


def test_a_stop_and_a_busy_moment_do_not_count_and_validation_does() -> None:
    steps, epochs, now = [], [], 0.0
    for step in range(1, 41):
        now += 9.0 if 12 <= step < 20 else 0.25  # the machine has something else to do
        steps.append({"step": step, "time_s": now})
        if step % 10 == 0:
            now += 4.0
            epochs.append({"step": step, "time_s": now})
            now += 3600.0 if step == 20 else 0.0  # stopped overnight
    pace = pace_of(steps, epochs)
    assert pace is not None
    assert (pace.step_s, pace.validation_s) == pytest.approx((0.25, 4.0))


def test_validation_grows_with_epochs_and_not_with_steps() -> None:
    run = trained(config(), steps=100, step_s=0.5)
    for number in (1, 2):
        run.append_metrics({"kind": "epoch", "epoch": number, "step": 50 * number, "time_s": 3.0 + 25 * number + 2.0})
    for changed, seconds in ((config(), 50 + 2 * 2), (config(steps_per_epoch=100), 100 + 2 * 2)):
        found = forecast(changed)
        assert found is not None and found.seconds == pytest.approx(seconds, rel=0.05)
