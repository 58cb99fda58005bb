"""A training is a process with a folder: whatever happens to the process, the folder is true and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tomoalign_core.config import (
    Cnn3dConfig,
    DatasetConfig,
    InputError,
    MisalignConfig,
    NoiseConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.learn import recorder, runs, train
from tomoalign_core.learn.dataset import collate, validation_stacks
from tomoalign_core.learn.models import Estimate
from tomoalign_core.learn.process import run_training
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import cramer_rao_roll

ROOT = Path(__file__).parents[2]
SCAN = ScanConfig(n_views=14, n_rows=24, n_cols=28)


def tiny(**train_values: object) -> RunConfig:
    check = ValidationCase(name="blobs", stacks=1, simulation=SimulationConfig(scan=SCAN))
    settings: dict[str, object] = {
        "epochs": 4,
        "steps_per_epoch": 5,
        "batch": 1,
        "device": "cpu",
        "checkpoint_every": 2,
    }
    return RunConfig(
        name="tiny",
        dataset=DatasetConfig(scan=SCAN, validation=(check,)),
        train=TrainConfig.model_validate(settings | train_values),
    )


def tiny_cnn3d(**train_values: object) -> RunConfig:
    scan = ScanConfig(n_views=32, n_rows=32, n_cols=64)  # cnn3d halves each axis five times
    check = ValidationCase(name="blobs", stacks=1, simulation=SimulationConfig(scan=scan))
    sgd = {"epochs": 2, "batch": 1, "loss": "mse", "optimizer": "sgd", "learning_rate": 1e-3, "device": "cpu"}
    return RunConfig(
        name="cnn",
        dataset=DatasetConfig(scan=scan, fixed=2, validation=(check,)),
        model=Cnn3dConfig(),
        train=TrainConfig.model_validate(sgd | train_values),
    )


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():  # run_training takes the signals of its process
        signal.signal(number, handler)


def uninterrupted(config: RunConfig) -> dict[str, torch.Tensor]:
    run = runs.create_run(config)
    assert run_training(run).state == "finished"
    return torch.load(run.path / "last.pt", weights_only=True)["model"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def started(run: runs.Run) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tomoalign_core", "train", "--resume", str(run.path)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())})


def wait_for(what, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_killed_and_resumed_it_ends_with_the_weights_of_the_uninterrupted_run() -> None:
    config = tiny()
    expected = uninterrupted(config)
    run = runs.create_run(config)
    for kill_after in (3, 9, 16):  # inside an epoch, between checkpoints; each process lives a little further
        process = started(run)
        wait_for(lambda n=kill_after: any(m["step"] >= n for m in run.metrics("step")))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert run.status().state == "interrupted"
    assert run_training(run).state == "finished"
    assert same(torch.load(run.path / "last.pt", weights_only=True)["model"], expected)
    assert [m["step"] for m in run.metrics("step")] == list(range(1, 21))
    assert [m["epoch"] for m in run.metrics("epoch")] == [1, 2, 3, 4] == run.sample_epochs()


def test_sigterm_stops_with_a_checkpoint_and_resume_loses_no_step() -> None:
    config = tiny(epochs=8)
    expected = uninterrupted(config)
    run = runs.create_run(config)
    process = started(run)
    wait_for(lambda: len(run.metrics("step")) > 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    status = run.status()
    assert status.state == "stopped" and "SIGTERM" in status.message
    assert torch.load(run.path / "last.pt", weights_only=True)["step"] == run.metrics("step")[-1]["step"]
    assert run_training(run).state == "finished"
    assert same(torch.load(run.path / "last.pt", weights_only=True)["model"], expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_stopped_in_mixed_precision_it_ends_with_the_weights_of_the_uninterrupted_run(precision: str) -> None:
    config = tiny(precision=precision, epochs=2, steps_per_epoch=3, schedule="cosine")
    expected = uninterrupted(config)
    run = runs.create_run(config)
    for _ in range(2):
        run.request_stop()
        assert run_training(run).state == "stopped"
    assert run_training(run).state == "finished"
    assert same(torch.load(run.path / "last.pt", weights_only=True)["model"], expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_mixed_precision_it_learns_what_it_learns_in_float32(precision: str) -> None:
    def course(config: RunConfig) -> tuple[list[float], dict[str, float]]:
        run = runs.create_run(config)
        assert run_training(run).state == "finished"
        epochs = run.metrics("epoch")
        return [epoch["train"]["loss"] for epoch in epochs], epochs[-1]["cases"]["blobs"]

    mixed, mixed_case = course(tiny(precision=precision, epochs=3))
    full, full_case = course(tiny(epochs=3))
    assert mixed != full
    assert mixed == sorted(mixed, reverse=True)
    assert mixed[-1] == pytest.approx(full[-1], abs=0.2)
    for name in ("rmse_dx_px", "rmse_dy_px"):
        assert mixed_case[name] == pytest.approx(full_case[name], abs=0.02)


def rates_of(**train_values: object) -> list[float]:
    config = tiny(epochs=1, steps_per_epoch=10, learning_rate=1e-3, **train_values)
    model = torch.nn.Linear(1, 1)
    optimizer = train.make_optimizer(config.train, model)
    schedule = train._schedule(config, optimizer, 10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_the_cosine_schedule_rises_evenly_and_falls_to_nothing() -> None:
    rates = rates_of(schedule="cosine", warm_up=0.4)
    assert rates[:5] == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3])
    fall = [1e-3 * 0.5 * (1 + np.cos(np.pi * i / 6)) for i in range(6)]
    assert rates[4:] == pytest.approx(fall)


def test_one_cycle_is_at_its_peak_when_the_warm_up_ends_and_constant_stays() -> None:
    assert int(np.argmax(rates_of(warm_up=0.2))) == 1  # of steps 0 to 9
    assert int(np.argmax(rates_of(warm_up=0.6))) == 5
    assert rates_of(warm_up=0.0)[-1] < 1e-6
    assert rates_of(schedule="constant") == [1e-3] * 10


def test_a_stop_file_stops_at_the_next_batch_and_is_taken_away() -> None:
    run = runs.create_run(tiny())
    run.request_stop()
    status = run_training(run)
    assert status.state == "stopped" and status.step == 1
    assert not (run.path / "stop").exists()
    assert run_training(run).state == "finished"


def test_a_loss_that_is_not_finite_ends_as_failed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    real = train.training_batch

    def poisoned(config, step, size, device):
        batch = real(config, step, size, device)
        return batch._replace(shift=batch.shift * np.nan) if step == 3 else batch

    monkeypatch.setattr(train, "training_batch", poisoned)
    run = runs.create_run(tiny())
    assert run_training(run).state == "failed"
    status = run.status()
    assert status.state == "failed" and "nan at step 4" in status.message and "learning rate" in status.message


def test_a_crash_is_told_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(recorder.Recorder, "on_epoch", broken)
    run = runs.create_run(tiny())
    with pytest.raises(RuntimeError):
        run_training(run)
    assert run.status().state == "failed" and "the disk is full" in run.status().message


def test_bad_data_ends_a_training_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = train.training_batch

    def cut_off(config, step, size, device):
        if step == 3:
            raise InputError("train/00003.h5: is not a whole simulated stack; delete its data set and build it again")
        return real(config, step, size, device)

    monkeypatch.setattr(train, "training_batch", cut_off)
    run = runs.create_run(tiny())
    with pytest.raises(InputError):
        run_training(run)
    status = run.status()
    assert status.state == "failed" and status.message.startswith("ended at step 3: train/00003.h5: is not a whole")
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_wrong_before_the_first_step_ends_at_none() -> None:
    run = runs.create_run(tiny(device="cuda:7"))
    with pytest.raises(InputError):
        run_training(run)
    assert run.status().state == "failed" and run.status().message.startswith("device cuda:7: ")


def test_best_weights_are_those_of_the_best_epoch_and_load_as_a_model() -> None:
    run = runs.create_run(tiny())
    status = run_training(run)
    cases = {e["epoch"]: e["cases"]["blobs"] for e in run.metrics("epoch")}
    scores = {epoch: (case["rmse_dx_px"] * case["rmse_dy_px"]) ** 0.5 for epoch, case in cases.items()}
    assert status.best_epoch == min(scores, key=scores.get)
    assert status.best_rmse_px == pytest.approx(min(scores.values()), rel=1e-4)
    model = load_weights(run.id)
    assert same(load_file(run.path / "best.safetensors"), model.network.state_dict())


def test_tensorboard_scalars_and_samples_are_written() -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = runs.create_run(tiny())
    run_training(run)
    events = EventAccumulator(str(run.path)).Reload()
    assert [e.step for e in events.Scalars("step/loss")] == list(range(1, 21))
    sample = run.sample(4)
    truth, found = sample["blobs/true"], sample["blobs/found"]
    assert truth.shape == found.shape == (14, 2) and sample["blobs/sinogram_after"].shape == (14, 28)


def test_the_profiler_when_asked_leaves_two_traces_of_three_steps_as_the_notebooks() -> None:
    run = runs.create_run(tiny_cnn3d(steps_per_epoch=5, profiler=True))
    run_training(run)
    traces = sorted((run.path / "trace").glob("*.pt.trace.json"), key=lambda path: path.stat().st_mtime_ns)
    steps = [sorted(set(re.findall(r"ProfilerStep#\d+", path.read_text()))) for path in traces]
    # schedule (1, 1, 3, 2): wait for one step, warm up in one, record three; twice
    assert steps == [[f"ProfilerStep#{n}" for n in numbers] for numbers in ((2, 3, 4), (7, 8, 9))]
    assert all("[memory]" in path.read_text() for path in traces)


def test_cnn3d_trains_and_resumes_with_its_dropout_in_step() -> None:
    config = tiny_cnn3d(steps_per_epoch=2)
    expected = uninterrupted(config)
    run = runs.create_run(config)
    run.request_stop()
    assert run_training(run).state == "stopped"
    assert run_training(run).state == "finished"
    assert same(torch.load(run.path / "last.pt", weights_only=True)["model"], expected)


def test_out_of_memory_is_known_on_the_machine_as_on_a_device() -> None:
    with pytest.raises(RuntimeError) as no_room:
        torch.empty(2**60, dtype=torch.uint8)
    assert recorder.is_out_of_memory(no_room.value)
    assert recorder.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not recorder.is_out_of_memory(RuntimeError("shapes do not fit"))


def test_a_sample_holds_the_roll_of_a_network_that_gives_it_in_degrees() -> None:
    turning = SimulationConfig(scan=SCAN, misalign=MisalignConfig(roll_sigma_deg=2))
    dataset = DatasetConfig(scan=SCAN, validation=(ValidationCase(name="blobs", stacks=1, simulation=turning),))
    scan = validation_stacks(dataset, torch.device("cpu"))["blobs"][0]
    truth = collate([scan])
    half = Estimate(0 * truth.shift, roll_rad=truth.roll_rad / 2)
    arrays = recorder.sample_arrays(scan, half)
    assert np.abs(arrays["true_roll_deg"]).max() > 0
    assert arrays["true_roll_deg"] == pytest.approx(np.rad2deg(truth.roll_rad[0].numpy()), rel=1e-5)
    assert arrays["found_roll_deg"] == pytest.approx(arrays["true_roll_deg"] / 2, rel=1e-5)
    assert "found_roll_deg" not in recorder.sample_arrays(scan, Estimate(0 * truth.shift))


def test_a_warm_up_of_a_single_step_divides_by_nothing() -> None:
    settings = RunConfig(train=TrainConfig(epochs=1, steps_per_epoch=5, batch=1, device="cpu"))
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = train.make_optimizer(settings.train, torch.nn.ParameterList([weight]))
    schedule = train._schedule(settings, optimizer, 5)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    assert 0 < optimizer.param_groups[0]["lr"] < settings.train.learning_rate


def test_errors_of_the_roll_are_noted_with_their_bound_and_with_those_of_knowing_nothing() -> None:
    noisy = SimulationConfig(
        scan=SCAN, misalign=MisalignConfig(roll_sigma_deg=1.0), noise=NoiseConfig(gaussian=0.05), seed=3
    )
    cases = (
        ValidationCase(name="noisy", stacks=2, simulation=noisy),
        ValidationCase(name="clean", stacks=1, simulation=SimulationConfig(scan=SCAN)),
    )
    stacks = validation_stacks(DatasetConfig(scan=SCAN, validation=cases), "cpu")
    said = recorder.roll_limits(stacks["noisy"])
    rolls = np.concatenate([s.shifts.roll_deg - s.shifts.roll_deg.mean() for s in stacks["noisy"]])
    views = np.concatenate([cramer_rao_roll(s.clean.numpy(), gaussian=s.gaussian) for s in stacks["noisy"]])
    assert said["label_sigma_roll_deg"] == pytest.approx(np.sqrt(np.mean(rolls**2)))
    assert said["bound_roll_deg"] == pytest.approx(np.sqrt(np.mean(views**2)))
    assert recorder.roll_limits(stacks["clean"])["bound_roll_deg"] == 0


@pytest.mark.parametrize("name", ["tpu", "CPU", "", "meta", "mps", "cuda:"])
def test_a_device_of_another_name_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match=r"no device is called .*; choose auto, cpu, cuda"):
        train.choose_device(name)
