"""Align: methods side by side, a view nudged and left out by hand, files that hold what is shown, links, read-only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import streamlit as st
from kit import SCAN, by_label, decoded, live_figures, show, well, words
from odd_stacks import EMPTY, NOISE, odd_stack, rolling_far, weights_of_larger_stacks
from streamlit.testing.v1 import AppTest

from pages.shared import align_methods
from pages.shared.align_work import Found, Result, outside_and_beyond
from tomoalign_core import engines
from tomoalign_core.align import find_shifts, move_views, undo_shifts
from tomoalign_core.align.residual import held_out_residual
from tomoalign_core.config import MisalignConfig, NoiseConfig, ScanConfig, SimulationConfig
from tomoalign_core.files.shifts import read_csv, to_csv, to_nabu, to_xf, write_csv
from tomoalign_core.files.stacks import Stack
from tomoalign_core.files.writers import write_stack
from tomoalign_core.geometry import Shifts, compose, transposed
from tomoalign_core.metrics import score_shifts
from tomoalign_core.samples import SAMPLES
from tomoalign_core.simulate import SimulatedScan, simulate

CLASSICAL = "center-of-mass,profile-correlation"
NOISY = SimulationConfig(
    scan=SCAN, misalign=MisalignConfig(dx_sigma_px=1, dy_sigma_px=1), noise=NoiseConfig(gaussian=0.02), seed=1
)


@pytest.fixture(scope="module")
def scan() -> SimulatedScan:
    return simulate(NOISY)


@pytest.fixture
def stack(workspace: Path, scan: SimulatedScan) -> Path:
    """A stack whose truth is not known."""
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad)
    return path


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], bytes] | str]:
    """What the download buttons of the last run would give."""
    offered: dict[str, Callable[[], bytes] | str] = {}

    def button(label: str, data: object, *args: object, **kwargs: object) -> None:
        offered[label.split(",")[0]] = data  # type: ignore[assignment]

    monkeypatch.setattr(st, "download_button", button)
    return offered


def aligned(path: Path, *, tab: str = "Shifts", methods: str = CLASSICAL, **query: str) -> AppTest:
    at = show("align", source="Server file", path=str(path), methods=methods, tab=tab, **query)
    return well(at.button(key="align").click().run())


def table(at: AppTest) -> dict[str, list]:
    return {name: list(column) for name, column in at.dataframe[0].value.items()}


def alt(chart: Any) -> str:
    """What is read to who cannot see a chart."""
    return str(chart.proto.alt)


def pictures(at: AppTest) -> dict[str, str]:
    """The grey-scale pictures in the charts of the page, by the title above each."""
    found = {}
    for chart in at.get("plotly_chart"):
        figure = json.loads(chart.proto.spec)
        images = [trace["source"] for trace in figure["data"] if trace["type"] == "image"]
        titles = [note["text"] for note in figure["layout"].get("annotations", ())]
        found |= dict(zip(titles, images, strict=False))
    return found


def open_tab(at: AppTest, name: str) -> AppTest:
    """As a click on the tab does: it changes the address and the state."""
    at.query_params["tab"] = at.session_state["tab"] = name
    return well(at.run())


def csv_now(saved: dict, tmp_path: Path) -> Shifts:
    (tmp_path / "now.csv").write_text(saved["Shifts (CSV)"])
    return read_csv(tmp_path / "now.csv")


# ---------------------------------------------------------------- side by side


def test_a_bad_path_is_one_line_and_not_an_exception_box() -> None:
    at = show("align", source="Server file", path="/nowhere/scan.h5")
    at.button(key="align").click().run()
    assert [e.value for e in well(at).error] == ["/nowhere/scan.h5: no such file or folder; give the path of a stack"]


def test_where_the_truth_is_known_methods_stand_side_by_side_with_their_errors(
    workspace: Path, scan: SimulatedScan
) -> None:
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    rows = table(aligned(path))
    assert rows["method"] == ["centre of mass", "profile correlation"]
    from tomoalign_core.align import find_shifts

    for i, method in enumerate(CLASSICAL.split(",")):
        score = score_shifts(find_shifts(scan.proj.numpy(), scan.angle_rad, method=method), scan.shifts)
        assert rows["error dx, px"][i] == pytest.approx(score.dx_rmse_px)
        assert rows["error dy, px"][i] == pytest.approx(score.dy_rmse_px)
    assert "error roll, °" not in rows, "nothing rolls"
    assert rows["best"] == ["tie", "tie"]  # they differ by half a per cent
    rows = table(aligned(path, methods="phase-correlation,center-of-mass"))
    assert rows["error dy, px"][0] > 2 * rows["error dy, px"][1] and rows["best"] == ["", "★"]


def test_where_the_stage_rolls_the_error_in_roll_stands_beside_the_others(workspace: Path, scan: SimulatedScan) -> None:
    roll = np.linspace(-2, 2, len(scan.shifts))
    write_stack(
        workspace / "rolled.h5",
        proj=scan.proj.numpy(),
        angle_rad=scan.angle_rad,
        truth=replace(scan.shifts, roll_deg=roll),
    )
    rows = table(aligned(workspace / "rolled.h5", methods="center-of-mass"))
    assert rows["error roll, °"] == [pytest.approx(np.std(roll))], "all of it, as this method finds none"


def test_a_stack_of_a_built_data_set_comes_with_its_bound(workspace: Path, scan: SimulatedScan) -> None:
    from tomoalign_core.files.simulated import SimulatedStack, write_simulated
    from tomoalign_core.metrics import scan_bound

    proj, clean = scan.proj.numpy(), scan.clean.numpy()
    drawn = SimulatedStack(proj=proj, clean=clean, shifts=scan.shifts, gaussian=scan.gaussian, counts=None)
    write_simulated(workspace / "s.h5", drawn, config_json="{}")
    at = aligned(workspace / "s.h5", methods="center-of-mass")
    bound = np.hypot(*scan_bound(clean, gaussian=scan.gaussian, counts=None))
    rows = table(at)
    assert rows["× bound"][0] == pytest.approx(np.hypot(rows["error dx, px"][0], rows["error dy, px"][0]) / bound)


def test_a_file_that_simulate_wrote_comes_with_its_bound(workspace: Path) -> None:
    """Not so where the views are no longer those that its settings give."""
    from tomoalign_core.metrics import scan_bound

    settings = SimulationConfig(scan=ScanConfig(n_views=24, n_rows=32, n_cols=40), noise=NoiseConfig(gaussian=0.05))
    scan = simulate(settings)
    parts = {"angle_rad": scan.angle_rad, "truth": scan.shifts, "config_json": settings.to_json()}
    write_stack(workspace / "s.h5", proj=scan.proj.numpy(), **parts)
    rows = table(aligned(workspace / "s.h5", methods="center-of-mass"))
    bound = np.hypot(*scan_bound(scan.clean.numpy(), gaussian=scan.gaussian, counts=None))
    assert rows["× bound"][0] == pytest.approx(np.hypot(rows["error dx, px"][0], rows["error dy, px"][0]) / bound)
    write_stack(workspace / "edited.h5", proj=scan.proj.numpy() * 1.1, **parts)
    assert "× bound" not in table(aligned(workspace / "edited.h5", methods="center-of-mass"))


def test_where_it_is_not_known_the_residual_judges(stack: Path, scan: SimulatedScan) -> None:
    at = aligned(stack)
    rows = table(at)
    assert "error dx, px" not in rows
    assert "truth of this stack is not known" in words(at)
    from tomoalign_core.align import find_shifts

    expected = [
        held_out_residual(
            scan.proj.numpy(), scan.angle_rad, find_shifts(scan.proj.numpy(), scan.angle_rad, method=method)
        ).overall
        for method in CLASSICAL.split(",")
    ]
    assert rows["residual"] == pytest.approx(expected, rel=1e-4)
    assert rows["best"] == ["tie", "tie"] and max(expected) < 1.01 * min(expected)


@pytest.mark.parametrize("truth_known", [True, False])
def test_leaving_a_view_out_does_not_win(truth_known: bool, workspace: Path, scan: SimulatedScan) -> None:
    """Not even one that was thrown far off, without which the rest is foretold better."""
    dx = scan.shifts.dx_px.copy()
    dx[5] += 8
    thrown = move_views(scan.aligned().numpy(), replace(scan.shifts, dx_px=dx))
    truth = replace(scan.shifts, dx_px=dx) if truth_known else None
    write_stack(workspace / "scan.h5", proj=thrown, angle_rad=scan.angle_rad, truth=truth)
    at = aligned(workspace / "scan.h5", tab="One view", view="5", methods="center-of-mass")
    at.button(key="use-view").click().run()
    rows = table(well(at))
    assert rows["left out"] == [0, 1] and rows["best"] == ["tie", "tie"]
    assert "Compared on the 13 of 14 views that every table uses" in words(at)
    columns = ("error dx, px", "error dy, px") if truth_known else ()
    assert all(rows[name][0] == rows[name][1] for name in columns)


def test_the_network_runs_with_any_model_beside_the_others_and_shows_its_confidence(
    stack: Path, trained: Path, workspace: Path
) -> None:
    from kit import in_state

    run = in_state(trained, workspace, "finished")
    rows = table(aligned(stack, methods="network,center-of-mass", model=f"pretrained,{run.id}"))
    assert rows["method"] == ["network, pretrained", "network, tiny", "centre of mass"]
    assert np.isfinite(rows["σ, px"][:2]).all() and not np.isfinite(rows["σ, px"][2])


def rounds_chart(at: AppTest) -> list[dict[str, Any]]:
    """The charts of the rounds of a refinement, as figures."""
    return [json.loads(c.proto.spec) for c in at.get("plotly_chart") if "each round of the refinement" in alt(c)]


def test_a_refinement_stands_beside_its_network_and_its_rounds_can_be_looked_at(workspace: Path) -> None:
    # a stage that rolls: of one that does not, what chance takes for rolls is dropped, which the residual may not like
    rolling = simulate(NOISY.changed(misalign=NOISY.misalign.changed(roll_sigma_deg=2)))
    stack = workspace / "rolling.h5"
    write_stack(stack, proj=rolling.proj.numpy(), angle_rad=rolling.angle_rad)
    at = aligned(stack, methods="network,network+refine")
    rows = table(at)
    assert rows["method"] == ["network, pretrained", "network, pretrained, refined"]
    alone, refined = rows["residual"]
    assert refined < alone
    assert not rounds_chart(at)
    at.segmented_control(key="look-at").set_value("network, pretrained, refined")
    well(at.run())
    folded = next(box.label for box in at.expander if box.label.startswith("Refined"))
    best, last = re.search(r"round (\d) of (\d) is kept, the held-out residual (?:stays|went)", folded).groups()  # type: ignore[union-attr]
    (figure,) = rounds_chart(at)
    line, kept = figure["data"][:2]
    assert decoded(line["x"]) == list(range(int(last) + 1)) and kept["x"] == [int(best)]
    # it begins with the network's own answer; the table's are those of the views that are left in the end
    assert decoded(line["y"])[0] == pytest.approx(alone, rel=0.01) and kept["y"] == [pytest.approx(refined, rel=0.01)]
    assert "Edits by hand came later" not in words(at)
    open_tab(at, "One view")
    at.button(key="nudge-dx+1").click().run()
    assert "Edits by hand came later" in words(open_tab(at, "Shifts"))


def test_rounds_are_told_and_drawn_as_they_come_and_their_chart_goes_when_they_end(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.elements.lib.mutable_status_container import StatusContainer

    from pages.shared import align_rounds

    told, drawn = [], []
    update, first, newer = StatusContainer.update, align_rounds.live_plot, align_rounds.live_news

    def watched_update(self: StatusContainer, *, label: str | None = None, **more: Any) -> None:
        told.append(label)
        update(self, label=label, **more)

    def watched(draw: Callable[..., None]) -> Callable[..., None]:
        def called(figure: Any, **about: Any) -> None:
            drawn.append((draw is first, about["live"], len(figure.data[0].x)))
            draw(figure, **about)

        return called

    monkeypatch.setattr(StatusContainer, "update", watched_update)
    monkeypatch.setattr(align_rounds, "live_plot", watched(first))
    monkeypatch.setattr(align_rounds, "live_news", watched(newer))
    at = aligned(stack, methods="network+refine")
    of = len(decoded(rounds_chart(at)[0]["data"][0]["x"]))
    assert of >= 2
    assert drawn == [(n == 1, "rounds-1", n) for n in range(1, of + 1)]  # one chart, which grows
    lines = [text for text in told if text and "held-out residual" in text]
    told = re.compile(r"round (\d) of at most 6, held-out residual 0\.\d+, views moved by \d\.\d{3} px rms$")
    assert [told.search(line) is not None for line in lines] == [n > 0 for n in range(of)]
    assert live_figures(at) == {}


def test_the_chart_of_the_rounds_is_gone_after_a_fault_in_one(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tomoalign_core.align import refine
    from tomoalign_core.config import InputError

    def refuse(*_: object, on_round: Callable[[refine.Round], None], **__: object) -> None:
        for number in range(2):
            on_round(refine.Round(number=number, residual=0.2, step_px=0.1 * number, kept=True))
        raise InputError("the stack is gone")

    monkeypatch.setattr(refine, "refine_shifts", refuse)
    at = aligned(stack, methods="network+refine,center-of-mass")
    assert table(at)["method"] == ["centre of mass"]
    assert "the stack is gone" in at.error[0].value
    assert live_figures(at) == {} and rounds_chart(at) == []


def test_a_method_that_cannot_do_a_stack_says_so_and_the_others_go_on(stack: Path, workspace: Path) -> None:
    (workspace / "no.safetensors").write_bytes(b"not weights at all")
    at = aligned(stack, methods="network,center-of-mass", model=str(workspace / "no.safetensors"))
    assert table(at)["method"] == ["centre of mass"]
    assert "not the weights of a TomoAlign network" in at.error[0].value


PAIRS = {"Before and after": ("Sinogram", "Slice"), "Three cuts": ("Axial", "Coronal", "Sagittal")}


@pytest.mark.parametrize("tab", ["Shifts", "Before and after", "Three cuts", "One view", "Add a table", "Save"])
def test_every_tab_shows_its_own_and_nothing_of_the_others(stack: Path, tab: str, saved: dict) -> None:
    at = aligned(stack, tab=tab, methods="center-of-mass", view="3")
    drawn, pairs = pictures(at), PAIRS.get(tab, ())
    of_a_view = {"Measured", "Predicted from others", "Both in one"} if tab == "One view" else set()
    assert drawn.keys() == of_a_view | {f"{what} {when}" for what in pairs for when in ("before", "after")}
    for what in pairs:
        assert drawn[f"{what} before"] != drawn[f"{what} after"]  # undone shifts move pixels
    charts = {alt(chart) for chart in at.get("plotly_chart")}
    assert ("Found shifts over the angle, with the truth where it is known" in charts) == (tab == "Shifts")
    assert ("View 3 as measured, as predicted from the others, and both in one" in charts) == (tab == "One view")
    assert [metric.label for metric in at.metric] == ["Residual of this view"] * (tab == "One view")
    if tab == "One view":
        assert 0 < float(at.metric[0].value) < 1
    assert [field.label for field in at.get("file_uploader")] == ["Shift table to add (CSV)"] * (tab == "Add a table")
    files = {"Shifts (CSV)", "IMOD (.xf)", "nabu (text)", "Settings (JSON)", "Aligned stack (HDF5"}
    assert saved.keys() & files == (files if tab == "Save" else set())


# ---------------------------------------------------------------- the tilt axis


LYING = NOISY.changed(scan=SCAN.changed(n_views=24, n_rows=40, n_cols=48))  # seen with rows and columns exchanged


@pytest.fixture
def lying(workspace: Path) -> Path:
    """A stack whose tilt axis lies along the rows."""
    drawn = simulate(LYING)
    path = workspace / "lying.h5"
    write_stack(path, proj=drawn.proj.numpy().swapaxes(1, 2), angle_rad=drawn.angle_rad)
    return path


def test_a_stack_that_turned_about_the_other_axis_is_asked_about_and_turned(lying: Path) -> None:
    at = aligned(lying)
    assert "tilt axis of lying.h5 seems to lie along its rows" in at.warning[0].value and not at.dataframe
    at.button(key="turn-axis").click().run()
    assert not well(at).warning and table(at)["method"] == ["centre of mass", "profile correlation"]
    assert "24 views of 40 × 48 px" in words(at)
    assert at.selectbox(key="tilt-axis").value == "the rows"


def test_flat_and_dark_fields_are_taken_from_files_of_their_own(workspace: Path, scan: SimulatedScan) -> None:
    counts = 20 + 1e4 * np.exp(-scan.proj.numpy())
    np.savez(workspace / "counts.npz", proj=counts, angles_deg=np.rad2deg(scan.angle_rad))
    for name, level in (("flats", 10020.0), ("darks", 20.0)):
        np.save(workspace / f"{name}.npy", np.full((2, *counts.shape[1:]), level))
    fields = {name: str(workspace / f"{name}.npy") for name in ("flats", "darks")}
    at = aligned(workspace / "counts.npz", **fields)
    assert "counts to attenuation with 2 flat, 2 dark" in words(at)
    at.text_input(key="flats").set_value(str(workspace / "none")).run()
    assert "none: no such file" in at.button(key="align").click().run().error[0].value


def test_networks_begin_at_the_tilt_of_the_axis_that_is_given(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, float]] = []

    def found(*scan: Any, method: str, axis_tilt_deg: float, **more: Any) -> Shifts:
        begun.append((method, axis_tilt_deg))
        return find_shifts(*scan, method="center-of-mass")

    monkeypatch.setattr("tomoalign_core.align.find_shifts", found)
    at = aligned(stack, methods="network,center-of-mass", **{"axis-tilt": "12.5"})
    assert begun == [("network", 12.5), ("center-of-mass", 0.0)] and at.number_input(key="axis-tilt").value == 12.5
    at.number_input(key="axis-tilt").set_value(None).run()
    well(at.button(key="align").click().run())
    assert begun[2:] == [("network", 0.0)], "the other one is recalled"


def test_tables_of_a_turned_stack_say_so_and_those_of_other_programs_are_of_the_file(
    lying: Path, saved: dict, tmp_path: Path
) -> None:
    at = aligned(lying)
    at.button(key="turn-axis").click().run()
    open_tab(at, "Save")
    assert "# views: transposed" in saved["Shifts (CSV)"]
    (tmp_path / "s.csv").write_text(saved["Shifts (CSV)"])
    found = read_csv(tmp_path / "s.csv", of_transposed=True)
    truth = simulate(LYING).shifts
    assert score_shifts(found, truth).dx_rmse_px < 0.5 < score_shifts(transposed(found), truth).dx_rmse_px
    nabu = np.fromstring(saved["nabu (text)"], sep=" ").reshape(-1, 2)
    np.testing.assert_allclose(nabu, np.stack([found.dy_px, found.dx_px], 1), atol=1e-5)
    assert saved["IMOD (.xf)"] == to_xf(transposed(found))


def test_a_visitor_who_knows_better_aligns_it_as_it_is(lying: Path) -> None:
    at = aligned(lying)
    at.button(key="believe-axis").click().run()
    assert table(at)["method"] == ["centre of mass", "profile correlation"]
    assert "24 views of 48 × 40 px" in words(well(at)) and "seems to lie" in at.warning[0].value


# ---------------------------------------------------------------- what is to be known beside it


def test_what_a_network_did_not_learn_from_is_told_before_it_runs_and_stays_in_view(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoalign_core import align
    from tomoalign_core.align import find_shifts, outside_domain

    did: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **settings: Any) -> Any:
            did.append(name)
            return call(*args, **settings)

        return watching

    monkeypatch.setattr(align, "outside_domain", watched("looked", outside_domain))
    monkeypatch.setattr(align, "find_shifts", watched("aligned", find_shifts))
    path, model = odd_stack(workspace / "odd.h5", noise=0.5), weights_of_larger_stacks(workspace / "w.safetensors")
    at = aligned(path, methods="center-of-mass,network", model=str(model))
    at.segmented_control(key="look-at").set_value("centre of mass").run()
    assert did == ["looked", "aligned", "aligned"]  # once, and first
    grave = [box.value for box in well(at).warning if "learned from" in box.value]
    slight = [box.value for box in at.info if "learned from" in box.value]
    assert len(grave) == len(slight) == 1
    assert "- image: noise of" in grave[0] and "size:" not in grave[0]
    assert "- size: 24 views of 32 × 40 px" in slight[0] and "image:" not in slight[0]
    at.pills(key="methods").set_value(["center-of-mass"]).run()
    at.button(key="align").click().run()
    assert "learned from" not in words(well(at))


def test_rolls_far_beyond_those_learned_from_are_told_beside_what_was_found(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoalign_core import align

    monkeypatch.setattr(align, "find_shifts", lambda _, angle_rad, **__: rolling_far(angle_rad))
    at = aligned(stack, methods="center-of-mass,network")

    def told() -> list[str]:
        return [box.value for box in at.warning if "- rolls: views seem to turn by 15° (rms)" in box.value]

    assert not told()
    at.segmented_control(key="look-at").set_value("network, pretrained").run()
    assert len(told()) == 1


def test_a_tilted_axis_is_told_and_its_error_stands_in_the_table(
    workspace: Path, scan: SimulatedScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoalign_core import align

    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)

    def leaning(_: object, angle_rad: np.ndarray, **__: object) -> Shifts:
        return replace(rolling_far(angle_rad), roll_deg=np.full(len(angle_rad), -3.0))

    at = aligned(path, methods="center-of-mass")
    assert "rotation axis is tilted" not in words(at) and "error axis, °" not in table(at)
    monkeypatch.setattr(align, "find_shifts", leaning)
    at = aligned(path, methods="profile-correlation")
    assert "The rotation axis is tilted by 3.00° counterclockwise" in words(at)
    assert table(at)["error axis, °"] == [3.0]


def test_what_is_told_afterwards_stands_in_the_report_beside_what_is_told_before() -> None:
    def found(name: str, *beyond: str) -> Found:
        return Found(name=name, made_by=name, shifts=rolling_far(np.arange(4.0)), seconds=1.0, beyond=beyond)

    tables = [found("network, a", "rolls: far"), found("network, a, refined", "rolls: far"), found("centre of mass")]
    result = Result(
        key="", name="", stack=Stack(proj=np.zeros((4, 8, 8), np.float32), angle_rad=np.arange(4.0), source="s"),
        bound_px=None, outside={"network, a": ("size: small",)}, found={one.name: one for one in tables},
    )  # fmt: skip
    assert outside_and_beyond(result) == {"network, a": ("size: small", "rolls: far")}


def test_of_several_networks_it_is_told_which_one_did_not_learn_from_it(workspace: Path, trained: Path) -> None:
    from kit import in_state

    run = in_state(trained, workspace, "finished")
    model = weights_of_larger_stacks(workspace / "w.safetensors")
    at = aligned(odd_stack(workspace / "odd.h5"), methods="network,network+refine", model=f"{model},{run.id}")
    told = [line for box in [*at.info, *at.warning] for line in box.value.splitlines() if line.startswith("- size:")]
    assert [("(network, w.safetensors)" in line, "(network, tiny)" in line) for line in told] == [(True, False)]


def test_views_left_out_are_told_with_their_reason_and_can_be_opened_and_used_again(workspace: Path) -> None:
    at = aligned(odd_stack(workspace / "odd.h5"), methods="center-of-mass")
    reasons = {
        EMPTY: "it is the same everywhere, or lacks over 1 % of its pixels",
        NOISE: "no object stands out of its noise",
    }
    told = next(line for line in words(at).splitlines() if "2 of 24 views are left out" in line)
    assert all(f"{view} ({reason})" in told for view, reason in reasons.items())
    for view, reason in reasons.items():
        at.button(key="open-left-out").click().run()
        assert at.number_input(key="view").value == view and by_label(at.button, "Use it again")
        assert [c.value for c in well(at).caption if c.value.startswith("Left out")] == [f"Left out: {reason}."]
    at.button(key="use-view").click().run()
    assert "1 of 24 views is left out" in words(well(at)) and "stands out of its noise" not in words(at)
    at.button(key="use-view").click().run()
    assert f"{NOISE} (left out by hand)" in words(well(at))


# ---------------------------------------------------------------- by hand


def test_a_nudge_changes_its_view_and_undo_gives_back_the_table_as_it_was(
    stack: Path, saved: dict, tmp_path: Path
) -> None:
    at = aligned(stack, tab="Save")
    text = saved["Shifts (CSV)"]
    found = csv_now(saved, tmp_path)
    open_tab(at, "One view")
    before = at.metric[0].value
    at.number_input(key="view").set_value(4).run()
    at.button(key="nudge-dx+1").click().run()
    at.button(key="nudge-dx+0.1").click().run()
    at.button(key="nudge-roll-0.1").click().run()
    assert at.metric[0].value != before and at.metric[0].delta
    assert table(at)["method"] == ["centre of mass", "↳ 3 edits", "profile correlation"]
    open_tab(at, "Save")
    nudged = csv_now(saved, tmp_path)
    assert nudged.dx_px[4] - found.dx_px[4] == pytest.approx(1.1)
    assert nudged.roll_deg[4] - found.roll_deg[4] == pytest.approx(-0.1)
    np.testing.assert_array_equal(np.delete(nudged.dx_px, 4), np.delete(found.dx_px, 4))
    for _ in range(3):
        at.button(key="edit-Undo").click().run()
    assert saved["Shifts (CSV)"] == text
    assert table(at)["method"] == ["centre of mass", "profile correlation"]
    for _ in range(3):
        at.button(key="edit-Redo").click().run()
    np.testing.assert_array_equal(csv_now(saved, tmp_path).dx_px, nudged.dx_px)
    at.toggle(key="as-found").set_value(True).run()
    assert saved["Shifts (CSV)"] == text


def test_a_nudge_towards_the_place_of_a_view_that_was_thrown_off_lowers_its_residual(
    workspace: Path, scan: SimulatedScan
) -> None:
    """The table is perfect but for one view, which is 1 px off to the right."""
    dx = scan.shifts.dx_px.copy()
    dx[6] += 1
    off = Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=dx, dy_px=scan.shifts.dy_px)
    from pages.shared.align_work import Asked, Result, find, nearest_residual, residual_of
    from tomoalign_core.edits import Edits, Nudge
    from tomoalign_core.files.stacks import Stack

    whole = Stack(proj=scan.proj.numpy(), angle_rad=scan.angle_rad, source="here")
    result = Result(key="here", name="here", stack=whole, bound_px=None)
    found = find(whole, Asked(name="mine.csv", method="from-file", table=off))
    result.found["mine.csv"] = found
    residual_of(result, found.shifts)
    known = nearest_residual(result, found, Edits().then(Nudge(view=6, ddx_px=-1)))
    assert known is not None and known[1].done == ()
    assert known[0].view(6, ddx_px=-1).residual < known[0].view(6).residual


def test_a_view_left_out_is_marked_in_the_files_and_comes_back(stack: Path, saved: dict, tmp_path: Path) -> None:
    at = aligned(stack, tab="One view", view="9")
    at.button(key="use-view").click().run()
    assert by_label(at.button, "Use it again")
    assert table(at)["left out"][:2] == [0, 1]
    open_tab(at, "Save")
    assert np.flatnonzero(~csv_now(saved, tmp_path).used).tolist() == [9]
    open_tab(at, "One view")
    at.button(key="use-view").click().run()
    open_tab(at, "Save")
    assert csv_now(saved, tmp_path).used.all()


def test_a_table_is_added_before_the_found_one(
    stack: Path, saved: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = aligned(stack, tab="Save")
    found = csv_now(saved, tmp_path)
    rng = np.random.default_rng(0)
    dx, dy, roll = rng.normal(0, 2, (3, len(found)))
    coarse = Shifts.from_arrays(angle_rad=found.angle_rad, dx_px=dx, dy_px=dy, roll_deg=roll)
    write_csv(tmp_path / "coarse.csv", coarse)
    open_tab(at, "Add a table")
    at.file_uploader(key="table-to-add").upload("coarse.csv", (tmp_path / "coarse.csv").read_bytes(), "text/csv")
    well(at.run())
    at.button(key="add").click().run()
    open_tab(at, "Save")
    both, expected = csv_now(saved, tmp_path), compose(coarse, found)
    for name in ("dx_px", "dy_px", "roll_deg"):
        np.testing.assert_allclose(getattr(both, name), getattr(expected, name), atol=1e-6)
    at.button(key="edit-Reset").click().run()
    assert csv_now(saved, tmp_path).dx_px.tolist() == found.dx_px.tolist()


def test_edits_live_through_a_visit_to_another_page(stack: Path) -> None:
    at = aligned(stack, tab="One view", view="2")
    at.button(key="nudge-dy+1").click().run()
    at.switch_page("pages/model.py").run()
    at.switch_page("pages/align.py").run()
    at.run()
    assert "1 edit" in words(well(at))


def test_a_link_brings_the_edits_along_and_refuses_those_of_other_stacks(
    stack: Path, saved: dict, tmp_path: Path
) -> None:
    at = aligned(stack, tab="One view", view="2", methods="center-of-mass")
    at.button(key="nudge-dy+1").click().run()
    at.button(key="use-view").click().run()
    open_tab(at, "Save")
    text, link = saved["Shifts (CSV)"], at.query_params["edits"]
    query = {"source": "Server file", "path": str(stack), "methods": "center-of-mass", "go": "1", "tab": "Save"}
    saved.clear()
    well(show("align", **query, edits=link))
    assert saved["Shifts (CSV)"] == text
    at = well(show("align", **query, edits=link.replace('"view":2', '"view":99')))
    assert "view 99: the stack has 14 views" in at.warning[0].value
    assert "↳" not in str(table(at)["method"])


def test_a_file_larger_than_the_memory_is_not_read(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import sources

    monkeypatch.setattr(sources, "memory_bytes", lambda: 1000)
    monkeypatch.setattr(sources, "read_stack", lambda *_, **__: pytest.fail("it was read"))
    at = aligned(stack)
    assert "the server has 1.0 kB of memory" in at.error[0].value


def test_after_a_refusal_nothing_else_is_asked_for(stack: Path, workspace: Path) -> None:
    at = aligned(stack)
    cut_off = workspace / "cut.h5"
    cut_off.write_bytes(stack.read_bytes()[:1000])
    at = well(at.text_input(key="path").set_value(str(cut_off)).run())
    assert "The settings have changed since" in words(at)
    at = well(at.button(key="align").click().run())
    assert "cut.h5" in at.error[0].value
    assert "The settings have changed since" not in words(at)


def test_a_method_that_finds_nothing_in_noise_says_so(workspace: Path) -> None:
    flat = np.random.default_rng(0).standard_normal((14, 24, 28)).astype(np.float32)
    write_stack(workspace / "noise.h5", proj=flat, angle_rad=np.linspace(0, 3, 14))
    at = aligned(workspace / "noise.h5")
    assert "of 14 views are left out" in at.error[0].value and "stands out of its noise" in at.error[0].value


# ---------------------------------------------------------------- files


def test_downloads_hold_the_edited_table(stack: Path, saved: dict, scan: SimulatedScan, tmp_path: Path) -> None:
    at = aligned(stack, tab="One view", view="3")
    at.button(key="nudge-dx+1").click().run()
    at.button(key="use-view").click().run()
    open_tab(at, "Save")
    now = csv_now(saved, tmp_path)
    assert to_csv(now) == saved["Shifts (CSV)"]
    xf, nabu = (np.fromstring(saved[k], sep=" ") for k in ("IMOD (.xf)", "nabu (text)"))
    np.testing.assert_allclose(xf, np.fromstring(to_xf(now), sep=" "), atol=1e-5)
    np.testing.assert_allclose(nabu, np.fromstring(to_nabu(now), sep=" "), atol=1e-5)
    (tmp_path / "a.h5").write_bytes(saved["Aligned stack (HDF5"]())
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_allclose(file["exchange/data"][...], undo_shifts(scan.proj.numpy(), now)[0], atol=1e-6)
        assert file["tomoalign"].attrs["model"] == "center-of-mass, 2 edits by hand"
        assert abs(file["tomoalign"].attrs["rotation_axis_px"] - (scan.proj.shape[2] - 1) / 2) < 1
    told = json.loads(saved["Settings (JSON)"])
    assert told["address"]["path"] == str(stack) and told["transposed"] is False
    assert [edit["kind"] for edit in told["edits"]] == ["nudge", "use"]
    assert told["scores"]["left out"] == 1


def test_the_aligned_stack_is_written_on_the_server_but_over_nothing(stack: Path, workspace: Path) -> None:
    at = aligned(stack, tab="Save")
    target = workspace / "out.h5"
    for said in ("success", "error"):
        at.text_input(key="save-path").set_value(str(target))
        by_label(at.button, "Write").click().run()
        assert len(well(at).get(said)) == 1
    assert h5py.is_hdf5(target)


# ---------------------------------------------------------------- links, read-only


def test_a_link_with_go_aligns_a_sample_without_a_click() -> None:
    at = well(show("align", go="1", sample="Noisy", methods="center-of-mass"))
    assert table(at)["method"] == ["centre of mass"]
    assert at.query_params["go"] == "1"


def test_a_link_with_go_to_a_file_waits_for_a_click_but_a_refresh_finds_what_was_done(stack: Path) -> None:
    query = {"source": "Server file", "path": str(stack), "methods": "center-of-mass", "go": "1"}
    at = well(show("align", **query))
    assert len(at.dataframe) == 0
    at.button(key="align").click().run()
    assert table(well(show("align", **query)))["method"] == ["centre of mass"]


def test_a_view_beyond_the_last_is_the_last(stack: Path) -> None:
    at = aligned(stack, tab="One view", view="99")
    assert at.number_input(key="view").value == 13
    at.number_input(key="view").set_value(-3).run()
    assert well(at).number_input(key="view").value == 0


def test_the_network_says_whether_it_knows_how_sure_it_may_be(workspace: Path, scan: SimulatedScan) -> None:
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    assert "errors within ±σ dx " in words(aligned(path, methods="network"))
    assert "within ±σ" not in words(aligned(path, methods="center-of-mass"))


def test_a_link_restores_source_methods_row_and_tab(stack: Path) -> None:
    at = aligned(stack, tab="Before and after", methods="profile-correlation", row="7")
    assert at.slider(key="row").value == 7
    assert at.pills(key="methods").value == ["profile-correlation"]
    assert at.text_input(key="path").value == str(stack)


def test_what_is_not_understood_in_the_address_is_told_in_one_line() -> None:
    at = well(show("align", source="foo", sample="blobs", tab="Nowhere", view="x"))
    told = at.warning[0].value
    assert "`source=foo`: expected one of Sample, Server file, Upload; shown is Sample" in told
    assert "`sample=blobs`: expected one of Easy, Noisy" in told and "shown is Noisy" in told
    assert "`tab=Nowhere`" in told and "`view=x`" in told and "\n" not in told
    assert not well(show("align", source="Upload", tab="Save", view="7")).warning


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_simulate_can_be_aligned(name: str) -> None:
    at = well(show("align", sample=name))
    assert at.selectbox(key="sample").value == name
    assert SAMPLES[name].about in words(at)


def test_settings_of_simulate_travel_in_the_link() -> None:
    text = NOISY.model_dump_json(exclude_defaults=True)
    at = well(show("align", go="1", sample="as set on the Simulate page", scan=text, methods="center-of-mass"))
    assert "14 views of 24 × 28 px" in words(at)
    assert "Cramér–Rao" in words(at)


def test_read_only_hides_and_refuses_files(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    model = str(stack.with_suffix(".safetensors"))
    at = well(show("align", source="Server file", path=str(stack), methods="network", model=model))
    assert "opens no files" in words(at)
    assert len(at.text_input) == 0 and not at.get("file_uploader")
    assert at.multiselect(key="model-choice").value == ["pretrained"]
    at.pills(key="methods").set_value(["center-of-mass"]).run()
    at.button(key="align").click().run()
    assert "Noisy" in words(well(at))
    open_tab(at, "Save")
    assert len(at.text_input) == 0


def test_a_file_asked_for_before_the_dashboard_became_read_only_is_not_read(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = show("align", source="Server file", path=str(stack))
    from pages.shared import sources

    source = {}
    real = sources._path
    monkeypatch.setattr(sources, "_path", lambda: source.setdefault("source", real()))
    well(at.run())
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    from tomoalign_core.config import InputError

    with pytest.raises(InputError, match="opens no files"):
        source["source"].read()


@pytest.mark.skipif(engines.tomopy_installed(), reason="tomopy is installed, so that nothing is missing")
def test_without_tomopy_the_page_says_what_joint_reprojection_needs() -> None:
    assert "Joint reprojection needs tomopy: `conda install -c conda-forge tomopy`" in words(well(show("align")))


@pytest.mark.skipif(not engines.tomopy_installed(), reason=f"tomopy is not installed: {engines.HOW_TO_GET_TOMOPY}")
def test_joint_reprojection_of_tomopy_aligns_where_it_is_asked_for(stack: Path) -> None:
    assert "tomopy-joint" not in align_methods.AT_FIRST
    rows = table(aligned(stack, methods="center-of-mass,tomopy-joint", tab="Methods"))
    assert rows["method"] == ["centre of mass", "joint reprojection (tomopy)"]
