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


def centroid(
    *, channels: int, maps: int, fixed_maps: int, profiles: int, passes: int, tall: bool = False, dark: bool = False
) -> str:
    """The flow of ``centroid`` with its settings in the boxes.

    Parameters
    ----------
    fixed_maps : the maps that it does not learn.
    tall : from top to bottom, for a narrow page.
    """
    encoder = ("encoder", "3 convolutions", f"{channels} channels, no bias", "view by view")
    ways = (
        (DX, "centroids", f"of {maps} learnt maps and {fixed_maps} fixed"),
        (DX, "row profiles", f"{profiles} filters, matched"),
        (ROLL, "neighbouring views", "1, 2 and 3 before and after"),
        (ROLL, "reprojections", "from all other views"),
    )
    never = ": here never" if passes == 1 else ""
    later = f"these two from the second pass on{never}"
    again = f"corrected, and looked at again: {passes} passes" if passes > 1 else ""
    return (_down if tall else _across)(encoder, ways, later, again, dark=dark)


Ways = Sequence[tuple[str, str, str]]
STACK = ("stack", "views × rows × cols", "levelled")
HEAD = ("head", "5 views wide:", "what to trust,", "how sure")
WEIGHED = ("weighed together", "least squares over all views", "dx, dy, roll; ±b for dx, dy")


def _across(encoder: Sequence[str], ways: Ways, later: str, again: str, *, dark: bool) -> str:
    sheet = Drawing(1080, 360, dark)
    middle = 180
    sheet.box(85, middle, 160, 74, FAINT, *STACK)
    sheet.arrow((165, middle), (196, middle))
    sheet.box(274, middle, 156, 92, DX, *encoder)
    for number, (colour, name, words) in enumerate(ways):
        y = 66 + 76 * number
        sheet.arrow((352, middle), (374, middle), (374, y), (400, y))
        sheet.box(505, y, 210, 56, colour, name, words)
        sheet.arrow((610, y), (640, y), (640, middle), (664, middle))
    sheet.text(505, 346, later, faint=True)
    sheet.box(738, middle, 148, 92, CASES[0], *HEAD)
    sheet.arrow((812, middle), (842, middle))
    sheet.box(952, middle, 220, 92, DY, *WEIGHED)
    if again:
        sheet.arrow((956, middle - 46), (956, 14), (85, 14), (85, middle - 38))
        sheet.text(800, 34, again, faint=True)
    return sheet.svg(CENTROID_TITLE)


def _down(encoder: Sequence[str], ways: Ways, later: str, again: str, *, dark: bool) -> str:
    sheet = Drawing(520, 640, dark)
    middle = 245
    sheet.box(middle, 44, 240, 68, FAINT, *STACK)
    sheet.arrow((middle, 78), (middle, 104))
    sheet.box(middle, 150, 240, 90, DX, *encoder)
    sheet.arrow((middle, 195), (middle, 221))
    for number, (colour, name, words) in enumerate(ways):
        sheet.box(126 + 238 * (number % 2), 254 + 72 * (number // 2), 226, 60, colour, name, words)
    sheet.text(middle, 376, later, faint=True)
    sheet.arrow((middle, 384), (middle, 408))
    sheet.box(middle, 455, 240, 92, CASES[0], *HEAD)
    sheet.arrow((middle, 501), (middle, 527))
    sheet.box(middle, 566, 240, 76, DY, *WEIGHED)
    if again:
        sheet.arrow((365, 566), (502, 566), (502, 44), (367, 44))
        sheet.text(middle, 628, again, faint=True)
    return sheet.svg(CENTROID_TITLE)


def cnn3d(shapes: Sequence[tuple[int, ...]], flat: int, out: int, *, tall: bool = False, dark: bool = False) -> str:
    """The flow of ``cnn3d``: ``shapes`` (channels, views, rows, columns) of the stack and after each group.

    ``tall`` puts it on two lines, for a narrow page.
    """
    step, line_px = 105, 280
    ends = (
        (DY, 60.0, ("flatten", f"{flat:,}")),
        (CASES[0], 78.0, ("linear", "512, 256,", f"{out:,}")),
        (DY, 60.0, ("dx, dy", "of all views")),
    )
    count = len(shapes) + len(ends)
    across = -(-count // 2) if tall else count
    sheet = Drawing(30 + across * step, line_px * (1 + tall), dark)
    deepest = max(shape[2] for shape in shapes)
    high = [34 + 150 * (shape[2] / deepest) ** 0.5 for shape in shapes] + [height for _, height, _ in ends]
    places = [(48 + n % across * step, 120 + n // across * line_px) for n in range(count)]
    for number, (x, y) in enumerate(places):
        if number < len(shapes):
            channels, views, rows, cols = shapes[number]
            name = f"group {number}" if number else "stack"
            sheet.box(x, y, 82, high[number], DX if number else FAINT, name)
            sheet.text(x, y + 111, f"{views} views", bold=True)
            sheet.text(x, y + 129, f"{rows} × {cols} px")
            sheet.text(x, y + 147, "1 channel" if channels == 1 else f"{channels} channels", faint=True)
        else:
            colour, height, words = ends[number - len(shapes)]
            sheet.box(x, y, 92 if number == count - 1 else 82, height, colour, *words)
        if number + 1 == count:
            break
        to_x, to_y = places[number + 1]
        if to_y == y:
            sheet.arrow((x + 41, y), (to_x - (46 if number + 2 == count else 41), y))
        else:
            edge, gap = x + 52, y + line_px - 120 + 4
            sheet.arrow((x + 41, y), (edge, y), (edge, gap), (to_x, gap), (to_x, to_y - high[number + 1] / 2))
    return sheet.svg(CNN3D_TITLE)
