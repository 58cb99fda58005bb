"""Drawing with Pillow alone: grey pictures, and curves between two axes. The font is the one that Pillow brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy.spatial import cKDTree

from tomoalign_core.show.style import FAINT, ink

INK = ink(dark=False)
GRID, EDGE = "#e3e8ed", "#b9c2cb"
GREYS = 64  # of a picture: no fewer than the eye tells apart in noise, and half the file
TINTS = 8  # of a colour, to white, for the edges of lines
COMMON = 160  # colours of a screen that are kept as they are
FINE = 4  # lines are drawn this much larger, and shrunk: their edges are smooth
Point = tuple[float, float]
Float = NDArray[np.float64]


def sheet(width: int, height: int) -> Image.Image:
    """White paper."""
    return Image.new("RGB", (width, height), "white")


def save(paper: Image.Image, path: Path, colours: Sequence[str]) -> None:
    """Write a PNG that knows greys and these colours, and nothing else."""
    shades = [(tone, tone, tone) for tone in _tones(np.linspace(0, 1, GREYS))]
    for colour in (INK, GRID, EDGE, *colours):
        full = np.array(ImageColor.getrgb(colour))
        shades += [tuple((255 + (full - 255) * k / TINTS).round().astype(int)) for k in range(1, TINTS + 1)]
    _write(paper, path, np.array(shades))


def save_screen(picture: Image.Image, path: Path) -> None:
    """Write a screen as a PNG of 256 colours: its commonest as they are, and some that are near to all others."""
    seen, times = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    common, rare = np.split(seen[np.argsort(-times, kind="stable")], [min(COMMON, len(seen))])
    if len(rare):
        others = Image.fromarray(rare[None]).quantize(256 - len(common), Image.Quantize.MAXCOVERAGE).getpalette()
        common = np.vstack([common, np.reshape(others, (-1, 3))])
    _write(picture, path, common)


def _write(picture: Image.Image, path: Path, table: NDArray[np.integer]) -> None:
    """Write a PNG with this table of colours (k, 3), each pixel in the nearest."""
    seen, place = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_inverse=True)
    nearest = cKDTree(table).query(seen)[1]
    few = Image.fromarray(nearest[place].reshape(picture.height, picture.width).astype(np.uint8))
    few.putpalette(table.astype(np.uint8).tobytes())
    few.save(path, optimize=True)


def _tones(share: Float) -> NDArray[np.uint8]:
    """Black to white in as many steps as a picture has."""
    return np.rint(np.rint(np.clip(share, 0, 1) * (GREYS - 1)) * (255 / (GREYS - 1))).astype(np.uint8)


def words(paper: Image.Image, at: Point, text: str, *, size: int = 15, fill: str = INK, anchor: str = "la") -> float:
    """Write a line of text; ``anchor`` says which of its points ``at`` is, in Pillow's letters. Returns its width."""
    font = ImageFont.load_default(size)
    ImageDraw.Draw(paper).text(at, text, font=font, fill=fill, anchor=anchor)
    return font.getlength(text)


def grey(
    paper: Image.Image, corner: tuple[int, int], image: NDArray[np.floating], levels: Point, *, block: tuple[int, int]
) -> None:
    """Put a picture on the paper, black to white between the levels; each pixel becomes a block, across and down."""
    low, high = levels
    tones = Image.fromarray(_tones((image - low) / (high - low)))
    paper.paste(tones.resize((tones.width * block[0], tones.height * block[1]), Image.Resampling.NEAREST), corner)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A place for curves: where its corners lie on the paper, px, and what its edges mean.

    ``y`` is bottom and top; ``log_y`` makes equal ratios equally far apart.
    """

    paper: Image.Image
    left: int
    top: int
    width: int
    height: int
    x: Point
    y: Point
    log_y: bool = False

    def axes(self, x_ticks: Sequence[float], y_ticks: Sequence[float], *, x_title: str, title: str) -> None:
        """Frame, grid and numbers; the title stands above and says what is along y."""
        pen = ImageDraw.Draw(self.paper)
        right, bottom = self.left + self.width, self.top + self.height
        for value in x_ticks:
            at = self.left + self._across(value)
            pen.line((at, self.top, at, bottom + 4), GRID)
            words(self.paper, (at, bottom + 7), f"{value:g}", size=13, anchor="ma")
        for value in y_ticks:
            at = self.top + self._down(value)
            pen.line((self.left - 4, at, right, at), GRID)
            words(self.paper, (self.left - 8, at), f"{value:g}", size=13, anchor="rm")
        pen.line((self.left, self.top, self.left, bottom, right, bottom), EDGE)
        words(self.paper, (self.left + self.width / 2, bottom + 25), x_title, size=13, anchor="ma")
        words(self.paper, (self.left, self.top - 12), title, anchor="ls")

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, width: float = 2, dash: bool = False) -> None:
        """A curve; a dashed one is every other stretch of it, and wants points that lie close."""
        points = self._points(x, y)
        parts = [points[i : i + 2] for i in range(0, len(points) - 1, 2)] if dash else [points]

        def draw(pen: ImageDraw.ImageDraw) -> None:
            for part in parts:
                pen.line(part, 255, round(width * FINE), joint="curve")

        self._ink(colour, draw)

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, *, radius: float = 2.4) -> None:
        """A disc at each point."""

        def draw(pen: ImageDraw.ImageDraw) -> None:
            for across, down in self._points(x, y):
                pen.ellipse((across - r, down - r, across + r, down + r), 255)

        r = radius * FINE
        self._ink(colour, draw)

    def level(self, value: float, text: str) -> None:
        """A dotted line across, and words that stand on its right end."""
        x = np.linspace(*self.x, 101)
        self.line(x, np.full_like(x, value), FAINT, width=1.4, dash=True)
        at = (self.left + self.width, self.top + self._down(value) - 4)
        words(self.paper, at, text, size=13, anchor="rs")

    def _ink(self, colour: str, draw: Callable[[ImageDraw.ImageDraw], None]) -> None:
        fine = Image.new("L", (self.width * FINE, self.height * FINE))
        draw(ImageDraw.Draw(fine))
        mask = fine.resize((self.width, self.height), Image.Resampling.BOX)
        self.paper.paste(colour, (self.left, self.top, self.left + self.width, self.top + self.height), mask)

    def _points(self, x: ArrayLike, y: ArrayLike) -> list[Point]:
        across, down = self._across(np.asarray(x, float)), self._down(np.asarray(y, float))
        return [(float(a) * FINE, float(d) * FINE) for a, d in zip(across, down, strict=True)]

    def _across(self, value: float | Float) -> float | Float:
        return (value - self.x[0]) / (self.x[1] - self.x[0]) * self.width

    def _down(self, value: float | Float) -> float | Float:
        low, high, value = (np.log10(v) if self.log_y else v for v in (*self.y, value))
        return (high - value) / (high - low) * self.height
