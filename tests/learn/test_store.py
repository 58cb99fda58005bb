"""A built data set is its recipe on disk, whole or resumable, and training on it is training on the recipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from tomoalign_core.config import (
    DatasetConfig,
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    Recipe,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.learn import dataset, jobs, store
from tomoalign_core.learn.build import build
from tomoalign_core.learn.dataset import Batch, training_batch, training_stack, validation_stacks
from tomoalign_core.learn.recipes import SAMPLES
from tomoalign_core.learn.room import estimate
from tomoalign_core.learn.store import BuiltSet, claim, delete_set, find_built, launch_build, list_sets, open_set
from tomoalign_core.learn.train import Training

ROOT = Path(__file__).parents[2]
SCAN = ScanConfig(n_views=12, n_rows=20, n_cols=24)
CHECK = ValidationCase(name="check, 10 % noise", stacks=2, simulation=SimulationConfig(scan=SCAN))
NOISY = Recipe(name="noisy", misalign=MisalignConfig(roll_sigma_deg=1), noise=NoiseConfig(gaussian=(0.01, 0.1)))
FIXED = DatasetConfig(name="some", scan=SCAN, train=(NOISY,), fixed=3, validation=(CHECK,))
ENDLESS = FIXED.changed(fixed=None, name="endless", scan=SCAN.changed(n_views=(8, 12)))


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[BuiltSet]:
    """The sets that were given a process; here they get none."""
    given: list[BuiltSet] = []
    monkeypatch.setattr(store, "spawn", given.append)
    return given


def begun(config: DatasetConfig = FIXED) -> BuiltSet:
    return claim(config)[0]


def built(config: DatasetConfig = FIXED) -> BuiltSet:
    one = begun(config)
    assert build(one).state == "finished"
    return one


def stamps(one: BuiltSet) -> dict[str, tuple[int, bytes]]:
    """When each stack was written, and what is in it."""
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in one.path.glob("*/[0-9]*.h5")}


def outcome_of(config: DatasetConfig) -> str:
    """What pressing Build would do."""
    return claim(config)[1]


def no_simulation(*_args: object, **_kwargs: object) -> None:
    raise AssertionError("a stack was simulated that is on disk")


def equal(one: Batch, two: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


# ---------------------------------------------------------------- building


def test_a_built_set_holds_the_stacks_of_its_recipe_in_files_that_open_anywhere():
    one = built()
    assert one.split == (3, 2)
    assert one.names() == {
        "training": ["train/00000", "train/00001", "train/00002"],
        "check, 10 % noise": ["validation/0-check-10-noise-000", "validation/0-check-10-noise-001"],
    }
    for i, name in enumerate(one.names()["training"]):
        stack, made = read_stack(one.stack_path(name)), training_stack(FIXED, i)
        np.testing.assert_array_equal(stack.proj, made.proj.numpy())
        np.testing.assert_allclose(stack.angle_rad, made.angle_rad, rtol=1e-12)
        assert stack.truth is not None
        np.testing.assert_array_equal(stack.truth.dx_px, made.shifts.dx_px)
    assert one.config == FIXED
    assert list_sets() == [one] and open_set(one.id) == one and open_set(one.path) == one


def test_labels_are_the_true_movements_of_all_stacks_in_their_order():
    labels = built().labels()
    scans = [training_stack(FIXED, i) for i in range(3)] + validation_stacks(FIXED)[CHECK.name]
    assert labels.views.tolist() == [12] * 5
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_array_equal(getattr(labels, name), np.concatenate([getattr(s.shifts, name) for s in scans]))


def test_an_endless_set_keeps_its_validation_stacks_and_some_to_look_at():
    one = built(ENDLESS)
    assert one.split == (SAMPLES, 2)
    shapes = {read_stack(one.stack_path(name)).proj.shape for name in one.names()["training"]}
    assert len(shapes) > 1


def test_a_build_that_was_killed_goes_on_with_the_stacks_it_has():
    one = begun()
    code = (
        "import os, sys\n"
        "from tomoalign_core.learn.build import build\n"
        "from tomoalign_core.learn.store import open_set\n"
        "build(open_set(sys.argv[1]), progress=lambda done, total: done == 2 and os.kill(os.getpid(), 9))"
    )
    command = [sys.executable, "-c", code, str(one.path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert one.status().state == "interrupted"
    assert find_built(FIXED) is None
    before = stamps(one)
    assert len(before) == 2
    half = one.path / "train" / ".00002-abcd.part.h5"
    half.write_bytes(b"half")
    assert outcome_of(FIXED) == "resumed"
    assert build(one).done == 5
    assert {name: stamps(one)[name] for name in before} == before
    assert not half.exists()


def test_a_cancelled_build_keeps_what_it_has_and_can_be_resumed():
    one = begun()

    def cancel(done: int, _total: int) -> None:
        if done == 2:
            one.request_stop()

    status = build(one, progress=cancel)
    assert (status.state, status.done, status.total, status.eta_s) == ("stopped", 2, 5, None)
    assert find_built(FIXED) is None
    before = stamps(one)
    assert len(before) == 2
    assert outcome_of(FIXED) == "resumed"
    assert build(one).state == "finished"
    assert {name: stamps(one)[name] for name in before} == before


def test_ctrl_c_cancels_and_leaves_the_signals_as_they_were():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    status = build(begun(), progress=lambda done, _total: os.kill(os.getpid(), signal.SIGINT) if done == 1 else None)
    assert (status.state, status.done, status.message) == ("stopped", 1, "cancelled by Ctrl-C in its terminal (SIGINT)")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_progress_counts_the_stacks_that_are_there():
    seen: list[tuple[int, int]] = []
    build(begun(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]


def test_a_build_that_fails_says_why_and_goes_on_once_it_can(tmp_path: Path):
    volume = tmp_path / "volume.npy"
    recipe = Recipe(name="voxels", phantom=PhantomConfig(kind="voxels", path=str(volume)))
    one = begun(FIXED.changed(train=(recipe,)))
    with pytest.raises(InputError, match="no such file"):
        build(one)
    assert one.status().state == "failed" and "volume.npy" in one.status().message
    np.save(volume, np.random.default_rng(0).random((16, 16, 16)))
    assert outcome_of(one.config) == "resumed"
    assert build(one).state == "finished"


# ---------------------------------------------------------------- one process, one disk


def test_two_who_press_build_together_get_one_process(spawned: list[BuiltSet]):
    first, outcome = launch_build(FIXED)
    again, joined = launch_build(FIXED.changed(name="another name"))
    assert (outcome, joined) == ("started", "joined")
    assert spawned == [first] and again == first


def test_built_before_is_opened(spawned: list[BuiltSet]):
    one = built()
    assert launch_build(FIXED) == (one, "opened")
    assert spawned == []
    before = stamps(one)
    assert build(one).state == "finished"
    assert stamps(one) == before


def test_a_second_builder_is_refused(monkeypatch: pytest.MonkeyPatch):
    one = begun()
    monkeypatch.setattr(jobs, "FileLock", lambda path, timeout: FileLock(path, timeout=0))
    with FileLock(one.path / "alive.lock"), pytest.raises(InputError, match="another process"):
        build(one)


def test_a_set_the_disk_has_no_room_for_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, own_workspace: Path):
    monkeypatch.setattr(store, "free_bytes", lambda _path=None: 10_000)
    with pytest.raises(InputError, match=r"takes .* kB more and 10 kB are free; make room"):
        launch_build(FIXED)
    assert list_sets() == []


def test_room_counts_what_is_there_already(monkeypatch: pytest.MonkeyPatch):
    one = begun()
    build(one, progress=lambda done, _total: one.request_stop() if done == 4 else None)
    missing = estimate(FIXED).disk_bytes - one.size_bytes
    monkeypatch.setattr(store, "free_bytes", lambda _path=None: missing + 1)
    assert build(one).state == "finished"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_set_that_is_being_built_is_not_deleted(state: str):
    one = begun()
    one.write_status(one.status().model_copy(update={"state": state}))
    with FileLock(one.path / "alive.lock"), pytest.raises(InputError, match="being built; cancel that first"):
        delete_set(one)
    assert list_sets() == [one]


def test_a_deleted_set_leaves_nothing(own_workspace: Path):
    one = built()
    (own_workspace / "datasets" / ".deleted" / "before").mkdir(parents=True)  # a deletion that was killed
    delete_set(one)
    assert list_sets() == [] and find_built(FIXED) is None
    assert [p.name for p in (own_workspace / "datasets").iterdir()] == [".start.lock"]


def test_nothing_is_built_or_deleted_where_one_may_only_read(monkeypatch: pytest.MonkeyPatch, own_workspace: Path):
    one = built()
    before = stamps(one)
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    deeds: list[Any] = [
        lambda: launch_build(ENDLESS),
        lambda: claim(ENDLESS),
        lambda: build(one),
        lambda: delete_set(one),
        one.request_stop,
    ]
    for deed in deeds:
        with pytest.raises(InputError, match="TOMOALIGN_READONLY"):
            deed()
    assert stamps(one) == before and list_sets() == [one]


def test_an_unknown_set_is_named():
    with pytest.raises(InputError, match="nothing: no such data set"):
        open_set("nothing")


# ---------------------------------------------------------------- what it takes


MIXED = FIXED.changed(train=(NOISY, Recipe(name="clean")), fixed=5)
LONG = CHECK.changed(simulation=SimulationConfig(scan=SCAN.changed(n_views=(66, 200)), noise=NoiseConfig(counts=100)))


@pytest.mark.parametrize(
    "config",
    [FIXED, ENDLESS, MIXED, FIXED.changed(train=(Recipe(name="clean"),)), FIXED.changed(validation=(LONG,))],
    ids=["noisy", "endless", "mixed", "clean", "many views"],
)
def test_the_estimate_is_what_a_set_takes_within_two_percent(config: DatasetConfig):
    takes, one = estimate(config), built(config)
    assert takes.disk_bytes == pytest.approx(one.size_bytes, rel=0.02)
    assert takes.stacks == sum(one.split)
    assert {part.name: part.stacks for part in takes.parts} == {k: len(v) for k, v in one.names().items()}
    for part in takes.parts:
        shapes = [read_stack(one.stack_path(name)).proj.shape for name in one.names()[part.name]]
        assert {part.smallest, part.largest} <= set(shapes)


def test_the_memory_of_a_batch_is_that_of_its_stacks():
    takes, batch = estimate(FIXED), training_batch(FIXED, 0, 2)
    assert takes.batch_bytes(2) == batch.proj.nbytes + batch.clean.nbytes


# ---------------------------------------------------------------- learning from it


def test_a_batch_from_disk_is_the_batch_from_the_recipe_bit_for_bit(monkeypatch: pytest.MonkeyPatch):
    simulated = [training_batch(MIXED, step, 2) for step in range(4)]
    checks = validation_stacks(MIXED)
    built(MIXED)
    monkeypatch.setattr(dataset, "make", no_simulation)
    assert all(equal(training_batch(MIXED, step, 2), before) for step, before in enumerate(simulated))
    for case, scans in validation_stacks(MIXED).items():
        for read, made in zip(scans, checks[case], strict=True):
            assert torch.equal(read.proj, made.proj) and torch.equal(read.clean, made.clean)
            assert (read.gaussian, read.counts) == (made.gaussian, made.counts)
            np.testing.assert_array_equal(read.angle_rad, made.angle_rad)


class Notes:
    """A monitor that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.epochs: list[dict[str, Any]] = []

    def on_step(self, _training: Training, record: dict[str, float]) -> None:
        self.steps.append(record)

    def on_epoch(self, _training: Training, record: dict[str, Any], _found: object) -> None:
        self.epochs.append(record)

    def should_stop(self) -> bool:
        return False


def test_a_training_on_a_built_set_is_the_training_on_its_recipe(monkeypatch: pytest.MonkeyPatch):
    course = TrainConfig(epochs=1, steps_per_epoch=2, batch=2, device="cpu")

    def two_steps() -> tuple[dict[str, torch.Tensor], Notes]:
        training, notes = Training(RunConfig(dataset=FIXED, train=course)), Notes()
        assert training.run(notes)
        return training.model.state_dict(), notes

    weights, notes = two_steps()
    built()
    monkeypatch.setattr(dataset, "make", no_simulation)
    again, same = two_steps()
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert (notes.steps, notes.epochs) == (same.steps, same.epochs)
    assert (len(notes.steps), len(notes.epochs)) == (2, 1)


def test_an_endless_training_makes_its_stacks_and_reads_its_validation(monkeypatch: pytest.MonkeyPatch):
    batch = training_batch(ENDLESS, 0, 2)
    built(ENDLESS)
    assert equal(training_batch(ENDLESS, 0, 2), batch)
    monkeypatch.setattr(dataset, "make", no_simulation)
    assert len(validation_stacks(ENDLESS)[CHECK.name]) == 2


def test_a_set_that_is_not_done_is_not_learnt_from():
    one = begun()
    build(one, progress=lambda done, _total: one.request_stop() if done == 4 else None)
    one.stack_path("train/00000").write_bytes(b"never read")
    assert equal(training_batch(FIXED, 0, 3), training_batch(FIXED, 0, 3))


def test_a_set_deleted_under_a_training_is_made_from_its_recipe_again(monkeypatch: pytest.MonkeyPatch):
    batch = training_batch(FIXED, 0, 3)
    one = built()
    found = find_built(FIXED)
    delete_set(one)
    monkeypatch.setattr(dataset, "find_built", lambda _config: found)  # looked up just before it went
    assert equal(training_batch(FIXED, 0, 3), batch)


def test_a_damaged_stack_is_said_in_one_line():
    one = built()
    one.stack_path("train/00001").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"00001\.h5: is not a whole simulated stack .* build it again"):
        training_batch(FIXED, 0, 3)
