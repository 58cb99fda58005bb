"""Edits by hand: undoing gives back exactly what was there; a list of them survives as JSON."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoalign_core.align import move_views
from tomoalign_core.config import InputError
from tomoalign_core.edits import Compose, Edits, Nudge, Use, check_same_scan
from tomoalign_core.files.shifts import to_csv
from tomoalign_core.geometry import Shifts, angles

N = 6


def table(seed: int = 0) -> Shifts:
    rng = np.random.default_rng(seed)
    dx, dy, roll = rng.normal(0, 3, (3, N))
    return Shifts.from_arrays(
        angle_rad=angles(N), dx_px=dx, dy_px=dy, roll_deg=roll, dx_sigma_px=np.full(N, 0.1), dy_sigma_px=np.full(N, 0.2)
    )


def same(a: Shifts, b: Shifts) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name != "reason") for name in vars(a))


number = st.floats(-20, 20, allow_nan=False)
edit = st.one_of(
    st.builds(Nudge, view=st.integers(0, N - 1), ddx_px=number, ddy_px=number, droll_deg=number),
    st.builds(Use, view=st.integers(0, N - 1), used=st.booleans()),
    st.integers(1, 5).map(lambda seed: Compose.of(table(seed), name="other.csv", acts="first" if seed % 2 else "last")),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(edit, max_size=8), st.integers(0, 8))
def test_undo_gives_back_exactly_what_was_there_and_redo_what_was_done(operations: list, back: int) -> None:
    history, tables = Edits(), [table()]
    for operation in operations:
        history = history.then(operation)
        tables.append(history.apply(table()))
    back = min(back, len(operations))
    for _ in range(back):
        history = history.undo()
    assert same(history.apply(table()), tables[len(operations) - back])
    history = history.reset()
    assert same(history.apply(table()), table())
    for _ in operations:
        history = history.redo()
    assert same(history.apply(table()), tables[-1])
    assert to_csv(Edits.from_json(history.to_json()).apply(table())) == to_csv(tables[-1])


def test_nothing_to_undo_is_no_harm_and_a_new_edit_forgets_the_undone() -> None:
    assert Edits().undo() == Edits() == Edits().redo()
    history = Edits().then(Nudge(view=0, ddx_px=1)).undo().then(Use(view=1, used=False))
    assert history.redo() == history


def test_a_nudge_moves_its_view_alone_and_its_confidence_is_gone() -> None:
    found, edited = table(), Edits().then(Nudge(view=2, ddx_px=0.5, ddy_px=-1, droll_deg=0.1)).apply(table())
    others = np.arange(N) != 2
    for name, by in (("dx_px", 0.5), ("dy_px", -1), ("roll_deg", 0.1)):
        assert getattr(edited, name)[2] == pytest.approx(getattr(found, name)[2] + by)
        np.testing.assert_array_equal(getattr(edited, name)[others], getattr(found, name)[others])
    assert np.isnan(edited.dx_sigma_px[2]) and np.isfinite(edited.dx_sigma_px[others]).all()


@pytest.mark.parametrize("acts", ["first", "last"])
def test_a_table_that_is_added_is_a_movement_before_or_after(acts: str) -> None:
    """Moving by the sum is moving twice: on images, with rolls, in the right order."""
    v, u = np.meshgrid(np.arange(60) - 29.5, np.arange(70) - 34.5, indexing="ij")
    image = np.exp(-((u - 8) ** 2 + (v + 5) ** 2) / 18) + np.exp(-((u + 6) ** 2 + (v - 4) ** 2) / 40)
    views, ours, other = np.stack([image] * N), table(0), table(1)
    both = Edits().then(Compose.of(other, name="other", acts=acts)).apply(ours)  # type: ignore[arg-type]
    first, last = (other, ours) if acts == "first" else (ours, other)
    np.testing.assert_allclose(move_views(views, both), move_views(move_views(views, first), last), atol=2e-3)
    np.testing.assert_array_equal(both.dx_sigma_px, ours.dx_sigma_px)


def test_what_cannot_be_is_said_in_a_line() -> None:
    with pytest.raises(InputError, match="view 9: the stack has 6 views"):
        Edits().then(Nudge(view=9)).apply(table())
    short = Shifts.from_arrays(angle_rad=angles(4), dx_px=np.zeros(4), dy_px=np.zeros(4))
    with pytest.raises(InputError, match=r"a.csv: holds the shifts of 4 views, but the stack has 6"):
        check_same_scan(short, table().angle_rad, "a.csv")
    turned = Shifts.from_arrays(angle_rad=angles(N, start_deg=3), dx_px=np.zeros(N), dy_px=np.zeros(N))
    with pytest.raises(InputError, match="degrees there, at"):
        check_same_scan(turned, table().angle_rad, "a.csv")
    full_turn_on = Shifts.from_arrays(angle_rad=angles(N) + 2 * np.pi, dx_px=np.zeros(N), dy_px=np.zeros(N))
    check_same_scan(full_turn_on, table().angle_rad, "a.csv")


def test_edits_are_told_in_words() -> None:
    assert Nudge(view=3, ddx_px=0.1, droll_deg=-0.1).words() == "view 3: dx +0.1 px, roll −0.1 °"
    assert Use(view=3, used=False).words() == "view 3: left out"
