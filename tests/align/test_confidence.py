"""What noise allows, from the views alone: against the bound of the noise-free views, and what it does to a table."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.confidence import as_sure_as_noise_allows, least_sigma_px
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import scan_bound
from tomoalign_core.simulate import LabelledScan, simulate

SIZE = ScanConfig(n_views=40, n_rows=64, n_cols=80)


def noisy(noise: NoiseConfig, kind: str = "ellipsoids") -> LabelledScan:
    stage = MisalignConfig(dx_sigma_px=3, dy_sigma_px=1)
    return simulate(
        SimulationConfig(scan=SIZE, phantom=PhantomConfig(kind=kind), misalign=stage, noise=noise, seed=11)  # type: ignore[arg-type]
    )


def table(sigma_px: float) -> Shifts:
    zero, sigma = np.zeros(40), np.full(40, sigma_px)
    return Shifts.from_arrays(
        angle_rad=np.linspace(0, 3, 40), dx_px=zero, dy_px=zero, dx_sigma_px=sigma, dy_sigma_px=sigma
    )


@pytest.mark.parametrize("kind", ["ellipsoids", "pillar", "foam"])
@pytest.mark.parametrize(
    "noise",
    [
        NoiseConfig(gaussian=0.03),
        NoiseConfig(gaussian=0.2),
        NoiseConfig(counts=200),
        NoiseConfig(gaussian=0.05, gain=0.1),
    ],
    ids=["3 %", "20 %", "200 counts", "gain"],
)
def test_the_bound_is_told_from_the_noisy_views(noise: NoiseConfig, kind: str) -> None:
    scan = noisy(noise, kind)
    found = least_sigma_px(scan.proj.numpy())
    for one, bound in zip(found, scan_bound(scan.clean, gaussian=scan.gaussian, counts=scan.counts), strict=True):
        assert 0.8 * bound < one < 1.35 * bound


def test_it_does_not_depend_on_the_unit_nor_on_where_the_views_lie() -> None:
    proj = noisy(NoiseConfig(gaussian=0.05)).proj.numpy()
    expected = least_sigma_px(proj)
    assert least_sigma_px(1e-6 * proj + 3e-6) == pytest.approx(expected, rel=1e-3)
    beside = np.pad(proj, ((0, 0), (0, 0), (9, 0)), mode="reflect")[..., :-9]
    assert least_sigma_px(beside) == pytest.approx(expected, rel=0.1)


def test_what_shows_nothing_but_noise_is_known_to_no_part_of_a_pixel() -> None:
    proj = np.random.default_rng(0).normal(size=(40, 64, 80)).astype(np.float32)
    assert min(least_sigma_px(proj)) > 0.25


def test_only_what_is_too_sure_of_itself_is_mended() -> None:
    proj = noisy(NoiseConfig(gaussian=0.1)).proj.numpy()
    dx, dy = least_sigma_px(proj)
    bold, modest = as_sure_as_noise_allows(proj, table(0.001)), as_sure_as_noise_allows(proj, table(2.0))
    assert (bold.dx_sigma_px == dx).all() and (bold.dy_sigma_px == dy).all()
    assert (modest.dx_sigma_px == 2.0).all() and (modest.dy_sigma_px == 2.0).all()
    none = as_sure_as_noise_allows(proj, table(np.nan))
    assert np.isnan(none.dx_sigma_px).all() and np.isnan(none.dy_sigma_px).all()


def test_a_network_is_not_surer_than_that() -> None:
    proj = noisy(NoiseConfig(gaussian=0.3)).proj.numpy()
    found = predict_shifts(proj, np.linspace(0, np.pi, 40, endpoint=False), load_weights("pretrained"))
    dx, dy = least_sigma_px(proj)
    assert found.dx_sigma_px.min() >= dx * (1 - 1e-6) and found.dy_sigma_px.min() >= dy * (1 - 1e-6)
    assert np.isclose(found.dy_sigma_px, dy, rtol=1e-3).any(), "at such noise it thinks too little of it"
