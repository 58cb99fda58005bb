"""Reading and writing stacks: what comes out is what went in, and every fault is one clear line."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.files.stacks import check_stack, read_stack
from tomoalign_core.files.writers import write_aligned, write_stack
from tomoalign_core.geometry import Shifts, angles

N, V, U = 5, 10, 12
ANGLE = angles(N)


@pytest.fixture
def proj() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 2.0, (N, V, U)).astype(np.float32)


@pytest.fixture
def shifts() -> Shifts:
    rng = np.random.default_rng(1)
    dx, dy, roll = rng.normal(size=(3, N))
    return Shifts.from_arrays(angle_rad=ANGLE, dx_px=dx, dy_px=dy, roll_deg=roll, used=[1, 1, 0, 1, 1])


def counts_of(proj: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, three flats and two darks whose means give back exactly this attenuation."""
    rng = np.random.default_rng(2)
    dark = rng.uniform(50, 100, proj.shape[1:])
    flat = dark + rng.uniform(2e4, 3e4, proj.shape[1:])
    counts = dark + (flat - dark) * np.exp(-proj.astype(float))
    return counts, np.stack([flat - 7, flat, flat + 7]), np.stack([dark - 3, dark + 3])


def data_exchange(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"exchange/{name}"] = array
    return path


def assert_same_shifts(a: Shifts, b: Shifts) -> None:
    for name in ("angle_rad", "dx_px", "dy_px", "roll_deg", "dx_sigma_px", "dy_sigma_px", "used"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-12, err_msg=name)


# ---------------------------------------------------------------- what comes out is what went in


def test_a_written_stack_reads_back_with_its_truth(tmp_path: Path, proj: np.ndarray, shifts: Shifts) -> None:
    path = tmp_path / "scan.h5"
    write_stack(path, proj=proj, angle_rad=ANGLE, truth=shifts, config_json='{"seed": 3}')
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.proj, proj)
    assert stack.proj.dtype == np.float32
    np.testing.assert_allclose(stack.angle_rad, ANGLE, atol=1e-12)
    assert stack.truth is not None and stack.notes == () and stack.source == str(path)
    assert_same_shifts(stack.truth, shifts)
    with h5py.File(path) as file:
        assert file["tomoalign"].attrs["config"] == '{"seed": 3}'


def test_fields_in_files_of_their_own_do_the_same_and_what_does_not_fit_is_refused(
    tmp_path: Path, proj: np.ndarray
) -> None:
    counts, flats, darks = counts_of(proj)
    theta = np.rad2deg(ANGLE)
    inside = read_stack(data_exchange(tmp_path / "i.h5", data=counts, data_white=flats, data_dark=darks, theta=theta))
    bare = data_exchange(tmp_path / "bare.h5", data=counts, theta=theta)
    (tmp_path / "flats").mkdir()
    for number, flat in enumerate(flats):
        tifffile.imwrite(tmp_path / "flats" / f"{number}.tif", flat.astype(np.float32))
    np.save(tmp_path / "darks.npy", darks)
    fields = {"flats_path": tmp_path / "flats", "darks_path": tmp_path / "darks.npy"}
    beside = read_stack(bare, **fields)  # type: ignore[arg-type]
    assert beside.notes == inside.notes
    np.testing.assert_allclose(beside.proj, inside.proj, atol=1e-5)
    turned = read_stack(bare, tilt_axis="horizontal", **fields)  # type: ignore[arg-type]
    np.testing.assert_allclose(turned.proj, beside.proj.swapaxes(1, 2))
    np.save(tmp_path / "narrow.npy", darks[..., :-1])
    for given, said in (
        ({"flats_path": tmp_path / "none"}, "none: no such file or folder"),
        (
            {"flats_path": tmp_path / "narrow.npy"},
            r"narrow.npy: flat fields of 10 × 11 px, but the views of .* have 10 × 12 px",
        ),
        ({"darks_path": tmp_path / "darks.npy"}, "dark fields without flat fields"),
    ):
        with pytest.raises(InputError, match=said):
            read_stack(bare, **given)  # type: ignore[arg-type]
    write_stack(tmp_path / "ours.h5", proj=proj, angle_rad=ANGLE)
    with pytest.raises(InputError, match="that its pixels are attenuation; leave the flat and dark fields out"):
        read_stack(tmp_path / "ours.h5", **fields)  # type: ignore[arg-type]


def test_counts_with_flats_and_darks_become_the_attenuation_they_were_made_of(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    path = data_exchange(tmp_path / "dx.h5", data=counts, data_white=flats, data_dark=darks, theta=np.rad2deg(ANGLE))
    stack = read_stack(path)
    np.testing.assert_allclose(stack.proj, proj, rtol=1e-4)
    assert stack.notes == ("counts to attenuation with 3 flat, 2 dark",)
    assert stack.truth is None


def test_a_dead_pixel_takes_the_median_of_its_neighbours_and_is_said(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    flats[:, 0, 0] = flats[:, 4, 5] = 0
    path = data_exchange(tmp_path / "dx.h5", data=counts, data_white=flats, data_dark=darks, theta=np.rad2deg(ANGLE))
    stack = read_stack(path)
    around = np.delete(proj[:, 3:6, 4:7].reshape(N, 9), 4, axis=1)
    np.testing.assert_allclose(stack.proj[:, 4, 5], np.median(around, axis=1), rtol=1e-4)
    corner = proj[:, [0, 1, 1], [1, 0, 1]]
    np.testing.assert_allclose(stack.proj[:, 0, 0], np.median(corner, axis=1), rtol=1e-4)
    assert "2 dead pixels replaced by the median of their neighbours" in stack.notes


def test_pixels_without_light_stay_finite(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    counts[1, 2, 3] = 0  # below the dark field: a negative transmission
    path = data_exchange(tmp_path / "dx.h5", data=counts, data_white=flats, data_dark=darks, theta=np.rad2deg(ANGLE))
    stack = read_stack(path)
    assert stack.proj[1, 2, 3] == pytest.approx(-np.log(1e-4), rel=1e-5)
    assert any(note.startswith("1 pixel with a transmission below") for note in stack.notes)


def test_kind_overrules_what_the_file_suggests(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    theta = np.rad2deg(ANGLE)
    with_flats = data_exchange(tmp_path / "a.h5", data=counts, data_white=flats, data_dark=darks, theta=theta)
    np.testing.assert_allclose(read_stack(with_flats, kind="attenuation").proj, counts.astype(np.float32))
    bare = data_exchange(tmp_path / "b.h5", data=1000 * np.exp(-proj), theta=theta)
    (note,) = read_stack(bare).notes
    assert note.startswith("no flat field: taken as attenuation") and "--kind counts" in note
    thin = data_exchange(tmp_path / "c.h5", data=proj, theta=theta)
    assert read_stack(thin).notes == ("no flat field: taken as attenuation",)
    guessed = read_stack(bare, kind="counts")
    assert "99th percentile" in guessed.notes[0]
    offset = (guessed.proj - proj).reshape(N, -1)
    np.testing.assert_allclose(offset, offset[:, :1].repeat(V * U, 1), atol=1e-5)  # one open beam per view


def test_attenuation_that_says_so_is_not_converted_again(tmp_path: Path, proj: np.ndarray) -> None:
    write_stack(tmp_path / "a.h5", proj=proj, angle_rad=ANGLE)
    with pytest.raises(InputError, match=r"a\.h5: says itself that its pixels are attenuation; leave the kind"):
        read_stack(tmp_path / "a.h5", kind="counts")


def test_nxtomo_frames_are_sorted_by_their_key(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    frames = np.concatenate([flats, counts[:2], np.full((1, V, U), 9e9), counts[2:], darks])
    key = [1, 1, 1, 0, 0, 3, 0, 0, 0, 2, 2]
    angle = np.zeros(len(key))
    angle[np.equal(key, 0)] = np.rad2deg(ANGLE)
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry1/tomo_entry/instrument/detector/data"] = frames
        file["entry1/tomo_entry/instrument/detector/image_key"] = key
        file["entry1/tomo_entry/sample/rotation_angle"] = angle
    stack = read_stack(path)
    np.testing.assert_allclose(stack.proj, proj, rtol=1e-4)
    np.testing.assert_allclose(stack.angle_rad, ANGLE, atol=1e-12)


def test_any_hdf5_is_read_by_the_names_of_its_data_sets(tmp_path: Path, proj: np.ndarray) -> None:
    path = tmp_path / "lab.hdf5"
    with h5py.File(path, "w") as file:
        file["measured/images"] = proj
        file["measured/phi"] = ANGLE
        file["measured/phi"].attrs["units"] = "radians"
    stack = read_stack(path, data_path="measured/images", angles_data_path="measured/phi")
    np.testing.assert_array_equal(stack.proj, proj)
    np.testing.assert_allclose(stack.angle_rad, ANGLE, atol=1e-12)


def test_a_tiff_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "views"
    folder.mkdir()
    rng = np.random.default_rng(0)
    views = rng.uniform(size=(12, V, U)).astype(np.float32)
    for i, view in enumerate(views):
        tifffile.imwrite(folder / f"view_{i}.tif", view)  # view_10 sorts before view_2 by letters
    (tmp_path / "angles.txt").write_text("# degrees\n" + "".join(f"{15 * i}\n" for i in range(12)) + "\n")
    stack = read_stack(folder, angles_path=tmp_path / "angles.txt")
    np.testing.assert_array_equal(stack.proj, views)
    np.testing.assert_allclose(np.rad2deg(stack.angle_rad), 15 * np.arange(12))


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz"])
def test_tiff_stack_npy_and_npz_hold_the_same_stack(tmp_path: Path, proj: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    (tmp_path / "angles.txt").write_text("\r\n".join(f"{a}" for a in np.rad2deg(ANGLE)))
    angles_path: Path | None = tmp_path / "angles.txt"
    if suffix == ".tif":
        tifffile.imwrite(path, proj)
    elif suffix == ".npy":
        np.save(path, proj.astype(float))
    else:
        np.savez(path, proj=proj, angles=np.rad2deg(ANGLE))
        angles_path = None
    stack = read_stack(path, angles_path=angles_path)
    np.testing.assert_array_equal(stack.proj, proj)
    assert stack.proj.dtype == np.float32
    np.testing.assert_allclose(stack.angle_rad, ANGLE, atol=1e-12)


def test_an_mrc_that_is_longer_than_it_says_is_read_and_that_is_noted(tmp_path: Path, proj: np.ndarray) -> None:
    path = tmp_path / "series.mrc"
    write_mrc(path, proj)
    path.write_bytes(path.read_bytes() + b"more")
    (tmp_path / "series.tlt").write_text("0\n1\n2\n3\n8\n")
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.proj, proj)
    assert any("4 bytes larger" in note for note in stack.notes)


def write_mrc(path: Path, proj: np.ndarray) -> None:
    with mrcfile.new(path) as file:
        file.set_data(proj)


def test_a_section_of_an_mrc_is_a_view_and_its_angles_stand_beside_it(tmp_path: Path, proj: np.ndarray) -> None:
    path = tmp_path / "series.st"
    write_mrc(path, proj)
    refused(path, "holds no angles")

    def read() -> tuple[list[float], str]:
        stack = read_stack(path)
        np.testing.assert_array_equal(stack.proj, proj)
        return np.rad2deg(stack.angle_rad).round(6).tolist(), stack.notes[0]

    sections = [(1, -30), (0, -60), (2, 0), (4, 60.5), (3, 30)]  # as a dose-symmetric scheme may log them
    text = "PixelSpacing = 2.7\n\n" + "".join(f"[ZValue = {z}]\nTiltAngle = {a}\nDefocus = -3\n\n" for z, a in sections)
    (tmp_path / "series.st.mdoc").write_text(text)
    assert read() == ([-60, -30, 0, 30, 60.5], "angles from series.st.mdoc")
    (tmp_path / "series.rawtlt").write_text("-60\n-30\n0\n30\n60\n")
    assert read() == ([-60, -30, 0, 30, 60], "angles from series.rawtlt")
    (tmp_path / "series.tlt").write_text(" -60.1\n -30.1\n -0.1\n 29.9\n 59.9\n")
    assert read() == ([-60.1, -30.1, -0.1, 29.9, 59.9], "angles from series.tlt")
    (tmp_path / "given.txt").write_text("0\n1\n2\n3\n8\n")
    given = read_stack(path, angles_path=tmp_path / "given.txt")
    np.testing.assert_allclose(np.rad2deg(given.angle_rad), [0, 1, 2, 3, 8])
    assert not any("series" in note for note in given.notes)
    (tmp_path / "bad.mdoc").write_text("[ZValue = 0]\nTiltAngle = up\n")
    refused(path, "bad.mdoc, line 2", "'TiltAngle = up'", angles_path=tmp_path / "bad.mdoc")
    (tmp_path / "bad.mdoc").write_text("PixelSpacing = 2.7\n")
    refused(path, "no TiltAngle", angles_path=tmp_path / "bad.mdoc")


@pytest.mark.parametrize("order", ["<", ">"])
def test_tilt_angles_of_serialem_and_fei_are_read_from_the_extended_header(
    tmp_path: Path, proj: np.ndarray, order: str
) -> None:
    tilt = np.array([-60, -30.25, 0, 30, 60])

    def write(name: str, kind: bytes, header: np.ndarray, extra: bytes = b"") -> Path:
        path = tmp_path / name
        with mrcfile.new(path) as file:
            file.set_data(proj.astype(f"{order}f4"))
            file.set_extended_header(header)
            file.header.exttyp = kind
            file.header.extra2 = (b"\0" * 16 + extra).ljust(84, b"\0")
        return path

    each = np.zeros((N, 4), f"{order}i2")  # 8 bytes a section: the angle, and the piece coordinates
    each[:, 0] = (100 * tilt).round()
    for flags, found in ((3, True), (2, False)):
        path = write(f"s{flags}.mrc", b"SERI", each, np.array([8, flags], f"{order}i2").tobytes())
        if found:
            stack = read_stack(path)
            np.testing.assert_array_equal(stack.proj, proj)
            np.testing.assert_allclose(np.rad2deg(stack.angle_rad), tilt)
        else:
            refused(path, "holds no angles")
    fei = np.zeros(N, mrcfile.dtypes.fei1_dtype_big_endian.newbyteorder(order))
    fei["Metadata size"], fei["Alpha tilt"] = fei.dtype.itemsize, tilt
    stack = read_stack(write("f.mrc", b"FEI1", fei))
    np.testing.assert_allclose(np.rad2deg(stack.angle_rad), tilt)
    assert "angles from the extended header" in stack.notes


def test_an_npz_of_counts_is_normalised(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    path = tmp_path / "raw.npz"
    np.savez(path, raw=counts, flat=flats.mean(0), dark=darks.mean(0), theta=np.rad2deg(ANGLE))
    np.testing.assert_allclose(read_stack(path).proj, proj, rtol=1e-4)


def test_angles_that_look_like_radians_are_noted(tmp_path: Path, proj: np.ndarray) -> None:
    np.savez(tmp_path / "scan.npz", proj=proj, angles_deg=ANGLE)
    assert "are they radians?" in read_stack(tmp_path / "scan.npz").notes[-1]


def test_the_real_scan_is_read_with_its_dead_pixel_mended() -> None:
    data = os.environ.get("TOMOALIGN_DATA")
    folder = Path(data) if data else Path(__file__).parents[2].parent / "shared" / "data"
    path = folder / "savu_24737.npz"
    if not path.is_file():
        pytest.skip("savu_24737.npz is not there; TOMOALIGN_DATA names its folder")
    stack = read_stack(path)
    assert stack.proj.shape == (91, 135, 160)
    assert np.rad2deg(stack.angle_rad[[0, -1]]) == pytest.approx([-88.2, 91.8], abs=1e-3)
    assert stack.notes == (
        "counts to attenuation with 1 flat, 1 dark",
        "1 dead pixel replaced by the median of their neighbours",
    )
    assert stack.proj.min() > 0.2 and stack.proj.max() < 3.5  # nothing left of the dead pixel


# ---------------------------------------------------------------- the aligned file


@pytest.mark.parametrize("streamed", [False, True])
def test_an_aligned_stack_holds_views_mask_shifts_and_model(
    tmp_path: Path, proj: np.ndarray, shifts: Shifts, streamed: bool
) -> None:
    mask = proj > 0.5
    path = tmp_path / "aligned.h5"
    write_aligned(
        path,
        proj=iter(proj) if streamed else proj,
        angle_rad=ANGLE,
        shifts=shifts,
        mask=iter(mask) if streamed else mask,
        model="centroid 0123abcd",
    )
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["exchange/data"], proj)
        np.testing.assert_array_equal(file["tomoalign/valid"], mask)
        np.testing.assert_array_equal(file["tomoalign/shifts/dx_px"], shifts.dx_px)
        np.testing.assert_array_equal(file["tomoalign/shifts/used"], shifts.used)
        assert file["tomoalign"].attrs["model"] == "centroid 0123abcd"
        assert file["tomoalign"].attrs["numpy"] == np.__version__
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.proj, proj)
    assert stack.notes == ("this stack was aligned before, by centroid 0123abcd",)


@pytest.mark.parametrize("views", [N - 1, N + 1])
def test_a_stream_of_the_wrong_length_leaves_the_old_file_as_it_was(
    tmp_path: Path, proj: np.ndarray, shifts: Shifts, views: int
) -> None:
    path = tmp_path / "aligned.h5"
    path.write_text("old")
    stream = iter(np.resize(proj, (views, V, U)))
    with pytest.raises(ValueError, match=r"5 angles|shorter|longer"):
        write_aligned(path, proj=stream, angle_rad=ANGLE, shifts=shifts, mask=None, model="m")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), atomic_path(tmp_path / "half.txt") as beside:
        beside.write_text("half")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [("no/such/out.h5", "does not exist"), ("", "is a folder"), (300 * "a" + ".h5", "too long; choose another")],
)
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, proj: np.ndarray, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        write_stack(tmp_path / name, proj=proj, angle_rad=ANGLE)


# ---------------------------------------------------------------- faults


def refused(path: Path, *says: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_stack(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message
    return message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p, a: (p[0], a), "three axes"),
        (lambda p, a: (p[:1], a[:1]), "one view"),
        (lambda p, a: (p[:2], a[:2]), "2 views"),
        (lambda p, a: (p[:, :, :3], a), "10 rows and 3 columns"),
        (lambda p, a: (p, a[:-1]), "5 views but 4 angles; give one angle per view"),
        (lambda p, a: (p.transpose(1, 2, 0), a), "angles; axis 2 of "),
        (lambda p, a: (np.where(np.arange(N)[:, None, None] > 2, np.nan, p), a), "240 pixels are NaN or infinite, the first in view 3"),  # noqa: E501
        (lambda p, a: (np.where(p == p[2, 1, 1], np.inf, p), a), "1 pixels are NaN or infinite, the first in view 2"),
        (lambda p, a: (p * 0, a), "all views are the same everywhere"),
        (lambda p, a: (p * (np.arange(N) < 2)[:, None, None], a), "all but 2 views are the same everywhere"),
        (lambda p, a: (p, np.where(np.arange(N) == 2, np.nan, a)), "angle of view 2 is nan"),
    ],
)  # fmt: skip
def test_a_stack_that_cannot_be_aligned_is_refused_in_one_line(proj: np.ndarray, change, says: str) -> None:  # type: ignore[no-untyped-def]
    check_stack(proj, ANGLE, "fine.h5")
    bad, angle = change(proj, ANGLE)
    with pytest.raises(InputError) as caught:
        check_stack(bad, angle, "scan.h5")
    message = str(caught.value)
    assert message.startswith("scan.h5: ") and says in message and "\n" not in message


def test_a_view_without_light_is_told_after_normalising(tmp_path: Path, proj: np.ndarray) -> None:
    counts, flats, darks = counts_of(proj)
    counts[2] = darks.mean(0)  # not constant as counts, but nothing is left of it
    path = data_exchange(tmp_path / "dx.h5", data=counts, data_white=flats, data_dark=darks, theta=np.rad2deg(ANGLE))
    assert read_stack(path).notes[-1] == "view 2 (from 0): the same everywhere, left out"


def test_angles_that_are_all_the_same_are_refused(tmp_path: Path, proj: np.ndarray) -> None:
    np.savez(tmp_path / "scan.npz", proj=proj, angles_deg=np.full(N, 12.0))
    refused(tmp_path / "scan.npz", "all its angles are the same")


def test_angles_that_go_back_and_forth_are_told(tmp_path: Path) -> None:
    proj = np.random.default_rng(0).random((12, 10, 12), np.float32)
    order = np.random.default_rng(1).permutation(12)
    for name, angle, told in (("a", np.arange(12) * 15.0, 0), ("b", (np.arange(12) * 60.0) % 360, 0), ("c", order, 1)):
        np.savez(tmp_path / f"{name}.npz", proj=proj, angles_deg=np.asarray(angle, float) * 15)
        notes = read_stack(tmp_path / f"{name}.npz").notes
        assert sum("go back and forth" in note for note in notes) == told, name


def test_missing_and_unknown_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5", "no such file")
    (tmp_path / "scan.jpg").write_bytes(b"x")
    refused(tmp_path / "scan.jpg", ".jpg is not a known kind", ".npz")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "a folder without .tif")


@pytest.mark.parametrize("suffix", [".h5", ".tif", ".mrc", ".npz", ".npy"])
@pytest.mark.parametrize("cut", [0, 60, 700])
def test_a_damaged_file_is_refused(tmp_path: Path, proj: np.ndarray, suffix: str, cut: int) -> None:
    path = tmp_path / f"scan{suffix}"
    if suffix == ".h5":
        write_stack(path, proj=proj, angle_rad=ANGLE)
    elif suffix == ".tif":
        tifffile.imwrite(path, proj)
    elif suffix == ".npz":
        np.savez(path, proj=proj, angles_deg=ANGLE)
    elif suffix == ".mrc":
        write_mrc(path, proj)
    else:
        np.save(path, proj)
    path.write_bytes(path.read_bytes()[:cut])
    (tmp_path / "angles.txt").write_text("".join(f"{a}\n" for a in np.rad2deg(ANGLE)))
    said = refused(path, str(path), "cannot be read", angles_path=tmp_path / "angles.txt")
    assert said.count("(") == said.count(")")


def test_an_npz_never_runs_what_it_holds(tmp_path: Path, proj: np.ndarray) -> None:
    np.savez(tmp_path / "scan.npz", proj=np.array([proj, "text"], dtype=object), angles_deg=ANGLE)
    refused(tmp_path / "scan.npz", "cannot be read")


def test_an_hdf5_without_the_data_path_lists_what_it_has(tmp_path: Path, proj: np.ndarray) -> None:
    path = tmp_path / "lab.h5"
    with h5py.File(path, "w") as file:
        file["measured/images"] = proj
        file["measured/phi"] = ANGLE
    refused(path, "no data set of numbers at /exchange/data", "/measured/images (5, 10, 12)")
    refused(path, "at nowhere", data_path="nowhere")
    refused(path, "at /psi", "/measured/phi (5,)", data_path="measured/images", angles_data_path="/psi")
    refused(path, "holds no angles", data_path="measured/images")


def test_faults_of_the_angle_file_name_the_line(tmp_path: Path, proj: np.ndarray) -> None:
    np.save(tmp_path / "scan.npy", proj)
    text = tmp_path / "angles.txt"
    refused(tmp_path / "scan.npy", "holds no angles")
    refused(tmp_path / "scan.npy", "no such angle file", angles_path=text)
    text.write_text("0\n30\nsixty\n")
    refused(tmp_path / "scan.npy", "line 3", "'sixty'", angles_path=text)
    text.write_text("0\n30\n60\n")
    refused(tmp_path / "scan.npy", f"scan.npy with the angles of {text}: 5 views but 3 angles", angles_path=text)


def test_tiffs_of_different_sizes_and_colour_are_refused(tmp_path: Path) -> None:
    for i, rows in enumerate((10, 10, 11)):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.ones((rows, 12), np.float32))
    refused(tmp_path, "2.tif", "(11, 12)", "(10, 12)")
    tifffile.imwrite(tmp_path / "rgb.tif", np.ones((20, 20, 3), np.uint8), photometric="rgb")
    refused(tmp_path / "rgb.tif", "colour")


def test_text_for_pixels_and_fields_that_do_not_fit_are_refused(tmp_path: Path, proj: np.ndarray) -> None:
    (tmp_path / "notes.npz").write_text("taken on Monday")
    refused(tmp_path / "notes.npz", "is no NumPy file, whatever its name says; give ")
    np.savez(tmp_path / "text.npz", proj=np.full(proj.shape, "a"), angles_deg=ANGLE)
    refused(tmp_path / "text.npz", "expected real numbers")
    np.savez(tmp_path / "angles.npz", proj=proj, angles_deg=np.full(N, "a"))
    refused(tmp_path / "angles.npz", "angles are not numbers")
    np.savez(tmp_path / "flat.npz", raw=proj, flat=np.ones((V, U + 1)), angles_deg=ANGLE)
    refused(tmp_path / "flat.npz", "flat field has the shape (10, 13)")
    np.savez(tmp_path / "swapped.npz", raw=proj, flat=np.ones((V, U)), dark=np.full((V, U), 9.0), angles_deg=ANGLE)
    refused(tmp_path / "swapped.npz", "swapped?")
    np.savez(tmp_path / "other.npz", volume=proj)
    refused(tmp_path / "other.npz", "holds no array proj, data or raw; it holds volume")


# ---------------------------------------------------------------- the tilt axis along the rows


def test_a_horizontal_tilt_axis_is_stood_upright_with_fields_and_truth(
    tmp_path: Path, proj: np.ndarray, shifts: Shifts
) -> None:
    counts, flats, darks = counts_of(proj)
    lying = {"data": counts, "data_white": flats, "data_dark": darks}
    path = data_exchange(
        tmp_path / "e.h5", theta=np.rad2deg(ANGLE), **{name: a.swapaxes(1, 2) for name, a in lying.items()}
    )
    stack = read_stack(path, tilt_axis="horizontal")
    np.testing.assert_allclose(stack.proj, proj, rtol=1e-4)
    assert any("transposed" in note for note in stack.notes)
    written = tmp_path / "t.h5"
    write_stack(written, proj=proj.swapaxes(1, 2), angle_rad=ANGLE, truth=shifts)
    truth = read_stack(written, tilt_axis="horizontal").truth
    assert truth is not None
    np.testing.assert_array_equal(truth.dx_px, shifts.dy_px)
    np.testing.assert_array_equal(truth.dy_px, shifts.dx_px)
    np.testing.assert_array_equal(truth.roll_deg, -shifts.roll_deg)


def test_counts_that_pass_for_attenuation_are_pointed_out(tmp_path: Path) -> None:
    u = np.arange(40) - 19.5
    path_px = np.sqrt(np.clip(1 - (u / 14) ** 2, 0, None)) * np.ones((4, 20, 1))
    theta = np.array([0.0, 40, 80, 120])
    np.savez(tmp_path / "counts.npz", proj=1000 * np.exp(-path_px), angles_deg=theta)
    np.savez(tmp_path / "attenuation.npz", proj=path_px, angles_deg=theta)
    assert "if these are counts, give their flat fields" in read_stack(tmp_path / "counts.npz").notes[0]
    assert read_stack(tmp_path / "attenuation.npz").notes == ("no flat field: taken as attenuation",)


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_pixels_without_a_value_are_mended_and_views_without_are_left_out(
    tmp_path: Path, proj: np.ndarray, hole: float
) -> None:
    torn = proj.copy()
    torn[:, 4, 3] = hole  # a dead pixel
    torn[1, 6, 5] = hole
    torn[2, 3:] = hole  # a frame that was not written to its end
    np.savez(tmp_path / "torn.npz", proj=torn, angles_deg=np.rad2deg(ANGLE))
    stack = read_stack(tmp_path / "torn.npz", kind="attenuation")
    assert stack.notes == (
        "1 pixel NaN or infinite in all views, replaced by the median of their neighbours",
        "1 pixel NaN or infinite, replaced by the median of their neighbours",
        "view 2 (from 0): over 1% of the pixels are NaN or infinite; set to zero, and so left out",
        "view 2 (from 0): the same everywhere, left out",
    )
    whole = np.ones_like(torn, bool)
    whole[:, 4, 3] = whole[1, 6, 5] = whole[2] = False
    assert (stack.proj[whole] == proj[whole]).all() and not stack.proj[2].any()
    beside = np.delete(proj[0, 3:6, 2:5].ravel(), 4)
    assert stack.proj[0, 4, 3] == pytest.approx(np.median(beside))


def test_what_no_mending_helps_is_refused(tmp_path: Path, proj: np.ndarray) -> None:
    for number, holes in enumerate((np.s_[2:, 3:], np.s_[:, :2], np.s_[:])):
        torn = proj.copy()
        torn[holes] = np.nan
        np.savez(tmp_path / f"{number}.npz", proj=torn, angles_deg=np.rad2deg(ANGLE))
        refused(tmp_path / f"{number}.npz", "pixels are NaN or infinite", "the first in view")


def test_the_file_of_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for number in range(3):
        tifffile.imwrite(tmp_path / f"view_{number}.tif", np.zeros((8, 8), np.float32))
    (tmp_path / "view_1.tif").write_text("no picture")
    refused(tmp_path, str(tmp_path / "view_1.tif"), "cannot be read")


def test_fields_are_those_that_a_file_names_so_and_nothing_else_passes_for_them(
    tmp_path: Path, proj: np.ndarray
) -> None:
    counts, flats, darks = counts_of(proj)
    theta = np.rad2deg(ANGLE)
    whole = data_exchange(tmp_path / "whole.h5", data=counts, data_white=flats, data_dark=darks, theta=theta)
    alone = data_exchange(tmp_path / "alone.h5", data_white=flats)
    np.savez(tmp_path / "fields.npz", flat=flats, dark=darks)
    bare = data_exchange(tmp_path / "bare.h5", data=counts, theta=theta)
    wanted = read_stack(whole).proj
    for flats_path, darks_path in ((whole, whole), (alone, whole), (tmp_path / "fields.npz", tmp_path / "fields.npz")):
        found = read_stack(bare, flats_path=flats_path, darks_path=darks_path)
        assert found.notes == ("counts to attenuation with 3 flat, 2 dark",)
        np.testing.assert_allclose(found.proj, wanted, atol=1e-5)
    assert any("were not used, but those of" in note for note in read_stack(whole, flats_path=alone).notes)
    (note,) = read_stack(bare, darks_path=whole, kind="counts").notes
    assert note.endswith("as its open beam, 2 dark")
    write_stack(tmp_path / "ours.h5", proj=proj, angle_rad=ANGLE)
    with pytest.raises(InputError, match="that its pixels are attenuation; expected flat fields"):
        read_stack(bare, flats_path=tmp_path / "ours.h5")
    with pytest.raises(InputError, match="is the stack itself, and names no flat fields"):
        read_stack(bare, flats_path=bare)
