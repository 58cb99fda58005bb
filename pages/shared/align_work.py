"""What the Align page works out, once for the same stack and table: shifts, residuals, pictures. It shows nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pages.shared.shelf import Shelf, shelf
from pages.shared.sources import Source
from tomoalign_core.config import InputError
from tomoalign_core.edits import Edits
from tomoalign_core.files.stacks import Stack
from tomoalign_core.geometry import Shifts

if TYPE_CHECKING:
    from tomoalign_core.align.cuts import Filtered
    from tomoalign_core.align.refine import Round
    from tomoalign_core.align.residual import Residual

Progress = Callable[[int, int], None]
OnRound = Callable[["Round"], None]

LEAST_VIEWS = 4  # fewer foretell nothing of each other
LARGEST_PICTURE_PX = 256  # larger views are binned to be looked at
FILE = "from-file"
REFINED = ", refined"  # ends the name of a network whose answer was refined


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A way to find shifts: its name on screen, the method, the model of a network and the time of its weights.

    ``axis_tilt_deg`` : from where a network looks for the tilt of the axis; 0, and it begins where views agree.
    """

    name: str
    method: str
    model: str = "pretrained"
    stamp: float = 0.0
    axis_tilt_deg: float = 0.0
    table: Shifts | None = field(default=None, compare=False)

    @property
    def made_by(self) -> str:
        """What is written into files."""
        return self.method.replace("network", f"network {self.model}")

    @property
    def network(self) -> str:
        """The name of the network that it rests on; empty where it rests on none."""
        return self.name.removesuffix(REFINED) if self.method.startswith("network") else ""

    def key(self, stack_key: str) -> str:
        """Changes when its answer may."""
        table = "" if self.table is None else digest(self.table)
        return repr((stack_key, self.method, self.model, self.stamp, self.axis_tilt_deg, table))


@dataclass(kw_only=True, eq=False)
class Found:
    """The shifts that one method found, by which rounds if it went in rounds, and what was done to them by hand.

    ``beyond`` are lines of ``beyond_domain``.
    """

    name: str
    made_by: str
    shifts: Shifts
    seconds: float
    rounds: tuple[Round, ...] = ()
    beyond: tuple[str, ...] = ()
    edits: Edits = field(default_factory=Edits)


@dataclass(kw_only=True, eq=False)
class Result:
    """A stack, how it differs from what the networks learned from, by their names, and what the methods found in it."""

    key: str
    name: str
    stack: Stack
    bound_px: tuple[float, float] | None
    outside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def digest(shifts: Shifts) -> str:
    """A key that changes when any number of a table does."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(v).tobytes() for v in vars(shifts).values())).hexdigest()[:24]


def stacks() -> Shelf[Stack]:
    """Stacks as read."""
    return shelf("stacks", 3)


def founds() -> Shelf[Found | InputError]:
    """Tables as found, and why there is none."""
    return shelf("found", 64)


def residuals() -> Shelf[Residual]:
    """Held-out residuals, with the predictions that they rest on."""
    return shelf("residuals", 24)


def stack_of(source: Source) -> Stack:
    """The stack of a source, read once."""
    return stacks().recall(source.key, source.read)


def bound_of(source: Source) -> tuple[float, float] | None:
    """The Cramér-Rao bound of a stack, px, where what it is like without noise is known."""
    known: Shelf[tuple[tuple[float, float] | None]] = shelf("bounds", 64)
    return known.recall(source.key, lambda: (source.bound(stack_of(source)),))[0]


def outside_of(asked: Sequence[Asked], stack: Stack, stack_key: str) -> dict[str, tuple[str, ...]]:
    """How a stack differs from what each of these networks learned from, by their names; worked out once."""
    from tomoalign_core.align import outside_domain

    known: Shelf[tuple[str, ...]] = shelf("outside", 64)
    outside = {}
    for one in asked:
        if not one.network or one.network in outside:
            continue
        model = one.model
        key = repr((stack_key, model, one.stamp))
        with suppress(InputError):  # the method will say what is wrong with the model
            outside[one.network] = known.recall(
                key, lambda model=model: outside_domain(stack.proj, stack.angle_rad, model=model)
            )
    return outside


def outside_and_beyond(result: Result) -> dict[str, tuple[str, ...]]:
    """How a stack, and what the networks found in it, differ from what they learned from, by their names."""
    said = dict(result.outside)
    for found in result.found.values():
        name = found.name.removesuffix(REFINED)
        said[name] = tuple(dict.fromkeys((*said.get(name, ()), *found.beyond)))
    return {name: lines for name, lines in said.items() if lines or name in result.outside}


def found_by(
    asked: Asked, stack: Stack, stack_key: str, progress: Progress | None, on_round: OnRound | None = None
) -> Found:
    """Run a method, on the GPU if there is one, and take its time; or recall what it found.

    Parameters
    ----------
    on_round : called with each round of a refinement as it ends; with none where it is recalled.

    Raises
    ------
    InputError
        If the method cannot align this stack.
    """

    def make() -> Found | InputError:
        try:
            return find(stack, asked, progress, on_round)
        except InputError as error:
            return error

    found = founds().recall(asked.key(stack_key), make)
    if isinstance(found, InputError):
        raise found
    return found


def find(stack: Stack, asked: Asked, progress: Progress | None = None, on_round: OnRound | None = None) -> Found:
    """Run a method."""
    from tomoalign_core.align import beyond_domain, find_shifts
    from tomoalign_core.align.notes import left_out_words
    from tomoalign_core.edits import check_same_scan
    from tomoalign_core.learn.train import choose_device

    began = time.perf_counter()
    rounds: list[Round] = []

    def ended(one: Round) -> None:
        rounds.append(one)
        if on_round is not None:
            on_round(one)

    if asked.table is not None:
        check_same_scan(asked.table, stack.angle_rad, asked.name)
        shifts = replace(asked.table, angle_rad=stack.angle_rad)
    else:
        shifts = find_shifts(
            stack.proj, stack.angle_rad, method=asked.method, model=asked.model, device=str(choose_device("auto")),
            axis_tilt_deg=asked.axis_tilt_deg, progress=progress, on_round=ended,
        )  # fmt: skip
    if shifts.used.sum() < LEAST_VIEWS:
        raise InputError(f"too few views could be aligned: {left_out_words(shifts)}")
    seconds = time.perf_counter() - began
    beyond = beyond_domain(shifts, stack.proj, method=asked.method, model=asked.model) if asked.table is None else ()
    return Found(
        name=asked.name, made_by=asked.made_by, shifts=shifts, seconds=seconds, rounds=tuple(rounds), beyond=beyond
    )


def is_done(source: Source, asked: list[Asked]) -> bool:
    """Whether all of it lies on the shelves."""
    return stacks().get(source.key) is not None and all(founds().get(a.key(source.key)) for a in asked)


def residual_key(result: Result, shifts: Shifts) -> str:
    """The place of a residual on its shelf."""
    return repr((result.key, digest(shifts)))


def residual_of(result: Result, shifts: Shifts, progress: Progress | None = None) -> Residual:
    """The held-out residual of a table, worked out once."""
    from tomoalign_core.align.residual import held_out_residual

    stack = result.stack
    return residuals().recall(
        residual_key(result, shifts), lambda: held_out_residual(stack.proj, stack.angle_rad, shifts, progress=progress)
    )


def nearest_residual(result: Result, found: Found, edits: Edits) -> tuple[Residual, Edits] | None:
    """The residual of the latest state of the edits that is worked out, and the edits that it already holds.

    What others say of a view does not depend on how that view is nudged, so an older one serves to judge a nudge.
    """
    while True:
        known = residuals().get(residual_key(result, edits.apply(found.shifts)))
        if known is not None:
            return known, edits
        if not edits.done or edits.done[-1].kind == "compose":
            return None
        edits = edits.undo()


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """A stack to look at: binned by ``factor``, aligned by a table, and filtered for cuts; shared, never written to."""

    factor: int
    views: np.ndarray
    filtered: Filtered


def pictures_of(result: Result, shifts: Shifts | None, axis_px: float, progress: Progress | None = None) -> Pictures:
    """The stack as measured (None) or aligned by a table, small enough to look at."""
    table = "" if shifts is None else digest(shifts)
    key = repr((result.key, table, axis_px))
    return shelf("pictures", 8).recall(key, lambda: _pictures(result.stack, shifts, axis_px, progress))


def _pictures(stack: Stack, shifts: Shifts | None, axis_px: float, progress: Progress | None) -> Pictures:
    from tomoalign_core.align import undo_shifts
    from tomoalign_core.align.binning import binned, binned_column, binned_shifts
    from tomoalign_core.align.cuts import filtered

    factor = ceil(max(stack.proj.shape[1:]) / LARGEST_PICTURE_PX)
    views = binned(stack.proj, factor)
    if shifts is not None:
        views, _ = undo_shifts(views, binned_shifts(shifts, factor), progress=progress)
    axis = binned_column(axis_px, stack.proj.shape[2], factor)
    used = None if shifts is None else shifts.used
    return Pictures(factor=factor, views=views, filtered=filtered(views, stack.angle_rad, axis_px=axis, used=used))
