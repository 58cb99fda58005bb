"""The run folder tells the truth about a training, to any number of readers, however its process ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tomoalign_core.config import InputError, RunConfig, TrainConfig
from tomoalign_core.learn import jobs, runs
from tomoalign_core.learn.jobs import START_GRACE_S, is_held, workspace
from tomoalign_core.learn.runs import Run, Status, claim, create_run, launch, list_runs, open_run, resume

CONFIG = RunConfig(name="test")


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path / "space"))
    return tmp_path / "space"


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that would have been given a process; none is started."""
    started: list[Run] = []
    monkeypatch.setattr(runs, "spawn", started.append)
    return started


@pytest.fixture
def process() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes to be ended with the test."""
    begun: list[subprocess.Popen[str]] = []
    yield begun
    for one in begun:
        one.kill()
        one.communicate()


def holder(run: Run) -> subprocess.Popen[str]:
    """A process that holds the lock of a run, as a training does, until it is killed."""
    code = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(run.path / "alive.lock")]
    one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert one.stdout is not None
    assert one.stdout.readline() == "held\n"
    return one


def in_state(state: str, *, age_s: float = 0.0, config: RunConfig = CONFIG) -> Run:
    run = create_run(config)
    status = Status(state=state, updated=time.time() - age_s, eta_s=12.0)  # type: ignore[arg-type]
    (run.path / "status.json").write_text(status.model_dump_json())
    return run


# ---------------------------------------------------------------- states


def test_new_run_is_queued_and_holds_its_settings():
    run = create_run(CONFIG)
    assert run.status().state == "queued"
    assert run.status().steps == CONFIG.train.epochs * CONFIG.train.steps_per_epoch
    assert run.config == CONFIG
    assert run.id.endswith(f"-test-{CONFIG.key()[:8]}")


def test_running_with_a_held_lock_is_running_and_killed_it_reads_interrupted(process: list[subprocess.Popen[str]]):
    run = in_state("running")
    process.append(holder(run))
    assert run.status().state == "running"
    process[0].kill()
    process[0].wait()
    status = run.status()
    assert status.state == "interrupted"
    assert status.eta_s is None


def test_queued_is_believed_while_its_process_may_still_be_starting():
    assert in_state("queued", age_s=START_GRACE_S / 2).status().state == "queued"
    assert in_state("queued", age_s=START_GRACE_S * 2).status().state == "interrupted"


def test_queued_with_a_held_lock_waits_for_as_long_as_it_takes():
    run = in_state("queued", age_s=1e6)
    with FileLock(run.path / "alive.lock"):
        assert run.status().state == "queued"


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_interrupted(monkeypatch: pytest.MonkeyPatch):
    run = in_state("running")

    def ends_now(_lock: Path) -> bool:
        run.write_status(Status(state="finished"))
        return False

    monkeypatch.setattr(jobs, "is_held", ends_now)
    assert run.status().state == "finished"


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_ends_need_no_process_to_be_true(state: str):
    assert in_state(state, age_s=1e6).status().state == state


@pytest.mark.parametrize("text", ["", '{"state": "runn', '{"state": "flying"}', "[]"])
def test_unreadable_status_reads_interrupted(text: str):
    run = create_run(CONFIG)
    (run.path / "status.json").write_text(text)
    assert run.status().state == "interrupted"
    (run.path / "status.json").unlink()
    assert run.status().state == "interrupted"


def test_looking_at_a_lock_does_not_keep_a_training_from_taking_it(tmp_path: Path):
    lock = tmp_path / "alive.lock"
    assert not is_held(lock)
    lock.touch()
    assert not is_held(lock)
    with FileLock(lock, timeout=0):
        assert is_held(lock)
        assert is_held(lock)
    assert not is_held(lock)


def test_a_run_has_one_process_at_a_time(process: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch):
    run = create_run(CONFIG)
    process.append(holder(run))
    monkeypatch.setattr(jobs, "FileLock", lambda path, timeout: FileLock(path, timeout=0))
    with pytest.raises(InputError, match="another process is at work on it"), run.alive():
        pass


def test_status_is_replaced_whole_and_leaves_nothing_beside_it():
    run = create_run(CONFIG)
    before = set(run.path.iterdir())
    run.write_status(Status(state="failed", message="the loss is nan"))
    assert set(run.path.iterdir()) == before
    assert run.status().message == "the loss is nan"
    assert time.time() - run.status().updated < 60


# ---------------------------------------------------------------- metrics


def test_half_a_line_at_the_end_is_not_read():
    run = create_run(CONFIG)
    run.append_metrics({"kind": "step", "step": 5, "loss": 1.0})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step": 10, "lo')
    assert run.metrics("step") == [{"kind": "step", "step": 5, "loss": 1.0}]


def test_what_follows_a_half_line_starts_on_a_line_of_its_own():
    run = create_run(CONFIG)
    run.append_metrics({"kind": "step", "step": 5})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')
    run.trim_metrics()
    run.append_metrics({"kind": "step", "step": 10})
    assert [line["step"] for line in run.metrics("step")] == [5, 10]


def test_of_two_lines_for_a_step_the_later_wins_and_order_is_kept():
    run = create_run(CONFIG)
    for step, loss in ((5, 3.0), (10, 2.0), (15, 1.5), (10, 2.5), (15, 1.0)):
        run.append_metrics({"kind": "step", "step": step, "loss": loss})
    assert [(line["step"], line["loss"]) for line in run.metrics("step")] == [(5, 3.0), (10, 2.5), (15, 1.0)]


def test_steps_and_epochs_are_kept_apart():
    run = create_run(CONFIG)
    run.append_metrics({"kind": "step", "step": 50, "epoch": 1.0})
    run.append_metrics({"kind": "epoch", "epoch": 1, "step": 50})
    assert [line["kind"] for line in run.metrics("step")] == ["step"]
    assert [line["kind"] for line in run.metrics("epoch")] == ["epoch"]


def test_a_run_that_has_said_nothing_yet_has_no_metrics_and_no_log():
    run = create_run(CONFIG)
    run.trim_metrics()
    assert run.metrics("epoch") == []
    assert run.sample_epochs() == []
    assert run.log_tail() == ""


def test_notes_are_empty_until_written_and_replaced_whole():
    run = create_run(CONFIG)
    assert run.notes() == ""
    before = {path.name for path in run.path.iterdir()}
    for text in ("Erster Versuch: σ zu groß.\n", "second"):
        run.write_notes(text)
        assert run.notes() == text
    assert {path.name for path in run.path.iterdir()} - before == {"notes.md"}


def test_of_a_long_log_only_the_end_is_read():
    run = create_run(CONFIG)
    (run.path / "log.txt").write_text("ä" * 500_000 + "\nlast line")
    assert run.log_tail(3).splitlines()[-1] == "last line"
    assert len(run.log_tail(3)) < 2_000


def test_log_tail_is_its_end():
    run = create_run(CONFIG)
    (run.path / "log.txt").write_text("\n".join(f"line {i}" for i in range(100)))
    assert run.log_tail(2) == "line 98\nline 99"


# ---------------------------------------------------------------- one run for the same settings


def test_nothing_there_is_started(spawned: list[Run]):
    run, outcome = launch(CONFIG)
    assert outcome == "started"
    assert spawned == [run]
    assert list_runs() == [run]


def test_finished_is_opened_and_not_trained_again(spawned: list[Run]):
    done = in_state("finished")
    assert launch(CONFIG) == (done, "opened")
    assert spawned == []


def test_finished_is_trained_again_when_asked(spawned: list[Run]):
    done = in_state("finished")
    run, outcome = launch(CONFIG, again=True)
    assert outcome == "started"
    assert run != done
    assert spawned == [run]


def test_running_is_joined(spawned: list[Run]):
    busy = in_state("running")
    with FileLock(busy.path / "alive.lock"):
        assert launch(CONFIG) == (busy, "joined")
    assert spawned == []


def test_just_queued_is_joined(spawned: list[Run]):
    waiting = in_state("queued")
    assert launch(CONFIG) == (waiting, "joined")
    assert spawned == []


@pytest.mark.parametrize("state", ["stopped", "running"])  # running without a process: interrupted
def test_stopped_and_interrupted_are_resumed_in_their_folder(state: str, spawned: list[Run]):
    run = in_state(state)
    assert launch(CONFIG) == (run, "resumed")
    assert spawned == [run]


def test_failed_starts_anew(spawned: list[Run]):
    broken = in_state("failed")
    run, outcome = launch(CONFIG)
    assert outcome == "started"
    assert run != broken


def test_a_finished_run_is_found_behind_a_newer_one_that_failed(spawned: list[Run]):
    done = in_state("finished")
    broken = in_state("failed")
    assert broken.id > done.id
    assert launch(CONFIG) == (done, "opened")


def test_other_settings_are_another_run_and_another_name_is_not(spawned: list[Run]):
    done = in_state("finished")
    assert claim(CONFIG.changed(name="other")) == (done, "opened")
    assert claim(CONFIG.changed(train=TrainConfig(seed=3)))[1] == "started"


def test_resume_leaves_alone_what_has_a_process_or_an_end(spawned: list[Run]):
    busy, done = in_state("running"), in_state("finished")
    with FileLock(busy.path / "alive.lock"):
        resume(busy)
    resume(done)
    assert spawned == []
    resume(busy)
    assert spawned == [busy]


def test_a_stop_asked_for_before_does_not_end_the_resumed_training(monkeypatch: pytest.MonkeyPatch):
    run = in_state("stopped")
    run.request_stop()
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command))
    runs.spawn(run)
    assert not (run.path / "stop").exists()
    assert run.status().state == "queued"
    assert commands == [[sys.executable, "-m", "tomoalign_core", "train", "--resume", str(run.path)]]


CLAIM = """
import sys
from tomoalign_core.config import RunConfig
from tomoalign_core.learn import jobs, runs
runs.spawn = lambda run: print("spawned", flush=True)
sys.stdin.readline()
run, outcome = runs.launch(RunConfig(name="test"))
print(run.id, outcome)
"""


def test_two_people_who_press_start_together_get_one_run_and_one_process(process: list[subprocess.Popen[str]]):
    for _ in range(2):
        command = [sys.executable, "-c", CLAIM]
        process.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for one in process:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate()[0].split() for one in process]
    assert len(list_runs()) == 1
    assert sum(words.count("spawned") for words in said) == 1
    assert {words[-2] for words in said} == {list_runs()[0].id}
    assert sorted(words[-1] for words in said) == ["joined", "started"]


# ---------------------------------------------------------------- read-only


@pytest.mark.parametrize("door", ["create", "launch", "resume", "stop", "spawn"])
def test_a_read_only_dashboard_refuses_every_door(door: str, spawned: list[Run], monkeypatch: pytest.MonkeyPatch):
    run = create_run(CONFIG)
    before = sorted(path.name for path in run.path.iterdir())
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    doors = {
        "create": lambda: create_run(CONFIG),
        "launch": lambda: launch(CONFIG),
        "resume": lambda: resume(run),
        "stop": run.request_stop,
        "spawn": lambda: run.spawn("train"),
    }
    with pytest.raises(InputError, match="TOMOALIGN_READONLY is set"):
        doors[door]()
    assert spawned == []
    assert list_runs() == [run]
    assert sorted(path.name for path in run.path.iterdir()) == before


@pytest.mark.parametrize("value", ["", "0"])
def test_a_dashboard_is_not_read_only_when_the_variable_says_no(
    value: str, spawned: list[Run], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TOMOALIGN_READONLY", value)
    assert launch(CONFIG)[1] == "started"


# ---------------------------------------------------------------- finding runs


def test_runs_are_listed_newest_first_and_other_folders_are_not_runs(own_workspace: Path):
    assert list_runs() == []
    first, second = create_run(CONFIG), create_run(CONFIG)
    (own_workspace / "runs" / "notes").mkdir()
    assert list_runs() == sorted([first, second], key=lambda run: run.id, reverse=True)
    assert first.path != second.path


def test_a_run_is_opened_by_id_or_by_folder(tmp_path: Path):
    run = create_run(CONFIG)
    assert open_run(run.id).path == run.path.resolve()
    assert open_run(run.path).path == run.path.resolve()
    with pytest.raises(InputError, match="nowhere: no such run"):
        open_run("nowhere")
    with pytest.raises(InputError, match="no such run"):
        open_run(tmp_path)


def test_a_run_is_opened_by_its_name_where_no_other_has_it():
    run = create_run(CONFIG)
    assert open_run("test").path == run.path.resolve()
    create_run(CONFIG)
    with pytest.raises(InputError, match="test: 2 runs have this name; give the id of one"):
        open_run("test")


def test_workspace_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOMOALIGN_WORKSPACE")
    assert workspace() == tmp_path.resolve() / "workspace"
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", "elsewhere")
    assert workspace() == tmp_path.resolve() / "elsewhere"


def test_pages_can_follow_runs_without_loading_torch_or_streamlit():
    code = (
        "import sys, tomoalign_core.learn.runs, tomoalign_core.learn.presets, json;"
        "print(json.dumps([m for m in ('torch', 'streamlit', 'plotly') if m in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert json.loads(result.stdout) == []
