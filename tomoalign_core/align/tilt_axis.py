"""About which axis the sample of a stack turned: along the columns, as it should here, along the rows, or in between.

About an axis along the columns, every row of a view holds the same mass of the object whatever the angle, but for the
shift up or down: the sums of the rows keep their profile (the first of the conditions of Helgason, 1965, and Ludwig,
1966). The sums of the columns do not, for what lies off the axis wanders. About an axis along the rows it is just the
other way. So the profile that changes less is the one along the axis. What a stage, a source and noise change is taken
out first: each view's profile is moved onto the common one, and judged by its correlation with it, which no gain and no
offset changes; and of all views the middle one counts, so that a few that are thrown far off do not.

The same of an axis in between, seen from the transforms of the views: by the slice theorem those of all views agree on
the line along the axis, the *common line*, but for a phase that a shift makes. So the line on which the sizes of the
transforms change least is the axis, however far views have moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from tomoalign_core.align.apply import undo_view
from tomoalign_core.align.binning import binned, in_units
from tomoalign_core.align.noise import noise_of
from tomoalign_core.align.outline import background_of, cut_of
from tomoalign_core.geometry import Float, centred_axis

# Times that one profile must change as much as the other before anything is said; and against the common line.
CLEAR, AGAINST_LINE = 1.4, 2.0
MOST_VIEWS, MOST_PIXELS = 60, 256  # views that are looked at, and the length that profiles are shortened to
REACH = 0.25  # of the length of a profile: how far a view is looked for from its place
ROUNDS = 3
TILTS_DEG = (-30, -20, -10, 10, 20, 30)
TILTED_PIXELS = 128
# Of what views do not share on other lines: less, and a line is as good as certain; or worth a look.
SURE_LINE, CLEAR_LINE = 0.35, 0.7
NEAR_DEG = 15.0
SLANTED_DEG = 30.0  # from here on a column that is cut off is not found as others are
LINES_DEG = np.arange(-90.0, 90.0)
COARSE = 0.12  # cycles a pixel, of views of up to TILTED_PIXELS: coarse details are what noise and small rolls leave
# How much of a view fades out: of its sides, so that what has moved far is not lost in them; and from the middle, alike
# all around, as the edges of what the border cuts off are a line of their own.
FADING_SIDES, FADING_ROUND = 0.1, 0.7


@dataclass(frozen=True, kw_only=True)
class CommonLine:
    """The line on which the transforms of the views agree best.

    tilt_deg : how far it is tilted off the columns, from +u towards +v, -90 to 89, to a degree.
    unlike : the share of their power that views do not have in common there, over that on the middle one of all lines:
        0 where only this line can be the axis, and 1 where it is as good as any.
    """

    tilt_deg: float
    unlike: float

    @property
    def is_sure(self) -> bool:
        """Whether it is as good as certain."""
        return self.unlike < SURE_LINE

    @property
    def is_clear(self) -> bool:
        """Whether it is worth a look: this line stands out of all lines."""
        return self.unlike < CLEAR_LINE

    def is_near(self, tilt_deg: float) -> bool:
        """Whether it lies near such a tilt."""
        return is_near(self.tilt_deg, tilt_deg)


@dataclass(frozen=True, kw_only=True)
class AxisEvidence:
    """How much the two profiles change over the angles, as a fraction of their contrast.

    Where those of the rows change the more, the common line too.
    """

    along_v: float
    along_u: float
    line: CommonLine | None = None
    tilted: float = np.inf  # the least of profiles along axes that are tilted off the columns

    @property
    def turned(self) -> bool:
        """Whether the axis clearly lies along the rows, so that the views should be transposed."""
        if self.line is None or self.along_v <= self.along_u:
            return False
        if self.line.is_clear and self.line.is_near(90):
            return True
        return min(self.along_v, self.tilted) > (AGAINST_LINE if self.line.is_clear else CLEAR) * self.along_u

    def words(self) -> str:
        """What was seen, in a sentence."""
        line = self.line
        agree = f", and the views agree on a line {abs(line.tilt_deg):.0f}° off them" if line and line.is_clear else ""
        return (
            f"from view to view the sums of the rows change by {100 * self.along_v:.1f} %, those of the columns by "
            f"{100 * self.along_u:.1f} %; with the axis along the columns, those of the rows would stay as they are"
            f"{agree}"
        )


def axis_evidence(proj: NDArray[np.floating]) -> AxisEvidence:
    """Look which of the two profiles of a stack of attenuation (N, V, U) stays the same, and on which line views agree.

    >>> along_v = np.zeros((9, 20, 24)); along_v[:, 8:12, 4:20] = np.random.default_rng(0).random((9, 1, 16))
    >>> axis_evidence(along_v).turned, axis_evidence(along_v.swapaxes(1, 2)).turned
    (False, True)
    """
    some = proj[:: ceil(len(proj) / MOST_VIEWS)]
    along_v, along_u = (_change(some.sum(axis=axis, dtype=float)) for axis in (2, 1))
    if along_v <= along_u:
        return AxisEvidence(along_v=along_v, along_u=along_u)
    line = common_line(proj)
    if along_v <= CLEAR * along_u:
        return AxisEvidence(along_v=along_v, along_u=along_u, line=line)
    small = binned(some, ceil(max(some.shape[1:]) / TILTED_PIXELS))
    tilted = min(_change(_rolled_back(small, deg).sum(axis=2, dtype=float)) for deg in TILTS_DEG)
    return AxisEvidence(along_v=along_v, along_u=along_u, line=line, tilted=tilted)


def common_line(proj: NDArray[np.floating]) -> CommonLine:
    """The common line of a stack of attenuation (N, V, U), as if views did not roll.

    >>> from tomoalign_core.config import MisalignConfig, ScanConfig, SimulationConfig
    >>> from tomoalign_core.simulate import simulate
    >>> scan, tilted = ScanConfig(n_views=24, n_rows=48, n_cols=64), MisalignConfig(dx_sigma_px=4, axis_tilt_deg=40)
    >>> found = common_line(simulate(SimulationConfig(scan=scan, misalign=tilted, seed=3)).proj.numpy())
    >>> abs(found.tilt_deg - 40) < 3, found.unlike < 0.3
    (True, True)
    """
    some, _ = in_units(binned(proj[:: ceil(len(proj) / MOST_VIEWS)], ceil(max(proj.shape[1:]) / TILTED_PIXELS)))
    rows, cols = some.shape[1:]
    sides = np.outer(signal.windows.tukey(rows, FADING_SIDES), signal.windows.tukey(cols, FADING_SIDES))
    from_middle = np.hypot(centred_axis(rows)[:, None] * 2 / rows, centred_axis(cols) * 2 / cols)
    around = np.cos(np.pi / 2 * np.clip(1 - (1 - from_middle) / FADING_ROUND, 0, 1)) ** 2
    ways = (background_of(some)[:, None, None], sides), (some.mean((1, 2), keepdims=True), around)
    return min((_line_of(some - level, window) for level, window in ways), key=lambda line: line.unlike)


def is_near(one_deg: float, other_deg: float) -> bool:
    """Whether steps of all views together would come from one of two tilts to the other.

    >>> is_near(85, -89), is_near(85, 60)
    (True, False)
    """
    return abs((one_deg - other_deg + 90) % 180 - 90) <= NEAR_DEG


def axis_doubt(proj: NDArray[np.floating], tilt_deg: float) -> str:
    """What speaks against a tilt that was found of a stack (N, V, U), in a line; empty where nothing does."""
    line = common_line(proj)
    agrees = line.is_clear and line.is_near(tilt_deg)
    if agrees and abs(tilt_deg) > SLANTED_DEG and any(cut_of(proj)):
        return (
            f"axis: it is tilted by {tilt_deg:.0f}°, and the border cuts the object off slantwise: views show other "
            "parts of it as it turns, and their shifts may be off by many times σ"
        )
    if agrees or (abs(tilt_deg) <= NEAR_DEG and not line.is_sure):
        return ""
    seen = f"one of about {line.tilt_deg:.0f}°" if line.is_clear else "none that stands out"
    return (
        f"axis: a tilt of {tilt_deg:.0f}° was found, but the line on which views agree says {seen}: it may be wrong. "
        "Where the axis is known, begin there, elsewhere leave the beginning open (align --axis-tilt)"
    )


def _line_of(views: NDArray[np.floating], window: Float) -> CommonLine:
    """The common line of views of which a window is seen."""
    size = fft.next_fast_len(2 * max(window.shape), real=False)
    power = np.abs(fft.fftshift(fft.fft2(views * window, (size, size)), axes=(1, 2))) ** 2
    along, tilt = np.arange(1.0, COARSE * size), np.deg2rad(LINES_DEG)[:, None]
    line = np.stack([size // 2 + along * np.cos(tilt), size // 2 - along * np.sin(tilt)])
    on_line = np.stack([ndimage.map_coordinates(view, line, order=1) for view in power])
    seen = np.sqrt(np.maximum(on_line - noise_of(views) ** 2 * (window**2).sum(), 0))
    unlike = seen.var(0).sum(1) / np.maximum((seen**2).mean(0).sum(1), 1e-30)
    best = int(unlike.argmin())
    return CommonLine(tilt_deg=float(LINES_DEG[best]), unlike=float(unlike[best] / max(np.median(unlike), 1e-30)))


def _rolled_back(views: NDArray[np.floating], deg: float) -> NDArray[np.floating]:
    """Views (N, V, U) that have rolled by so much, as they were before; in between, linearly."""
    return np.stack([undo_view(view, 0.0, 0.0, deg, order=1)[0] for view in views])


def _change(profiles: Float) -> float:
    """What a typical profile (of N, L) does not share with the others, once it is moved onto them."""
    short = ceil(profiles.shape[1] / MOST_PIXELS)
    smooth = ndimage.gaussian_filter1d(profiles, short, axis=1, mode="nearest")[:, ::short]
    lines = smooth - smooth.mean(axis=1, keepdims=True)
    lines /= np.maximum(np.sqrt((lines**2).mean(axis=1, keepdims=True)), 1e-30)
    common = np.median(lines, axis=0)
    for _ in range(ROUNDS):
        found = [_match(line, common) for line in lines]
        moved = [ndimage.shift(line, -by, order=1, mode="nearest") for line, (by, _) in zip(lines, found, strict=True)]
        common = np.median(moved, axis=0)
    return sqrt(float(np.median([1 - likeness**2 for _, likeness in found])))


def _match(line: Float, common: Float) -> tuple[float, float]:
    """How far a profile lies from the common one, to a fraction of a pixel, and their correlation there, 0 to 1."""
    reach, length = int(REACH * len(line)), len(line)
    like = np.zeros(2 * reach + 1)
    for i, by in enumerate(range(-reach, reach + 1)):
        a, b = line[max(0, by) : length + min(0, by)], common[max(0, -by) : length - max(0, by)]
        a, b = a - a.mean(), b - b.mean()
        like[i] = a @ b / sqrt(max(float(a @ a) * float(b @ b), 1e-30))
    best = int(like.argmax())
    part, peak = 0.0, float(like[best])
    if 0 < best < 2 * reach:  # the top of a parabola
        before, after = float(like[best - 1]), float(like[best + 1])
        bend = before - 2 * peak + after
        part = 0.5 * (before - after) / bend if bend < 0 else 0.0
        peak -= 0.25 * (before - after) * part
    return best - reach + part, min(max(peak, 0.0), 1.0)
