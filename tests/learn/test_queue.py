"""One training at a time on a device: first come, first served, whoever dies waiting, and without loading torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tomoalign_core.config import InputError, RunConfig, TrainConfig
from tomoalign_core.learn import process, runs
from tomoalign_core.learn.process import wait_for_turn
from tomoalign_core.learn.runs import Run, create_run, delete_run, queue_for, queue_position, resume

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes to be ended with the test."""
    begun: list[subprocess.Popen[bytes]] = []
    yield begun
    for one in begun:
        one.kill()
        one.wait()


def queued(seed: int, device: str = "cpu") -> Run:
    """A run that waits for its process."""
    return create_run(RunConfig(name=f"run{seed}", train=TrainConfig(seed=seed, device=device)))


def say(run: Run, state: str) -> None:
    run.write_status(run.status().model_copy(update={"state": state}))


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


WAITER = """
import os, sys
from pathlib import Path
from tomoalign_core.learn import process
from tomoalign_core.learn.runs import Run
process.LOOK_EVERY_S = 0.02
run = Run(Path(sys.argv[1]))
with run.alive():
    run.write_status(run.status().model_copy(update={"pid": os.getpid()}))
    process.wait_for_turn(run)
    with open(sys.argv[2], "a") as order:
        order.write(run.config.name + " ")
    run.write_status(run.status().model_copy(update={"state": "finished"}))
"""


def waiter(run: Run, order: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WAITER, str(run.path), str(order)], cwd=ROOT)


def test_first_come_is_first_served_and_a_killed_waiter_keeps_nobody(
    tmp_path: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    order = tmp_path / "order.txt"
    trains = queued(0)
    say(trains, "running")
    with FileLock(trains.path / "alive.lock"):
        waiting = [queued(seed) for seed in (1, 2, 3, 4)]
        for run in reversed(waiting):  # whose process is up first does not matter
            processes.append(waiter(run, order))
        wait_for(lambda: all(run.status().message for run in waiting))
        assert [run.status().message for run in waiting] == [f"waiting for cpu, {n} before it" for n in (1, 2, 3, 4)]
        assert [queue_position(run) for run in (trains, *waiting)] == [None, 1, 2, 3, 4]
        second = processes[-2]
        second.send_signal(signal.SIGKILL)
        second.wait()
        assert waiting[1].status().state == "interrupted"
        assert [queue_position(run) for run in waiting] == [1, None, 2, 3]
        assert not order.exists()
        say(trains, "finished")
    for one in processes:
        one.wait(timeout=60)
    assert order.read_text().split() == ["run1", "run3", "run4"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads from /proc what a process has loaded")
def test_a_training_that_waits_has_not_loaded_torch_and_can_be_stopped(
    processes: list[subprocess.Popen[bytes]],
) -> None:
    trains = queued(0)
    say(trains, "running")
    with FileLock(trains.path / "alive.lock"):
        run = queued(1)
        command = [sys.executable, "-m", "tomoalign_core", "train", "--resume", str(run.path)]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=os.environ))
        wait_for(lambda: run.status().message != "")
        assert run.status().message == "waiting for cpu, 1 before it"
        assert run.status().pid == processes[0].pid
        libraries = Path(f"/proc/{processes[0].pid}/maps").read_text()
        assert "pydantic" in libraries
        assert "torch" not in libraries
        run.request_stop()
        assert processes[0].wait(timeout=60) == 0
    assert (run.status().state, run.status().message) == ("stopped", "stopped while it waited")
    assert not (run.path / "stop").exists()


def test_a_run_that_was_resumed_stands_behind_those_that_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_more: None)
    first, second = queued(1), queued(2)
    assert [queue_position(run) for run in (first, second)] == [1, 2]
    say(first, "stopped")
    resume(first)
    assert [queue_position(run) for run in (first, second)] == [2, 1]


def test_nobody_waits_for_a_run_that_has_gone_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, mine = queued(1), queued(2)
    with mine.alive():

        def stopped_and_resumed_between_two_looks(_seconds: float) -> None:
            first.write_status(first.status().model_copy(update={"queued_at": time.time()}))

        monkeypatch.setattr(process.time, "sleep", stopped_and_resumed_between_two_looks)
        assert wait_for_turn(mine)


def test_devices_have_queues_of_their_own_but_for_one_under_two_names() -> None:
    cpu, gpu = queued(1, "cpu"), queued(2, "cuda:1")
    assert [run.id for run, _ in queue_for("cpu")] == [cpu.id]
    assert queue_position(gpu) == 1
    auto = queued(3, "auto")
    auto.write_status(auto.status().model_copy(update={"device": "cpu"}))  # it has found out
    assert [run.id for run, _ in queue_for("cpu")] == [cpu.id, auto.id]


def test_a_killed_waiter_reads_interrupted_at_once() -> None:
    run = queued(1)
    assert run.status().state == "queued"  # no process has said a word yet: it may be starting
    run.write_status(run.status().model_copy(update={"pid": 1}))
    assert run.status().state == "interrupted"


# ---------------------------------------------------------------- deleting


def test_a_deleted_run_is_gone_whole(own_workspace: Path) -> None:
    run, other = queued(1), queued(2)
    say(run, "finished")
    (own_workspace / "runs" / ".deleted" / "left").mkdir(parents=True)  # by one that was killed while it deleted
    delete_run(run)
    assert runs.list_runs() == [other]
    assert sorted(path.name for path in (own_workspace / "runs").iterdir()) == [".start.lock", other.id]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_with_a_process_cannot_be_deleted(state: str) -> None:
    run = queued(1)
    say(run, state)
    with FileLock(run.path / "alive.lock"), pytest.raises(InputError, match=f"is {state}; stop it before"):
        delete_run(run)
    assert runs.list_runs() == [run]


def test_a_read_only_dashboard_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = queued(1)
    say(run, "finished")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    with pytest.raises(InputError, match="TOMOALIGN_READONLY"):
        delete_run(run)
    assert runs.list_runs() == [run]
