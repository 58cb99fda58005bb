"""The reports that pages offer hold what the page shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from kit import SCAN, in_state, show, well
from odd_stacks import EMPTY, odd_stack, weights_of_larger_stacks

from tomoalign_core.config import NoiseConfig, SimulationConfig
from tomoalign_core.files.writers import write_stack
from tomoalign_core.metrics import overall_rmse
from tomoalign_core.simulate import simulate


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], str]]:
    """File name to what the report button of the last run would give."""
    offered: dict[str, Callable[[], str]] = {}

    def button(label: str, data: Callable[[], str], file_name: str, *args: object, **kwargs: object) -> None:
        if label == "Report (HTML)":
            offered[file_name] = data

    monkeypatch.setattr(st, "download_button", button)
    return offered


def test_align_offers_a_report_of_the_table_that_is_looked_at(
    workspace: Path, reports: dict[str, Callable[[], str]]
) -> None:
    scan = simulate(SimulationConfig(scan=SCAN, noise=NoiseConfig(gaussian=0.02), seed=1))
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    query = {"methods": "center-of-mass,profile-correlation", "tab": "Save"}
    at = show("align", source="Server file", path=str(path), **query)
    well(at.button(key="align").click().run())
    text = reports["scan-report.html"]()
    error = at.dataframe[0].value.set_index("method")["error dx, px"]
    assert "by centre of mass" in text
    for method in ("centre of mass", "profile correlation"):
        assert f"<td>{method}</td>" in text and f"<td>{error[method]:.3f}</td>" in text


def test_a_report_says_what_the_page_says_of_the_stack(workspace: Path, reports: dict[str, Callable[[], str]]) -> None:
    path, model = odd_stack(workspace / "odd.h5"), weights_of_larger_stacks(workspace / "w.safetensors")
    at = show("align", source="Server file", path=str(path), methods="network", model=str(model), tab="Save")
    well(at.button(key="align").click().run())
    text = reports["odd-report.html"]()
    assert (
        "size: 24 views of 32 × 40 px" in text
        and f"{EMPTY} (it is the same everywhere, or lacks over 1 % of its pixels)" in text
    )


def test_monitor_offers_a_report_of_its_run(
    trained: Path, workspace: Path, reports: dict[str, Callable[[], str]]
) -> None:
    run = in_state(trained, workspace, "finished")
    well(show("monitor", run=run.id))
    text = reports[f"{run.id}-report.html"]()
    best = min(run.metrics("epoch"), key=lambda e: overall_rmse(e["cases"]))["cases"]["blobs, few"]
    told = re.search(r"dx ([\d.]+) px, dy ([\d.]+) px rms on blobs, few", text)
    assert told is not None
    assert [float(value) for value in told.groups()] == pytest.approx(
        [best["rmse_dx_px"], best["rmse_dy_px"]], abs=6e-4
    )
