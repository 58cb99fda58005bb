"""What a network did not learn from is told, and what it did is not."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align.domain import beyond_domain, outside_domain
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.geometry import Shifts, angles
from tomoalign_core.learn.dataset import training_stack
from tomoalign_core.learn.presets import wide_mix
from tomoalign_core.samples import sample
from tomoalign_core.simulate import simulate

MIX = wide_mix()
PLAIN = SimulationConfig(noise=NoiseConfig(gaussian=0.05, background=0.2), seed=4)


def told(config: SimulationConfig) -> tuple[str, ...]:
    scan = simulate(config)
    return outside_domain(scan.proj.numpy(), scan.angle_rad, MIX)


def test_nothing_is_said_of_stacks_like_those_learned_from() -> None:
    lines = []
    for index in range(24):
        scan = training_stack(MIX, 5_000_000 + index)
        said = outside_domain(scan.proj.numpy(), scan.angle_rad, MIX)
        # one in eight is wider than the view, which is told all the same
        lines += [line for line in said if "wider" not in line and "moved out at a side" not in line]
    assert len(lines) <= 1, lines  # shifts and noise are estimated


def test_an_object_that_drifts_out_of_the_view_is_told_of() -> None:
    wander = sample("Drifting foam")
    lines = told(wander.changed(scan=wander.scan.changed(n_views=40, n_rows=48, n_cols=64), seed=13))
    assert any("of the views a part of the object has moved out at a side" in line for line in lines), lines


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scan": ScanConfig(n_views=60, n_rows=80, n_cols=260)}, "size: 60 views of 80 × 260 px; it learned from"),
        ({"scan": ScanConfig(n_views=50, n_rows=80, n_cols=500)}, "size: 50 views of 40 × 250 px, binned by 2,"),
        ({"scan": ScanConfig(n_views=40, range_deg=80)}, "angles: they span 80°; it learned from"),
        ({"scan": ScanConfig(n_views=36, range_deg=720)}, "angles: they span 720°"),
        (
            {"misalign": MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=26)},
            "shifts: most views seem to move by up to",
        ),
        ({"misalign": MisalignConfig(dx_sigma_px=12, dy_sigma_px=1)}, "shifts: most views seem to move by up to"),
        ({"noise": NoiseConfig(gaussian=0.5)}, "image: noise of"),
        ({"phantom": PhantomConfig(radius=(1.4, 1.6)), "seed": 5}, "image: the object is wider than the view"),
    ],
)
def test_what_is_outside_is_said_in_one_line(change: dict[str, object], says: str) -> None:
    assert told(PLAIN) == ()
    lines = told(PLAIN.changed(**change))
    assert len(lines) == 1 and lines[0].startswith(says) and "\n" not in lines[0], lines


def test_a_transmission_and_a_stack_of_noise_are_told() -> None:
    scan = simulate(PLAIN)
    through = outside_domain(np.exp(-scan.proj.numpy()), scan.angle_rad, MIX)
    assert any("darker than what is around it" in line for line in through)
    noise = np.random.default_rng(0).normal(size=(60, 80, 104)).astype(np.float32)
    assert any("no object stands out" in line for line in outside_domain(noise, scan.angle_rad, MIX))


@pytest.mark.parametrize("unit", [1e25, 1e-20])
def test_the_unit_of_attenuation_makes_no_difference(unit: float) -> None:
    for config in (PLAIN, PLAIN.changed(noise=NoiseConfig(gaussian=0.5))):
        scan = simulate(config)
        assert outside_domain(scan.proj.numpy() * np.float32(unit), scan.angle_rad, MIX) == told(config)


def test_far_throws_of_some_views_are_nothing_unusual() -> None:
    outliers = MisalignConfig(dx_sigma_px=1, dy_sigma_px=1, outlier_fraction=0.04, outlier_px=30)
    assert told(PLAIN.changed(misalign=outliers)) == ()


def test_rolls_far_beyond_those_learned_from_are_told_afterwards() -> None:
    still, rolls = np.zeros(40), np.random.default_rng(0).normal(0, 1, 40)

    def said(roll_deg: float) -> tuple[str, ...]:
        table = Shifts.from_arrays(angle_rad=angles(40), dx_px=still, dy_px=still, roll_deg=roll_deg * rolls)
        return beyond_domain(table, MIX)

    assert said(0) == said(9) == ()
    (line,) = said(18)
    assert line.startswith("rolls: views seem to turn by 1")
    assert "it learned from up to 1.5°" in line
    thrown = Shifts.from_arrays(angle_rad=angles(40), dx_px=still, dy_px=still, roll_deg=18 * rolls)
    assert beyond_domain(thrown.left_out(range(40), "it is dark"), MIX) == ()
