"""The tilt axis is told from the profile that stays the same, whichever way a stack lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tomoalign_core.align.tilt_axis import axis_evidence, common_line
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.samples import SAMPLES
from tomoalign_core.simulate import simulate

STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=4, roll_sigma_deg=1)
WIDE = SimulationConfig(
    phantom=PhantomConfig(radius=1.3), misalign=STAGE, noise=NoiseConfig(gaussian=0.03, background=0.2, gain=0.2)
)


@pytest.mark.parametrize(
    "config",
    [*(SAMPLES[name].config for name in ("Noisy", "Pillar", "Drifting foam", "Tilt series")), WIDE],
    ids=["noisy", "pillar", "foam", "tilt series", "wider than the view"],
)
def test_a_stack_is_known_to_be_turned_only_where_it_is(config: SimulationConfig) -> None:
    proj = simulate(config).proj.numpy()
    upright, turned = axis_evidence(proj), axis_evidence(proj.swapaxes(1, 2))
    assert not upright.turned and turned.turned
    assert (turned.along_u, turned.along_v) == pytest.approx((upright.along_v, upright.along_u))


@pytest.mark.parametrize("tilt_deg", [12.0, 25.0])
def test_an_axis_that_is_tilted_off_the_columns_does_not_lie_along_the_rows(tilt_deg: float) -> None:
    """Of a column that the border cuts off the two profiles alone say that it does."""
    pillar = SAMPLES["Pillar"].config.changed(misalign=STAGE.changed(axis_tilt_deg=tilt_deg))
    proj = simulate(pillar).proj.numpy()
    seen = axis_evidence(proj)
    assert seen.along_v > 1.4 * seen.along_u and not seen.turned


def test_a_column_thrown_far_up_and_down_is_not_taken_for_turned() -> None:
    """Of which other parts come into view, so that the sums of its rows change the more."""
    thrown = SimulationConfig(
        phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
        misalign=MisalignConfig(uniform_px=20), noise=NoiseConfig(gaussian=0.03),
    )  # fmt: skip
    seen = axis_evidence(simulate(thrown).proj.numpy())
    assert seen.along_v > 1.4 * seen.along_u and not seen.turned


def test_views_that_agree_on_the_rows_are_turned_though_both_profiles_change_alike() -> None:
    config = SAMPLES["Pillar"].config.changed(misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1), seed=5)
    turned = axis_evidence(simulate(config).proj.numpy().swapaxes(1, 2))
    alike = replace(turned, along_u=turned.along_v / 1.1)
    assert turned.line is not None and turned.line.is_clear and turned.line.is_near(90)
    assert alike.turned and not replace(alike, along_v=alike.along_u / 1.1).turned


def test_nothing_is_said_of_what_looks_the_same_from_all_sides_nor_of_noise() -> None:
    v, u = np.mgrid[-16:16, -20:20]
    ball = np.repeat(np.sqrt(np.clip(12.0**2 - u**2 - v**2, 0, None))[None], 20, axis=0)
    rng = np.random.default_rng(0)
    for proj in (ball + 0.1 * rng.standard_normal(ball.shape), rng.standard_normal(ball.shape)):
        assert not axis_evidence(proj).turned and not axis_evidence(proj.swapaxes(1, 2)).turned


def test_gain_and_offset_of_a_view_are_no_evidence() -> None:
    proj = simulate(SimulationConfig(scan=ScanConfig(n_views=24, n_rows=32, n_cols=40))).proj.numpy()
    rng = np.random.default_rng(1)
    unsteady = proj * rng.uniform(0.5, 2, (24, 1, 1)) + rng.uniform(-1, 1, (24, 1, 1))
    one, other = axis_evidence(proj), axis_evidence(unsteady)
    assert (other.along_v, other.along_u) == pytest.approx((one.along_v, one.along_u), rel=1e-6)


@pytest.mark.parametrize("tilt_deg", [0.0, 33.0, -64.0, 88.0])
@pytest.mark.parametrize("far", [False, True], ids=["jitter", "thrown"])
def test_the_common_line_is_the_axis_however_far_views_have_moved(tilt_deg: float, far: bool) -> None:
    moved = MisalignConfig(dx_sigma_px=4, dy_sigma_px=4, roll_sigma_deg=1, uniform_px=12.0 if far else 0.0)
    config = SAMPLES["Noisy"].config.changed(misalign=moved.changed(axis_tilt_deg=tilt_deg))
    line = common_line(simulate(config).proj.numpy())
    assert line.is_clear and line.is_near(tilt_deg)
    assert abs((line.tilt_deg - tilt_deg + 90) % 180 - 90) < 5


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_the_common_line_is_the_same_in_any_unit(unit: float) -> None:
    proj = simulate(SAMPLES["Noisy"].config).proj.numpy()
    assert common_line(proj * np.float32(unit)).unlike == pytest.approx(common_line(proj).unlike, rel=1e-3)


def test_noise_has_no_common_line() -> None:
    noise = np.random.default_rng(0).standard_normal((40, 48, 64))
    assert common_line(noise).unlike > 0.8
