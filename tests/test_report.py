"""A report says what the run folder or the stack says, in one small file that fetches nothing."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from odd_stacks import EMPTY, NOISE, odd_stack, rolling_far, weights_of_larger_stacks
from plotly.offline import get_plotlyjs
from reports import CASES, SIMULATION, drawn_run, simulated_file

from tomoalign_core import cli
from tomoalign_core.align import find_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.config import InputError
from tomoalign_core.files.shifts import read_csv, write_csv
from tomoalign_core.files.stacks import Stack, read_stack
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.metrics import scan_bound, score_shifts
from tomoalign_core.report import Alignment, aligned_report, of_stack, run_report, stack_report
from tomoalign_core.report.of_stack import simulated
from tomoalign_core.show.report import Report, to_html
from tomoalign_core.simulate import simulate

LARGEST_MAIL = 10_000_000


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    return tmp_path


def cells(report: Report, heading: str) -> dict[str, list[str]]:
    """The first table of a section: first cell to the others."""
    (section,) = (s for s in report.sections if s.heading == heading)
    return {row[0]: list(row[1:]) for row in section.tables[0].rows}


def alts(report: Report) -> list[str]:
    return [drawing.alt for section in report.sections for drawing in section.drawings]


def test_scores_of_a_run_are_those_of_its_best_epoch_with_the_bound() -> None:
    run = drawn_run()
    epochs = run.metrics("epoch")
    best = min(epochs, key=lambda e: np.prod([c[n] for c in e["cases"].values() for n in ("rmse_dx_px", "rmse_dy_px")]))
    report = run_report(run)
    scores = cells(report, "Scores")
    for case, bound in zip(CASES, ("0.030", "–"), strict=True):
        figures = best["cases"][case]
        dx, dy = f"{figures['rmse_dx_px']:.3f}", f"{figures['rmse_dy_px']:.3f}"
        assert scores[case][:4] == [dx, bound, dy, bound]
        assert scores[case][5] == f"{epochs[-1]['cases'][case]['rmse_dx_px']:.3f}"
        assert f"dx {dx} px, dy {dy} px rms on {case}" in report.lead
    assert "the bound is 0.030 px" in report.lead


def test_a_report_of_a_run_holds_curves_samples_settings_notes_and_versions() -> None:
    run = drawn_run()
    report = run_report(run)
    for case in CASES:
        assert f"Gauge-removed error in dx and dy on {case} over the steps" in alts(report)
    assert sum(alt.startswith("Histogram of the errors") for alt in alts(report)) == 2
    assert sum(alt.startswith("Slice of the reconstruction: Slice, as measured") for alt in alts(report)) == 2
    text = to_html(report)
    assert "What if &lt;b&gt;σ&lt;/b&gt; were larger?" in text and "blobs &amp; &lt;noise&gt;" in text
    assert run.config.key() in text and run.id in text
    assert cells(report, "Settings")["channels"][0] == str(run.config.model.channels)
    assert "numpy" in cells(report, "Versions")
    (settings,) = re.findall(r"<pre>(\{.*?\})</pre>", text, re.DOTALL)
    assert type(run.config).from_json(unescape(settings)) == run.config


def test_the_figures_hold_what_was_measured() -> None:
    run = drawn_run()
    drawings = {d.alt: d.figure for s in run_report(run).sections for d in s.drawings}
    lines = {
        trace.name: trace for trace in drawings[f"Gauge-removed error in dx and dy on {CASES[0]} over the steps"].data
    }
    measured = [epoch["cases"][CASES[0]]["rmse_dx_px"] for epoch in run.metrics("epoch")]
    assert np.allclose(lines["dx, validation"].y, measured)
    assert np.allclose(lines["bound dx 0.03 px"].y, 0.03)


def test_a_run_before_its_first_epoch_can_be_reported() -> None:
    run = drawn_run()
    (run.path / "metrics.jsonl").unlink()
    report = run_report(replace(run))
    assert "No epoch has ended yet" in report.lead
    assert len(to_html(report)) < LARGEST_MAIL


@pytest.mark.slow
def test_a_long_run_stays_small_enough_for_a_mail() -> None:
    run = drawn_run(steps=100_000, per_epoch=20)
    assert len(run.metrics("epoch")) == 5_000
    assert len(to_html(run_report(run))) < LARGEST_MAIL


def test_a_large_noisy_stack_stays_small_enough_for_a_mail() -> None:
    proj = np.random.default_rng(0).normal(size=(30, 40, 1100)).astype(np.float32)  # noise is the worst for a PNG
    still = Shifts.from_arrays(angle_rad=angles(30), dx_px=np.zeros(30), dy_px=np.zeros(30))
    stack = Stack(proj=proj, angle_rad=still.angle_rad, source="large.h5", truth=still)
    report = stack_report(stack, [Alignment(name="nothing", shifts=still)])
    assert len(to_html(report)) < LARGEST_MAIL
    slices = next(d.figure for s in report.sections for d in s.drawings if d.alt.startswith("Slice"))
    assert slices.layout.xaxis.range == (-0.5, 1099.5) and slices.data[0].dx == 2  # still in its own pixels


def test_nothing_in_a_report_points_outside(tmp_path: Path) -> None:
    for report in (run_report(drawn_run()), aligned_report(read_stack(simulated_file(tmp_path / "s.h5")))):
        text = to_html(report)
        assert text.count(get_plotlyjs()) == 1
        rest = text.replace(get_plotlyjs(), "").replace("http-equiv", "")
        assert "http" not in rest and "url(" not in rest and "@import" not in rest
        assert "default-src 'none'" in rest


def test_scores_of_a_stack_are_against_the_truth_beside_the_bound(tmp_path: Path) -> None:
    stack = read_stack(simulated_file(tmp_path / "s.h5"))
    report = aligned_report(stack, methods=["center-of-mass", "profile-correlation"])
    scan = simulate(SIMULATION)
    assert stack.truth is not None
    bound = scan_bound(scan.clean.numpy(), gaussian=0.05, counts=None)
    rows = cells(report, "Methods on this stack")
    for method in ("center-of-mass", "profile-correlation"):
        score = score_shifts(find_shifts(stack.proj, stack.angle_rad, method=method), stack.truth)
        assert rows[method][2:4] == [f"{score.dx_rmse_px:.3f}", f"{score.dy_rmse_px:.3f}"]
    assert rows["Cramér–Rao bound"][2:4] == [f"{b:.3f}" for b in bound]
    assert rows["center-of-mass"][2] in report.lead and f"{bound[0]:.3f} px" in report.lead
    assert "PSNR" in next(s.words for s in report.sections if s.heading == "Before and after")


def test_perfect_shifts_bring_the_slice_nearer_to_the_perfect_one_wherever_the_gauge_puts_it(tmp_path: Path) -> None:
    stack = read_stack(simulated_file(tmp_path / "s.h5"))
    known = simulated(stack)
    assert known is not None and stack.truth is not None
    elsewhere = replace(stack.truth, dx_px=stack.truth.dx_px + 5 * np.cos(stack.angle_rad), dy_px=stack.truth.dy_px + 4)
    decibels = []
    for table in (stack.truth, elsewhere):
        report = stack_report(stack, [Alignment(name="truth", shifts=table)], perfect=known.perfect)
        words = next(s.words for s in report.sections if s.heading == "Before and after")
        decibels.append([float(v) for v in re.findall(r"([\d.]+) dB", words)])
    assert decibels[0][1] > decibels[0][0] + 3
    assert decibels[1] == decibels[0]


def test_the_bound_of_a_file_is_told_only_where_its_settings_give_the_file(tmp_path: Path) -> None:
    stack = read_stack(simulated_file(tmp_path / "s.h5"))
    assert simulated(stack) is not None
    assert simulated(replace(stack, proj=stack.proj + 1)) is None  # misaligned by these settings, but another object
    assert simulated(replace(stack, config_json="{}}")) is None


def test_without_a_truth_a_report_claims_no_error(tmp_path: Path) -> None:
    stack = replace(read_stack(simulated_file(tmp_path / "s.h5")), truth=None, config_json=None)
    report = aligned_report(stack, methods=["center-of-mass"])
    assert "truth is not known" in report.lead and "rms, gauge removed" in report.lead
    rows = cells(report, "Methods on this stack")
    found = find_shifts(stack.proj, stack.angle_rad, method="center-of-mass")
    expected = held_out_residual(stack.proj, stack.angle_rad, found).overall
    assert rows["center-of-mass"][2] == f"{expected:.3f}" and f"aligned {100 * expected:.1f} %" in report.lead
    assert float(rows["as measured"][2]) > 1.5 * expected
    assert not [alt for alt in alts(report) if "true" in alt]


def test_a_refinement_is_reported_round_by_round(tmp_path: Path) -> None:
    stack = replace(read_stack(simulated_file(tmp_path / "s.h5")), truth=None, config_json=None)
    report = aligned_report(stack, methods=["network", "network+refine"])
    (section,) = (s for s in report.sections if s.heading == "Refinement")
    judged = {name: float(row[2]) for name, row in cells(report, "Methods on this stack").items()}
    line, kept, _ = section.drawings[0].figure.data
    assert line.y[0] == pytest.approx(judged["network pretrained"], abs=1e-3), "its own answer is where it begins"
    assert kept.y[0] <= line.y[0]
    assert kept.y[0] == pytest.approx(judged["network pretrained+refine"], abs=1e-3)
    assert f"{kept.y[0]:.4g}" in section.words or "network's own answer, which is kept" in section.words
    alone = aligned_report(stack, methods=["network"])
    assert "Refinement" not in [s.heading for s in alone.sections]


def test_what_a_network_did_not_learn_from_and_what_is_left_out_stand_before_the_results(tmp_path: Path) -> None:
    stack = read_stack(odd_stack(tmp_path / "s.h5"))
    model = str(weights_of_larger_stacks(tmp_path / "w.safetensors"))
    report = aligned_report(stack, methods=["center-of-mass", "network"], model=model)
    assert report.sections[0].heading == "To bear in mind"
    outside, *_, left_out = report.sections[0].tables[0].rows
    assert outside[0] == "outside what the network learned from" and "24 views of 32 × 40 px" in outside[1]
    found = find_shifts(stack.proj, stack.angle_rad, method="center-of-mass")
    for view in (EMPTY, NOISE):
        assert f"{view} ({found.reason[view]})" in left_out[1]
    whole = aligned_report(read_stack(simulated_file(tmp_path / "whole.h5")), methods=["center-of-mass"], model=model)
    assert "To bear in mind" not in [section.heading for section in whole.sections]


def test_rolls_far_beyond_those_learned_from_stand_before_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_stack, "find_shifts", lambda _, angle_rad, **__: rolling_far(angle_rad))
    report = aligned_report(read_stack(simulated_file(tmp_path / "s.h5")), methods=["network", "network+refine"])
    said = [row[1] for row in report.sections[0].tables[0].rows if row[0] == "outside what the network learned from"]
    assert sum("rolls: views seem to turn by 15°" in line for line in said) == 1


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


def test_a_report_lets_the_network_begin_at_the_tilt_of_the_axis_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[float] = []

    def found(*stack: object, axis_tilt_deg: float = 0.0, **more: object) -> Shifts:
        begun.append(axis_tilt_deg)
        return find_shifts(*stack, axis_tilt_deg=axis_tilt_deg, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(of_stack, "find_shifts", found)
    scan, out = simulated_file(tmp_path / "s.h5"), tmp_path / "r.html"
    assert run("report", scan, "--out", out, "--axis-tilt", 2) == 0 and begun == [2.0]
    for words, said in (
        (("--axis-tilt", 100), "report: --axis-tilt 100 is outside"),
        (("--axis-tilt", 3, "--method", "center-of-mass"), "center-of-mass looks for none"),
        (("--axis-tilt", 3, "--shifts", "t.csv"), "a table looks for none"),
    ):
        assert run("report", scan, "--out", out, *words) == 2
        assert said in capsys.readouterr().err
    assert run("report", drawn_run().id, "--out", out, "--axis-tilt", 2) == 2
    assert "takes neither" in capsys.readouterr().err


def test_the_command_reports_a_run_by_its_id_and_a_stack_with_a_table_found_before(tmp_path: Path) -> None:
    assert run("report", drawn_run().id, "--out", tmp_path / "run.html") == 0
    assert "Training “drawn”" in (tmp_path / "run.html").read_text()
    scan, table, out = simulated_file(tmp_path / "s.h5"), tmp_path / "t.csv", tmp_path / "stack.html"
    stack = read_stack(scan)
    assert stack.truth is not None
    write_csv(table, stack.truth)
    assert run("report", scan, "--shifts", table, "--out", out) == 0
    assert "dx 0.000 px, dy 0.000 px rms on s.h5" in out.read_text()
    (text,) = re.findall(r"<pre>(# TomoAlign shift table.*?)</pre>", out.read_text(), re.DOTALL)
    (tmp_path / "again.csv").write_text(unescape(text))
    assert np.array_equal(read_csv(tmp_path / "again.csv").dx_px, read_csv(table).dx_px)


def test_bad_input_of_a_report_is_one_line_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan, out = simulated_file(tmp_path / "s.h5"), tmp_path / "r.html"
    short = tmp_path / "short.csv"
    still = np.zeros(3)
    write_csv(short, Shifts.from_arrays(angle_rad=angles(3), dx_px=still, dy_px=still))
    unused = tmp_path / "unused.csv"
    table = Shifts.from_arrays(angle_rad=angles(24), dx_px=np.zeros(24), dy_px=np.zeros(24), used=np.zeros(24, bool))
    write_csv(unused, table)
    for words, said in (
        ((tmp_path / "nothing.h5",), "no such run and no such file"),
        ((drawn_run().id, "--method", "center-of-mass"), "is a run"),
        ((scan, "--method", "magic"), "no method is called"),
        ((scan, "--shifts", short), "holds the shifts of 3 views, but"),
        ((scan, "--shifts", unused), "uses no view"),
        ((scan, "--shifts", tmp_path / "no.csv"), "no such shift table"),
        ((scan, "--kind", "wave"), "--kind wave"),
    ):
        assert run("report", *words, "--out", out) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and said in error
        assert not out.exists()
    assert run("report", scan, "--out", tmp_path / "no" / "r.html") == 2


def test_a_broken_run_folder_is_told_in_one_line() -> None:
    broken = drawn_run()
    (broken.path / "config.json").write_text("{}}")
    with pytest.raises(InputError, match=r"config\.json"):
        run_report(broken)
