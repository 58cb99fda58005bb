"""The bytes of a training step, followed allocation by allocation without computing anything.

One training step (forward, loss, backward, optimizer) runs on the meta device under a watch that sees each tensor come
and go. A profiler sees the same bytes in a real step within 2 %, but for the copies that a convolution library works on
(on a processor the input, unfolded for the kernel) and, on a GPU, the blocks that its allocator cannot fill.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tomoalign_core.config import CentroidConfig, Cnn3dConfig, InputError, ModelConfig, TrainConfig
from tomoalign_core.learn.dataset import Batch
from tomoalign_core.learn.describe.parts import REST, mixed_calls, parts_of
from tomoalign_core.learn.losses import loss_of
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.train import choose_device, make_optimizer

META = torch.device("meta")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of one training step.

    weights, gradients, optimizer, batch : what is held from step to step (the batch: with and without its noise).
    activations : what the forward pass keeps for the backward pass, by part of the network.
    peak : all that is held at the fullest moment of the step.
    """

    weights: int
    gradients: int
    optimizer: int
    batch: int
    activations: dict[str, int]
    peak: int

    @property
    def activations_total(self) -> int:
        """What the forward pass keeps for the backward pass."""
        return sum(self.activations.values())


class Watch(TorchDispatchMode):
    """Counts the bytes of all tensors that operations return, each storage once, for as long as it lives."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, operation: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        number, size = id(storage), storage.nbytes()
        if number in self._alive:
            return

        def gone(_: object) -> None:
            self.now -= size
            del self._alive[number]

        self._alive[number] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def training_sizes(config: ModelConfig, shape: tuple[int, int, int], train: TrainConfig) -> Sizes:
    """What a training step on stacks of that shape (N, V, U) takes.

    Of the passes of ``centroid`` the first and the last are learned, whatever their number: two of them are followed.

    Raises
    ------
    InputError
        If the network cannot be built for the shape, or not trained on it.
    """
    if isinstance(config, Cnn3dConfig) and train.batch * math.prod(size // 32 for size in shape) == 1:
        raise InputError(
            f"cnn3d leaves one value of a stack of {shape}, and batch normalisation cannot learn from one; "
            "use a batch of 2 or larger stacks"
        )
    with Watch() as watch:
        network = _on_meta(config, shape).train()
        if train.precision != "float32":
            for name in mixed_calls(network):
                _wrap(network, name, partial(_Mixed, getattr(torch, train.precision), choose_device(train.device)))
        weights = watch.now
        optimizer = make_optimizer(train, network)
        gradients = _first_step(optimizer, network)
        state = watch.now - weights
        batch = _batch(train.batch, shape)
        held = watch.now - weights - state
        activations, loss = _forward(network, batch, train.loss)
        loss.backward()
        optimizer.step()
    return Sizes(
        weights=weights, gradients=gradients, optimizer=state, batch=held, activations=activations, peak=watch.peak
    )


def inference_bytes(config: ModelConfig, shape: tuple[int, int, int]) -> int:
    """Bytes at the fullest moment of finding the shifts of one stack (N, V, U), weights and stack included."""
    with Watch() as watch, torch.no_grad():
        network = _on_meta(config, shape).eval()
        batch = _batch(1, shape, twin=False)
        network(batch.proj, batch.angle_rad)
    return watch.peak


def _on_meta(config: ModelConfig, shape: tuple[int, int, int]) -> nn.Module:
    if isinstance(config, CentroidConfig):
        config = config.changed(passes=min(config.passes, 2))
    with META:
        return build_model(config, shape)


def _batch(size: int, shape: tuple[int, int, int], *, twin: bool = True) -> Batch:
    n = shape[0]
    proj = torch.empty(size, *shape, device=META)
    clean = torch.empty_like(proj) if twin else proj
    angle, shift = torch.empty(size, n, device=META), torch.empty(size, n, 2, device=META)
    return Batch(proj, angle, shift, torch.empty_like(angle), clean)


def _first_step(optimizer: torch.optim.Optimizer, network: nn.Module) -> int:
    """Let the optimizer make what it keeps; returns the bytes of the gradients, which are gone again after."""
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    gradients = sum(p.grad.nbytes for p in network.parameters() if p.grad is not None)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return gradients


def _forward(network: nn.Module, batch: Batch, loss: str) -> tuple[dict[str, int], torch.Tensor]:
    """Forward pass and loss, and the bytes that they keep, by the part that was at work."""
    at = [REST]
    for part in parts_of(network):
        for name in part.calls:
            _wrap(network, name, partial(_noted, at, part.name))
    given = {id(t.untyped_storage()) for t in (*network.parameters(), *network.buffers(), *batch)}
    kept: dict[int, tuple[str, int, weakref.ref[torch.UntypedStorage]]] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        number = id(storage)
        if number not in given and number not in kept:
            # what is let go of before the end is not kept, and its number may be given to another
            kept[number] = at[-1], storage.nbytes(), weakref.ref(storage, lambda _: kept.pop(number, None))
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        total = loss_of(loss, network(batch.proj, batch.angle_rad), batch)
    activations = dict.fromkeys((*(part.name for part in parts_of(network)), REST), 0)
    for name, size, _ in kept.values():
        activations[name] += size
    return activations, total


def _wrap(network: nn.Module, name: str, within: Callable[[], AbstractContextManager[object]]) -> None:
    """Have a method or child of the network always do its work within a context."""
    child = getattr(network, name)
    owner, method = (child, "forward") if isinstance(child, nn.Module) else (network, name)
    call = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with within():
            return call(*args, **kwargs)

    setattr(owner, method, wrapped)


@contextmanager
def _noted(at: list[str], part: str) -> Iterator[None]:
    """The last of the list is the part at work."""
    at.append(part)
    try:
        yield
    finally:
        at.pop()


class _Mixed(TorchFunctionMode):
    """What ``torch.autocast`` does to our layers on a device; it does not know the meta device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self._casts: dict[Callable[..., Any], torch.dtype] = {torch.conv3d: dtype}
        if device.type == "cpu":
            self._casts[F.max_pool3d] = torch.float32

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        dtype = self._casts.get(function)
        if dtype is not None:
            args = tuple(a.to(dtype) if isinstance(a, torch.Tensor) else a for a in args)
        return function(*args, **(kwargs or {}))
