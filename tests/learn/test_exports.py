"""What is taken home of a run holds what the run holds."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from tomoalign_core.config import RunConfig
from tomoalign_core.learn.exports import metrics_csv, tensorboard_zip
from tomoalign_core.learn.runs import Run, create_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    return create_run(RunConfig(name="test"))


def test_the_table_holds_every_line_and_names_figures_by_their_case(run: Run) -> None:
    run.append_metrics({"kind": "step", "step": 1, "loss": 4.5})
    run.append_metrics({"kind": "step", "step": 2, "loss": 3.5})
    case = {"rmse_dx_px": 0.25}
    run.append_metrics({"kind": "epoch", "epoch": 1, "train": {"loss": 4.0}, "cases": {"foam, 5 %": case}})
    rows = list(csv.DictReader(io.StringIO(metrics_csv(run))))
    assert [row["loss"] for row in rows] == ["4.5", "3.5", ""]
    assert rows[2]["train/loss"] == "4.0"
    assert rows[2]["foam, 5 %/rmse_dx_px"] == "0.25"


def test_the_tensorboard_file_holds_events_and_trace_and_nothing_else(run: Run) -> None:
    (run.path / "events.out.tfevents.1.host").write_bytes(b"first")
    (run.path / "events.out.tfevents.2.host").write_bytes(b"after a stop")
    (run.path / "trace").mkdir()
    (run.path / "trace" / "host.pt.trace.json").write_text("{}")
    (run.path / "best.safetensors").write_bytes(b"heavy")
    with zipfile.ZipFile(io.BytesIO(tensorboard_zip(run))) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {
        f"{run.id}/events.out.tfevents.1.host": b"first",
        f"{run.id}/events.out.tfevents.2.host": b"after a stop",
        f"{run.id}/trace/host.pt.trace.json": b"{}",
    }


def test_a_run_that_has_said_nothing_is_taken_home_empty(run: Run) -> None:
    assert metrics_csv(run).strip() == ""
    assert zipfile.ZipFile(io.BytesIO(tensorboard_zip(run))).namelist() == []
