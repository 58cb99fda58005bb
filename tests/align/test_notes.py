"""What is said beside an alignment names every view and every network once."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tomoalign_core.align.notes import left_out_words, outside_lines, reason_of
from tomoalign_core.geometry import Shifts


@pytest.fixture
def table() -> Shifts:
    nothing = np.zeros(20)
    return Shifts.from_arrays(angle_rad=nothing, dx_px=nothing, dy_px=nothing)


def test_views_left_out_stand_with_their_own_reason_and_many_are_counted(table: Shifts) -> None:
    assert left_out_words(table) == "" and reason_of(table, 3) == ""
    words = left_out_words(table.left_out([3], "dark").left_out(range(6, 17), "gone"))
    assert re.match(r"12 of 20 views are left out", words)
    groups = dict(re.findall(r"[:;] ([\d, ]+?(?: and \d+ more)?) \((\w+)\)", words))
    assert groups == {"3": "dark", "6, 7, 8, 9, 10, 11, 12, 13 and 3 more": "gone"}
    assert left_out_words(table.left_out([3], "dark")).startswith("1 of 20 views is left out")


def test_a_table_that_gives_no_reason_is_told_as_such(table: Shifts) -> None:
    assert reason_of(table.left_out([4], ""), 4) and "4 (" in left_out_words(table.left_out([4], ""))


def test_networks_are_named_where_there_are_several_and_a_difference_stands_once() -> None:
    size, image = "size: small", "image: dark"
    assert outside_lines({"a": [size, image]}) == [size, image]
    assert outside_lines({"a": [size, image], "b": [size], "c": []}) == [f"{size} (a; b)", f"{image} (a)"]
    assert outside_lines({"a": [], "b": []}) == outside_lines({}) == []
