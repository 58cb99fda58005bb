"""Where the object leaves the view, and how far off the axis it stands."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.outline import blurred_noise, cut_of, off_axis_px
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, SimulationConfig
from tomoalign_core.simulate import simulate

NOISE = NoiseConfig(gaussian=0.05, background=0.3)


@pytest.mark.parametrize(
    ("phantom", "cut"),
    [
        (PhantomConfig(), (False, False)),
        (PhantomConfig(kind="foam"), (False, False)),
        (PhantomConfig(kind="pillar", height=(1.2, 1.8)), (False, True)),
        (PhantomConfig(radius=1.5, body=0.5), (True, False)),
    ],
)
def test_borders_that_cut_the_object_are_seen_whatever_the_background(
    phantom: PhantomConfig, cut: tuple[bool, bool]
) -> None:
    for seed in (5, 6, 7):
        assert cut_of(simulate(SimulationConfig(phantom=phantom, noise=NOISE, seed=seed)).proj.numpy()) == cut


def test_a_blur_leaves_that_much_of_the_noise() -> None:
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(0, 2.0, (400, 400))
    assert ndimage.gaussian_filter(noise, 1.5).std() == pytest.approx(blurred_noise(2.0), rel=0.05)


def test_an_object_that_is_put_aside_stands_off_the_axis_by_that_much() -> None:
    still = simulate(SimulationConfig(misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0), seed=3))
    proj, angle = still.proj.numpy(), still.angle_rad
    before = off_axis_px(proj, angle)
    moved = np.stack([np.roll(view, round(6 * np.cos(a)), 1) for view, a in zip(proj, angle, strict=True)])
    np.testing.assert_allclose(off_axis_px(moved, angle) - before, 6 * np.cos(angle), atol=0.5)
