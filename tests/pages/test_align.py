"""Align finds the shifts of a stack, scores them, and saves what it found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from kit import SCAN, show, well

from tomoalign_core.config import SimulationConfig
from tomoalign_core.files.shifts import read_csv
from tomoalign_core.files.stacks import read_stack, write_stack


def test_a_bad_path_is_one_line_and_not_an_exception_box() -> None:
    at = show("align", source="Server file", path="/nowhere/scan.h5")
    at.button(key="align").click().run()
    assert [e.value for e in well(at).error] == ["/nowhere/scan.h5: no such file or folder; give the path of a stack"]


def test_align_finds_the_shifts_of_a_file_and_scores_them(workspace: Path) -> None:
    from tomoalign_core.simulate import simulate

    scan = simulate(SimulationConfig(scan=SCAN, seed=1))
    path = workspace / "scan.h5"
    write_stack(path, proj=scan.proj.numpy(), angle_rad=scan.angle_rad, truth=scan.shifts)
    at = show("align", source="Server file", path=str(path))
    at.pills(key="methods").set_value(["center-of-mass", "profile-correlation"]).run()
    at.button(key="align").click().run()
    table = well(at).dataframe[0].value
    assert list(table["method"]) == ["centre of mass", "profile correlation"]
    assert table["error dx, px"].between(0, 1).all()
    files = [button.label for button in at.get("download_button")]
    assert files == ["Shifts (CSV)", "Aligned stack (HDF5)"]


def test_what_align_offers_to_save_is_what_it_found(tmp_path: Path) -> None:
    from pages.shared.align_results import _aligned_file, find
    from tomoalign_core.align import undo_shifts
    from tomoalign_core.files.shifts import to_csv
    from tomoalign_core.files.stacks import Stack
    from tomoalign_core.simulate import simulate

    scan = simulate(SimulationConfig(scan=SCAN, seed=1))
    stack = Stack(proj=scan.proj.numpy(), angle_rad=scan.angle_rad, source="here")
    found = find(stack, "centre of mass", method="center-of-mass", model="pretrained")
    found.aligned = undo_shifts(stack.proj, found.shifts)
    (tmp_path / "a.h5").write_bytes(_aligned_file(stack, found)())
    (tmp_path / "a.csv").write_text(to_csv(found.shifts))
    saved = read_stack(tmp_path / "a.h5")
    assert np.array_equal(saved.proj, found.aligned[0])
    assert "center-of-mass" in saved.notes[0]
    assert np.allclose(read_csv(tmp_path / "a.csv").dx_px, found.shifts.dx_px, atol=1e-8)
