"""Shift tables as files: CSV comes back as it went, and the other formats mean what their programs take them for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tomoalign_core.config import InputError
from tomoalign_core.files.shifts import COLUMNS, read_csv, to_csv, to_nabu, to_xf, write_csv
from tomoalign_core.geometry import Shifts, angles, rotation


@pytest.fixture
def shifts() -> Shifts:
    rng = np.random.default_rng(0)
    dx, dy, roll, sigma = rng.normal(scale=[[9], [3], [2], [0.1]], size=(4, 7))
    return Shifts.from_arrays(
        angle_rad=angles(7),
        dx_px=dx,
        dy_px=dy,
        roll_deg=roll,
        dx_sigma_px=np.where(np.arange(7) == 2, np.nan, abs(sigma)),
        used=np.arange(7) != 4,
    )


def test_csv_round_trips_to_a_millionth_of_a_pixel(tmp_path: Path, shifts: Shifts) -> None:
    write_csv(tmp_path / "s.csv", shifts)
    back = read_csv(tmp_path / "s.csv")
    for name in ("angle_rad", "dx_px", "dy_px", "roll_deg", "dx_sigma_px", "dy_sigma_px", "used"):
        np.testing.assert_allclose(getattr(back, name), getattr(shifts, name), atol=1e-7, err_msg=name)
    assert list(tmp_path.iterdir()) == [tmp_path / "s.csv"]


def test_csv_states_convention_and_units_and_is_read_by_numpy(tmp_path: Path, shifts: Shifts) -> None:
    text = to_csv(shifts)
    head = "".join(line for line in text.splitlines() if line.startswith("#"))
    assert "what the stage did" in head and "degrees" in head and "pixels" in head
    write_csv(tmp_path / "s.csv", shifts)
    table = np.genfromtxt(tmp_path / "s.csv", delimiter=",", names=True, skip_header=text.count("#"))
    assert table.dtype.names == COLUMNS
    np.testing.assert_allclose(table["dx_px"], shifts.dx_px, atol=1e-7)
    np.testing.assert_array_equal(table["view_index"], np.arange(7))


def test_a_table_says_how_its_views_lie_and_is_refused_for_others(tmp_path: Path, shifts: Shifts) -> None:
    for of_transposed in (True, False):
        path = tmp_path / f"{of_transposed}.csv"
        write_csv(path, shifts, of_transposed=of_transposed)
        np.testing.assert_allclose(read_csv(path, of_transposed=of_transposed).dx_px, shifts.dx_px, atol=1e-7)
        assert len(read_csv(path)) == 7  # who does not say, is not asked
        said = "is of transposed views" if of_transposed else "is of views as they lie in the file"
        with pytest.raises(InputError, match=said):
            read_csv(path, of_transposed=not of_transposed)
    (tmp_path / "bare.csv").write_text("angle_deg, dx_px, dy_px\n0, 1, 2\n")
    assert len(read_csv(tmp_path / "bare.csv", of_transposed=True)) == 1


def test_a_bare_table_needs_angle_dx_and_dy_only(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("angle_deg, dx_px, dy_px\n0, 1, 2\n90, -1, 0.5\n")
    back = read_csv(tmp_path / "s.csv")
    np.testing.assert_allclose(back.angle_rad, [0, np.pi / 2])
    assert back.dx_px.tolist() == [1, -1] and back.used.all() and np.isnan(back.dy_sigma_px).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no shifts"),
        ("angle_deg,dx_px,dy_px\n", "holds no shifts"),
        ("angle_deg,dx_px\n0,1\n", "no column dy_px"),
        ("angle_deg,dx_px,dy_px,dz_px\n0,1,2,3\n", "a column 'dz_px'"),
        ("# a\nangle_deg,dx_px,dy_px\n0,1,2\n5,one,2\n", "line 4: dx_px is 'one'"),
        ("angle_deg,dx_px,dy_px\n0,1\n", "line 2: 2 fields, but there are 3 columns"),
        ("angle_deg,dx_px,dy_px\n0,nan,1\n", "line 2: dx_px is nan"),
        ("angle_deg,dx_px,dy_px,used\n0,1,1,2\n", "used is 2"),
        ("view_index,angle_deg,dx_px,dy_px\n1,0,1,1\n0,5,1,1\n", "view_index does not count"),
    ],
)
def test_faults_of_a_table_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_csv(tmp_path / "s.csv")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_missing_and_binary_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such shift table"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "s.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="is not text"):
        read_csv(tmp_path / "s.csv")


def test_an_unused_view_may_have_no_shift(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("angle_deg,dx_px,dy_px,used\n0,nan,nan,0\n5,1,1,1\n")
    assert read_csv(tmp_path / "s.csv").used.tolist() == [False, True]


def test_xf_takes_moved_points_back_to_where_they_were(shifts: Shifts) -> None:
    """IMOD: x' = A x + D, both counted from the image centre."""
    lines = np.array([[float(x) for x in line.split()] for line in to_xf(shifts).splitlines()])
    points = np.random.default_rng(1).uniform(-50, 50, (20, 2))
    for line, turn, dx, dy in zip(lines, rotation(shifts.roll_deg), shifts.dx_px, shifts.dy_px, strict=True):
        moved = points @ turn.T + [dx, dy]
        back = moved @ line[:4].reshape(2, 2).T + line[4:]
        np.testing.assert_allclose(back, points, atol=2e-5)


def test_nabu_values_are_read_at_row_plus_shift_as_nabu_does() -> None:
    """nabu fills row y with what was recorded at row y + shift: content moved down by 3 comes back by +3."""
    view = np.arange(40.0)[:, None] * np.ones(4)
    moved = ndimage.shift(view, (3, 0), order=0)  # 3 px down
    text = to_nabu(Shifts.from_arrays(angle_rad=[0.0], dx_px=[1.25], dy_px=[3.0]))
    horizontal, vertical = (float(x) for x in text.split())
    np.testing.assert_array_equal(moved[int(vertical) :], view[:-3])
    assert horizontal == 1.25
