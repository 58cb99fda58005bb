"""Simulate: samples set every slider, the address restores the view, and only what changed is computed anew."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from kit import live_figures, show, well, words
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.shared import scan_form
from tomoalign_core import engines
from tomoalign_core.config import MisalignConfig, NoiseConfig, SimulationConfig
from tomoalign_core.metrics import rms
from tomoalign_core.samples import SAMPLES
from tomoalign_core.simulate import ScanPlan, simulate

SMALL = {"views": "20", "rows": "24", "cols": "32"}


@pytest.fixture
def projected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Each time that pixels were projected: whether as the stage moved."""
    made: list[bool] = []
    project = ScanPlan.project

    def counted(self: ScanPlan, *, moved: bool = True, **rest: Any) -> Any:
        made.append(moved)
        return project(self, moved=moved, **rest)

    monkeypatch.setattr(ScanPlan, "project", counted)
    return made


def settings_of(at: AppTest) -> SimulationConfig:
    """What the page hands on to Align and to Data set."""
    return SimulationConfig.from_json(at.session_state["simulation"])


def movie_of(at: AppTest) -> dict[str, Any]:
    """The data of the movie."""
    every = [json.loads(element.proto.json or "{}") for element in at.get("bidi_component")]
    return next(data for data in every if "sheets" in data)


@pytest.mark.parametrize("name", SAMPLES)
def test_widgets_show_a_sample_as_it_is(name: str) -> None:
    config = SAMPLES[name].config
    assert scan_form.configured(scan_form.widget_values(config)) == config


def test_picking_a_sample_sets_every_slider() -> None:
    at = well(show("simulate", **SMALL, dx="7.5", outliers="10", noise="None"))
    at.button_group(key="example").set_value("Pillar").run()
    assert settings_of(well(at)) == SAMPLES["Pillar"].config
    assert "Back to Pillar" not in [button.label for button in at.button]


def test_a_slider_that_is_moved_after_a_sample_was_picked_stays_and_can_be_taken_back() -> None:
    at = well(show("simulate", example="Pillar"))
    at.slider(key="dx").set_value(2.0).run()
    pillar = SAMPLES["Pillar"].config
    assert settings_of(at) == pillar.changed(misalign=pillar.misalign.changed(dx_sigma_px=2.0))
    at.button(key="back").click().run()
    assert settings_of(well(at)) == pillar


def test_the_address_restores_the_settings_and_the_row() -> None:
    query = {
        "example": "Low dose", **SMALL, "kind": "Foam", "range": "120", "start": "-60", "end": "true", "object": "5",
        "number": "9", "dx": "2.5", "roll": "0.7", "drift": "3", "jumps": "2", "outliers": "4", "uniform": "6",
        "noise": "Both", "gaussian": "2.5", "counts": "1,000", "background": "15", "gain": "8", "rescale": "true",
        "cut": "true",
        "row": "7",
    }  # fmt: skip
    at = well(show("simulate", **query))
    config = settings_of(at)
    assert (config.scan.n_views, config.scan.n_rows, config.scan.n_cols) == (20, 24, 32)
    assert (config.scan.range_deg, config.scan.start_deg, config.scan.include_end) == (120, -60, True)
    assert (config.phantom.kind, config.phantom_seed, config.seed) == ("foam", 5, 9)
    low_dose = SAMPLES["Low dose"].config
    assert config.misalign == low_dose.misalign.changed(
        dx_sigma_px=2.5, roll_sigma_deg=0.7, drift_px=3, jumps=2, outlier_fraction=0.04, uniform_px=6
    )
    assert config.noise == NoiseConfig(gaussian=0.025, counts=1000, background=0.15, gain=0.08, rescale=True, clip=True)
    assert at.slider(key="row").value == movie_of(at)["row"] == 7


def elsewhere_and_back(at: AppTest, **query: str) -> AppTest:
    """Off to another page, and back by an address that holds no more than ``query``."""
    at.query_params.clear()
    well(at.switch_page("pages/help.py").run())
    at.query_params.clear()
    for name, value in query.items():
        at.query_params[name] = value
    return well(at.switch_page("pages/simulate.py").run())


def test_who_comes_back_finds_the_settings_as_they_were_left() -> None:
    at = well(show("simulate", **SMALL, example="Low dose", kind="Foam", noise="Both", row="7"))
    at.slider(key="dx").set_value(7.5).run()
    left = settings_of(at)
    at = elsewhere_and_back(at)
    assert settings_of(at) == left
    assert (at.slider(key="row").value, at.query_params["dx"]) == (7, "7.5")
    assert at.button_group(key="example").value == "Low dose"
    assert not at.warning


def test_a_scan_in_the_address_sets_the_sliders_and_leaves_the_address() -> None:
    """Align carries it, and a browser's Back brings it along."""
    pillar = SAMPLES["Pillar"].config
    config = pillar.changed(scan=pillar.scan.changed(n_views=20, n_rows=24, n_cols=32), seed=5)
    text = config.model_dump_json(exclude_defaults=True)
    at = well(show("simulate", scan=text))
    assert settings_of(at) == config and "scan" not in at.query_params and not at.warning
    at.slider(key="dx").set_value(7.5).run()
    assert settings_of(elsewhere_and_back(at, scan=text)) == config
    assert settings_of(elsewhere_and_back(at, **SMALL)).seed == 0  # an address with settings is all there is


@pytest.mark.parametrize("place", ["pick_sample", "_object", "_detector"])
def test_a_scan_leaves_the_address_though_the_run_that_read_it_was_cut_short(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a click or a theme that turns: the browser then heard nothing of what that run said of the address."""
    at = well(show("simulate", **SMALL, kind="Foam", noise="Both"))
    at.slider(key="dx").set_value(7.5).run()
    left = settings_of(at)
    text = left.model_dump_json(exclude_defaults=True)
    with monkeypatch.context() as cut:
        cut.setattr(scan_form, place, lambda *_: st.stop())
        elsewhere_and_back(at, scan=text)
    at.query_params.clear()
    at.query_params["scan"] = text
    assert settings_of(well(at.run())) == left and "scan" not in at.query_params
    assert (at.query_params["kind"], at.query_params["noise"], at.query_params["dx"]) == ("Foam", "Both", "7.5")


def test_a_scan_in_the_address_that_no_slider_reaches_or_nobody_understands_is_told() -> None:
    at = well(show("simulate", scan='{"scan": {"n_views": 500, "n_rows": 24, "n_cols": 32}, "phantom_seed": 3}'))
    assert at.slider(key="views").value == 360
    assert "do not reach all settings" in at.warning[0].value
    at = well(show("simulate", scan='{"scan": {"n_views": 1}}'))
    assert "scan.n_views = 1" in at.warning[0].value


def test_what_is_not_understood_in_the_address_is_told_until_something_changes() -> None:
    at = well(show("simulate", views="99999", kind="Fog", rows="24", cols="32"))
    told = at.warning[0].value
    assert "`views=99999`: expected a number from 10 to 360; shown is 60" in told
    assert "`kind=Fog`: expected one of Blobs, Foam" in told and "shown is Blobs" in told
    assert (settings_of(at).scan.n_views, settings_of(at).scan.n_rows) == (60, 24)
    assert at.run().warning[0].value == told
    at.query_params["dx"] = "1"  # as a browser does when a slider is moved
    assert not well(at.run()).warning
    assert not well(show("simulate", **SMALL)).warning


def test_a_number_beyond_the_end_becomes_the_end_whether_typed_or_in_the_address() -> None:
    at = well(show("simulate", **SMALL, object="-4"))
    assert "`object=-4`" in at.warning[0].value and at.number_input(key="object").value == 0
    at = well(show("simulate", **SMALL))
    at.number_input(key="object").set_value(-7).run()
    assert at.number_input(key="object").value == 0
    at.number_input(key="object").set_value(10**12).run()
    assert at.number_input(key="object").value == settings_of(well(at)).phantom_seed == scan_form.MOST_SEED


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ("Gaussian", {"gaussian": 0.03, "counts": None}),
        ("Photons", {"gaussian": 0.0, "counts": 500}),
        ("Both", {"gaussian": 0.03, "counts": 500}),
        ("None", {"gaussian": 0.0, "counts": None}),
    ],
)
def test_each_kind_of_noise_sets_its_own_and_tells_the_bound(noise: str, expected: dict[str, Any]) -> None:
    at = well(show("simulate", **SMALL, noise=noise))
    assert settings_of(at).noise == NoiseConfig(**expected)
    told = "Without noise there is no limit" if noise == "None" else "No method can do better than"
    assert told in words(at)


def test_the_bound_on_the_page_is_that_of_the_scan() -> None:
    from tomoalign_core.metrics import cramer_rao

    at = well(show("simulate", **SMALL))
    scan = simulate(settings_of(at))
    dx, dy = (rms(bound) for bound in cramer_rao(scan.clean.numpy(), gaussian=0.03))
    assert f"{dx:#.2g} px in dx and {dy:#.2g} px in dy here" in words(at)


def test_the_movie_holds_what_the_stack_holds() -> None:
    at = well(show("simulate", **SMALL, roll="1"))
    movie, scan = movie_of(at), simulate(settings_of(at))
    white = max(float(scan.aligned().max()), np.percentile(scan.proj.numpy()[:, ::3, ::3], 99.7))
    for number, stack in enumerate((scan.aligned().numpy(), scan.proj.numpy())):
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(movie["sheets"][number]))), float)
        for view in (0, 11, 19):
            line, column = divmod(view, movie["columns"])
            tile = picture[line * 24 : (line + 1) * 24, column * 32 : (column + 1) * 32]
            np.testing.assert_allclose(tile / 255 * white, stack[view].clip(0, white), atol=white / 500)
    np.testing.assert_allclose(movie["dx"], scan.shifts.dx_px, atol=1e-3)
    np.testing.assert_allclose(movie["roll"], scan.shifts.roll_deg, atol=1e-3)
    assert movie["n"] == 20


def test_another_row_or_view_simulates_nothing_again(projected: list[bool]) -> None:
    at = well(show("simulate", **SMALL))
    assert sorted(projected) == [False, True]
    before = live_figures(at)
    at.slider(key="row").set_value(3).run()
    well(at)
    at.query_params["view"] = "5"  # as the movie writes it, by itself
    well(at.run())
    assert len(projected) == 2
    after = live_figures(at)
    alt = "Sinogram: perfect stage, and as measured"
    assert after[alt]["data"][0]["source"] != before[alt]["data"][0]["source"]


def test_noise_projects_nothing_and_jitter_does_not_project_the_perfect_stage_again(projected: list[bool]) -> None:
    at = well(show("simulate", **SMALL))
    at.slider(key="gaussian").set_value(10.0).run()
    at.slider(key="background").set_value(20.0).run()
    assert len(projected) == 2
    at.slider(key="dx").set_value(1.0).run()
    assert projected[2:] == [True]
    scan = simulate(settings_of(well(at)))
    movie = movie_of(at)
    np.testing.assert_allclose(movie["dx"], scan.shifts.dx_px, atol=1e-3)  # it is the scan of these settings


def test_a_row_without_the_object_and_a_scan_without_a_fault_are_said_in_words() -> None:
    at = well(show("simulate", **SMALL, row="0"))
    assert "it does not reach this row" in words(at)
    still = dict.fromkeys(("dx", "dy"), "0")
    assert "the same to the last bit" in words(well(show("simulate", **SMALL, **still, noise="None")))


def test_what_the_stage_did_is_drawn_with_its_histograms() -> None:
    at = well(show("simulate", **SMALL, roll="1"))
    figure = live_figures(at)["dx, dy and roll over the angle, with histograms"]
    assert [trace["type"] for trace in figure["data"]] == ["scatter", "bar"] * 3
    at.slider(key="roll").set_value(0.0).run()
    figure = live_figures(well(at))["dx, dy and roll over the angle, with histograms"]
    assert len(figure["data"]) == 4


def test_a_bad_volume_is_one_line(tmp_path: Path) -> None:
    at = well(show("simulate", **SMALL, kind="Volume file", volume="/nowhere/volume.npy"))
    assert [e.value for e in at.error] == ["/nowhere/volume.npy: no such file; give a voxel volume [z, y, x]"]
    np.save(tmp_path / "flat.npy", np.ones((4, 4)))
    at.text_input(key="volume").set_value(str(tmp_path / "flat.npy")).run()
    assert "has shape (4, 4)" in well(at).error[0].value


def test_a_volume_is_scanned_and_read_anew_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "volume.npy"
    volume = np.zeros((16, 20, 20), np.float32)
    volume[4:12, 6:9, 8:15] = 1
    np.save(path, volume)
    at = well(show("simulate", **SMALL, kind="Volume file", volume=str(path)))
    first = movie_of(at)["sheets"][0]
    np.save(path, volume.transpose(0, 2, 1))
    assert movie_of(well(at.run()))["sheets"][0] != first


def test_a_page_that_is_only_shown_reads_no_path_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    np.save(tmp_path / "volume.npy", np.ones((8, 8, 8)))
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    at = well(show("simulate", **SMALL, kind="Volume file", volume=str(tmp_path / "volume.npy")))
    assert "Volume file" not in at.selectbox(key="kind").options
    assert settings_of(at).phantom.path is None


def test_a_scan_too_large_for_a_page_is_refused_in_one_line() -> None:
    at = well(show("simulate", views="360", rows="256", cols="384"))
    assert "35 million pixels" in at.error[0].value
    assert "\n" not in at.error[0].value


def test_all_that_is_set_goes_on_to_the_command_line() -> None:
    """What is saved as settings gives the stack that the page shows."""
    at = well(show("simulate", **SMALL, example="Drifting foam"))
    config = settings_of(at)
    again = SimulationConfig.from_json(config.to_json())
    np.testing.assert_allclose(movie_of(at)["dy"], simulate(again).shifts.dy_px, atol=1e-3)
    assert config.misalign == MisalignConfig(
        dx_sigma_px=0.5, dy_sigma_px=0.5, drift_px=4, jumps=2, outlier_fraction=0.05
    )


# ---------------------------------------------------------------- engines


def test_without_tomopy_the_page_says_so_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_form, "tomopy_installed", lambda: False)
    at = well(show("simulate", **SMALL, engine="tomopy"))  # a link from where it is installed
    assert settings_of(at).engine == "torch"
    assert "tomopy, is not installed: `conda install -c conda-forge tomopy`" in words(at)
    assert "engine" not in [group.key for group in at.button_group]


def test_an_engine_that_is_gone_while_the_page_is_open_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_form, "tomopy_installed", lambda: True)
    monkeypatch.setattr(engines, "tomopy_installed", lambda: False)
    at = well(show("simulate", **SMALL, engine="tomopy"))
    assert [box.value for box in at.error] == [
        "the engine tomopy needs tomopy, which is not installed; conda install -c conda-forge tomopy"
    ]


@pytest.mark.skipif(not engines.tomopy_installed(), reason=f"tomopy is not installed: {engines.HOW_TO_GET_TOMOPY}")
@pytest.mark.parametrize("kind", ["Shepp–Logan head", "Blobs"])
def test_the_switch_hands_the_scan_and_its_slices_to_tomopy(kind: str, projected: list[bool]) -> None:
    at = well(show("simulate", **SMALL, kind=kind, noise="None"))
    before = live_figures(at)["Slice: perfect stage, and as measured"]
    projected.clear()
    at.button_group(key="engine").set_value("tomopy").run()
    assert settings_of(well(at)).engine == "tomopy" and sorted(projected) == [False, True]
    assert live_figures(at)["Slice: perfect stage, and as measured"] != before
    at.slider(key="background").set_value(20.0).run()
    assert sorted(projected) == [False, True]  # what was projected is kept, as with torch
