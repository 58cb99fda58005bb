"""The bench: its suite is what it says, its figures are those of the scores, and rivals speak our conventions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tomoalign_core.align import find_shifts
from tomoalign_core.align.limit import unknown_object_bound
from tomoalign_core.bench import SUITE, Row, accuracy, as_table, measure, method_names, scans
from tomoalign_core.bench.rivals import RIVALS, rival_shifts
from tomoalign_core.bench.suite import Case
from tomoalign_core.cli.benching import bench_accuracy
from tomoalign_core.config import InputError, MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.metrics import cramer_rao_together, rms, scan_bound, scan_roll_bound, score_shifts
from tomoalign_core.simulate import simulate

PLAIN = "blobs, 3 % noise"


def test_the_suite_has_the_troubles_it_names() -> None:
    assert all(name == case.name for name, case in SUITE.items())
    wide = scans(SUITE["wider than the view"], 1)[0]
    assert float(wide.clean[:, 40, [0, -1]].mean()) > 0.2  # there is no free air beside its middle
    pillar = scans(SUITE["pillar, 3 % noise"], 1)[0]
    assert float(pillar.clean[:, [0, -1]].max()) > 0.2
    far = scans(SUITE["blobs, uniform ±20 px"], 1)[0]
    assert 15 < np.abs(far.shifts.dx_px).max() <= 20
    assert np.std(scans(SUITE["blobs, roll σ 3°"], 1)[0].shifts.roll_deg) > 2
    assert not np.any(scans(SUITE["blobs, no roll"], 1)[0].shifts.roll_deg)
    assert 4.5 < scans(SUITE["blobs, axis tilted by 5°"], 1)[0].shifts.axis_tilt_deg < 5.5
    assert scans(SUITE["77 × 131 px"], 1)[0].proj.shape == (60, 77, 131)
    assert np.ptp(scans(SUITE["wedge 120°"], 1)[0].angle_rad) == pytest.approx(np.deg2rad(120 * 59 / 60))


def test_a_worn_detector_stays_where_it_is_while_the_object_moves() -> None:
    scan = scans(SUITE["detector pattern, flicker"], 1)[0]
    left = (scan.proj - scan.clean).mean(dim=0)  # the noise averages out over the views, the pattern does not
    assert float(left.std()) == pytest.approx(0.03, rel=0.15)
    mass = scan.clean.sum(dim=(1, 2))
    assert float(mass.max() / mass.min()) > 1.05


def test_pixels_that_show_the_mean_of_their_area_show_the_same_scan_with_the_same_noise() -> None:
    by_area, by_point = (scans(SUITE[f"Shepp-Logan{how}"], 1)[0] for how in (" by area, 5 %", ", 5 % noise"))
    assert by_area.proj.shape == by_point.proj.shape
    np.testing.assert_allclose(by_area.shifts.dx_px, by_point.shifts.dx_px, atol=1e-9)
    assert float(by_area.clean.max()) == pytest.approx(1)
    assert by_area.gaussian == 0.05
    assert float((by_area.proj - by_area.clean).std()) == pytest.approx(0.05, rel=0.02)
    middle = slice(8, -8)
    together = np.corrcoef(by_area.clean[:, middle].ravel(), by_point.clean[:, middle].ravel())[0, 1]
    assert 0.95 < together < 0.999  # the sharp edges of points are missing


def test_scans_are_the_same_each_time_and_differ_from_each_other() -> None:
    first, again = scans(SUITE[PLAIN], 2), scans(SUITE[PLAIN], 1)
    np.testing.assert_array_equal(first[0].proj, again[0].proj)
    assert float((first[0].proj - first[1].proj).abs().max()) > 0.3


def test_a_row_holds_the_medians_of_the_scores() -> None:
    row = measure(SUITE[PLAIN], ["center-of-mass"], stacks=3)[0]
    made = scans(SUITE[PLAIN], 3)
    scores = [score_shifts(find_shifts(s.proj.numpy(), s.angle_rad, method="center-of-mass"), s.shifts) for s in made]
    assert row.dx_px == np.median([s.dx_rmse_px for s in scores])
    assert row.worst_px == np.median([max(s.dx_worst_px, s.dy_worst_px) for s in scores])
    bounds = [scan_bound(s.clean.numpy(), gaussian=s.gaussian, counts=s.counts) for s in made]
    bound = np.median(bounds, axis=0)
    assert (row.bound_dx_px, row.bound_dy_px) == pytest.approx(bound)
    over = [score.dx_rmse_px / known[0] for score, known in zip(scores, bounds, strict=True)]
    assert row.ratio[0] == pytest.approx(np.median(over))
    assert 0 < row.bound_roll_deg < row.limit_roll_deg < 2 * row.bound_roll_deg
    assert np.isnan(row.within_1_sigma)  # it states no σ
    assert bound[0] < row.limit_dx_px < 3 * bound[0] and row.left_out == 0


def test_of_a_stage_that_does_not_roll_no_bound_of_a_roll_is_told() -> None:
    row = measure(SUITE["blobs, no roll"], ["center-of-mass"], stacks=1)[0]
    assert np.isnan([row.bound_roll_deg, row.limit_roll_deg]).all() and row.limit_dx_px > row.bound_dx_px


def test_who_finds_no_roll_errs_by_the_tilt_of_the_axis_and_in_rolls_about_it_as_much_as_they_are() -> None:
    truth = scans(SUITE["blobs, axis tilted by 5°"], 1)[0].shifts
    row = measure(SUITE["blobs, axis tilted by 5°"], ["center-of-mass"], stacks=1)[0]
    assert row.axis_tilt_deg == pytest.approx(truth.axis_tilt_deg)
    assert row.roll_deg == pytest.approx(np.std(truth.roll_deg), rel=0.01)


def test_who_has_to_find_a_roll_without_knowing_the_object_errs_by_more_than_who_knows_it() -> None:
    """What lies beside the middle of the stage is moved by the error of a roll, the more the less the roll is known."""
    scan = scans(SUITE["pillar, 3 % noise"], 1)[0]
    noise, clean = {"gaussian": scan.gaussian, "counts": None}, scan.clean.numpy()
    by_roll = rms(cramer_rao_together(clean, scan.shifts, **noise)[1]) ** 2 - scan_bound(clean, **noise)[1] ** 2
    alone, found = unknown_object_bound(clean, scan.angle_rad, scan.shifts, **noise), accuracy._limit(scan)
    assert found.roll_deg == alone.roll_deg > 1.05 * scan_roll_bound(clean, **noise)
    assert found.dy_px**2 - alone.dy_px**2 > 1.1 * by_roll > 0


def test_the_network_states_a_sigma_and_the_bench_says_whether_it_holds() -> None:
    row = measure(SUITE[PLAIN], ["network"], stacks=1)[0]
    assert 0.3 < row.within_1_sigma <= row.within_2_sigma <= 1


def test_without_noise_there_is_no_ratio() -> None:
    row = measure(SUITE["Shepp-Logan, clean"], ["center-of-mass"], stacks=1)[0]
    assert row.bound_dx_px == 0 and np.isnan(row.ratio).all() and np.isnan(row.limit_dx_px)


@pytest.mark.parametrize("method", ["corrct-pre", "corrct-xc"])
def test_what_corrct_finds_comes_in_our_signs_and_axes(method: str) -> None:
    if method not in RIVALS:
        pytest.skip("corrct is not installed")
    scan = scans(SUITE["blobs, clean"], 1)[0]
    score = score_shifts(rival_shifts(method, scan.proj.numpy(), scan.angle_rad), scan.shifts)
    # jitter is σ = (4, 1) px: a wrong sign would double it, swapped axes would leave it
    assert score.dx_rmse_px < 0.5 and score.dy_rmse_px < 0.5


def test_a_table_names_what_it_shows() -> None:
    figures = {"roll_deg": 0.1, "worst_px": 1.0, "within_1_sigma": 0.7, "within_2_sigma": 0.9, "seconds": 1.0}
    figures |= dict.fromkeys(("bound_roll_deg", "limit_dx_px", "limit_dy_px", "limit_roll_deg", "left_out"), 0.1)
    figures |= {"axis_tilt_deg": 0.1}
    figures |= dict.fromkeys(("over_bound_dx", "over_bound_dy", "over_limit_dx", "over_limit_dy"), 1.0)
    row = Row(case="a", method="m", stacks=1, dx_px=0.1, dy_px=0.2, bound_dx_px=0.05, bound_dy_px=0.04, **figures)
    assert as_table([row], ["m"]).splitlines()[-1] == "| a | 0.100 / 0.200 | 0.050 / 0.040 |"
    assert as_table([row], ["m", "n"]).splitlines()[-1] == "| a | 0.100 / 0.200 | – | 0.050 / 0.040 |"


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(InputError, match="no method is called 'magic'"):
        method_names(["magic"])


def test_the_command_prints_a_table_and_writes_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.json"
    bench_accuracy(case=[PLAIN], method=["center-of-mass"], quick=True, json_path=out)
    said = capsys.readouterr().out
    assert said.startswith("| stack | center-of-mass |") and PLAIN in said
    row = json.loads(out.read_text())[0]
    assert row["case"] == PLAIN and row["dx_px"] > 0 and row["within_1_sigma"] is None


def test_figures_of_the_cases_that_are_done_outlive_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tomoalign_core import bench

    measured, done = bench.measure, []

    def one_only(case: Case, *args: object, **more: object) -> list[Row]:
        if done:
            raise KeyboardInterrupt
        done.append(case.name)
        return measured(case, *args, **more)

    monkeypatch.setattr(bench, "measure", one_only)
    out = tmp_path / "a.json"
    with pytest.raises(KeyboardInterrupt):
        bench_accuracy(case=["48 ×", "blobs, no roll"], method=["center-of-mass"], quick=True, json_path=out)
    assert [row["case"] for row in json.loads(out.read_text())] == done and done


def test_a_case_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="--case fog"):
        bench_accuracy(case=["fog"])


def test_what_a_scan_had_left_is_the_same_in_all_stacks_that_are_made_of_it(tmp_path: Path) -> None:
    """Made of a scan whose views are still off, all stacks err by that, and by little else."""
    left = SimulationConfig(
        scan=ScanConfig(n_views=40, n_rows=40, n_cols=64),
        misalign=MisalignConfig(dx_sigma_px=0.3, dy_sigma_px=0.0),
        noise=NoiseConfig(gaussian=0.005),
        seed=4,
    )
    scan, out = simulate(left), tmp_path / "a.json"
    np.savez(tmp_path / "scan.npz", proj=scan.proj.numpy(), angles_deg=np.rad2deg(scan.angle_rad))
    bench_accuracy(case=["48 ×"], method=["center-of-mass"], scan=tmp_path / "scan.npz", json_path=out)
    simulated, *of_scan = json.loads(out.read_text())
    assert simulated["stacks"] == 7 and simulated["same_dx_px"] is None
    assert [row["stacks"] for row in of_scan] == [5, 5]
    expected = np.std(scan.shifts.gauge_free().dx_px)
    assert of_scan[0]["same_dx_px"] == pytest.approx(expected, rel=0.3)
    assert of_scan[0]["same_dx_px"] == pytest.approx(of_scan[0]["dx_px"], rel=0.2)
