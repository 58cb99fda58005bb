"""The bound of an unknown object: against one written out, and what it depends on."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.limit import harmonic_bounds, unknown_object_bound
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Float, Shifts, angles, centred_axis
from tomoalign_core.metrics import scan_bound, scan_roll_bound
from tomoalign_core.simulate import LabelledScan, SimulatedScan, simulate
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids


def scan(views: int = 40, turn_deg: float = 180.0, **more: object) -> LabelledScan:
    still = MisalignConfig(dx_sigma_px=1, dy_sigma_px=1)
    settings = SimulationConfig(misalign=still, noise=NoiseConfig(gaussian=0.05), seed=5, phantom_seed=1)
    return simulate(settings.changed(scan=ScanConfig(n_views=views, n_rows=48, n_cols=64, range_deg=turn_deg), **more))


def ratios(one: LabelledScan) -> Float:
    """The bound in dx, dy and roll over that of a known template."""
    noise, clean = {"gaussian": one.gaussian, "counts": one.counts}, one.clean.numpy()
    bound = unknown_object_bound(clean, one.angle_rad, one.shifts, **noise)
    return np.array(bound) / (*scan_bound(clean, **noise), scan_roll_bound(clean, **noise))


def test_who_does_not_know_the_object_errs_by_more_above_all_in_dx() -> None:
    dx, dy, roll = ratios(scan())
    assert 1.1 < dx < 2 and 1 < dy < 1.4 and dx > dy and 1 < roll < 1.6


def test_the_limit_of_roll_is_that_of_all_movements_written_out() -> None:
    """Of tests/benchmarks/roll.py, ball of 14 px: 1.46 times the bound, of the slowest roll 3.0 times."""
    size, radius, views = 30, 7.0, 16
    grid = np.stack(np.meshgrid(*[np.arange(-8.0, 9)] * 3, indexing="ij"), -1).reshape(-1, 3)
    points = grid[(grid**2).sum(1) < radius**2]
    angle, pixel = angles(views), centred_axis(size)
    found = []
    for seed in range(4):
        values = np.random.default_rng(seed).normal(0.5, 1, len(points))  # of a mass that stands in the middle
        along = points[:, 0] * np.cos(angle)[:, None] + points[:, 1] * np.sin(angle)[:, None]
        u, v = (np.exp(-0.5 * (pixel[:, None] - at[..., None, :]) ** 2) for at in (along, points[:, 2]))
        clean = np.einsum("vp,nup,p->nvu", v, u, values)
        middle = np.sqrt((np.exp(-0.5 * (points[:, 0] ** 2 + points[:, 2] ** 2)) ** 2).sum())
        still = Shifts.from_arrays(angle_rad=angle, dx_px=np.zeros(views), dy_px=np.zeros(views))
        noise = {"gaussian": 0.03 * 3 * middle, "counts": None}
        known = scan_roll_bound(clean, **noise)
        slow = harmonic_bounds(clean, angle, still, **noise)[2][1]
        found.append((unknown_object_bound(clean, angle, still, **noise).roll_deg / known, slow / known))
    assert np.mean(found, axis=0) == pytest.approx([1.46, 3.0], rel=0.12)


def test_more_views_tell_more_of_the_object() -> None:
    few, many = ratios(scan(views=20)), ratios(scan(views=80))
    assert (many < few).all()


def test_with_counts_as_with_even_noise_only_the_distance_from_a_template_differs() -> None:
    even, counted = ratios(scan()), ratios(scan(noise=NoiseConfig(counts=500)))
    np.testing.assert_allclose(counted, even, rtol=0.1)


def test_of_a_wedge_the_order_of_the_views_does_not_matter() -> None:
    wedge = scan(views=16, turn_deg=90)
    order = np.random.default_rng(0).permutation(16)
    shuffled = wedge.clean.numpy()[order], wedge.angle_rad[order], wedge.shifts.taken(order)
    limits = [
        unknown_object_bound(*views, gaussian=wedge.gaussian)
        for views in (shuffled, (wedge.clean.numpy(), wedge.angle_rad, wedge.shifts))
    ]
    assert limits[0] == pytest.approx(limits[1], rel=1e-3)


def test_of_an_object_wider_than_the_view_all_must_be_shown() -> None:
    one = scan(phantom=PhantomConfig(radius=(1.4, 1.5)))
    assert isinstance(one, SimulatedScan) and isinstance(one.phantom, Ellipsoids)
    seen = one.clean.numpy()
    assert np.isnan(unknown_object_bound(seen, one.angle_rad, one.shifts, gaussian=0.05)).all()
    whole = one.scale * project_ellipsoids(one.phantom, one.angle_rad, n_rows=48, n_cols=128, shifts=one.shifts).numpy()
    dx, dy, _ = unknown_object_bound(whole, one.angle_rad, one.shifts, gaussian=0.05, cols=64)
    all_seen = unknown_object_bound(whole, one.angle_rad, one.shifts, gaussian=0.05)
    known = scan_bound(seen, gaussian=0.05, counts=None)
    assert dx > 1.5 * known[0] and dy > 1.2 * known[1]
    assert dx > all_seen[0] and dy > all_seen[1]
