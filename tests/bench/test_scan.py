"""A scan judged as it is: the true table explains it best, and the needle's reference is found again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomoalign_core import cli
from tomoalign_core.align import find_shifts, undo_shifts
from tomoalign_core.align.binning import binned
from tomoalign_core.bench import SUITE, as_lines, judge_scan, scans, sinogram_residual
from tomoalign_core.cli.benching import bench_scan
from tomoalign_core.config import InputError, MisalignConfig, ScanConfig, SimulationConfig
from tomoalign_core.files.shifts import write_csv
from tomoalign_core.files.stacks import Stack, read_stack
from tomoalign_core.files.writers import write_stack
from tomoalign_core.geometry import Shifts, angles, gauge_functions
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate import simulate

DATA = Path(os.environ.get("TOMOALIGN_DATA", Path(__file__).parents[3] / "shared" / "data"))
STAGE = MisalignConfig(dx_sigma_px=2, dy_sigma_px=1)
SMALL = SimulationConfig(scan=ScanConfig(n_views=48, n_rows=32, n_cols=48), misalign=STAGE, seed=3)


@pytest.fixture(scope="module")
def scan() -> Stack:
    drawn = simulate(SMALL)
    return Stack(proj=drawn.proj.numpy(), angle_rad=drawn.angle_rad, source="small", truth=drawn.shifts)


@pytest.fixture
def file(scan: Stack, tmp_path: Path) -> Path:
    write_stack(tmp_path / "scan.h5", proj=scan.proj, angle_rad=scan.angle_rad)
    return tmp_path / "scan.h5"


def still(turn_deg: float) -> tuple[np.ndarray, np.ndarray]:
    at_rest = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)
    drawn = simulate(SMALL.changed(misalign=at_rest, scan=SMALL.scan.changed(range_deg=turn_deg)))
    return drawn.proj.numpy(), drawn.angle_rad


def aligned_by(scan: Stack, table: Shifts) -> np.ndarray:
    return undo_shifts(scan.proj, table)[0]


def moved(table: Shifts, dx_px: np.ndarray | float = 0.0, dy_px: np.ndarray | float = 0.0) -> Shifts:
    return replace(table, dx_px=table.dx_px + dx_px, dy_px=table.dy_px + dy_px)


# ---------------------------------------------------------------- the sinogram residual


@pytest.mark.parametrize("turn", [180.0, 360.0, 150.0])
def test_what_an_object_can_show_leaves_nothing_whatever_the_angles(turn: float) -> None:
    proj, angle = still(turn)
    uneven = np.sort(np.random.default_rng(1).permutation(48)[:40])
    assert sinogram_residual(proj, angle) < 0.02
    assert sinogram_residual(proj[uneven], angle[uneven]) < 0.02


def test_the_axis_may_stand_aside() -> None:
    proj, angle = still(360)
    for columns in (-4, 3):
        assert sinogram_residual(np.roll(proj, columns, axis=2), angle) < 0.02  # there is nothing at the borders
    every_other = np.where(np.arange(48)[:, None, None] % 2 == 0, proj, np.roll(proj, 3, axis=2))
    assert sinogram_residual(every_other, angle) > 0.1


def test_noise_alone_comes_to_one() -> None:
    noise = np.random.default_rng(0).normal(size=(90, 40, 48))
    assert sinogram_residual(noise, angles(90)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("way", ["dx_px", "dy_px"])
def test_it_grows_with_every_movement_that_is_left(scan: Stack, way: str) -> None:
    jitter = np.random.default_rng(2).normal(size=48)
    figures = [
        sinogram_residual(aligned_by(scan, moved(scan.truth, **{way: size * jitter})), scan.angle_rad)
        for size in (0, 0.1, 0.3, 1)
    ]
    assert figures == sorted(figures) and figures[1] > 1.2 * figures[0]


def test_the_gauge_leaves_it_as_it_is(scan: Stack) -> None:
    aside = moved(scan.truth, gauge_functions(scan.angle_rad, axis="dx") @ [0.0, 1.0, -1.0], 1.0)
    figures = [sinogram_residual(aligned_by(scan, t), scan.angle_rad) for t in (scan.truth, aside)]
    assert abs(figures[1] - figures[0]) < 0.005


def test_a_view_that_is_not_used_does_not_count(scan: Stack) -> None:
    aligned = aligned_by(scan, scan.truth)
    used = np.arange(48) != 7
    figure = sinogram_residual(aligned, scan.angle_rad, used=used)
    aligned[7] = aligned[7][:, ::-1]
    assert sinogram_residual(aligned, scan.angle_rad, used=used) == figure
    assert sinogram_residual(aligned, scan.angle_rad) > 2 * figure


def test_of_too_few_views_it_says_nothing(scan: Stack) -> None:
    few = slice(None, None, 12)
    assert np.isnan(sinogram_residual(scan.proj[few], scan.angle_rad[few]))


def test_an_object_wider_than_the_view_misleads_neither_judge() -> None:
    wide = scans(SUITE["wider than the view"], 1)[0]
    whole = Stack(proj=wide.proj.numpy(), angle_rad=wide.angle_rad, source="wide", truth=wide.shifts)
    _, true, other = judge_scan(whole, ["center-of-mass"])
    assert other.dx_px > 1 and true.sinogram < 0.6 * other.sinogram
    assert true.held_out < 0.7 * other.held_out


# ---------------------------------------------------------------- a scan


def test_both_residuals_are_lower_for_the_truth_than_for_the_scan_as_it_is(scan: Stack) -> None:
    as_it_is, reference, found = judge_scan(scan, ["phase-correlation"])
    assert [row.method for row in (as_it_is, reference, found)] == ["as it is", "reference", "phase-correlation"]
    for name in ("held_out", "sinogram"):
        assert getattr(reference, name) < getattr(found, name) < getattr(as_it_is, name) / 2
    free = scan.truth.gauge_free()
    assert as_it_is.dx_px == pytest.approx(np.sqrt(np.mean(free.dx_px**2)))
    again = find_shifts(scan.proj, scan.angle_rad, method="phase-correlation")
    assert found.dx_px == score_shifts(again, scan.truth).dx_rmse_px


def test_a_reference_goes_before_the_truth_and_leaves_out_what_it_does_not_use(scan: Stack) -> None:
    used = np.arange(48) > 2
    dx = np.where(used, scan.truth.dx_px + 0.5 * np.cos(5 * scan.angle_rad), np.nan)
    rows = judge_scan(scan, ["center-of-mass"], reference=replace(scan.truth, dx_px=dx, used=used))
    assert "| reference, 45 of 48 views |" in as_lines(rows)
    assert rows[1].views == 45 and rows[2].dx_px == pytest.approx(0.5 / np.sqrt(2), rel=0.15)


def test_an_empty_view_counts_for_nobody(scan: Stack) -> None:
    proj = scan.proj.copy()
    proj[20] = 0
    as_it_is, _, found = judge_scan(replace(scan, proj=proj), ["center-of-mass"])
    assert as_it_is.views == found.views == 47
    assert found.held_out < 0.1 < as_it_is.held_out


def test_the_tilt_of_the_axis_that_was_found_is_told(scan: Stack) -> None:
    upright = judge_scan(scan, ["center-of-mass"])
    assert "axis tilt" not in as_lines(upright) and [row.axis_tilt_deg for row in upright] == [0.0, 0.0, 0.0]
    assert scan.truth is not None
    tilted = replace(scan.truth, roll_deg=scan.truth.roll_deg + 1.25)
    lines = as_lines(judge_scan(scan, [], reference=tilted)).splitlines()
    assert lines[0].startswith("| method | held-out residual | sinogram residual | axis tilt, ° | from the reference")
    assert [line.split(" | ")[3] for line in lines[2:]] == ["–", "1.25"]


def test_a_method_without_an_answer_does_not_stop_the_others(scan: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoalign_core.align.refine.MOST_VIEWS", 40)
    rows = judge_scan(replace(scan, truth=None), ["network+refine", "center-of-mass"])
    assert "up to 40 views" in rows[1].why and np.isnan(rows[1].held_out)
    assert rows[2].held_out < rows[0].held_out
    with pytest.raises(InputError, match="up to 40 views"):
        judge_scan(scan, ["network+refine"])


def test_the_command_prints_a_line_for_each_method_and_writes_all_figures(
    file: Path, scan: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.json"
    bench_scan(file, method=["center-of-mass", "profile-correlation"], json_path=out)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| method | held-out residual | sinogram residual | s |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| as it is", "| center-of-mass", "| profile-correlation"]
    rows = json.loads(out.read_text())
    assert f"{rows[1]['held_out']:.4f}" in lines[3] and rows[1]["dx_px"] is None

    assert scan.truth is not None
    write_csv(tmp_path / "true.csv", scan.truth)
    bench_scan(file, method=["center-of-mass"], reference=tmp_path / "true.csv", json_path=out)
    assert "from the reference" in capsys.readouterr().out
    assert 0 < json.loads(out.read_text())[2]["dx_px"] < 0.3


def test_networks_look_for_the_tilt_of_the_axis_from_where_they_are_told(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def answer(proj: np.ndarray, angle_rad: np.ndarray, *_: object, axis_tilt_deg: float, **__: object) -> Shifts:
        begun.append(axis_tilt_deg)
        still = np.zeros(len(proj))
        return Shifts.from_arrays(angle_rad=angle_rad, dx_px=still, dy_px=still)

    monkeypatch.setattr("tomoalign_core.align.answer.answer", answer)
    bench_scan(file, method=["network", "center-of-mass", "network+refine"], axis_tilt=-40.0)
    bench_scan(file, method=["network"])
    assert begun == [-40.0, -40.0, 0.0]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"method": ["magic"]}, "no method is called 'magic'"),
        ({"model": "nonsense"}, "nonsense"),
        ({"tilt_axis": "slanted"}, "--tilt-axis slanted"),
        ({"kind": "rays"}, "--kind rays"),
        ({"axis_tilt": 95.0}, "bench scan: --axis-tilt 95 is outside"),
        ({"axis_tilt": 5.0, "method": ["center-of-mass"]}, "--axis-tilt 5 is for a network"),
        ({"json_path": Path("/nowhere/a.json")}, "/nowhere does not exist"),
        ({"reference": Path("/nowhere/a.csv")}, "no such shift table"),
    ],
)
def test_faults_are_told_before_anything_is_measured(
    file: Path, fault: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomoalign_core.bench.judge_scan", lambda *_, **__: pytest.fail("it went on"))
    with pytest.raises(InputError, match=words):
        bench_scan(file, **fault)  # type: ignore[arg-type]


def test_a_fault_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tomoalign_core", "bench", "scan", str(tmp_path / "none.h5")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1 and "none.h5" in said


def test_a_reference_of_another_scan_is_refused(scan: Stack) -> None:
    assert scan.truth is not None
    for other, words in (
        (Shifts(**{name: column[1:] for name, column in vars(scan.truth).items()}), "47 views"),
        (replace(scan.truth, angle_rad=scan.angle_rad + np.deg2rad(0.5)), "by up to 0.50°"),
    ):
        with pytest.raises(InputError, match=words):
            judge_scan(scan, [], reference=other)


# ---------------------------------------------------------------- real scans


def real(name: str, **how: object) -> Stack:
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not there; TOMOALIGN_DATA names its folder")
    return read_stack(DATA / name, **how)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_needle_is_found_where_its_own_program_found_it() -> None:
    whole = real("etspy_needle.npz", tilt_axis="horizontal")
    scan = replace(whole, proj=binned(whole.proj, 4))  # a tenth of the time; shifts are in binned pixels
    with np.load(DATA / "etspy_needle.npz") as file:
        back = -file["ref_shift_yx"]  # ETSpy gives what brings views back; transposed, its rows are our columns
        lean = np.full(len(back), file["ref_tilt_axis_deg"])
    reference = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=back[:, 0] / 4, dy_px=back[:, 1] / 4, roll_deg=lean)
    as_it_is, theirs, ours = judge_scan(scan, ["network"], reference=reference)
    assert as_it_is.dx_px > 2.2 and as_it_is.dy_px > 0.7
    assert ours.dx_px < 0.125 and ours.dy_px < 0.125  # half a pixel of the detector
    assert ours.held_out < 1.02 * theirs.held_out < 0.3 * as_it_is.held_out


@pytest.mark.slow
def test_a_scan_that_was_coarsely_aligned_is_explained_better_by_the_network() -> None:
    scan = real("tomo77.npz")
    some = replace(scan, proj=scan.proj[::5].copy(), angle_rad=scan.angle_rad[::5])
    as_it_is, classical, ours = judge_scan(some, ["center-of-mass", "network"])
    for name in ("held_out", "sinogram"):
        assert getattr(ours, name) < getattr(classical, name) < getattr(as_it_is, name)
