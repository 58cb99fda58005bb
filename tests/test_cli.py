"""The command line: what it leaves behind, and one clear line for every fault of the input."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from odd_stacks import EMPTY, NOISE, odd_stack, rolling_far, weights_of_larger_stacks

from tomoalign_core import align, cli, doctor, progress
from tomoalign_core.config import (
    Cnn3dConfig,
    DatasetConfig,
    InputError,
    NoiseConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.files.shifts import read_csv
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.learn.runs import open_run
from tomoalign_core.metrics import scan_bound, scan_roll_bound, score_shifts
from tomoalign_core.samples import sample
from tomoalign_core.simulate import simulate

ROOT = Path(__file__).parents[1]
SMALL = ("--views", "24", "--rows", "32", "--cols", "40", "--seed", "3")


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path / "workspace"))


def run(*words: object) -> int:
    """The exit code of the command line in this process."""
    old = sys.argv
    sys.argv = ["tomoalign_core", *map(str, words)]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = old
    raise AssertionError("main always exits")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.h5"
    assert run("simulate", path, *SMALL, "--noise", 0.02) == 0
    return path


def test_simulate_writes_a_stack_with_its_truth(scan: Path) -> None:
    stack = read_stack(scan)
    assert stack.proj.shape == (24, 32, 40)
    assert stack.truth is not None and np.std(stack.truth.dx_px) > 2


def test_simulate_begins_as_a_sample_of_the_page(tmp_path: Path) -> None:
    assert run("simulate", tmp_path / "pillar.h5", *SMALL, "--sample", "pillar") == 0
    with h5py.File(tmp_path / "pillar.h5") as file:
        config = SimulationConfig.from_json(file["/tomoalign"].attrs["config"])
    assert config.changed(scan=sample("pillar").scan, seed=sample("pillar").seed) == sample("pillar")
    assert config.scan.n_views == 24


def test_align_writes_shifts_and_an_aligned_stack(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "s.csv", tmp_path / "aligned.h5"
    assert run("align", scan, "--shifts", table, "--out", out, "--method", "center-of-mass") == 0
    assert len(read_csv(table)) == 24
    with h5py.File(out) as file:
        assert file["/exchange/data"].shape == (24, 32, 40)
        assert "center-of-mass" in str(file["/tomoalign"].attrs["model"])
    assert "gauge removed" in capsys.readouterr().out


def test_align_tells_the_bound_beside_the_error_where_the_settings_are_in_the_file(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("align", scan, "--shifts", tmp_path / "s.csv", "--method", "center-of-mass") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "Cramér-Rao" in line)
    with h5py.File(scan) as file:
        config = SimulationConfig.from_json(file["/tomoalign"].attrs["config"])
    clean = simulate(config.changed(noise=NoiseConfig())).proj
    dx, dy = scan_bound(clean, gaussian=0.02, counts=None)
    assert f"dx {dx:.3f} px, dy {dy:.3f} px; the errors are " in line
    table, truth = read_csv(tmp_path / "s.csv"), read_stack(scan).truth
    assert truth is not None
    assert f"the errors are {score_shifts(table, truth).dx_rmse_px / dx:.2f} and " in line
    assert "roll" not in line  # it does not


def test_align_tells_the_bound_of_a_roll_where_the_stage_rolls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ("--views", 24, "--rows", 32, "--cols", 40, "--noise", 0.02, "--roll-sigma", 1)
    assert run("simulate", tmp_path / "rolling.h5", *size) == 0
    assert run("align", tmp_path / "rolling.h5", "--shifts", tmp_path / "s.csv", "--method", "center-of-mass") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "Cramér-Rao" in line)
    with h5py.File(tmp_path / "rolling.h5") as file:
        config = SimulationConfig.from_json(file["/tomoalign"].attrs["config"])
    clean = simulate(config.changed(noise=NoiseConfig())).proj
    truth = read_stack(tmp_path / "rolling.h5").truth
    assert truth is not None
    bound = scan_roll_bound(clean, gaussian=0.02, counts=None)
    times = score_shifts(read_csv(tmp_path / "s.csv"), truth).roll_rmse_deg / bound
    assert f"roll {bound:.2f}°; the errors are" in line and f"roll {times:.2f} times that" in line


def test_a_phantom_of_voxels_asks_for_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", tmp_path / "s.h5", "--phantom", "voxels") == 2
    assert "give it by --volume" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_would_change_nothing_about_a_scan_that_is_moved_is_refused_and_a_truth_of_its_own_is_told(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved.h5"
    assert run("simulate", moved, "--scan", scan, "--noise", 0.5, "--phantom", "foam") == 2
    assert "--scan brings views of its own; leave out --phantom, --noise" in capsys.readouterr().err
    assert not moved.exists()
    assert run("simulate", moved, "--scan", scan) == 0
    assert "is misaligned itself, by known shifts" in capsys.readouterr().out


def test_a_refinement_tells_its_rounds_as_they_come_beside_what_it_says_in_the_end(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for method in ("network", "network+refine"):
        assert run("align", scan, "--shifts", tmp_path / "s.csv", "--method", method) == 0
        said[method] = capsys.readouterr()
    assert said["network"].err == ""
    start, *rounds, end = said["network+refine"].err.splitlines()
    assert start.startswith("the network has answered, held-out residual 0.")
    assert end.startswith(("refined: round ", "refined: no round "))
    assert 1 <= len(rounds) <= 6
    for number, line in enumerate(rounds, 1):
        assert line.startswith(f"round {number} of at most 6, held-out residual 0.")
    assert "round" not in said["network+refine"].out
    lines = [captured.out.splitlines() for captured in said.values()]
    assert len(lines[0]) == len(lines[1])


def test_align_judges_by_the_residual_where_there_is_no_truth_and_stands_a_lying_axis_up(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = read_stack(scan)
    np.savez(tmp_path / "e.npz", proj=stack.proj.swapaxes(1, 2), angles_deg=np.rad2deg(stack.angle_rad))
    said = []
    for axis in ("horizontal", "vertical"):
        options = ("--tilt-axis", axis, "--method", "center-of-mass", "--out", tmp_path / "out.h5")
        assert run("align", tmp_path / "e.npz", "--shifts", tmp_path / f"{axis}.csv", *options) == 0
        said.append(capsys.readouterr().out)
        with h5py.File(tmp_path / "out.h5") as file:
            column = file["/tomoalign"].attrs["rotation_axis_px"]
        assert f"rotation axis of the aligned stack: column {column:.2f}," in said[-1]
    residuals = [float(text.split(" as it was, ")[1].split()[0]) for text in said]
    assert residuals[0] < residuals[1]  # about the wrong axis, nothing fits together
    upright = read_csv(tmp_path / "horizontal.csv")
    assert score_shifts(upright, stack.truth).dx_rmse_px < 0.5  # type: ignore[arg-type]
    assert run("align", tmp_path / "e.npz", "--shifts", tmp_path / "x.csv", "--tilt-axis", "slanted") == 2
    capsys.readouterr()
    for command in (("report", "--out", tmp_path / "r.html", "--shifts"), ("bench", "scan", "--reference")):
        *words, option = command
        at = 1 if words[0] == "report" else 2
        words.insert(at, tmp_path / "e.npz")
        assert run(*words, option, tmp_path / "horizontal.csv") == 2
        assert "horizontal.csv: is of transposed views" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["network", "center-of-mass"])
def test_views_that_cannot_be_aligned_are_told_with_the_reason_and_marked_in_the_table(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("align", odd_stack(tmp_path / "s.h5"), "--shifts", tmp_path / "s.csv", "--method", method) == 0
    found = read_csv(tmp_path / "s.csv")
    assert np.flatnonzero(~found.used).tolist() == [EMPTY, NOISE]
    assert all(found.reason[~found.used]) and not any(found.reason[found.used])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "left out, counted from 0" in line)
    assert line.startswith("2 of 24 views are left out")
    for view in (EMPTY, NOISE):
        assert f"{view} ({found.reason[view]})" in line


def test_nothing_is_said_of_views_left_out_where_all_are_used(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("align", scan, "--shifts", tmp_path / "s.csv", "--method", "center-of-mass") == 0
    assert "left out" not in capsys.readouterr().out


def test_what_a_network_did_not_learn_from_is_told_before_it_runs_and_of_no_other_method(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("it ran")

    monkeypatch.setattr(align, "find_shifts", refuse)
    model, said = weights_of_larger_stacks(tmp_path / "w.safetensors"), {}
    for method in ("network", "network+refine", "center-of-mass"):
        assert run("align", scan, "--shifts", tmp_path / "s.csv", "--method", method, "--model", model) == 2
        said[method] = capsys.readouterr().out
    assert "note: outside what the network learned from: size: 24 views of 32 × 40 px" in said["network"]
    assert said["network+refine"] == said["network"]
    assert "learned from" not in said["center-of-mass"]


def test_a_tilted_axis_is_simulated_found_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack, table = tmp_path / "tilted.h5", tmp_path / "s.csv"
    size = ("--views", 30, "--rows", 48, "--cols", 64, "--noise", 0.02)
    assert run("simulate", stack, *size, "--axis-tilt", -3) == 0
    np.testing.assert_array_equal(read_stack(stack).truth.roll_deg, -3)
    assert run("align", stack, "--shifts", table, "--out", tmp_path / "upright.h5") == 0
    said = capsys.readouterr().out
    tilt = re.search(r"the rotation axis is tilted by (\d\.\d\d)° counterclockwise, the roll of all views", said)
    assert tilt and float(tilt[1]) == pytest.approx(3, abs=0.15)
    assert re.search(r"roll 0.00° rms, the tilt of the axis off by 0\.[01]\d° \(worst view", said)
    # the aligned stack is upright: nothing is left to be found
    assert run("align", tmp_path / "upright.h5", "--shifts", table) == 0
    assert abs(read_csv(table).axis_tilt_deg) < 0.1
    assert run("simulate", stack, "--axis-tilt", 95) == 2
    assert "--axis-tilt 95" in capsys.readouterr().err


def test_whether_a_file_can_be_written_is_asked_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, table = tmp_path / "scan.h5", tmp_path / "s.csv"
    assert run("simulate", stack, "--views", 10, "--rows", 16, "--cols", 16) == 0
    monkeypatch.setattr("tomoalign_core.align.find_shifts", lambda *_, **__: pytest.fail("nothing may be aligned yet"))
    assert run("align", stack, "--shifts", table, "--out", tmp_path / (300 * "a" + ".h5")) == 2
    assert "cannot be written: File name too long" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]


def test_a_tilt_of_the_axis_that_is_known_is_where_a_network_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, table = tmp_path / "tilted.h5", tmp_path / "s.csv"
    size = ("--views", 30, "--rows", 64, "--cols", 64, "--noise", 0.02)
    assert run("simulate", stack, *size, "--axis-tilt", 45) == 0
    assert run("align", stack, "--shifts", table, "--axis-tilt", 40) == 0
    assert read_csv(table).axis_tilt_deg == pytest.approx(45, abs=0.25)
    assert run("align", stack, "--shifts", table, "--axis-tilt", 5, "--method", "center-of-mass") == 2
    assert "--axis-tilt 5 is for a network, and center-of-mass looks for none" in capsys.readouterr().err
    for odd in (95, "nan"):
        assert run("align", stack, "--shifts", table, "--axis-tilt", odd) == 2
        assert f"--axis-tilt {odd} is outside -90 to 90 degrees" in capsys.readouterr().err


def test_rolls_far_beyond_those_learned_from_are_told_after_the_network_has_run(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(align, "find_shifts", lambda _, angle_rad, **__: rolling_far(angle_rad))
    said = {}
    for method in ("network", "center-of-mass"):
        assert run("align", scan, "--shifts", tmp_path / "s.csv", "--method", method) == 0
        said[method] = capsys.readouterr().out
    assert "note: outside what the network learned from: rolls: views seem to turn by 15° (rms)" in said["network"]
    assert "learned from" not in said["center-of-mass"]


def test_a_real_scan_can_be_misaligned_by_a_known_amount(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved.h5"
    assert run("simulate", moved, "--scan", scan, "--dx-sigma", 3, "--dy-sigma", 1) == 0
    truth = read_stack(moved).truth
    assert truth is not None and 1.5 < np.std(truth.dx_px) < 5
    assert not np.allclose(read_stack(moved).proj, read_stack(scan).proj)
    assert run("align", moved, "--shifts", tmp_path / "s.csv", "--method", "center-of-mass") == 0
    assert "no Cramér-Rao bound can be told" in capsys.readouterr().out


def test_doctor_names_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    said = capsys.readouterr().out
    assert "torch" in said and "cores" in said


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.15.2", "torch; tomopy 1.15.2 available"),
        (None, "torch; tomopy not installed (optional: conda install -c conda-forge tomopy)"),
    ],
)
def test_doctor_says_which_engine_is_in_use(version: str | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoalign_core.engines.tomopy_version", lambda: version)
    assert doctor.findings()["engine"].startswith(words)


def bad_stack(tmp_path: Path, what: str) -> tuple[Path, list[str]]:
    """A file with one fault, and further options."""
    proj = np.random.default_rng(0).random((12, 16, 20)).astype(np.float32)
    angles = np.linspace(0, 165, 12)
    path = tmp_path / f"{what}.npz"
    options: list[str] = []
    if what == "missing":
        return tmp_path / "nothing.h5", options
    if what == "one-view":
        proj, angles = proj[:1], angles[:1]
    if what == "shape":
        proj = proj[0]
    if what == "angle-count":
        angles = angles[:-2]
    if what == "nan":
        proj[3:, 2, 2:] = np.nan
    if what == "infinite":
        proj[3:, 2, 2:] = np.inf
    if what == "zero-views":
        proj[:] = 0
    np.savez(path, proj=proj, angles_deg=angles)
    if what == "text":
        lines = tmp_path / "angles.txt"
        lines.write_text("0\n15\nthirty\n")
        options = ["--angles", str(lines)]
    if what == "no-data-path":
        path = path.with_suffix(".h5")
        with h5py.File(path, "w") as file:
            file["/somewhere/else"] = proj
    return path, options


FAULTS = {
    "missing": "no such file",
    "one-view": "one view",
    "shape": "expected three axes",
    "angle-count": "12 views but 10 angles",
    "nan": "NaN or infinite, the first in view 3",
    "infinite": "NaN or infinite, the first in view 3",
    "zero-views": "all views are the same everywhere",
    "text": "thirty",
    "no-data-path": "/somewhere/else",
}


@pytest.mark.parametrize(("what", "words"), FAULTS.items())
def test_a_bad_stack_is_one_line_exit_2_and_nothing_written(
    what: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, options = bad_stack(tmp_path, what)
    table, out = tmp_path / "s.csv", tmp_path / "out.h5"
    assert run("align", path, "--shifts", table, "--out", out, "--method", "center-of-mass", *options) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and words in said
    assert not table.exists() and not out.exists()


def test_a_model_for_a_method_that_asks_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", tmp_path / "s.h5", "--views", 20) == 0
    words = (
        "align",
        tmp_path / "s.h5",
        "--shifts",
        tmp_path / "s.csv",
        "--method",
        "center-of-mass",
        "--model",
        "mine",
    )
    assert run(*words) == 2
    assert "center-of-mass asks none; leave it out" in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def test_a_scan_that_was_aligned_as_it_was_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", tmp_path / "s.h5", "--views", 40, "--dx-sigma", 0, "--dy-sigma", 0, "--noise", 0.05) == 0
    stack = read_stack(tmp_path / "s.h5")
    np.savez(tmp_path / "still.npz", proj=stack.proj, angles_deg=np.rad2deg(stack.angle_rad))
    assert run("align", tmp_path / "still.npz", "--shifts", tmp_path / "s.csv") == 0
    assert "nothing was gained" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("align", "s.h5", "--shifts", "t.csv", "--out", "s.h5"),
        ("align", "s.h5", "--shifts", "../here/s.h5"),
        ("simulate", "s.h5", "--scan", "s.h5"),
        ("report", "s.h5", "--out", "s.h5"),
        ("bench", "scan", "s.h5", "--json", "s.h5"),
        ("align", "s.h5", "--shifts", "t.csv", "--out", "t.csv"),
    ],
)
def test_nothing_is_written_over_what_is_read(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "s.h5").write_bytes(b"my only scan")
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert "would be written over" in said and said.count("\n") == 1
    assert (here / "s.h5").read_bytes() == b"my only scan" and list(here.iterdir()) == [here / "s.h5"]


def test_a_name_says_what_is_written_and_a_method_is_known_before_the_stack_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, missing = tmp_path / "t.csv", tmp_path / "nothing.h5"
    for options, said in (
        (("--shifts", table, "--out", tmp_path / "a.tif"), "ends in .h5 or"),
        (("--shifts", tmp_path / "t.npz"), "ends in .csv or .txt"),
        (("--shifts", table, "--method", "magic"), "no method is called 'magic'"),
        (("--shifts", table, "--model", tmp_path / "none.safetensors"), "no such model"),
    ):
        assert run("align", missing, *options) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "--preset", "huge"), "quick, full, notebook"),
        (("build", "--resume", "nobody"), "no such data set"),
        (("build", "--config", "nothing.json"), "no such configuration"),
        (("build", "--preset", "quick", "--resume", "x"), "exclude each other"),
        (("build", "--fixed", "0"), "--fixed 0: "),
        (("build", "--preset", "notebook", "--fixed", "100000000"), "make room"),
        (("train", "--epochs", "many"), "--epochs"),
        (("train", "--preset", "huge"), "quick, full, notebook"),
        (("train", "--preset", "quick", "--epochs", "0"), "--epochs 0: "),
        (("train", "--resume", "nobody"), "no such run"),
        (("train", "--config", "nothing.json"), "no such configuration"),
        (("train", "--preset", "quick", "--config", "x.json"), "exclude each other"),
        (("train", "--preset", "quick", "--device", "cuda:99"), "device cuda:99"),
        (("bench", "accuracy", "--device", "tpu"), "no device is called 'tpu'; choose auto, cpu, cuda"),
        (("train", "--scale", "0.25"), "need --preset notebook"),
        (("train", "--preset", "quick", "--notebook-noise"), "need --preset notebook"),
        (("train", "--preset", "notebook", "--scale", "0"), "scale 0: give more than 0"),
        (("train", "--preset", "notebook", "--engine", "astra"), "--engine astra: choose one of torch, tomopy"),
        (("simulate", "out.h5", "--engine", "astra"), "--engine astra: "),
        (("train", "--preset", "quick", "--precision", "half"), "--precision half: "),
        (("train", "--grid", "train.speed=1,2"), "train.speed: there is no such setting"),
        (("train", "--grid", "train.batch"), "write SETTING=VALUE,VALUE"),
        (("train", "--grid", "train.batch=2", "--resume", "x"), "give one of them"),
        (("simulate", "out.h5", "--noise", "-1"), "--noise -1.0: "),
        (("simulate", "out.h5", "--views", "1"), "--views 1: "),
        (("simulate", "out.h5", "--drift", "nan"), "--drift nan: "),
        (("simulate", "out.h5", "--jumps", "1000"), "--jumps 1000: "),
        (("simulate", "out.h5", "--volume", "nothing.npy"), "no such file"),
        (("simulate", "out.h5", "--sample", "hard"), "no sample is called 'hard'"),
        (("simulate", "out.h5", "--phantom", "voxels"), "--phantom voxels: "),
        (("simulate", "out.h5", "--dx-sigma", "1", "--dy-sigma", "-1"), "error: --dy-sigma -1.0: "),
        (("simulate", "out.h5", "other.h5"), "(other.h5). Try --help."),
        (("align",), "'stack'. Try --help."),
        (("align", "x.h5"), "--shifts"),
        (("fly",), "'fly'. Try --help."),
    ],
)
def test_bad_words_are_one_line_and_exit_2(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert not (tmp_path / "out.h5").exists()
    assert not list((tmp_path / "workspace").glob("*/*/"))


def test_build_makes_a_set_once_and_reads_its_settings_from_a_run_or_a_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ScanConfig(n_views=8, n_rows=16, n_cols=20)
    check = ValidationCase(name="check", stacks=1, simulation=SimulationConfig(scan=tiny))
    settings = RunConfig(dataset=DatasetConfig(name="the dataset", scan=tiny, fixed=2, validation=(check,)))
    for name, part in (("run", settings), ("set", settings.dataset)):
        (tmp_path / f"{name}.json").write_text(part.to_json())
    assert run("build", "--config", tmp_path / "run.json") == 0
    said = capsys.readouterr().out
    assert "3 stacks" in said and "2 training and 1 validation stacks" in said
    folder = tmp_path / "workspace" / "datasets" / settings.dataset.key()
    assert len(list(folder.glob("*/*.h5"))) == 3
    for words in (("--config", tmp_path / "set.json"), ("--config", tmp_path / "run.json", "--name", "other")):
        assert run("build", *words) == 0
        assert "built before, the dataset" in capsys.readouterr().out
    assert run("build", "--resume", folder.name) == 0
    assert run("build", "--config", tmp_path / "set.json", "--fixed", 1) == 0
    assert len(list(folder.parent.glob("*/done"))) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"scan": 3}', "\xff"])
def test_build_refuses_settings_that_are_none_in_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(text.encode("latin-1"))
    assert run("build", "--config", path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}") and error.count("\n") == 1


def test_ctrl_c_leaves_a_build_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def impatient(_words: str, _total: int) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, _: os.kill(os.getpid(), signal.SIGINT) if done == 2 else None

    with monkeypatch.context() as patch:
        patch.setattr(progress, "count_bar", impatient)
        assert run("build", "--preset", "quick") == 0
    said = capsys.readouterr().out
    assert "cancelled by Ctrl-C in its terminal (SIGINT), 2 of 20 stacks are built" in said
    key = said.rsplit(" ", 1)[1].strip()
    assert len(list((tmp_path / "workspace" / "datasets" / key).glob("train/*.h5"))) == 2
    assert f"build --resume {key}" in said


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "out.h5", "--engine", "tomopy"),
        ("align", "scan.h5", "--shifts", "s.csv", "--method", "tomopy-joint"),
        ("train", "--preset", "notebook", "--engine", "tomopy"),
    ],
)
def test_without_tomopy_what_needs_it_is_one_line_and_exit_2(
    words: tuple[str, ...],
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tomoalign_core.engines.tomopy_installed", lambda: False)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert "conda install -c conda-forge tomopy" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan.h5"]


def test_the_notebook_in_miniature_shows_its_shapes_and_leaves_scalars_and_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--scale", 0.125, "--epochs", 1, "--steps-per-epoch", 3, "--device", "cpu")
    assert run("train", "--preset", "notebook", *small, "--notebook-noise", "--notebook-background") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "entries (120, 2) one entry (2,) its stack (1, 1, 32, 44, 66) its label (1, 64)" in said
    assert "training set (96, 2) validation set (24, 2)" in said
    (folder,) = (tmp_path / "workspace" / "runs").glob("*-notebook-*")
    assert list(folder.glob("events.out.tfevents.*")) and list(folder.glob("trace/*.pt.trace.json"))
    noise = RunConfig.load(folder / "config.json").dataset.train[0].noise
    assert (noise.gaussian, noise.clip, noise.background, noise.rescale) == (0.1, True, 0.2, True)


def test_align_refuses_an_unknown_method_model_and_folder(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "s.csv"
    assert run("align", scan, "--shifts", table, "--method", "magic") == 2
    assert "center-of-mass" in capsys.readouterr().err
    assert run("align", scan, "--shifts", table, "--model", tmp_path / "none.safetensors") == 2
    assert "no such model" in capsys.readouterr().err
    (tmp_path / "broken.safetensors").write_bytes(b"not weights at all")
    assert run("align", scan, "--shifts", table, "--model", tmp_path / "broken.safetensors") == 2
    assert "not the weights" in capsys.readouterr().err
    assert run("align", scan, "--shifts", tmp_path / "no" / "s.csv", "--method", "center-of-mass") == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_grid_queues_one_run_for_each_combination_and_tells_their_ids(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tomoalign_core.learn import runs

    spawned: list[runs.Run] = []
    monkeypatch.setattr(runs, "spawn", spawned.append)
    grid = ("--grid", "train.learning_rate=1e-3,3e-3", "--grid", "model.channels=8,16")
    assert run("train", "--epochs", 2, *grid) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [id_ for id_, _ in lines] == [one.id for one in spawned]
    assert [outcome for _, outcome in lines] == ["started"] * 4
    chosen = {(one.config.train.learning_rate, one.config.model.channels, one.config.train.epochs) for one in spawned}
    assert chosen == {(rate, channels, 2) for rate in (1e-3, 3e-3) for channels in (8, 16)}
    assert run("train", "--epochs", 2, *grid) == 0
    assert capsys.readouterr().out.count("joined") == 4 == len(spawned)


def test_a_training_that_must_wait_says_for_how_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tomoalign_core.config import RunConfig, TrainConfig
    from tomoalign_core.learn import process, runs

    monkeypatch.setattr(process, "run_training", lambda run, progress: run.status())
    first, second = (runs.create_run(RunConfig(train=TrainConfig(seed=seed))) for seed in (1, 2))
    assert run("train", "--resume", second.id) == 0
    assert f"{second.id}: waits for 1 before it on this device" in capsys.readouterr().out
    assert run("train", "--resume", first.id) == 0
    assert "waits for" not in capsys.readouterr().out


def test_the_module_runs_as_a_program_and_shows_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tomoalign_core", "--help"], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("doctor", "demo", "simulate", "build", "train", "align"))


@pytest.mark.parametrize("words", [(), ("bench",)])
def test_without_a_command_the_help_says_which_there_are(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("Usage: ") and said.count("\n") > 8 and "error" not in said.splitlines()[0]


def test_the_help_of_simulate_says_what_it_begins_with(capsys: pytest.CaptureFixture[str]) -> None:
    usual = SimulationConfig()
    assert run("simulate", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{usual.scan.n_views} views of {usual.scan.n_rows} x {usual.scan.n_cols} px of blobs without noise" in said
    assert f"jitters by {usual.misalign.dx_sigma_px:g} px sideways and {usual.misalign.dy_sigma_px:g} px up" in said
    assert usual.noise.gaussian == 0 and usual.noise.counts is None and "'Drifting foam'" in said


def test_a_stage_that_drifts_and_jumps_is_simulated_and_its_alignment_says_how_sure_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = tmp_path / "scan.h5"
    small = ("--views", 30, "--rows", 40, "--cols", 64, "--counts", 500)
    assert run("simulate", stack, *small, "--drift", 5, "--jumps", 2, "--dx-sigma", 0, "--dy-sigma", 0) == 0
    truth = read_stack(stack).truth
    assert truth is not None and np.abs(np.diff(truth.dy_px)).max() > 1  # a jump
    assert np.std(truth.dx_px) > 2
    capsys.readouterr()
    assert run("align", stack, "--shifts", tmp_path / "s.csv") == 0
    said = capsys.readouterr().out
    assert "σ of a view, in the median: dx 0.0" in said and "px; no roll" in said


def test_the_demo_leaves_figures_a_person_can_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo", "--out", tmp_path / "demo", "--epochs", 1) == 0
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "<table>" in page and "Plotly.newPlot" in page and len(page) < 10_000_000
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {"scan.h5", "shifts.csv", "aligned.h5", "report.html"}


def test_a_stack_that_lies_on_its_side_is_told_with_the_option_that_turns_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tomoalign_core.files.writers import write_stack
    from tomoalign_core.simulate import simulate

    drawn = simulate(SimulationConfig(scan=ScanConfig(n_views=24, n_rows=32, n_cols=40)))
    write_stack(tmp_path / "s.h5", proj=drawn.proj.numpy().swapaxes(1, 2), angle_rad=drawn.angle_rad)
    words = ("align", tmp_path / "s.h5", "--shifts", tmp_path / "s.csv", "--method", "center-of-mass")
    assert run(*words) == 0
    assert "try --tilt-axis horizontal" in capsys.readouterr().out
    assert run(*words, "--tilt-axis", "horizontal") == 0
    assert "--tilt-axis" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "batch", "checked", "fault"),
    [
        ((48, 48, 48), 1, None, "make one axis 64 or more, or train.batch 2 or more"),
        ((24, 48, 48), 2, None, "dataset.scan.n_views = 24: cnn3d halves each axis five times"),
        ((64, 48, 48), 1, (60, 80, 104), "dataset.validation, one: stacks of 60 × 80 × 104"),
    ],
)
def test_a_cnn3d_that_cannot_take_the_stacks_is_refused_before_a_folder_is_made(
    shape: tuple[int, ...], batch: int, checked: tuple[int, ...] | None, fault: str,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def scan(sizes: tuple[int, ...]) -> ScanConfig:
        return ScanConfig(**dict(zip(("n_views", "n_rows", "n_cols"), sizes, strict=True)))

    case = ValidationCase(name="one", stacks=1, simulation=SimulationConfig(scan=scan(checked or shape)))
    course = TrainConfig(epochs=1, steps_per_epoch=1, batch=batch, loss="mse", device="cpu")
    config = RunConfig(
        dataset=DatasetConfig(scan=scan(shape), fixed=1, validation=(case,)), model=Cnn3dConfig(), train=course
    )
    (tmp_path / "c.json").write_text(config.to_json())
    assert run("train", "--config", tmp_path / "c.json") == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1
    assert not [path for path in (tmp_path / "workspace" / "runs").iterdir() if path.is_dir()]

    old = tmp_path / "workspace" / "runs" / "old"  # made by a version that did not ask
    old.mkdir()
    (old / "config.json").write_text(config.to_json())
    assert run("train", "--resume", "old") == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1
    assert open_run("old").status().message in said and open_run("old").status().state == "failed"


def test_a_scan_to_misalign_is_read_as_the_one_to_align(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = read_stack(scan)
    counts = 10 + 1e4 * np.exp(-stack.proj)
    np.save(tmp_path / "counts.npy", counts)
    np.savetxt(tmp_path / "angles.txt", np.rad2deg(stack.angle_rad))
    for name, level in (("flats", 10010.0), ("darks", 10.0)):
        np.save(tmp_path / f"{name}.npy", np.full(counts.shape[1:], level))
    fields = [word for name in ("flats", "darks") for word in (f"--{name}", tmp_path / f"{name}.npy")]
    how = ("--angles", tmp_path / "angles.txt", *fields)
    assert run("simulate", tmp_path / "m.h5", "--scan", tmp_path / "counts.npy", *how, "--dx-sigma", 2) == 0
    assert "counts to attenuation with 1 flat, 1 dark" in capsys.readouterr().out
    moved = read_stack(tmp_path / "m.h5")
    assert moved.truth is not None and moved.proj.max() < 20 and moved.truth.dx_px.std() > 1
    assert run("simulate", tmp_path / "n.h5", *how) == 2
    assert "--angles, --flats, --darks say how a scan is read" in capsys.readouterr().err
