"""Whether a training fits into its device, and what to do where it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tomoalign_core.config import Cnn3dConfig, DatasetConfig, ModelConfig, RunConfig, TrainConfig
from tomoalign_core.learn.describe.machine import machine_of
from tomoalign_core.learn.describe.trace import Sizes, inference_bytes, training_sizes
from tomoalign_core.learn.train import choose_device, fixed_shape
from tomoalign_core.simulate.project import CHUNK

PROCESS = 600_000_000  # Python and torch themselves; on a GPU the context of its driver is as large
# Copies that convolution libraries work on, blocks that an allocator cannot fill. Whole processes on two cores took
# 0.63 to 5.2 GB where 0.79 to 6.2 GB are told (both networks, 48 × 80 × 96 to 180 × 256 × 366).
MARGIN = 1.2
DRAWING = 32  # bytes a pixel while a stack is simulated, as measured
FLOAT = 4

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a training needs at its fullest moment, margins included, and what its device has; bytes.

    ``way_out`` says what to do where it does not fit.
    """

    training_bytes: int
    available_bytes: int
    total_bytes: int
    device: str
    way_out: str

    @property
    def fits(self) -> bool:
        """Whether what is free now is enough."""
        return self.training_bytes <= self.available_bytes

    def words(self) -> str:
        """The verdict in a sentence."""
        need = f"This needs about {in_bytes(self.training_bytes)} in training"
        if self.fits:
            return f"{need}: it fits, {self.device} has {in_bytes(self.available_bytes)} free."
        if self.training_bytes <= self.total_bytes:
            free = f"of its {in_bytes(self.total_bytes)} {self.device} has only {in_bytes(self.available_bytes)} free"
            return f"{need}; {free} now: wait until other work is done, or {self.way_out}."
        return f"{need}, {self.device} has {in_bytes(self.total_bytes)}: {self.way_out}."


def in_bytes(size: float) -> str:
    """A size in words.

    >>> in_bytes(2e13), in_bytes(41.2e9), in_bytes(3.456e9), in_bytes(52e6), in_bytes(65e3)
    ('20 TB', '41 GB', '3.5 GB', '52 MB', '65 kB')
    """
    unit, factor = next(((u, f) for u, f in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)) if size >= f), ("kB", 1e3))
    value = size / factor
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def memory_for(model: ModelConfig, shape: Shape, train: TrainConfig, *, sizes: Sizes | None = None) -> Memory:
    """Whether a training on stacks of that shape (N, V, U) fits; ``sizes`` are its step's, where they are known.

    Raises
    ------
    InputError
        If the device asked for is not there, or the network cannot be trained on such stacks.
    """
    return _verdict(model, shape, train, sizes or training_sizes(model, shape, train), held=0, drawing=0, other=0)


def memory_of(config: RunConfig) -> Memory:
    """Whether a training fits: its largest stacks, the validation stacks that are held all along, and the drawing.

    Raises
    ------
    InputError
        If the device asked for is not there, or the network cannot be trained on such stacks.
    """
    shape = fixed_shape(config.dataset.scan)
    sizes = training_sizes(config.model, shape, config.train)
    checks = [(fixed_shape(case.simulation.scan), case.stacks) for case in config.dataset.validation]
    held = sum(2 * FLOAT * count * math.prod(size) for size, count in checks)
    largest = max((size for size, _ in checks), key=math.prod)
    beyond = math.prod(largest) > config.train.batch * math.prod(shape)
    other = inference_bytes(config.model, largest) if beyond else 0
    drawing = max(_drawing(config.dataset, size) for size in (shape, largest))
    return _verdict(config.model, shape, config.train, sizes, held=held, drawing=drawing, other=other)


def _drawing(dataset: DatasetConfig, shape: Shape) -> int:
    """Bytes in use while a stack is simulated: patches of the phantom's parts, or one part on the whole detector."""
    parts = max((r.phantom.parts if isinstance(r.phantom.parts, int) else r.phantom.parts[1]) for r in dataset.train)
    pixels = math.prod(shape)
    return DRAWING * max(pixels, min(CHUNK, parts * pixels))


def _verdict(
    model: ModelConfig, shape: Shape, train: TrainConfig, sizes: Sizes, *, held: int, drawing: int, other: int
) -> Memory:
    device = machine_of(choose_device(train.device))

    def needed(step: Sizes) -> int:
        fixed = step.weights + step.optimizer + step.batch
        return round(PROCESS + held + MARGIN * max(step.peak, other, fixed + drawing))

    need = needed(sizes)
    way_out = ""
    if need > device.free:
        one = needed(training_sizes(model, shape, train.changed(batch=1))) if train.batch > 1 else need
        way_out = _way_out(model, shape, train.batch, need=need, one=one, free=device.free)
    return Memory(
        training_bytes=need,
        available_bytes=device.free,
        total_bytes=device.total,
        device=device.name,
        way_out=way_out,
    )


def _way_out(model: ModelConfig, shape: Shape, batch: int, *, need: int, one: int, free: int) -> str:
    """The largest batch that fits, or else the size of a scan that does; bytes are all but linear in both.

    ``need`` is for the batch as it is, ``one`` for a batch of one stack.
    """
    if one <= free:
        return f"choose a batch of {1 + (free - one) * (batch - 1) // (need - one)}"
    least = 32 if isinstance(model, Cnn3dConfig) else 8
    shrink = 0.97 * math.sqrt(max(free - PROCESS, 0) / (one - PROCESS))
    rows, cols = (max(int(n * shrink) // 8 * 8, least) for n in shape[1:])
    smaller = f"a smaller scan, such as {rows} × {cols} px, or fewer views"
    return f"choose a batch of 1 and {smaller}" if batch > 1 else f"choose {smaller}"
