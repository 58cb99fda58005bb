"""How data flow through each network, as drawings: SVG, in our own colours, for a light or a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from tomoalign_core.show.style import CASES, DX, DY, FAINT, FONT, ROLL, band, ink

LINE_PX = 17  # between lines of text


@dataclass
class Drawing:
    """Boxes and arrows on a sheet."""

    width: float
    height: float
    dark: bool
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, w: float, h: float, colour: str, *lines: str) -> None:
        """A box about (x, y) with its lines of text in the middle, the first of them bold."""
        self.parts.append(
            f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="6" '
            f'fill="{band(colour, 0.16)}" stroke="{colour}" stroke-width="1.5"/>'
        )
        top = y - (len(lines) - 1) * LINE_PX / 2 + 5
        for number, line in enumerate(lines):
            self.text(x, top + number * LINE_PX, line, bold=number == 0)

    def text(self, x: float, y: float, words: str, *, bold: bool = False, faint: bool = False) -> None:
        """Words centred on x."""
        colour = FAINT if faint else ink(self.dark)
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{colour}"{weight}>{escape(words)}</text>'
        )

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through the points, with a head at the last."""
        path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
        self.parts.append(f'<path d="{path}" fill="none" stroke="{FAINT}" stroke-width="1.6" marker-end="url(#head)"/>')

    def svg(self, title: str) -> str:
        """The sheet."""
        head = (
            f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{FAINT}"/></marker>'
        )
        family = FONT.replace('"', "'")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'font-family="{family}" font-size="14" role="img"><title>{escape(title)}</title>'
            f"<defs>{head}</defs>{''.join(self.parts)}</svg>"
        )


CENTROID_TITLE = (
    "The stack passes an encoder; centroids of its maps, row profiles, neighbouring views and reprojections each "
    "estimate the movement; a head weighs them; the corrected stack is looked at again."
)
CNN3D_TITLE = (
    "Six groups of convolutions halve views, rows and columns again and again; what is left is flattened, and linear "
    "layers make all shifts of it at once."
)


def centroid(*, channels: int, maps: int, profiles: int, passes: int, dark: bool = False) -> str:
    """The flow of ``centroid`` with its settings in the boxes; ``maps`` counts the fixed ones too."""
    sheet = Drawing(1080, 360, dark)
    middle = 180
    sheet.box(85, middle, 160, 74, FAINT, "stack", "views × rows × cols", "levelled")
    sheet.arrow((165, middle), (196, middle))
    sheet.box(274, middle, 156, 92, DX, "encoder", "3 convolutions", f"{channels} channels, no bias", "view by view")
    ways = (
        (66, DX, "centroids", f"of {maps} maps, less the turning"),
        (142, DX, "row profiles", f"{profiles} filters, matched"),
        (218, ROLL, "neighbours", "views at ±1, ±2, ±3"),
        (294, ROLL, "reprojections", "from all other views"),
    )
    for y, colour, name, words in ways:
        sheet.arrow((352, middle), (374, middle), (374, y), (400, y))
        sheet.box(505, y, 210, 56, colour, name, words)
        sheet.arrow((610, y), (640, y), (640, middle), (664, middle))
    if passes == 1:
        sheet.text(505, 346, "these two from the second look on: here never", faint=True)
    else:
        sheet.text(505, 346, "these two from the second look on", faint=True)
    sheet.box(738, middle, 148, 92, CASES[0], "head", "5 views wide:", "what to trust,", "how sure")
    sheet.arrow((812, middle), (842, middle))
    sheet.box(
        952, middle, 220, 92, DY, "weighed together", "least squares over all views", "dx, dy, roll; ±b for dx, dy"
    )
    if passes > 1:
        sheet.arrow((956, middle - 46), (956, 14), (85, 14), (85, middle - 38))
        sheet.text(800, 34, f"corrected, and looked at again: {passes} looks", faint=True)
    return sheet.svg(CENTROID_TITLE)


def cnn3d(shapes: Sequence[tuple[int, ...]], flat: int, out: int, *, dark: bool = False) -> str:
    """The flow of ``cnn3d``: ``shapes`` (channels, views, rows, columns) of the stack and after each group."""
    sheet = Drawing(1080, 280, dark)
    step, middle = 105, 120
    deepest = max(shape[2] for shape in shapes)
    for number, (channels, views, rows, cols) in enumerate(shapes):
        x = 48 + number * step
        tall = 34 + 150 * (rows / deepest) ** 0.5
        words = ("stack",) if number == 0 else (f"group {number}",)
        sheet.box(x, middle, 82, tall, FAINT if number == 0 else DX, *words)
        sheet.text(x, 231, f"{views} views", bold=True)
        sheet.text(x, 249, f"{rows} × {cols} px")
        sheet.text(x, 267, "1 channel" if channels == 1 else f"{channels} channels", faint=True)
        sheet.arrow((x + 41, middle), (x + step - 41, middle))
    x = 48 + len(shapes) * step
    sheet.box(x, middle, 82, 60, DY, "flatten", f"{flat:,}")
    sheet.arrow((x + 41, middle), (x + step - 41, middle))
    sheet.box(x + step, middle, 82, 78, CASES[0], "linear", "512, 256,", f"{out:,}")
    sheet.arrow((x + step + 41, middle), (x + 2 * step - 46, middle))
    sheet.box(x + 2 * step, middle, 92, 60, DY, "dx, dy", "of all views")
    return sheet.svg(CNN3D_TITLE)
