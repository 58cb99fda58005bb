"""A sheet holds every view of a stack, in order, in its own grey."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tomoalign_core.show.sheets import Sheet, sheet_of


def tile(sheet: Sheet, view: int) -> np.ndarray:
    """View number ``view`` as the sheet has it."""
    picture = np.asarray(Image.open(io.BytesIO(sheet.png)), float)
    line, column = divmod(view, sheet.columns)
    down, across = line * sheet.height, column * sheet.width
    return picture[down : down + sheet.height, across : across + sheet.width]


@pytest.mark.parametrize("n_views", [1, 2, 7, 90])
def test_every_view_stands_in_its_tile_between_black_and_white(n_views: int) -> None:
    stack = np.random.default_rng(0).uniform(-1, 3, (n_views, 9, 13))
    sheet = sheet_of(stack, (0, 2))
    assert (sheet.width, sheet.height, sheet.factor) == (13, 9, 1)
    for view in range(n_views):
        np.testing.assert_allclose(tile(sheet, view), (stack[view] / 2 * 255).clip(0, 255), atol=0.51)


def test_a_large_stack_is_made_smaller_by_means_and_stays_within_the_limit() -> None:
    stack = np.random.default_rng(0).uniform(0, 1, (6, 41, 62))
    sheet = sheet_of(stack, (0, 1), most_pixels=2000)
    assert sheet.factor == 3
    assert 6 * sheet.width * sheet.height <= 2000
    mean = stack[4, :39, :60].reshape(13, 3, 20, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(tile(sheet, 4), mean * 255, atol=0.51)


def test_a_sheet_is_nearly_square_as_browsers_refuse_long_ones() -> None:
    wide, high = Image.open(io.BytesIO(sheet_of(np.zeros((240, 128, 128)), (0, 1)).png)).size
    assert max(wide, high) < 1.2 * min(wide, high)
