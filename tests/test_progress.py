"""Bars of the terminal: none for what is quick, one for each that takes long."""

from __future__ import annotations

import time

import pytest

from tomoalign_core import progress
from tomoalign_core.progress import bar_if_long


def test_what_is_quick_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with bar_if_long("looking") as tell:
        for done in range(1, 5):
            tell(done, 4)
    assert capsys.readouterr().err == ""


def test_what_takes_long_is_told_and_once_more_if_it_begins_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    with bar_if_long("looking") as tell:
        for done in (1, 2, 3, 4, 1, 2, 3, 4):
            now[0] += progress.LONG_S
            tell(done, 4)
    said = capsys.readouterr().err
    assert said.count("looking") == 2
    assert said.count("4/4") == 2


def test_a_failure_ends_the_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "LONG_S", -1.0)
    with pytest.raises(ZeroDivisionError), bar_if_long("looking") as tell:
        tell(1, 4)
        raise ZeroDivisionError
    assert "1/4" in capsys.readouterr().err
