"""What watching costs: a look at a training, a training with twenty watchers, a click while both cores train.

    python tests/benchmarks/monitor.py [looks] [slowdown] [clicks] [--watchers 20] [--pairs 40] [--seconds 8]

Nothing named: all three. For a quiet machine. The watchers do what a browser does (``watcher.py``), but on the same
cores, where real visitors bring their own; so the slow-down is an upper limit. It compares stretches of one
training with and without watchers, in turns, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from filelock import FileLock
from watcher import Watcher

from tomoalign_core.config import CentroidConfig, PhantomConfig, RunConfig, TrainConfig
from tomoalign_core.learn.jobs import is_held
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.runs import Run, launch

ROOT = Path(__file__).parents[2]
SETTLE_S = 15.0  # once all pages are open: then their pace comes to rest
TURN_S = 1.0  # from watching to not watching
FEWEST_STEPS = 20
# two passes always, one stack of one size and of one kind a step: every step costs the same, and there are many of them
QUICK = preset("quick")
ONE_SIZE = QUICK.dataset.scan.changed(n_views=48, n_rows=64, n_cols=80)
ONE_KIND = QUICK.dataset.train[0].changed(phantom=PhantomConfig(parts=24))
TRAINING = QUICK.changed(
    name="watched",
    dataset=QUICK.dataset.changed(scan=ONE_SIZE, train=(ONE_KIND,)),
    model=CentroidConfig(passes=2),
    train=TrainConfig(epochs=100_000, steps_per_epoch=100, batch=1, checkpoint_every=100),
)
SWITCHED = """() => new Promise(done => {
  const scale = () => document.querySelectorAll('.live-plot')[1].layout.yaxis.type;
  const before = scale(), began = performance.now();
  document.querySelector('.stMain [data-testid="stCheckbox"] input').click();
  const look = () => scale() === before ? requestAnimationFrame(look) : done(performance.now() - began);
  look();
})"""


class Dashboard:
    """A dashboard of its own on a free port."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, **quiet)
        wait_for(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as reply:
            return bool(reply.status == 200)
        return False

    def cpu_s(self) -> float:
        """Seconds of processor time it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def wait_for(what, *, limit_s: float = 300.0):
    """The first true value of ``what``."""
    deadline = time.monotonic() + limit_s
    while not (value := what()):
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.1)
    return value


def spread(values: Sequence[float]) -> str:
    return f"median {np.median(values):.1f}, 95 % below {np.percentile(values, 95):.1f}"


# ---------------------------------------------------------------- one look


class LongRun:
    """A run that is far on and grows: the lines and the sample of a short real training, again and again."""

    def __init__(self, steps: int, per_epoch: int) -> None:
        short = TRAINING.train.changed(epochs=1, steps_per_epoch=4)
        config = TRAINING.changed(name="long", train=short)
        seed, _ = launch(config)
        wait_for(lambda: seed.status().state == "finished")
        self.run = Run(seed.path.with_name("29990101-000000-000-long"))
        shutil.copytree(seed.path, self.run.path)
        self._lines = seed.metrics("step")
        self._epoch = seed.metrics("epoch")[-1]
        self._sample = seed.path / "samples" / "epoch_0001.npz"
        self._rng = np.random.default_rng(0)
        self._per_epoch, self._step = per_epoch, 0
        (self.run.path / "metrics.jsonl").unlink()
        self.grow(steps)

    def grow(self, steps: int) -> None:
        with (self.run.path / "metrics.jsonl").open("a") as file:
            for _ in range(steps):
                self._step += 1
                line = self._lines[self._rng.integers(len(self._lines))]
                at = {"step": self._step, "epoch": self._step / self._per_epoch, "time_s": 0.2 * self._step}
                at["loss"] = line["loss"] * float(self._rng.lognormal(0, 0.2))
                file.write(json.dumps(line | at) + "\n")
                if self._step % self._per_epoch == 0:
                    epoch = self._step // self._per_epoch
                    file.write(json.dumps(self._epoch | at | {"epoch": epoch}) + "\n")
                    shutil.copy(self._sample, self.run.path / "samples" / f"epoch_{epoch:04d}.npz")
        said = {"state": "running", "step": self._step, "steps": 10 * self._step, "epochs": 1000, "eta_s": 3600.0}
        self.run.write_status(self.run.status().model_copy(update=said))


async def looks(dashboard: Dashboard, steps: int, seconds: float) -> None:
    long = LongRun(steps, per_epoch=max(steps // 50, 1))
    with FileLock(long.run.path / "alive.lock"):
        watcher = Watcher(dashboard.url, "monitor", f"run={long.run.id}")
        async with watcher.watching():
            await asyncio.wait_for(watcher.loaded.wait(), 120)
            await grow_for(long, 5)
            watcher.looks_s.clear()
            began, before = dashboard.cpu_s(), watcher.bytes_in
            await grow_for(long, seconds)
            count = len(watcher.looks_s)
            cpu_ms = 1000 * (dashboard.cpu_s() - began) / count
            kilobytes = (watcher.bytes_in - before) / count / 1000
            print(f"a look, {steps:,} steps and 50 epochs, growing between looks, {count} looks:")
            print(f"  until the answer has come, ms: {spread([1000 * t for t in watcher.looks_s])}")
            print(f"  processor time of the dashboard, ms: mean {cpu_ms:.1f};  sent: {kilobytes:.0f} kB")
            watcher.reruns_s.clear()
            began = dashboard.cpu_s()
            for _ in range(50):
                await watcher.rerun_page()
            cpu_ms = 1000 * (dashboard.cpu_s() - began) / 50
    print("a rerun of the page, at a click or a new epoch, 50 of them:")
    print(f"  until the answer has come, ms: {spread([1000 * t for t in watcher.reruns_s])}")
    print(f"  processor time of the dashboard, ms: mean {cpu_ms:.1f}", flush=True)


async def grow_for(long: LongRun, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        long.grow(3)
        await asyncio.sleep(0.5)


# ---------------------------------------------------------------- a training that is watched


@contextlib.contextmanager
def training(config: RunConfig) -> Iterator[Run]:
    """A real training in a process of its own, on all cores."""
    run, _ = launch(config, again=True)
    try:
        wait_for(lambda: len(run.metrics("step")) > 20)
        yield run
    finally:
        run.request_stop()
        wait_for(lambda: not is_held(run.path / "alive.lock"))


def step_s(run: Run, since_step: int) -> list[float]:
    """Seconds of each step after ``since_step``; not the last and the first of an epoch, with validation in them."""
    lines = [line for line in run.metrics("step") if line["step"] >= since_step]
    each = TRAINING.train.steps_per_epoch
    return [b["time_s"] - a["time_s"] for a, b in pairwise(lines) if a["step"] % each and b["step"] % each]


async def stretch(run: Run, seconds: float) -> float:
    """Mean seconds of a step over the next stretch, which is longer where there would be too few steps in it."""
    first = run.status().step
    await asyncio.sleep(seconds)
    while len(steps := step_s(run, first)) < FEWEST_STEPS:
        await asyncio.sleep(1)
    return float(np.mean(steps))


async def slowdown(dashboard: Dashboard, watchers: int, pairs: int, seconds: float) -> None:
    """All pages are open throughout, and behind another tab in every second stretch: opening one costs only once.

    Stretches are short, so that the machine's own ups and downs fall on both kinds, and no visitor is forgotten.
    """
    with training(TRAINING) as run:
        async with contextlib.AsyncExitStack() as stack:
            crowd = [Watcher(dashboard.url, "monitor", f"run={run.id}") for _ in range(watchers)]
            for watcher in crowd:
                await stack.enter_async_context(watcher.watching())
            for watcher in crowd:
                await asyncio.wait_for(watcher.loaded.wait(), 120)
            while run.status().epoch < 1 or not run.sample_epochs():  # with the first weights pages gain a link
                await asyncio.sleep(1)
            await asyncio.sleep(SETTLE_S)
            alone, watched, cpu, own, passed = [], [], 0.0, 0.0, 0.0
            for turn in range(2 * pairs + 1):
                for watcher in crowd:
                    watcher.hidden = turn % 2 == 0
                    if turn == 0:
                        watcher.looks_s.clear()
                        watcher.reruns_s.clear()
                await asyncio.sleep(TURN_S)
                if turn % 2 == 0:
                    alone.append(await stretch(run, seconds))
                    continue
                cpu, own, passed = cpu - dashboard.cpu_s(), own - time.process_time(), passed - time.monotonic()
                watched.append(await stretch(run, seconds))
                cpu, own, passed = cpu + dashboard.cpu_s(), own + time.process_time(), passed + time.monotonic()
            heard, redrawn = (
                sum(map(len, kind)) for kind in zip(*((w.looks_s, w.reruns_s) for w in crowd), strict=True)
            )
    # each stretch with watchers against the mean of those before and after it
    slower = [100 * (w / ((a + b) / 2) - 1) for w, a, b in zip(watched, alone, alone[1:], strict=False)]
    error = np.std(slower, ddof=1) / np.sqrt(pairs) if pairs > 1 else float("nan")
    print(f"{watchers} watchers, {pairs} pairs of stretches of {seconds:.0f} s, on {os.cpu_count()} cores:")
    print(f"  a step takes {1000 * np.mean(alone):.0f} ms alone, {1000 * np.mean(watched):.0f} ms watched")
    print(f"  slower by {np.mean(slower):.1f} ± {error:.1f} %, median {np.median(slower):.1f} %")
    print(f"  each: {', '.join(f'{s:.1f}' for s in slower)}")
    print(f"  each looks every {crowd[0].interval_s:.1f} s: {heard} looks and {redrawn} reruns were answered")
    print(f"  of one core the dashboard used {100 * cpu / passed:.1f} %, its watchers {100 * own / passed:.1f} %")
    sys.stdout.flush()


# ---------------------------------------------------------------- a click


def clicks(dashboard: Dashboard, number: int) -> None:
    from playwright.sync_api import sync_playwright

    chromium = next(path for name in ("chromium", "chromium-browser") if (path := shutil.which(name)))
    with training(TRAINING) as run, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{dashboard.url}/monitor?run={run.id}")
        page.wait_for_function("() => document.querySelectorAll('.live-plot')[1]?._fullLayout", timeout=120_000)
        rng = np.random.default_rng(0)
        took = []
        for _ in range(number):
            page.wait_for_timeout(500 + 1000 * rng.random())  # at any moment between two looks
            took.append(page.evaluate(SWITCHED))
        browser.close()
    print(f"{number} clicks on Log scale in Chromium while a training uses {os.cpu_count()} cores:")
    print(f"  until the chart has changed, ms: {spread(took)}, longest {max(took):.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["looks", "slowdown", "clicks"], help="looks, slowdown, clicks")
    parser.add_argument("--watchers", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=40, help="stretches with watchers")
    parser.add_argument("--seconds", type=float, default=8, help="length of a stretch")
    parser.add_argument("--steps", type=int, default=5000, help="length of the run that is looked at")
    parser.add_argument("--clicks", type=int, default=40)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and with it what it has started
    with tempfile.TemporaryDirectory() as workspace:
        os.environ["TOMOALIGN_WORKSPACE"] = workspace
        dashboard = Dashboard()
        try:
            if "looks" in args.what:
                asyncio.run(looks(dashboard, args.steps, args.seconds))
            if "slowdown" in args.what:
                asyncio.run(slowdown(dashboard, args.watchers, args.pairs, args.seconds))
            if "clicks" in args.what:
                clicks(dashboard, args.clicks)
        finally:
            dashboard.end()


if __name__ == "__main__":
    main()
