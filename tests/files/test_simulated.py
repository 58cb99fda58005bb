"""A simulated stack comes back from its file to the last bit, and takes no more room than it must."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tomoalign_core.config import InputError
from tomoalign_core.files.simulated import (
    SimulatedStack,
    is_simulated,
    read_pictures,
    read_simulated,
    read_truth,
    write_simulated,
)
from tomoalign_core.geometry import Shifts

RNG = np.random.default_rng(5)
SHAPE = (7, 9, 11)


def a_stack(*, noise: float, counts: float | None = None) -> SimulatedStack:
    clean = RNG.random(SHAPE).astype(np.float32)
    columns = {name: RNG.normal(size=7) for name in ("dx_px", "dy_px", "roll_deg")}
    shifts = Shifts.from_arrays(angle_rad=np.sort(RNG.uniform(0, np.pi, 7)), **columns)
    proj = clean + np.float32(noise) if noise else clean
    return SimulatedStack(proj=proj, clean=clean, shifts=shifts, gaussian=noise, counts=counts)


@pytest.mark.parametrize(("noise", "counts"), [(0.0, None), (0.1, None), (0.1, 250.0)])
def test_what_was_written_is_read_to_the_last_bit(noise: float, counts: float | None, tmp_path: Path):
    stack = a_stack(noise=noise, counts=counts)
    write_simulated(tmp_path / "s.h5", stack, config_json="{}")
    read = read_simulated(tmp_path / "s.h5")
    assert (read.gaussian, read.counts) == (noise, counts)
    for name in ("proj", "clean"):
        np.testing.assert_array_equal(getattr(read, name), getattr(stack, name))
    for name in ("angle_rad", "dx_px", "dy_px", "roll_deg", "used"):
        np.testing.assert_array_equal(getattr(read.shifts, name), getattr(stack.shifts, name))


def test_a_stack_without_noise_is_kept_once(tmp_path: Path):
    write_simulated(tmp_path / "clean.h5", a_stack(noise=0.0), config_json="{}")
    with h5py.File(tmp_path / "clean.h5") as file:
        assert isinstance(file["tomoalign"].get("clean", getlink=True), h5py.SoftLink)
        np.testing.assert_array_equal(file["tomoalign/clean"][...], file["exchange/data"][...])


def test_a_look_reads_one_view_one_row_and_the_truth(tmp_path: Path):
    stack = a_stack(noise=0.1)
    write_simulated(tmp_path / "s.h5", stack, config_json="{}")
    view, lines = read_pictures(tmp_path / "s.h5", view=3, row=4)
    np.testing.assert_array_equal(view, stack.proj[3])
    np.testing.assert_array_equal(lines, stack.proj[:, 4])
    truth, shape = read_truth(tmp_path / "s.h5")
    assert shape == SHAPE
    np.testing.assert_array_equal(truth.roll_deg, stack.shifts.roll_deg)


def test_a_missing_file_and_a_damaged_one_are_told_apart(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_simulated(tmp_path / "nothing.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["something"] = 1
    (tmp_path / "broken.h5").write_bytes(b"broken")
    for name in ("other.h5", "broken.h5"):
        with pytest.raises(InputError, match=f"{name}: is not a whole simulated stack"):
            read_simulated(tmp_path / name)
        assert not is_simulated(tmp_path / name)
    assert not is_simulated(tmp_path / "nothing.h5")
    write_simulated(tmp_path / "s.h5", a_stack(noise=0.1), config_json="{}")
    assert is_simulated(tmp_path / "s.h5")
