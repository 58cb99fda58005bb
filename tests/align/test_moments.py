"""The moments of rows tell of movements: in closed form, of blobs that are Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.moments import share_in_view, told_by_moments
from tomoalign_core.align.ways import LEVER_PX, PLAIN, ways_of
from tomoalign_core.geometry import Float, angles, centred_axis, remove_gauge

VIEWS, ROWS, COLS, NOISE = 40, 60, 80, 0.02
HALF, WEDGE = angles(VIEWS), angles(VIEWS, range_deg=130)
BLOBS = np.array([[9.0, -4.0, -17.0], [-6.0, 8.0, 12.0], [2.0, -11.0, 3.0], [0.0, 0.0, 0.0]])  # x, y, z in px
WIDTH_PX = 1.5
STILL = np.zeros(VIEWS)
WAYS = ("dx", "dy", "roll", "gain", "offset")


def views(
    angle: Float, *, dx: Float = STILL, dy: Float = STILL, roll: Float = STILL, blobs: np.ndarray = BLOBS
) -> np.ndarray:
    """Views (N, V, U) of blobs, each rolled about its centre and then moved: a Gaussian stays one."""
    u = blobs[:, 0] * np.cos(angle)[:, None] + blobs[:, 1] * np.sin(angle)[:, None]
    v = np.broadcast_to(blobs[:, 2], u.shape)
    # a positive roll turns u towards v, see geometry
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    across, down = c * u - s * v + dx[:, None], s * u + c * v + dy[:, None]
    by_u = np.exp(-0.5 * ((centred_axis(COLS) - across[..., None]) / WIDTH_PX) ** 2)
    by_v = np.exp(-0.5 * ((centred_axis(ROWS) - down[..., None]) / WIDTH_PX) ** 2)
    return np.einsum("nbv,nbu->nvu", by_v, by_u)


def told(
    seen_as: np.ndarray, still: np.ndarray, angle: Float = HALF, seen: np.ndarray | None = None
) -> tuple[Float, dict[str, Float]]:
    """The information, and the likeliest movements by their names; rolls in px."""
    seen = np.ones(still.shape, bool) if seen is None else seen
    ways = ways_of(still, seen, row=0.0, slopes=PLAIN)
    information, likeliest = told_by_moments(seen_as, seen, still, ways, angle, noise=NOISE)
    assert np.allclose(information, information.T)
    return information, dict(zip(WAYS, likeliest.reshape(5, -1), strict=True))


def without_lean(roll: Float, angle: Float = HALF) -> Float:
    """What goes with cos α and sin α is nearly that of an object which leans."""
    lean = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], 1)
    rest: Float = roll - lean @ np.linalg.lstsq(lean, roll, rcond=None)[0]
    return rest


@pytest.mark.parametrize("angle", [HALF, WEDGE], ids=["half turn", "wedge"])
def test_movements_are_found_whatever_the_others_do(angle: Float) -> None:
    """Too far by some, as templates are blurred: by up to 1.3 of blobs so small."""
    dx, dy = 0.1 * np.cos(3 * angle + 0.4), 0.1 * np.cos(6 * angle + 1)
    roll = np.deg2rad(0.2) * np.cos(3 * angle - 1)
    _, found = told(views(angle, dx=dx, dy=dy, roll=roll), views(angle), angle)
    for name, true in (("dx", dx), ("dy", dy)):
        rest, wanted = (remove_gauge(each, angle, axis=name) for each in (found[name], true))
        assert rest @ wanted / (wanted @ wanted) == pytest.approx(1.15, abs=0.2)
        assert np.corrcoef(rest, wanted)[0, 1] > 0.98
    rest, wanted = without_lean(found["roll"], angle), without_lean(roll * LEVER_PX, angle)
    assert rest @ wanted / (wanted @ wanted) == pytest.approx(1.15, abs=0.2)
    assert np.corrcoef(rest, wanted)[0, 1] > 0.97


def test_what_is_still_does_not_move() -> None:
    still = views(HALF)
    _, found = told(still, still)
    for axis in ("dx", "dy"):
        assert np.abs(remove_gauge(found[axis], HALF, axis=axis)).max() < 0.004
    assert np.abs(without_lean(found["roll"])).max() < 0.004
    assert max(np.ptp(found["gain"]), np.ptp(found["offset"])) < 0.01


def test_a_ball_does_not_tell_how_it_is_turned() -> None:
    ball, several = (views(HALF, blobs=blobs) for blobs in (BLOBS[-1:], BLOBS))
    rolls = np.s_[2 * VIEWS : 3 * VIEWS]
    nothing, something = (np.diag(told(proj, proj)[0])[rolls].mean() for proj in (ball, several))
    assert nothing < 0.01 * something


def test_what_any_object_may_do_is_not_told() -> None:
    """An object that sits elsewhere, and one that stands higher."""
    still = views(HALF)
    information, _ = told(still, still)
    elsewhere = np.zeros((3, 5 * VIEWS))
    elsewhere[:, :VIEWS] = np.cos(HALF), np.sin(HALF), np.cos(9 * HALF)
    higher = np.zeros((2, 5 * VIEWS))
    higher[:, VIEWS : 2 * VIEWS] = np.ones(VIEWS), np.cos(10 * HALF)
    for ways in (elsewhere, higher):
        known = np.einsum("ki,ij,kj->k", ways, information, ways)
        assert (known[:-1] < 0.02 * known[-1]).all()


def test_the_likeliest_scatters_as_the_information_says() -> None:
    rng, still = np.random.default_rng(0), views(HALF)
    information, _ = told(still, still)
    size, modes = np.linalg.eigh(information)
    clear = modes[:, size > 0.05 * size[-1]]
    drawn = [
        clear.T @ np.concatenate(list(told(still + rng.normal(0, NOISE, still.shape), still)[1].values()))
        for _ in range(60)
    ]
    expected = NOISE**2 / size[size > 0.05 * size[-1]]
    assert np.mean(np.square(drawn) / expected) == pytest.approx(1, abs=0.1)


def test_what_differs_by_more_than_noise_is_trusted_less() -> None:
    rng, still = np.random.default_rng(0), views(HALF)
    sure, unsure = (np.trace(told(still + rng.normal(0, s, still.shape), still)[0]) for s in (NOISE, 4 * NOISE))
    assert unsure == pytest.approx(sure / 16, rel=0.2)


def test_rows_that_were_not_seen_tell_nothing() -> None:
    roll = np.deg2rad(0.2) * np.cos(3 * HALF + 0.4)
    moved, still = views(HALF, roll=roll), views(HALF)
    seen = np.ones(moved.shape, bool)
    seen[7, :, 36:44] = False
    information, found = told(np.where(seen, moved, 9.0), still, seen=seen)
    of_view = np.arange(5) * VIEWS + 7
    assert np.abs(information[of_view]).max() < 1e-9 * information.max()
    others = np.arange(VIEWS) != 7
    np.testing.assert_allclose(
        without_lean(found["roll"][others], HALF[others]),
        without_lean(roll[others] * LEVER_PX, HALF[others]),
        atol=0.3 * np.abs(roll).max() * LEVER_PX,
    )


def of_rolls(still: np.ndarray) -> float:
    """The information on rolls of views whose outer columns were not seen, on nearly none of which the object is."""
    seen = np.ones(still.shape, bool)
    seen[..., :16] = seen[..., -16:] = False
    return float(np.diag(told(still, still, seen=seen)[0])[2 * VIEWS : 3 * VIEWS].mean())


def test_a_background_that_was_told_too_high_is_no_part_of_the_object() -> None:
    assert of_rolls(views(HALF) - 0.05) > 0.9 * of_rolls(views(HALF)) > 0


def test_noise_in_what_is_foretold_is_no_part_of_the_object() -> None:
    noise = np.random.default_rng(0).normal(0, 0.5 * NOISE, (VIEWS, ROWS, COLS))
    assert of_rolls(views(HALF) + noise) > 0.9 * of_rolls(views(HALF))


def test_nor_do_details_far_out_go_by_unseen() -> None:
    """A faint blob farther out, where nothing was seen: the rows that it is in tell nothing."""
    far = np.array([[31.0, 0.0, 12.0]])
    assert of_rolls(views(HALF) + 0.5 * views(HALF, blobs=far)) < 0.9 * of_rolls(views(HALF))


def test_how_much_of_an_object_ends_in_view() -> None:
    """One of four blobs, each as high as the others, lies at the edge of the view."""
    spread = np.array([[9.0, 0.0, -20.0], [5.0, 0.0, -7.0], [0.0, 5.0, 7.0], [38.0, 0.0, 20.0]])
    assert share_in_view(views(HALF, blobs=spread[:3]), noise=NOISE) == 1.0
    assert share_in_view(views(HALF, blobs=spread), noise=NOISE) == pytest.approx(0.8, abs=0.1)
    assert share_in_view(np.zeros((VIEWS, ROWS, COLS)), noise=NOISE) == 0.0


def test_rows_in_which_the_object_goes_on_beside_the_view_tell_nothing() -> None:
    inside, beside = (views(HALF, blobs=np.array([[10.0, 0.0, 0.0], [far, 0.0, 0.0]])) for far in (25.0, 38.0))
    something, little = (np.trace(told(still, still)[0]) for still in (inside, beside))
    assert little < 0.1 * something
