"""The training loop. It knows neither screen nor folder: it reports through a ``Monitor``."""

from __future__ import annotations

import math
import re
from typing import Any, Protocol

import torch
from torch import nn

from tomoalign_core.config import InputError, RunConfig, ScanConfig, TrainConfig
from tomoalign_core.learn.dataset import collate, training_batch, validation_stacks
from tomoalign_core.learn.losses import errors_of, learned_passes, loss_of
from tomoalign_core.learn.models import Estimate, build_model
from tomoalign_core.metrics import overall_rmse, scan_bound
from tomoalign_core.simulate import LabelledScan


class Diverged(RuntimeError):
    """The loss is not finite any more."""


class Monitor(Protocol):
    """Who watches a training. Each call returns before the training goes on."""

    def on_step(self, training: Training, record: dict[str, float]) -> None:
        """After each optimizer step."""

    def on_epoch(self, training: Training, record: dict[str, Any], found: dict[str, list[Estimate]]) -> None:
        """After each epoch's validation; ``found`` holds the last pass's estimates by case."""

    def should_stop(self) -> bool:
        """Asked after each step."""


class Training:
    """Model, optimizer, schedule and the position in the data: all that a checkpoint holds.

    The batch of a step depends on the step alone, so a training that goes on from a checkpoint sees what the
    uninterrupted one would have seen.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = choose_device(config.train.device)
        torch.manual_seed(config.train.seed)
        self.model = build_model(config.model, fixed_shape(config.dataset.scan)).to(self.device)
        self.optimizer = make_optimizer(config.train, self.model)
        self.steps = config.train.epochs * config.train.steps_per_epoch
        self.schedule = _schedule(config, self.optimizer, self.steps)
        # small float16 gradients would vanish: the loss is scaled up before them, and they down after
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.train.precision == "float16")
        self.step = 0
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.sums: dict[str, float] = {}
        self.validation = validation_stacks(config.dataset, self.device)
        self.bounds = {name: _bound(scans) for name, scans in self.validation.items()}

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step // self.config.train.steps_per_epoch

    def run(self, monitor: Monitor) -> bool:
        """Train to the end; False if it was asked to stop before.

        Raises
        ------
        Diverged
            If the loss is not finite.
        """
        per_epoch = self.config.train.steps_per_epoch
        while self.step < self.steps:
            record = self.take_step()
            for name, value in record.items():
                self.sums[name] = self.sums.get(name, 0.0) + value
            if self.step % per_epoch == 0:
                means = {name: value / per_epoch for name, value in self.sums.items()}
                self.sums = {}
                found, cases = self.validate()
                score = overall_rmse(cases)
                if self.best is None or score < self.best:
                    self.best, self.best_epoch = score, self.epoch
                monitor.on_step(self, record)
                monitor.on_epoch(self, {"train": means, "cases": cases, "rmse_px": score}, found)
            else:
                monitor.on_step(self, record)
            if self.step < self.steps and monitor.should_stop():
                return False
        return True

    def take_step(self) -> dict[str, float]:
        """One optimizer step; the loss, the rate, and the errors of the last pass on its batch.

        Raises
        ------
        Diverged
            If the loss is not finite.
        """
        settings = self.config.train
        self.model.train()
        batch = training_batch(self.config.dataset, self.step, settings.batch, self.device)
        with self._mixed():
            estimates = self.model(batch.proj, batch.angle_rad)
        loss = loss_of(settings.loss, estimates, batch)
        value = float(loss.detach())  # the one point where the host waits for the device
        if not math.isfinite(value):
            raise Diverged(
                f"the loss is {value} at step {self.step + 1}, learning rate {self._rate():.2g}; "
                "lower the learning rate, or look for NaN in the data"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        rate = self._rate()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.step += 1
        with torch.no_grad():
            return {"loss": value, "learning_rate": rate, **errors_of(estimates[-1], batch)}

    def _mixed(self) -> torch.autocast:
        """The precision that was asked for, in what a network leaves open to it."""
        dtype = getattr(torch, self.config.train.precision)
        # without the cache, which would keep a weight cast in a pass that carries no gradient for one that does
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False)

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, list[Estimate]], dict[str, dict[str, float]]]:
        """Score the validation stacks, each case as the root mean square over its stacks."""
        self.model.eval()
        found: dict[str, list[Estimate]] = {}
        cases: dict[str, dict[str, float]] = {}
        for name, scans in self.validation.items():
            found[name] = []
            rows = []
            for scan in scans:
                batch = collate([scan])
                estimates = self.model(batch.proj, batch.angle_rad)
                found[name].append(estimates[-1])
                rows.append(
                    {
                        **errors_of(estimates[-1], batch),
                        "loss": float(loss_of(self.config.train.loss, learned_passes(estimates), batch)),
                    }
                )
            cases[name] = {key: _mean([row[key] for row in rows], key) for key in rows[0]} | self.bounds[name]
        return found, cases

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on as if nothing had happened."""
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "sums": self.sums,
            "rng": torch.get_rng_state(),
            "rng_cuda": cuda,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.best, self.best_epoch = state["step"], state["best"], state["best_epoch"]
        self.sums = dict(state["sums"])
        torch.set_rng_state(state["rng"].cpu())
        if state["rng_cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["rng_cuda"].cpu(), self.device)


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the GPU if there is one.

    Raises
    ------
    InputError
        If there is no device of that name, or a GPU is asked for and there is none of that number.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"no device is called {name!r}; choose auto, cpu, cuda or, the second of several, cuda:1")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use cpu or auto")
    return device


def fixed_shape(scan: ScanConfig) -> tuple[int, int, int]:
    """The largest stack shape of a scan's settings (N, V, U)."""
    return scan.largest_shape()


def make_optimizer(settings: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of those settings, over all weights of the model."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
    return torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)


def _schedule(config: RunConfig, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    settings = config.train
    if settings.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if settings.schedule == "cosine":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _cosine(step, steps, settings.warm_up))
    total = max(steps, 2)
    # torch divides by the warm-up's steps less one: a warm-up of one step is made a little longer
    share = settings.warm_up if abs(settings.warm_up * total - 1) > 1e-9 else 1.5 / total
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=total, pct_start=min(share, 1.0), cycle_momentum=False
    )


def _cosine(step: int, steps: int, warm_up: float) -> float:
    """The part of the learning rate at a step: rises evenly, then falls along half a cosine."""
    rise = round(warm_up * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def _bound(scans: list[LabelledScan]) -> dict[str, float]:
    """The Cramér-Rao bound of a case, root mean square over its stacks."""
    each = [scan_bound(s.clean.cpu().numpy(), gaussian=s.gaussian, counts=s.counts) for s in scans]
    return {
        "bound_dx_px": _mean([b[0] for b in each], "rmse"),
        "bound_dy_px": _mean([b[1] for b in each], "rmse"),
    }


def _mean(values: list[float], name: str) -> float:
    if name.startswith("rmse"):
        return math.sqrt(sum(v * v for v in values) / len(values))
    return sum(values) / len(values)
