"""Why the notebook did not converge: its four faults as switches, and what the loss does under each combination.

``record`` trains them all (``python -m tomoalign_core lesson``), and what it measured is kept in ``lesson.npz`` beside
this file, for the page that tells the story.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tomoalign_core.config import CentroidConfig, Cnn3dConfig, RunConfig, TrainConfig
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.geometry import Float, Shifts
from tomoalign_core.learn.dataset import Batch, training_batch, training_stack
from tomoalign_core.learn.losses import loss_of, without_gauge
from tomoalign_core.learn.models import Estimate, build_model
from tomoalign_core.learn.presets import notebook
from tomoalign_core.learn.train import Training, fixed_shape
from tomoalign_core.simulate.phantoms import Ellipsoids
from tomoalign_core.simulate.project import project_ellipsoids

RECORD = Path(__file__).parent / "lesson.npz"
SCALE, STEPS, CENTROID_STEPS = 0.25, 120, 60
PROBE_PX = np.linspace(-5.0, 5.0, 11)  # movements of one view, to see what a network answers to them
CENTROID = TrainConfig(epochs=1, steps_per_epoch=CENTROID_STEPS, batch=1, learning_rate=1e-3, device="cpu")


class Faults(NamedTuple):
    """Which of the notebook's faults are in. All four: as it was written. None: mended.

    >>> Faults(False, True, False, True).code
    '-n-r'
    """

    unmoved: bool = True
    no_step: bool = True
    forced: bool = True
    raw_labels: bool = True

    @property
    def code(self) -> str:
        """A short name: the initials of the faults that are in, a dash for each that is mended."""
        return "".join(name[0] if on else "-" for name, on in zip(self._fields, self, strict=True))


ALL_COMBINATIONS = tuple(Faults(*switches) for switches in product((True, False), repeat=4))


class Levels(NamedTuple):
    """Where a loss gets stuck, px²; all follow from the labels alone.

    variance : of the labels: the loss of a network that knows nothing and says 0.
    free_variance : the same without the gauge, which is taken out of labels and answers.
    floor : mean square of the gauge in the labels: what is left of a raw loss if all that can be known is known.
    """

    variance: float
    free_variance: float
    floor: float

    def of(self, faults: Faults, n_views: int) -> float:
        """The loss of a network that knows nothing of the stack before it, under these faults.

        An output forced to a standard deviation of 10 adds 100. Where the gauge is taken out, its share of that goes
        too: three of N directions in dx, one of N in dy; and a network that learns puts all of it there.
        """
        if faults.raw_labels:
            return (100.0 if faults.forced else 0.0) + self.variance
        stays = 1 - 2 / n_views if faults.forced and faults.no_step else 0.0
        return 100.0 * stays + self.free_variance


def levels(config: RunConfig) -> Levels:
    """The levels of a fixed data set, from its own labels."""
    total, free = [], []
    for step in range(config.dataset.fixed or 1):
        batch = training_batch(config.dataset, step, 1)
        total.append(float(batch.shift.square().mean()))
        free.append(float(without_gauge(batch.shift, batch.angle_rad, batch.roll_rad).square().mean()))
    variance, rest = float(np.mean(total)), float(np.mean(free))
    return Levels(variance=variance, free_variance=rest, floor=variance - rest)


def course(faults: Faults, config: RunConfig, *, steps: int) -> tuple[Float, torch.nn.Module]:
    """The loss of each step, shape (steps,), px², and the network: the notebook's own loop, with these faults in it.

    The network, the order of the stacks and the seeds are the same for all combinations.
    """
    torch.manual_seed(config.train.seed)
    model = build_model(Cnn3dConfig(force_std=faults.forced), fixed_shape(config.dataset.scan))
    optimizer = torch.optim.SGD(model.parameters(), lr=config.train.learning_rate, momentum=config.train.momentum)
    name = "raw-mse" if faults.raw_labels else "mse"
    losses = np.empty(steps)
    for step in range(steps):
        batch = lesson_batch(config, step, moved=not faults.unmoved)
        with torch.set_grad_enabled(not faults.no_step):
            estimates: list[Estimate] = model(batch.proj, batch.angle_rad)
            loss = loss_of(name, estimates, batch)
        if not faults.no_step:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[step] = float(loss.detach())
    return losses, model


def lesson_batch(config: RunConfig, step: int, *, moved: bool) -> Batch:
    """A batch whose labels are always those of the moved stack, and whose images may not have moved.

    In the notebook ``prj_tmp`` held the shifted views, and was then overwritten by the unshifted ones, only turned.
    """
    batch = training_batch(config.dataset, step, config.train.batch)
    if moved:
        return batch
    # the same draws of the same generator, with amplitude 0 in dx and dy: the roll stays as it was
    recipes = tuple(
        r.changed(misalign=r.misalign.changed(dx_sigma_px=0.0, dy_sigma_px=0.0)) for r in config.dataset.train
    )
    still = training_batch(config.dataset.changed(train=recipes), step, config.train.batch)
    return batch._replace(proj=still.proj, clean=still.clean)


def centroid_course(config: RunConfig, *, steps: int = CENTROID_STEPS) -> tuple[Float, torch.nn.Module]:
    """Our network on the notebook's data, from fresh weights: the gauge-removed error of each step, px²."""
    training = Training(config.changed(model=CentroidConfig(), train=CENTROID))
    errors = np.array([training.take_step()["mse_px2"] for _ in range(steps)])
    return errors, training.model


@torch.no_grad()
def answers(network: torch.nn.Module, config: RunConfig) -> Float:
    """What a network says of one view's dx as that view alone moves by ``PROBE_PX``: shape (11,), px, from 0 at rest.

    An equivariant one answers with the movement itself; one that flattens the views has to learn each place anew.
    """
    scan = training_stack(config.dataset, 0)
    assert isinstance(scan.phantom, Ellipsoids)
    n, rows, cols = scan.proj.shape
    dx_px = np.zeros((len(PROBE_PX), n))
    dx_px[:, n // 3] = PROBE_PX
    stages = [Shifts.from_arrays(angle_rad=scan.angle_rad, dx_px=dx, dy_px=0 * dx) for dx in dx_px]
    stacks = [project_ellipsoids(scan.phantom, scan.angle_rad, n_rows=rows, n_cols=cols, shifts=s) for s in stages]
    network.eval()
    angle = torch.from_numpy(scan.angle_rad).float().expand(1, n)
    said = np.array([float(network(stack[None], angle)[-1].shift[0, n // 3, 0]) for stack in stacks])
    return said - said[len(said) // 2]


class Record(NamedTuple):
    """What ``record`` measured: ``losses`` and ``centroid`` in px² by step; what both networks say, see ``answers``."""

    losses: dict[str, Float]
    centroid: Float
    cnn3d_says: Float
    centroid_says: Float
    levels: Levels
    n_views: int
    scale: float


def record(
    path: Path = RECORD, *, scale: float = SCALE, steps: int = STEPS, say: Callable[[str], None] = print
) -> None:
    """Train every combination of the four faults, and our network, on the notebook's data; write the curves."""
    config = notebook(scale=scale)
    arrays: dict[str, np.ndarray] = {}
    for number, faults in enumerate(ALL_COMBINATIONS, 1):
        began = time.perf_counter()
        losses, network = course(faults, config, steps=steps)
        arrays[f"loss/{faults.code}"] = losses.astype(np.float32)
        tail = losses[-steps // 4 :].mean()
        say(f"{number:>2} of 16, {faults.code}: ends at {tail:.2f} px², {time.perf_counter() - began:.0f} s")
    arrays["says/cnn3d"] = answers(network, config)  # the last combination: all four mended
    errors, ours = centroid_course(config)
    arrays |= {"centroid": errors.astype(np.float32), "says/centroid": answers(ours, config)}
    say(f"centroid: {errors[0]:.4f} px² at its first step, {errors[-len(errors) // 4 :].mean():.5f} px² at its end")
    about = {"levels": np.array(levels(config)), "n_views": config.dataset.scan.n_views, "scale": scale}
    with atomic_path(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **about)


def load_record(path: Path = RECORD) -> Record:
    """What was measured, as shipped."""
    with np.load(path, allow_pickle=False) as kept:
        return Record(
            losses={name.removeprefix("loss/"): kept[name].astype(float) for name in kept if name.startswith("loss/")},
            centroid=kept["centroid"].astype(float),
            cnn3d_says=kept["says/cnn3d"],
            centroid_says=kept["says/centroid"],
            levels=Levels(*kept["levels"].tolist()),
            n_views=int(kept["n_views"]),
            scale=float(kept["scale"]),
        )
