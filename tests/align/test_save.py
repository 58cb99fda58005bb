"""What is saved is what undoing gives; a dashboard that is only shown writes nothing."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tomoalign_core.align import undo_shifts
from tomoalign_core.align.save import save_on_server, write_undone
from tomoalign_core.config import InputError
from tomoalign_core.geometry import Shifts, angles


@pytest.fixture
def proj() -> np.ndarray:
    return np.random.default_rng(0).random((5, 12, 14), np.float32)


@pytest.fixture
def shifts() -> Shifts:
    dx, dy = np.random.default_rng(1).normal(0, 1, (2, 5))
    return Shifts.from_arrays(angle_rad=angles(5), dx_px=dx, dy_px=dy, used=[1, 1, 0, 1, 1])


def test_the_file_holds_what_undoing_gives_with_its_mask_and_table(
    tmp_path: Path, proj: np.ndarray, shifts: Shifts
) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "a.h5"
    told = {"made_by": "hand", "axis_px": 2.5}
    write_undone(path, proj, shifts, **told, progress=lambda done, of: seen.append((done, of)))
    aligned, valid = undo_shifts(proj, shifts)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["exchange/data"][...], aligned)
        np.testing.assert_array_equal(file["tomoalign/valid"][...], valid)
        np.testing.assert_array_equal(file["tomoalign/shifts/dx_px"][...], shifts.dx_px)
        assert file["tomoalign"].attrs["model"] == "hand"
        assert file["tomoalign"].attrs["rotation_axis_px"] == 2.5
    assert seen == [(i, 5) for i in range(1, 6)]


def test_on_the_server_nothing_is_replaced_and_nothing_written_when_read_only(
    tmp_path: Path, proj: np.ndarray, shifts: Shifts, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_on_server(tmp_path / "a.h5", proj, shifts, made_by="hand")
    with pytest.raises(InputError, match="there is such a file already"):
        save_on_server(tmp_path / "a.h5", proj, shifts, made_by="hand")
    with pytest.raises(InputError, match=r"ends in \.h5"):
        save_on_server(tmp_path / "a.tif", proj, shifts, made_by="hand")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    with pytest.raises(InputError, match="TOMOALIGN_READONLY"):
        save_on_server(tmp_path / "b.h5", proj, shifts, made_by="hand")
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
