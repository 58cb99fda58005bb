"""The process of a training: it keeps the run folder true, whatever happens to the process."""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tomoalign_core.config import InputError
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.learn.dataset import collate
from tomoalign_core.learn.jobs import signal_words, workspace
from tomoalign_core.learn.models import Estimate
from tomoalign_core.learn.models.matching import undo
from tomoalign_core.learn.runs import Run, Status
from tomoalign_core.learn.train import Diverged, Training, choose_device, fixed_shape
from tomoalign_core.learn.weights import save_weights
from tomoalign_core.metrics import rms, scan_roll_bound
from tomoalign_core.simulate import LabelledScan
from tomoalign_core.simulate.project import fbp

STATUS_EVERY_S = 0.5
Progress = Callable[[Training, dict[str, float]], None]


def train_when_free(run: Run, progress: Progress | None) -> Status:
    """Train a run in this process, which holds its ``alive.lock``, as soon as it has the device for itself.

    Raises
    ------
    InputError
        If the device does not exist.
    """
    from filelock import FileLock, Timeout

    try:
        device = choose_device(run.config.train.device)
    except InputError as error:
        run.write_status(run.status().model_copy(update={"state": "failed", "message": str(error)}))
        raise
    waiting = {"device": str(device), "message": f"waiting for {device}"}
    run.write_status(run.status().model_copy(update=waiting))
    lock = FileLock(workspace() / f"{device.type}{device.index or ''}.lock")
    while True:  # one training at a time on a device, under whatever name it was asked for
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            if run.take_stop():
                stopped = {"state": "stopped", "message": "stopped while it waited"}
                run.write_status(run.status().model_copy(update=stopped))
                return run.status()
    try:
        return Recorder(run, progress).train()
    finally:
        lock.release()


class Recorder:
    """Writes what a training reports: status, metrics, samples, TensorBoard scalars, checkpoints."""

    def __init__(self, run: Run, progress: Progress | None) -> None:
        self.run = run
        self.config = run.config
        self.progress = progress
        self.stopped_by = ""
        self._status = run.status()
        self._written = 0.0
        self._began = time.monotonic()
        self._elapsed_before = self._status.elapsed_s
        self._rate: float | None = None
        self._step: int | None = None  # none before it has begun
        self._last_step = self._began
        self._roll: dict[str, dict[str, float]] = {}
        self._profiler: torch.profiler.profile | None = None

    def train(self) -> Status:
        """From the last checkpoint to the end, or to a stop, or to a failure that is told."""
        from torch.utils.tensorboard import SummaryWriter

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            training = Training(self.config)
            self._resume(training)
            self._step = training.step
            self.set(state="running", message="", device=str(training.device), step=training.step)
            self._last_step = time.monotonic()
            self._start_profiler(training)
            with SummaryWriter(str(self.run.path), purge_step=training.step + 1) as self.scalars:
                done = training.run(self)
        except Diverged as error:
            return self.set(state="failed", message=str(error), eta_s=None)
        except InputError as error:
            where = "" if self._step is None else f"ended at step {self._step}: "
            self.set(state="failed", message=f"{where}{error}"[:500], eta_s=None)
            raise
        except BaseException as error:
            if is_out_of_memory(error):
                free = "choose a smaller batch, fewer channels or smaller stacks"
                return self.set(state="failed", message=f"out of memory on {self._status.device}; {free}", eta_s=None)
            traceback.print_exc(file=sys.stderr)
            self.set(state="failed", message=f"{type(error).__name__}: {error}"[:500], eta_s=None)
            raise
        finally:
            self._stop_profiler()
        self._checkpoint(training)
        if done:
            return self.set(state="finished", message="", eta_s=0.0)
        return self.set(state="stopped", message=f"stopped by {self.stopped_by}", eta_s=None)

    def on_step(self, training: Training, record: dict[str, float]) -> None:
        """Note a step; the checkpoint comes after the metrics, so a resumed run repeats lines but misses none."""
        self._step = training.step
        now = time.monotonic()
        rate = self.config.train.batch / max(now - self._last_step, 1e-9)
        self._last_step = now
        self._rate = rate if self._rate is None else 0.9 * self._rate + 0.1 * rate
        if self._profiler is not None:
            self._profiler.step()
        if training.step % self.config.train.log_every == 0:
            elapsed = self._elapsed_before + now - self._began
            line = {"kind": "step", "step": training.step, "epoch": training.step / self._per_epoch, "time_s": elapsed}
            self.run.append_metrics(line | _rounded(record))
            for name, value in record.items():
                self.scalars.add_scalar(f"step/{name}", value, training.step)
        if training.step % self.config.train.checkpoint_every == 0 and training.step % self._per_epoch:
            self._checkpoint(training)
        if now - self._written > STATUS_EVERY_S:
            self._tick(training)
        if self.progress is not None:
            self.progress(training, record)

    def on_epoch(self, training: Training, record: dict[str, Any], found: dict[str, list[Estimate]]) -> None:
        """Note an epoch: metrics, samples, weights if they are the best so far, and a checkpoint."""
        elapsed = self._elapsed_before + time.monotonic() - self._began
        if not self._roll:
            self._roll = {name: roll_limits(scans) for name, scans in training.validation.items()}
        cases = {
            name: _rounded(values | (self._roll[name] if values.get("rmse_roll_deg") else {}))
            for name, values in record["cases"].items()
        }
        line = {"kind": "epoch", "epoch": training.epoch, "step": training.step, "time_s": elapsed}
        scores = {"rmse_px": record["rmse_px"], "best_rmse_px": training.best}
        self.run.append_metrics(line | {"train": _rounded(record["train"]), "cases": cases} | scores)
        self._status = self._status.model_copy(update={"last_rmse_px": record["rmse_px"]})
        for case, values in cases.items():
            for name, value in values.items():
                self.scalars.add_scalar(f"{case}/{name}", value, training.step)
        self._save_sample(training, found)
        self._save_weights("last.safetensors", training)
        if training.best_epoch == training.epoch:
            self._save_weights("best.safetensors", training)
        self._checkpoint(training)
        self._tick(training)
        self._last_step = time.monotonic()

    def should_stop(self) -> bool:
        """Whether a stop file or a signal asks for the end."""
        if not self.stopped_by and self.run.take_stop():
            self.stopped_by = "request"
        return bool(self.stopped_by)

    def set(self, **values: Any) -> Status:
        """Change the status and write it."""
        self._status = self._status.model_copy(update=values)
        self.run.write_status(self._status)
        self._written = time.monotonic()
        return self._status

    @property
    def _per_epoch(self) -> int:
        return self.config.train.steps_per_epoch

    def _on_signal(self, number: int, _frame: object) -> None:
        self.stopped_by = signal_words(number)

    def _tick(self, training: Training) -> None:
        batch = self.config.train.batch
        eta = None if not self._rate else (training.steps - training.step) * batch / self._rate
        self.set(
            step=training.step,
            steps=training.steps,
            epoch=training.epoch,
            epochs=self.config.train.epochs,
            best_rmse_px=training.best,
            best_epoch=training.best_epoch,
            eta_s=eta,
            items_per_s=self._rate,
            elapsed_s=self._elapsed_before + time.monotonic() - self._began,
            memory_mb=_memory_mb(training.device),
        )

    def _checkpoint(self, training: Training) -> None:
        with atomic_path(self.run.path / "last.pt") as part:
            torch.save(training.state_dict(), part)
        self._status = self._status.model_copy(update={"step": training.step, "epoch": training.epoch})

    def _save_weights(self, name: str, training: Training) -> None:
        about = {"run": self.run.id, "epoch": str(training.epoch), "key": self.config.key()}
        shape = fixed_shape(self.config.dataset.scan)
        learned_from = self.config.dataset
        save_weights(self.run.path / name, training.model, self.config.model, shape, learned_from=learned_from, **about)

    def _resume(self, training: Training) -> None:
        path = self.run.path / "last.pt"
        if path.exists():
            training.load_state_dict(torch.load(path, map_location=training.device, weights_only=True))

    def _save_sample(self, training: Training, found: dict[str, list[Estimate]]) -> None:
        arrays: dict[str, np.ndarray] = {}
        for case, scans in training.validation.items():
            arrays |= {f"{case}/{k}": v for k, v in sample_arrays(scans[0], found[case][0]).items()}
        path = self.run.path / "samples" / f"epoch_{training.epoch:04d}.npz"
        with atomic_path(path) as part, open(part, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def _start_profiler(self, training: Training) -> None:
        if self.config.train.profiler and training.step == 0:
            self._profiler = torch.profiler.profile(
                schedule=torch.profiler.schedule(wait=1, warmup=1, active=3, repeat=2),
                on_trace_ready=torch.profiler.tensorboard_trace_handler(str(self.run.path / "trace")),
                record_shapes=True,
                profile_memory=True,  # not with_stack, as the notebook had: torch 2.13 then reads names that are gone
                acc_events=True,
            )
            self._profiler.start()

    def _stop_profiler(self) -> None:
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None


@torch.no_grad()
def sample_arrays(scan: LabelledScan, estimate: Estimate) -> dict[str, np.ndarray]:
    """What the Monitor shows of a validation stack: shifts, and the middle row before and after correction."""
    batch = collate([scan])
    truth, roll = batch.shift, batch.roll_rad
    arrays = {"angle_rad": scan.angle_rad, "true": truth[0].cpu().numpy(), "found": estimate.shift[0].cpu().numpy()}
    if estimate.sigma_px is not None:
        arrays["sigma"] = estimate.sigma_px[0].cpu().numpy()
    found_roll = torch.zeros_like(roll) if estimate.roll_rad is None else estimate.roll_rad
    if estimate.roll_rad is not None:
        degrees = {"true_roll_deg": roll, "found_roll_deg": found_roll}
        arrays |= {name: torch.rad2deg(turn[0]).cpu().numpy() for name, turn in degrees.items()}
    movements = {"before": (0 * truth, 0 * roll), "after": (estimate.shift, found_roll), "true": (truth, roll)}
    angle = torch.from_numpy(scan.angle_rad)
    for name, (shift, turn) in movements.items():
        stack, _ = undo(batch.proj, shift, turn)
        row = stack[0, :, stack.shape[2] // 2].cpu()
        row = row - row[:, [0, -1]].mean(dim=1, keepdim=True)
        arrays[f"sinogram_{name}"] = row.numpy()
        arrays[f"slice_{name}"] = fbp(row[:, None], angle)[0].numpy()
    return {name: np.asarray(value, np.float32) for name, value in arrays.items()}


def roll_limits(scans: Sequence[LabelledScan]) -> dict[str, float]:
    """What an error of the roll on a validation case is to be read against, degrees, root mean square over its stacks.

    ``bound_roll_deg`` is the Cramér-Rao bound, 0 without noise; ``label_sigma_roll_deg`` the error of knowing nothing.
    """
    bounds = [scan_roll_bound(s.clean.cpu().numpy(), gaussian=s.gaussian, counts=s.counts) for s in scans]
    return {"bound_roll_deg": rms(bounds), "label_sigma_roll_deg": rms([np.std(s.shifts.roll_deg) for s in scans])}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left; for the latter torch raises a bare RuntimeError."""
    on_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return on_cpu or isinstance(error, torch.OutOfMemoryError | MemoryError)


def _rounded(record: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in record.items()}


def _memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
