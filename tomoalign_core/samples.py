"""Scans by name: settings to begin with, from the easy to the notebook's own. They start no library of pixels."""

from __future__ import annotations

from typing import NamedTuple

from tomoalign_core.config import (
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
)


class Sample(NamedTuple):
    """Settings, and in a sentence what they are like."""

    about: str
    config: SimulationConfig


SAMPLES: dict[str, Sample] = {
    "Easy": Sample(
        "Blobs, sideways jitter of 4 px, 3 % noise: the object stays in view, and every view says where it is.",
        SimulationConfig(noise=NoiseConfig(gaussian=0.03), phantom_seed=0),
    ),
    "Noisy": Sample(
        "10 % noise, and a background and a brightness of its own in every view, as an unsteady source gives.",
        SimulationConfig(
            scan=ScanConfig(n_views=90),
            misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1),
            noise=NoiseConfig(gaussian=0.1, background=0.2, gain=0.1),
            phantom_seed=3,
        ),
    ),
    "Low dose": Sample(
        "100 photons a pixel: the noise is greatest where the object absorbs most.",
        SimulationConfig(
            misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=2),
            noise=NoiseConfig(counts=100),
            phantom_seed=5,
        ),
    ),
    "Pillar": Sample(
        "A column that leaves the view at top and bottom: there, a centre of mass says nothing of dy.",
        SimulationConfig(
            phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
            misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1),
            noise=NoiseConfig(gaussian=0.03, background=0.2),
            phantom_seed=7,
        ),
    ),
    "Drifting foam": Sample(
        "A stage that drifts by 4 px, jumps twice, and throws one view in twenty far off.",
        SimulationConfig(
            scan=ScanConfig(n_views=120),
            phantom=PhantomConfig(kind="foam", parts=(20, 40), part_size=(0.08, 0.25)),
            misalign=MisalignConfig(dx_sigma_px=0.5, dy_sigma_px=0.5, drift_px=4, jumps=2, outlier_fraction=0.05),
            noise=NoiseConfig(gaussian=0.05),
            phantom_seed=7,
            seed=7,
        ),
    ),
    "Far off": Sample(
        "Every view anywhere within ±10 px: no view is a good first guess of the next.",
        SimulationConfig(
            phantom=PhantomConfig(kind="foam", parts=(20, 60), part_size=(0.05, 0.3)),
            misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0, uniform_px=10),
            noise=NoiseConfig(gaussian=0.05),
            phantom_seed=2,
        ),
    ),
    "Tilt series": Sample(
        "As in an electron microscope: ±60° in steps of 2°, few electrons, a stage that creeps. A wedge is missing.",
        SimulationConfig(
            scan=ScanConfig(n_views=61, n_rows=96, n_cols=112, range_deg=120, start_deg=-60, include_end=True),
            phantom=PhantomConfig(parts=(30, 40), part_size=(0.05, 0.25)),
            misalign=MisalignConfig(dx_sigma_px=2, dy_sigma_px=2, drift_px=3),
            noise=NoiseConfig(counts=200),
            phantom_seed=4,
        ),
    ),
    "Notebook": Sample(
        "Where this project began, at half its 256 × 366 px: a Shepp–Logan head, 180 views with both ends, "
        "jitter of (4, 1) px and 1° rounded to whole numbers, no noise.",
        SimulationConfig(
            scan=ScanConfig(n_views=180, n_rows=128, n_cols=184, include_end=True),
            phantom=PhantomConfig(kind="shepp3d"),
            misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1, rounded=True),
            phantom_seed=0,
        ),
    ),
}


def sample(name: str) -> SimulationConfig:
    """The settings of that name; upper and lower case are one.

    Raises
    ------
    InputError
        If there are none.
    """
    by_name = {known.lower(): value.config for known, value in SAMPLES.items()}
    if name.lower() not in by_name:
        raise InputError(f"no sample is called {name!r}; choose one of {', '.join(SAMPLES)}")
    return by_name[name.lower()]
