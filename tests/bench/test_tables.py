"""What was measured, to be read: joined, in tables, and summed up."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tomoalign_core.bench import Row
from tomoalign_core.bench.tables import in_words, method_table, read_rows
from tomoalign_core.cli.benching import bench_show
from tomoalign_core.config import InputError

OURS = Row(
    case="a", method="network", stacks=3, dx_px=0.06, dy_px=0.04, roll_deg=0.2, axis_tilt_deg=0.03, worst_px=0.3,
    bound_dx_px=0.05, bound_dy_px=0.04, bound_roll_deg=0.1, limit_dx_px=0.06, limit_dy_px=0.05,
    limit_roll_deg=0.15, over_bound_dx=1.2, over_bound_dy=1.0, over_limit_dx=1.0, over_limit_dy=0.8,
    within_1_sigma=0.7, within_2_sigma=0.95, left_out=0.01, seconds=1.5,
)  # fmt: skip
THEIRS = replace(OURS, method="center-of-mass", dx_px=0.09, within_1_sigma=float("nan"), within_2_sigma=float("nan"))


def keep(path: Path, *rows: Row) -> Path:
    known = [{k: None if v != v else v for k, v in asdict(row).items()} for row in rows]
    path.write_text(json.dumps(known))
    return path


def test_files_are_joined_and_a_later_figure_counts(tmp_path: Path) -> None:
    first = keep(tmp_path / "a.json", OURS, THEIRS)
    later = keep(tmp_path / "b.json", replace(OURS, dx_px=0.05))
    rows = read_rows([first, later])
    assert [(row.method, row.dx_px) for row in rows] == [("network", 0.05), ("center-of-mass", 0.09)]
    assert rows[1].within_1_sigma != rows[1].within_1_sigma


def test_a_table_has_the_ratios_to_both_bounds() -> None:
    line = method_table([OURS, THEIRS], "network").splitlines()
    assert line[2:] == [
        "| a | 1.20 | 1.00 | 1.00 | 0.80 | 0.20 | 0.10 | 0.15 | 0.03 | 0.30 | 70 % | 95 % | 1.0 % | 1.5 |"
    ]


def test_of_a_stage_that_does_not_roll_the_table_tells_the_error_alone() -> None:
    still = replace(OURS, bound_roll_deg=float("nan"), limit_roll_deg=float("nan"))
    assert "| 0.80 | 0.20 | – | – | 0.03 | 0.30 |" in method_table([still], "network")


def test_words_say_how_far_from_the_bound_and_where_a_rival_is_better() -> None:
    better = replace(THEIRS, dy_px=0.03)
    words = in_words([OURS, better], "network")
    assert "1.10 times the Cramér-Rao bound" in words and "(1.00 to 1.20; at most 1.2 in 100%)" in words
    assert "0.90 times the limit of an unknown object" in words
    assert "70% of the views lie within σ" in words and words.endswith("in 1 of 1 kind: a.")
    assert "in 0 of 1 kind." in in_words([OURS, THEIRS], "network")
    assert "in 0 of 1 kind." in in_words([OURS, replace(better, stacks=0)], "network")


def test_of_a_real_scan_it_is_told_what_its_stacks_share() -> None:
    words = in_words([replace(OURS, same_dx_px=0.036, same_dy_px=0.04)], "network")
    assert "a: of its error 0.036 / 0.040 px are the same in all 3 stacks" in words
    assert "0.048 / 0.000 px differ" in words and "same in all" not in in_words([OURS], "network")


def test_the_command_prints_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep(tmp_path / "a.json", OURS, THEIRS)
    bench_show([path], details=["network"])
    said = capsys.readouterr().out
    assert said.startswith("| stack | network | center-of-mass |") and "| 70 % |" in said and "network: 1.10" in said
    with pytest.raises(InputError, match="--details magic: these files hold network, center-of-mass"):
        bench_show([path], details=["magic"])


@pytest.mark.parametrize("text", ["[", "[{}]", '{"a": 1}', "[1]"])
def test_what_is_no_bench_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="not figures of bench accuracy") as caught:
        read_rows([tmp_path / "a.json"])
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        read_rows([tmp_path / "b.json"])
