"""What is to be said beside an alignment, in words: the same on a page, in a terminal and in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tomoalign_core.geometry import Shifts

OUTSIDE = "outside what the network learned from"
GRAVE = (
    "shifts:",
    "image:",
    "rolls:",
    "axis:",
)  # how lines begin that matter; size and angles matter less
MOST_NUMBERS = 8
LEAST_TOLD_DEG = 0.005  # less rounds to none


def outside_lines(outside: Mapping[str, Sequence[str]]) -> list[str]:
    """How a stack differs from what networks learned from, each difference once, of several networks with their names.

    Parameters
    ----------
    outside : what ``outside_domain`` says, by the name of the network; also of those to which the stack is no news.

    >>> outside_lines({"network": ["size: small"]}), outside_lines({"a": ["size: small"], "b": ()})
    (['size: small'], ['size: small (a)'])
    """
    lines = dict.fromkeys(line for of_one in outside.values() for line in of_one)
    if len(outside) < 2:
        return list(lines)
    return [f"{line} ({'; '.join(name for name, said in outside.items() if line in said)})" for line in lines]


def is_grave(line: str) -> bool:
    """Whether such a line puts the shifts in doubt, not only how near to the bound they come."""
    return line.startswith(GRAVE)


def reason_of(shifts: Shifts, view: int) -> str:
    """Why a view is left out; empty where it is used."""
    if shifts.used[view]:
        return ""
    return str(shifts.reason[view]) or "the table does not say why"


def confidence_words(shifts: Shifts) -> str:
    """How sure a table is of its used views, how far they roll, and how the axis is tilted; empty where it says none.

    >>> some = [0.0, 0.1, 0.2]
    >>> table = Shifts.from_arrays(angle_rad=some, dx_px=some, dy_px=some, roll_deg=[0.5, -0.5, 0.0])
    >>> confidence_words(table)
    'views roll by 0.41° (rms)'
    >>> confidence_words(Shifts.from_arrays(angle_rad=some, dx_px=some, dy_px=some, roll_deg=[-2, -2, -2]))
    'the rotation axis is tilted by 2.00° counterclockwise, the roll of all views; they do not roll on their own'
    >>> sure = Shifts.from_arrays(angle_rad=some, dx_px=some, dy_px=some, dx_sigma_px=some, dy_sigma_px=some)
    >>> confidence_words(sure)
    'σ of a view, in the median: dx 0.100 px, dy 0.100 px; no roll'
    """
    used = shifts.used
    words = []
    sigmas = shifts.dx_sigma_px[used], shifts.dy_sigma_px[used]
    sure = bool(used.any()) and all(np.isfinite(sigma).all() for sigma in sigmas)
    if sure:
        words.append("σ of a view, in the median: dx {:.3f} px, dy {:.3f} px".format(*map(np.median, sigmas)))
    rolls, tilt = np.std(shifts.roll_deg[used]) if used.any() else 0.0, axis_tilt_words(shifts)
    if rolls >= LEAST_TOLD_DEG:
        words.append(f"views roll by {rolls:.2f}° (rms)" + (f" about an axis {tilt}" if tilt else ""))
    elif tilt:
        words.append(f"the rotation axis is {tilt}, the roll of all views; they do not roll on their own")
    elif sure:
        words.append("no roll")
    return "; ".join(words)


def axis_tilt_words(shifts: Shifts) -> str:
    """How the rotation axis of a table is tilted off the columns, as it is seen; empty where it is upright.

    >>> nothing = [0.0, 0.0, 0.0]
    >>> axis_tilt_words(Shifts.from_arrays(angle_rad=nothing, dx_px=nothing, dy_px=nothing, roll_deg=[1.0, 1.2, 1.1]))
    'tilted by 1.10° clockwise'
    """
    tilt = shifts.axis_tilt_deg
    if abs(tilt) < LEAST_TOLD_DEG:
        return ""
    return f"tilted by {abs(tilt):.2f}° {'clockwise' if tilt > 0 else 'counterclockwise'}"


def left_out_words(shifts: Shifts) -> str:
    """How many views are left out, and which for which reason; empty where all are used.

    >>> nothing = [0.0, 0.0, 0.0]
    >>> table = Shifts.from_arrays(angle_rad=nothing, dx_px=nothing, dy_px=nothing)
    >>> left_out_words(table.left_out([0, 2], "it is dark"))
    '2 of 3 views are left out, counted from 0: 0, 2 (it is dark)'
    """
    views = np.flatnonzero(~shifts.used).tolist()
    if not views:
        return ""
    reasons: dict[str, list[int]] = {}
    for view in views:
        reasons.setdefault(reason_of(shifts, view), []).append(view)
    groups = "; ".join(f"{numbers(same)} ({reason})" for reason, same in reasons.items())
    return (
        f"{len(views)} of {len(shifts)} views {'is' if len(views) == 1 else 'are'} left out, counted from 0: {groups}"
    )


def numbers(views: Sequence[int]) -> str:
    """The first of these numbers, and how many more there are.

    >>> numbers([3, 5]), numbers(range(10))
    ('3, 5', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    more = len(views) - MOST_NUMBERS
    return ", ".join(map(str, views[:MOST_NUMBERS])) + (f" and {more} more" if more > 0 else "")
