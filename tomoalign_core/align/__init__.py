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
    from tomoalign_core.learn.weights import TrainedModel

__all__ = ["METHODS", "MISSING_METHODS", "beyond_domain", "find_shifts", "move_views", "outside_domain", "undo_shifts"]

NETWORK, REFINED = "network", "network+refine"
NETWORKS = (NETWORK, REFINED)
MOST_LOOKS = 4  # of a network, each at views turned back by what the last steps told of the tilt of the axis
FAR_TILTED_DEG = 1.0  # views that are turned by less than that are seen as if the axis were upright
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
        found = _ask_network(rest, angle[shown], method, model, device, progress, on_round)
    else:
        found = _placed(rest, _find_classically(rest, angle[shown], method, progress), method)
    return found if shown.all() else _with_others(found, angle, shown, empty)


def _ask_network(
    proj: np.ndarray,
    angle_rad: np.ndarray,
    method: str,
    model: str,
    device: str,
    progress: Progress | None,
    on_round: Callable[[Round], None] | None,
) -> Shifts:
    """What a network sees, one step of all views together from there, and further ones if they are asked for.

    A network sees views of an upright axis. How far it is tilted is told by that step, and if that is far, the network
    looks at views that are turned back by as much.
    """
    from tomoalign_core.align.joint import can_step, settled
    from tomoalign_core.align.lost import leave_out_lost
    from tomoalign_core.align.predict import predict_shifts
    from tomoalign_core.align.refine import refine_shifts
    from tomoalign_core.align.upright import as_measured, stood_up
    from tomoalign_core.learn.weights import load_weights

    network = load_weights(model, device)
    tilt_deg, joint = 0.0, None
    for _ in range(MOST_LOOKS):
        upright = stood_up(proj, tilt_deg)
        looks = _Counted(progress) if method == NETWORK and progress is not None else progress
        seen = as_measured(predict_shifts(upright, angle_rad, network, looks), tilt_deg)
        found = _placed(proj, seen, method)
        if method == REFINED:
            found = _better_look(proj, upright, tilt_deg, found, network, progress)
        if not can_step(found, sure=method == NETWORK):
            break
        joint = settled(proj, angle_rad, found)
        if isinstance(looks, _Counted):
            looks.end()
        further_deg = joint.table.axis_tilt_deg - tilt_deg
        if abs(further_deg) < FAR_TILTED_DEG:
            break
        tilt_deg += further_deg
    if method == REFINED:
        refined = refine_shifts(proj, angle_rad, found, settled=joint, on_round=on_round)
        return leave_out_lost(proj, refined.shifts)
    return leave_out_lost(proj, joint.table) if joint is not None else found


def _placed(proj: np.ndarray, found: Shifts, method: str) -> Shifts:
    """What was found, without the views that are lost.

    Raises
    ------
    InputError
        If all are.
    """
    from tomoalign_core.align.lost import leave_out_lost

    found = leave_out_lost(proj, found)
    if not found.used.any():
        raise InputError(
            f"{method} found no place for any view ({found.reason[0]}); try another method, and see that the angles "
            "and the tilt axis are right"
        )
    return found


class _Counted:
    """Progress over the passes of a network, with one more for the step that ends it."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._of = progress, 0

    def __call__(self, done: int, of: int) -> None:
        self._of = of + 1
        self._progress(done, self._of)

    def end(self) -> None:
        if self._of:
            self._progress(self._of, self._of)


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


def beyond_domain(found: Shifts, *, method: str, model: str = "pretrained") -> tuple[str, ...]:
    """How what a method found goes beyond what its network learned from, a line each. To be asked after.

    Raises
    ------
    InputError
        If there is no such model.
    """
    from tomoalign_core.align.domain import beyond_domain as beyond
    from tomoalign_core.learn.weights import learned_from

    data = learned_from(model) if method in NETWORKS else None
    return () if data is None else beyond(found, data)


def _find_classically(proj: np.ndarray, angle_rad: np.ndarray, method: str, progress: Progress | None) -> Shifts:
    if method == TOMOPY_JOINT:
        from tomoalign_core.simulate import tomopy_engine

        require_tomopy(f"the method {method}")
        return tomopy_engine.align_joint(proj, angle_rad)
    if method not in CLASSICAL:
        missing = "".join(f" ({name} {why})" for name, why in MISSING_METHODS.items())
        raise InputError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}{missing}")
    return CLASSICAL[method](proj, angle_rad, progress)


def _better_look(
    proj: np.ndarray,
    upright: np.ndarray,
    tilt_deg: float,
    found: Shifts,
    network: TrainedModel,
    progress: Progress | None,
) -> Shifts:
    """What the network found, or finds in twice the sampling if that is better; see ``finer``."""
    from tomoalign_core.align.finer import better_of
    from tomoalign_core.align.lost import leave_out_lost
    from tomoalign_core.align.predict import can_look_finer, predict_shifts
    from tomoalign_core.align.upright import as_measured

    if not can_look_finer(proj, network):
        return found

    def look_finer() -> Shifts:
        seen = predict_shifts(upright, found.angle_rad, network, progress, finer=True)
        return leave_out_lost(proj, as_measured(seen, tilt_deg))

    return better_of(proj, found.angle_rad, found, look_finer, progress)


def _with_others(found: Shifts, angle_rad: np.ndarray, shown: np.ndarray, empty: np.ndarray) -> Shifts:
    """The table of the views that show something, with the others in their places, not used."""
    nothing = np.zeros(len(angle_rad))
    none = Shifts.from_arrays(angle_rad=angle_rad, dx_px=nothing, dy_px=nothing)
    return none.left_out(empty, EMPTY).left_out(~shown & ~empty, UNWRITTEN).put(shown, found)
