"""Train starts what stands in its form, and never trains the same twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit import by_label, show, well, words

from tomoalign_core.learn import runs
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.runs import Run


@pytest.mark.parametrize("name", ["quick", "full", "notebook"])
def test_an_untouched_form_trains_the_preset_itself(name: str, spawned: list[Run]) -> None:
    at = show("train", preset=name)
    by_label(at.button, "Start").click().run()
    assert [run.config for run in spawned] == [preset(name)]
    assert at.title[0].value == "Monitor"


def test_train_opens_what_was_trained_before_instead_of_training_it_again(workspace: Path, spawned: list[Run]) -> None:
    run = runs.create_run(preset("quick"))
    run.write_status(run.status().model_copy(update={"state": "finished"}))
    at = show("train")
    assert "Already trained" in words(at)
    by_label(at.button, "Open").click().run()
    assert spawned == []
    assert len(runs.list_runs()) == 1


def test_train_says_in_one_line_what_cannot_be(spawned: list[Run]) -> None:
    at = show("train")
    by_label(at.text_input, "Name").set_value("no spaces please").run()
    assert len(well(at).error) == 1
    assert "name = 'no spaces please'" in at.error[0].value
    assert not [b for b in at.button if b.label == "Start"]
