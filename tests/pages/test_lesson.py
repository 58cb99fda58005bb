"""The lesson shows what was measured, and the level that explains it."""

from __future__ import annotations

import json

import pytest
from kit import decoded, show, well, words

from tomoalign_core.learn.lesson import Faults, load_record


def curves(at: object) -> dict[str, list[float]]:
    """The lines of the loss chart by name; those without one are the faint ones."""
    figure = json.loads(at.get("plotly_chart")[0].proto.spec)  # type: ignore[attr-defined]
    return {line["name"]: decoded(line["y"]) for line in figure["data"] if line.get("name")}


def test_as_written_all_four_faults_are_in_and_the_level_is_100_and_the_variance() -> None:
    at = well(show("lesson"))
    assert [toggle.value for toggle in at.toggle] == [True] * 4
    level = load_record().levels.variance + 100
    assert f"scores **{level:.3g} px²**" in words(at)
    assert "Nothing is learned" in words(at)


def test_the_curve_is_that_of_the_switches_and_the_address_sets_them() -> None:
    at = well(show("lesson", unmoved="false", no_step="false", forced="false", raw_labels="false"))
    kept = load_record()
    name = next(name for name in curves(at) if name.endswith("0 of 4 faults"))
    faults = Faults(False, False, False, False)
    assert curves(at)[name][0] == pytest.approx(kept.losses[faults.code][0], rel=1e-5)
    assert "a fault of the code" in words(at)
    at.toggle(key="forced").set_value(True).run()
    assert any(name.endswith("1 of 4 faults") for name in curves(well(at)))
    assert "gauge" in words(at)


def test_the_two_stories_differ_as_the_sliders_say_and_show_one_sinogram() -> None:
    at = well(show("lesson", x="6.0", y="0.0"))
    stories = next(json.loads(chart.proto.spec) for chart in at.get("plotly_chart") if "story A" in chart.proto.spec)
    a, b = (decoded(line["y"]) for line in stories["data"][:2])
    angles = decoded(stories["data"][0]["x"])
    assert a[0] - b[0] == pytest.approx(6.0)
    assert angles[0] == 0.0
    assert "Largest difference: 0" in words(at) or "e-" in words(at)
