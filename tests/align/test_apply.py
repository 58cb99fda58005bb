"""Undoing shifts: exact for whole pixels, an identity after moving, with the signs of scipy and scikit-image."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import EuclideanTransform, warp

from tomoalign_core.align import apply
from tomoalign_core.align.apply import move_views, undo_shifts, undo_view, undo_views
from tomoalign_core.geometry import Shifts, angles, centred_axis, rotation, transposed

V, U = 48, 64
MARGIN = 12  # wider than any movement here


def gaussians(dx: float = 0.0, dy: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Round Gaussians turned by ``roll`` about the centre and then moved: exact, no interpolation."""
    v, u = np.meshgrid(centred_axis(V), centred_axis(U), indexing="ij")
    centres = np.array([(-9.3, 4.2), (6.1, -5.4), (11.7, 6.6), (0.4, 0.9)]) @ rotation(roll)[0].T + [dx, dy]
    return sum(
        w * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 2.5**2))
        for w, (x, y) in zip((1.0, 0.7, 0.5, 0.9), centres, strict=True)
    )


def table(**columns: list[float]) -> Shifts:
    n = len(columns["dx_px"])
    return Shifts.from_arrays(angle_rad=angles(n), **columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dx", "dy", "roll"), [(3.7, -2.2, 0.0), (0.0, 0.0, 4.0), (-2.4, 5.1, -3.0), (1.5, 1.5, 6.0)])
def test_undo_finds_the_object_where_it_was_before_the_stage_moved(dx: float, dy: float, roll: float) -> None:
    corrected, valid = undo_view(gaussians(dx, dy, roll), dx, dy, roll)
    assert np.abs(corrected - gaussians())[valid].max() < 1e-4


@pytest.mark.parametrize(("dx", "dy", "roll"), [(3.7, -2.2, 0.0), (-2.4, 5.1, -3.0)])
def test_move_does_what_the_stage_does(dx: float, dy: float, roll: float) -> None:
    moved = move_views(gaussians()[None], table(dx_px=[dx], dy_px=[dy], roll_deg=[roll]))
    assert np.abs(moved[0] - gaussians(dx, dy, roll)).max() < 1e-4


def test_views_whose_rows_and_columns_are_exchanged_are_moved_by_the_transposed_table() -> None:
    rolled = table(dx_px=[3.7], dy_px=[-2.2], roll_deg=[4.0])
    here = move_views(gaussians()[None], rolled)
    there = move_views(np.ascontiguousarray(gaussians().T)[None], transposed(rolled))
    np.testing.assert_allclose(there[0].T, here[0], atol=1e-5)


def test_move_then_undo_is_the_identity_on_a_band_limited_image() -> None:
    rng = np.random.default_rng(0)
    proj = ndimage.gaussian_filter(rng.standard_normal((4, V, U)), (0, 1.5, 1.5))
    proj /= proj.std()
    shifts = table(dx_px=[1.3, -4.6, 0.5, 0], dy_px=[-2.7, 0.2, 0.5, 0], roll_deg=[2.0, -1.0, 0, 0])
    aligned, valid = undo_shifts(move_views(proj, shifts), shifts)
    inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    error = (aligned - proj)[inner]
    assert valid[inner].all()
    assert np.sqrt(np.mean(error**2)) < 1e-3 and np.abs(error).max() < 1e-2
    assert np.abs(error[3]).max() < 1e-6


@pytest.mark.parametrize(("dx", "dy"), [(3, -2), (-5, 0), (0, 7), (0, 0)])
def test_whole_pixels_are_exact_and_what_comes_from_outside_is_marked(dx: int, dy: int) -> None:
    view = np.random.default_rng(0).uniform(size=(V, U)).astype(np.float32)
    corrected, valid = undo_view(view, dx, dy)
    expected = np.pad(view, 8, mode="edge")[8 + dy : 8 + dy + V, 8 + dx : 8 + dx + U]
    np.testing.assert_allclose(corrected, expected, atol=1e-6)  # nearest edge values, nothing wrapped around
    inside = np.pad(np.ones((V, U), bool), 8)[8 + dy : 8 + dy + V, 8 + dx : 8 + dx + U]
    np.testing.assert_array_equal(valid, inside)


def test_the_mask_is_exactly_what_the_detector_saw() -> None:
    """A view of ones on a wide field of zeros: linear resampling is 1 just where all came from inside."""
    dx, dy, roll = 2.4, -3.3, 5.0
    wide = np.pad(np.ones((V, U)), 10)
    seen, _ = undo_view(wide, dx, dy, roll, order=1)
    _, valid = undo_view(np.ones((V, U)), dx, dy, roll)
    np.testing.assert_array_equal(valid, seen[10:-10, 10:-10] > 1 - 1e-6)


def test_signs_agree_with_scipy_shift_and_skimage_warp() -> None:
    view = gaussians(1.0, 2.0, 0.0)
    dx, dy, roll = 2.3, -1.7, 4.0
    corrected, _ = undo_view(view, dx, dy)
    np.testing.assert_allclose(corrected, ndimage.shift(view, (-dy, -dx), order=5, mode="nearest"), atol=1e-6)
    # warp takes output (column, row) to input: turned about the centre, then moved
    centre = np.array([(U - 1) / 2, (V - 1) / 2])
    about = EuclideanTransform(translation=-centre) + EuclideanTransform(
        rotation=np.deg2rad(roll), translation=centre + np.array([dx, dy])
    )
    np.testing.assert_allclose(undo_view(view, dx, dy, roll, order=3)[0], warp(view, about, order=3), atol=3e-3)


def test_unused_views_pass_unmoved_with_nothing_valid() -> None:
    proj = np.random.default_rng(0).uniform(size=(3, V, U)).astype(np.float32)
    shifts = table(dx_px=[1, float("nan"), 0], dy_px=[0, 0, 0], used=[1, 0, 1])
    aligned, valid = undo_shifts(proj, shifts)
    np.testing.assert_array_equal(aligned[1], proj[1])
    assert not valid[1].any() and valid[2].all()


def test_progress_counts_the_views_and_lengths_must_agree() -> None:
    proj, seen = np.ones((3, V, U)), []
    undo_shifts(proj, table(dx_px=[0, 1, 2], dy_px=[0, 0, 0]), progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for action in (lambda s: undo_shifts(proj, s), lambda s: move_views(proj, s), lambda s: list(undo_views(proj, s))):
        with pytest.raises(ValueError, match=r"zip|3 views but 2 shifts"):
            action(table(dx_px=[0, 1], dy_px=[0, 0]))


def test_whoever_gives_up_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is left raises in the middle of the progress: the views not begun are not undone."""
    proj, undone = np.ones((500, V, U), np.float32), []

    def noted(*movement: Any) -> tuple[np.ndarray, np.ndarray]:
        undone.append(movement)
        time.sleep(0.002)
        return undo_view(*movement)

    def give_up(done: int, of: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(apply, "undo_view", noted)
    monkeypatch.setattr(apply.os, "cpu_count", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        undo_shifts(proj, table(dx_px=[1.0] * 500, dy_px=[1.0] * 500), progress=give_up)
    assert 0 < len(undone) < 400
