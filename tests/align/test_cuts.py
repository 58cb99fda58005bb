"""The three cuts are those of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomoalign_core.align.cuts import cuts, filtered
from tomoalign_core.geometry import angles
from tomoalign_core.simulate.project import fbp


@pytest.mark.parametrize("axis_px", [13.5, 12.2])
def test_cuts_are_those_of_the_volume_that_they_do_not_make(axis_px: float) -> None:
    proj, angle = np.random.default_rng(0).random((17, 9, 28), np.float32), angles(17)
    volume = fbp(torch.from_numpy(proj), torch.from_numpy(angle), axis_px=axis_px).numpy()
    axial, coronal, sagittal = cuts(filtered(proj, angle, axis_px=axis_px), x=20, y=5, z=3)
    inside = np.hypot(*np.meshgrid(np.arange(28) - 13.5, np.arange(28) - 13.5)) < 11  # seen by all views
    np.testing.assert_allclose(axial[inside], volume[3][inside], atol=1e-5)
    np.testing.assert_allclose(coronal[:, inside[5]], volume[:, 5][:, inside[5]], atol=1e-5)
    np.testing.assert_allclose(sagittal[:, inside[:, 20]], volume[:, :, 20][:, inside[:, 20]], atol=1e-5)


def test_views_left_out_say_nothing() -> None:
    proj, angle = np.random.default_rng(1).random((12, 4, 16), np.float32), angles(12)
    used = np.arange(12) % 3 > 0
    kept = cuts(filtered(proj, angle, axis_px=7.5, used=used), x=5, y=6, z=1)
    proj[~used] = 100
    changed = cuts(filtered(proj, angle, axis_px=7.5, used=used), x=5, y=6, z=1)
    for a, b in zip(kept, changed, strict=True):
        np.testing.assert_array_equal(a, b)
