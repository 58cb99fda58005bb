"""Find the shifts of a stack, by a network or by the classical methods, and undo them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tomoalign_core.align.apply import Progress, move_views, undo_shifts
from tomoalign_core.align.classical import METHODS as CLASSICAL
from tomoalign_core.config import InputError
from tomoalign_core.engines import HOW_TO_GET_TOMOPY, require_tomopy, tomopy_installed
from tomoalign_core.files.stacks import empty_views
from tomoalign_core.geometry import Shifts

if TYPE_CHECKING:
    from tomoalign_core.align.refine import Round

__all__ = ["METHODS", "MISSING_METHODS", "beyond_domain", "find_shifts", "move_views", "outside_domain", "undo_shifts"]

NETWORK, REFINED = "network", "network+refine"
NETWORKS = (NETWORK, REFINED)
TOMOPY_JOINT = "tomopy-joint"
METHODS = (NETWORK, REFINED, *CLASSICAL, *((TOMOPY_JOINT,) if tomopy_installed() else ()))
EMPTY, UNWRITTEN = (
    "it is the same everywhere, or lacks over 1 % of its pixels",
    "it holds pixels that are NaN or infinite",
)
# what this machine could do if something were installed, and what that is
MISSING_METHODS = {} if TOMOPY_JOINT in METHODS else {TOMOPY_JOINT: f"needs tomopy; {HOW_TO_GET_TOMOPY}"}


def find_shifts(
    proj: np.ndarray,
    angle_rad: np.ndarray,
    *,
    method: str = "network",
    model: str = "pretrained",
    device: str = "cpu",
    axis_tilt_deg: float = 0.0,
    progress: Progress | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Shifts:
    """Find the movement of each view of a stack (N, V, U) of attenuation.

    Views that cannot be aligned are not ``used`` in the table, and its ``reason`` says why: they are the same
    everywhere or not finite, nothing stands out of their noise, they lie outside the detector, or do not look like
    their neighbours.

    Parameters
    ----------
    method : "network", what it sees and one step of all views together from there (see ``joint``); "network+refine",
        further steps, each of them judged (see ``refine``), after a second look by the network where the stack shows
        more than the first could see (see ``finer``);
        "center-of-mass", "profile-correlation", "phase-correlation"; or "tomopy-joint" where tomopy is.
    model : for the network: "pretrained", a run's id or folder, or a .safetensors file.
    axis_tilt_deg : from where a network looks for the tilt of the axis, from +u towards +v; from 0, where they show it.
    progress : called with (done, of) as it goes: passes of the network, views of the others.
    on_round : called with each round of a refinement, see ``refine.Round``.

    Raises
    ------
    InputError
        If there is no such method or model, or no view can be aligned.
    """
    empty = np.zeros(len(proj), bool)
    empty[empty_views(proj)] = True
    unwritten = np.array([not np.isfinite(view).all() for view in proj])
    shown = ~(empty | unwritten)
    if not shown.any():
        raise InputError("all views are the same everywhere, or not finite; see that these are the projections")
    angle, rest = np.asarray(angle_rad, float), proj if shown.all() else proj[shown]
    if method in NETWORKS:
        from tomoalign_core.align.answer import answer
        from tomoalign_core.learn.weights import load_weights

        network, refined = load_weights(model, device), method == REFINED
        found = answer(
            rest, angle[shown], network,
            refined=refined, axis_tilt_deg=axis_tilt_deg, progress=progress, on_round=on_round,
        )  # fmt: skip
    else:
        from tomoalign_core.align.lost import with_a_place

        found = with_a_place(rest, _find_classically(rest, angle[shown], method, progress), by=method)
    return found if shown.all() else _with_others(found, angle, shown, empty)


def outside_domain(proj: np.ndarray, angle_rad: np.ndarray, *, model: str = "pretrained") -> tuple[str, ...]:
    """How a stack differs from what a network learned from, a line each; see ``domain``. To be asked before.

    Raises
    ------
    InputError
        If there is no such model.
    """
    from tomoalign_core.align.domain import outside_domain as outside
    from tomoalign_core.learn.weights import learned_from

    data = learned_from(model)
    return () if data is None else outside(proj, angle_rad, data)


def beyond_domain(found: Shifts, proj: np.ndarray, *, method: str, model: str = "pretrained") -> tuple[str, ...]:
    """How what a method found of a stack (N, V, U) goes beyond what its network learned from, a line each.

    To be asked after. A far tilt of the axis which the common line of the views does not bear out is among it.

    Raises
    ------
    InputError
        If there is no such model.
    """
    from tomoalign_core.align.domain import beyond_domain as beyond
    from tomoalign_core.align.tilt_axis import axis_doubt
    from tomoalign_core.learn.weights import learned_from

    data = learned_from(model) if method in NETWORKS else None
    if data is None:
        return ()
    shown = found.used & np.isfinite(proj).all((1, 2))
    doubt = axis_doubt(proj[shown], found.axis_tilt_deg) if shown.any() else ""
    return beyond(found, data) + ((doubt,) if doubt else ())


def _find_classically(proj: np.ndarray, angle_rad: np.ndarray, method: str, progress: Progress | None) -> Shifts:
    if method == TOMOPY_JOINT:
        from tomoalign_core.simulate import tomopy_engine

        require_tomopy(f"the method {method}")
        return tomopy_engine.align_joint(proj, angle_rad)
    if method not in CLASSICAL:
        missing = "".join(f" ({name} {why})" for name, why in MISSING_METHODS.items())
        raise InputError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}{missing}")
    return CLASSICAL[method](proj, angle_rad, progress)


def _with_others(found: Shifts, angle_rad: np.ndarray, shown: np.ndarray, empty: np.ndarray) -> Shifts:
    """The table of the views that show something, with the others in their places, not used."""
    nothing = np.zeros(len(angle_rad))
    none = Shifts.from_arrays(angle_rad=angle_rad, dx_px=nothing, dy_px=nothing)
    return none.left_out(empty, EMPTY).left_out(~shown & ~empty, UNWRITTEN).put(shown, found)
