"""Trainings by name: ``quick`` (two cores, minutes), ``full`` (the shipped weights), ``notebook`` (the origin)."""

from __future__ import annotations

import math

from tomoalign_core.config import (
    Cnn3dConfig,
    DatasetConfig,
    Engine,
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    Recipe,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)

PRESETS = ("quick", "full", "notebook")

BLOBS = PhantomConfig(parts=(6, 60), part_size=(0.03, 0.4), radius=(0.4, 0.9), height=(0.4, 1.0), body=(0, 0.5))
PILLAR = PhantomConfig(kind="pillar", parts=(8, 40), part_size=(0.06, 0.4), radius=(0.4, 0.85), height=(0.6, 1.8))
WIDE = PhantomConfig(parts=(8, 60), part_size=(0.03, 0.4), radius=(0.9, 1.6), height=(0.4, 1.2), body=(0, 0.5))
FOAM = PhantomConfig(kind="foam", parts=(10, 60), part_size=(0.06, 0.3), radius=(0.5, 0.9), height=(0.5, 1.0))
JITTER = MisalignConfig(dx_sigma_px=(0, 6), dy_sigma_px=(0, 4), roll_sigma_deg=(0, 1.5))
FAR = MisalignConfig(dx_sigma_px=(0, 2), dy_sigma_px=(0, 2), roll_sigma_deg=(0, 1), uniform_px=(0, 15))
WANDER = MisalignConfig(
    dx_sigma_px=(0, 1),
    dy_sigma_px=(0, 1),
    roll_sigma_deg=(0, 1),
    drift_px=(0, 5),
    jumps=(0, 3),
    outlier_fraction=(0, 0.1),
)
NOISY = NoiseConfig(gaussian=(0, 0.22), background=(0, 0.3), gain=(0, 0.1))
QUIET = NOISY.changed(gaussian=(0, 0.06))
DEMO_SCAN = ScanConfig(n_views=60, n_rows=64, n_cols=80)
DEMO_STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=0.5)


def preset(name: str) -> RunConfig:
    """The training of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name == "quick":
        return RunConfig(
            name="quick",
            dataset=wide_mix(),
            train=TrainConfig(epochs=11, steps_per_epoch=50, batch=3, learning_rate=1e-3),
        )
    if name == "full":
        scan = ScanConfig(n_views=(40, 120), n_rows=(64, 112), n_cols=(64, 144), range_deg=(120, 360))
        return RunConfig(
            name="full",
            dataset=wide_mix().changed(scan=scan),
            train=TrainConfig(epochs=60, steps_per_epoch=500, batch=8, checkpoint_every=250),
        )
    if name == "notebook":
        return notebook()
    raise InputError(f"no preset is called {name!r}; choose one of {', '.join(PRESETS)}")


def demo_config(epochs: int) -> RunConfig:
    """A training small enough to watch: small stacks, two at a time."""
    check = SimulationConfig(scan=DEMO_SCAN, misalign=DEMO_STAGE, noise=NoiseConfig(gaussian=0.05, background=0.2))
    small = ScanConfig(n_views=40, n_rows=48, n_cols=64, range_deg=(120, 360))
    dataset = wide_mix().changed(
        scan=small, validation=(ValidationCase(name="blobs, 5 % noise", stacks=2, simulation=check),)
    )
    train = TrainConfig(epochs=epochs, steps_per_epoch=20, batch=2)
    return RunConfig(name="demo", dataset=dataset, train=train)


def wide_mix() -> DatasetConfig:
    """Blobs, pillars, foam and objects wider than the view, under jitter, far shifts and drift, 0-22 % noise, endless.

    Half of the stacks have at most 6 % of noise: what is learned from noisy ones alone errs by more than need be there.
    """
    objects = (("blobs", 2.0, BLOBS), ("pillar", 2.0, PILLAR), ("foam", 1.0, FOAM), ("wide", 0.75, WIDE))
    stages = (("jitter", 2.0, JITTER), ("far", 1.0, FAR), ("wander", 1.0, WANDER))
    recipes = tuple(
        Recipe(name=f"{what}-{how}-{faults}", weight=share * part / 2, phantom=phantom, misalign=misalign, noise=noise)
        for what, share, phantom in objects
        for how, part, misalign in stages
        for faults, noise in (("quiet", QUIET), ("noisy", NOISY))
    )
    scan = ScanConfig(n_views=(36, 76), n_rows=(48, 88), n_cols=(64, 112), range_deg=(115, 360))
    return DatasetConfig(name="wide mix", scan=scan, train=recipes, validation=yardsticks())


def like_simulation(simulation: SimulationConfig) -> DatasetConfig:
    """Stacks like one simulated scan: its settings, but an object, a movement and noise of their own.

    96 to train on and 24 to score with, as the notebook had.
    """
    name = "as simulated"
    own_object = simulation.changed(seed=0, phantom_seed=None)
    kind = {part: getattr(simulation, part) for part in ("phantom", "misalign", "noise")}
    return DatasetConfig(
        name=name,
        scan=simulation.scan,
        train=(Recipe(name=name, **kind),),
        fixed=96,
        validation=(ValidationCase(name=name, stacks=24, simulation=own_object),),
        engine=simulation.engine,
    )


def resized(dataset: DatasetConfig, **size: int | tuple[int, int]) -> DatasetConfig:
    """A data set of other views, rows or columns; validation cases that had its size keep to it."""
    scan = dataset.scan.changed(**size)
    cases = tuple(
        case.changed(simulation=case.simulation.changed(scan=scan)) if case.simulation.scan == dataset.scan else case
        for case in dataset.validation
    )
    return dataset.changed(scan=scan, validation=cases)


def yardsticks() -> tuple[ValidationCase, ...]:
    """What every training is measured on: blobs at 10 % noise, pillars at 3 %, σ = (4, 1) px and 1° of roll."""
    stage = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)
    blobs = SimulationConfig(misalign=stage, noise=NoiseConfig(gaussian=0.1, background=0.2))
    pillar = SimulationConfig(
        phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
        misalign=stage,
        noise=NoiseConfig(gaussian=0.03, background=0.2),
    )
    return (
        ValidationCase(name="blobs, 10 % noise", stacks=8, simulation=blobs),
        ValidationCase(name="pillars, 3 % noise", stacks=4, simulation=pillar),
    )


def notebook(
    *, scale: float = 1.0, noise: bool = False, background: bool = False, engine: Engine = "torch"
) -> RunConfig:
    """The seed notebook's experiment: 96 + 24 stacks of one Shepp-Logan head, rounded shifts, SGD, MSE.

    Parameters
    ----------
    scale
        Shrinks views and head alike, so that the same runs in miniature: 0.25 gives (45, 64, 94). The detector is as
        wide as tomopy makes it for the head. No less than (32, 44, 66): the network halves each axis five times, and
        its last normalisation needs two values.
    noise
        The notebook's option: normal noise of variance 0.01 (scikit-image's default), cut off outside 0 to 1.
    background
        The notebook's option: each view gains 0 to 1/5, evenly drawn, and is divided by its maximum.
    engine
        Who makes the head and projects it.

    Raises
    ------
    InputError
        If the scale is not above 0 and at most 1.
    """
    if not 0 < scale <= 1:
        raise InputError(f"scale {scale:g}: give more than 0 and at most 1; 0.25 runs on a CPU")
    n_views, size = max(32, round(180 * scale)), max(44, round(256 * scale))
    n_cols = 2 * math.ceil((math.sqrt(2) * size + 2) / 2)  # as tomopy's project pads the diagonal of the cube
    scan = ScanConfig(n_views=n_views, n_rows=size, n_cols=n_cols, include_end=True)
    phantom = PhantomConfig(kind="shepp3d")
    misalign = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1, rounded=True)
    faults = NoiseConfig(
        gaussian=0.1 if noise else 0.0, clip=noise, background=0.2 if background else 0.0, rescale=background
    )
    check = SimulationConfig(scan=scan, phantom=phantom, misalign=misalign, noise=faults, engine=engine)
    return RunConfig(
        name="notebook",
        dataset=DatasetConfig(
            name="notebook",
            scan=scan,
            train=(Recipe(name="shepp3d", phantom=phantom, misalign=misalign, noise=faults),),
            fixed=96,
            one_phantom=True,
            validation=(ValidationCase(name="shepp3d", stacks=24, simulation=check),),
            engine=engine,
        ),
        model=Cnn3dConfig(force_std=True),
        train=TrainConfig(
            epochs=50,
            steps_per_epoch=96,
            batch=1,
            loss="raw-mse",
            optimizer="sgd",
            learning_rate=1e-2,
            momentum=0.9,
            schedule="constant",
            profiler=True,
        ),
    )
