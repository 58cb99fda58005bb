"""All views of a stack as small pictures on one sheet: a browser plays them without asking again."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_PIXELS = 5_000_000  # of a sheet: some 3 MB where there is much noise


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A PNG, 8-bit grey, whose tiles of ``width`` × ``height`` px are the views, ``columns`` to a line.

    One pixel of a tile is the mean of ``factor`` × ``factor`` pixels of the view.
    """

    png: bytes
    columns: int
    width: int
    height: int
    factor: int


def sheet_of(proj: NDArray[np.floating], levels: tuple[float, float], *, most_pixels: int = MOST_PIXELS) -> Sheet:
    """Put the views of a stack (N, V, U) on a sheet, black to white between the two levels.

    Views are made smaller, all by the same whole factor, until the sheet holds no more than ``most_pixels``.
    """
    n, rows, cols = proj.shape
    factor = max(1, int(np.ceil(np.sqrt(proj.size / most_pixels))))
    height, width = max(1, rows // factor), max(1, cols // factor)
    views = np.asarray(proj, np.float32)
    if factor > 1:
        views = views[:, : height * factor, : width * factor]
        views = views.reshape(n, height, factor, width, factor).mean(axis=(2, 4))
    low, high = levels
    shades = np.clip((views - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    # near a square: browsers refuse pictures of tens of thousands of lines
    columns = max(1, round(np.sqrt(n * height / width)))
    lines = -(-n // columns)
    tiles = np.zeros((lines * columns, height, width), np.uint8)
    tiles[:n] = shades
    grid = tiles.reshape(lines, columns, height, width).swapaxes(1, 2).reshape(lines * height, columns * width)
    file = io.BytesIO()
    # run lengths: noise has no longer repetitions, and looking for them takes three times as long
    Image.fromarray(grid).save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return Sheet(png=file.getvalue(), columns=columns, width=width, height=height, factor=factor)
