"""What makes the difference between the notebook's network and ours: one change at a time, on the same stacks.

    OMP_NUM_THREADS=1 python tests/benchmarks/ablation.py --json ablation.json --picture ablation.png
    python tests/benchmarks/ablation.py --from ablation.json … [--picture ablation.png]

The first trains every variant twice, at two learning rates, and prints a Markdown table: about 40 minutes on one core
at the default 250 steps. ``--only 1,4`` trains some of them. The second joins, prints and draws what was kept. Seconds
are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ablation_networks import Mended, Places
from torch import nn

from tomoalign_core.align import find_shifts
from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    DatasetConfig,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    Recipe,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.learn.dataset import Batch, collate, training_stack, validation_stacks
from tomoalign_core.learn.losses import errors_of, loss_of
from tomoalign_core.learn.models import Estimate, build_model
from tomoalign_core.learn.recipes import place
from tomoalign_core.learn.train import make_optimizer
from tomoalign_core.metrics import overall_rmse, rms, scan_bound, score_shifts
from tomoalign_core.simulate import LabelledScan, SimulatedScan

SHAPE = (32, 64, 64)  # views, rows, columns: the least that cnn3d takes, twice over in the detector
BATCH, SEED, LOOKS = 2, 0, 8  # LOOKS: points of a curve after the first, which is before any training
TRAIN = TrainConfig(warm_up=0.2, clip=1.0)  # adamw, weight decay and clip as every training here has them

SIMULATION = SimulationConfig(
    scan=ScanConfig(n_views=SHAPE[0], n_rows=SHAPE[1], n_cols=SHAPE[2]),
    # blobs that stay in the view
    phantom=PhantomConfig(parts=(6, 40), part_size=(0.05, 0.4), radius=(0.35, 0.6), height=(0.4, 0.8), body=(0, 0.5)),
    misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1),
    noise=NoiseConfig(gaussian=0.05),
)
ENDLESS = DatasetConfig(
    name="endless",
    scan=SIMULATION.scan,
    train=(Recipe(name="blobs", phantom=SIMULATION.phantom, misalign=SIMULATION.misalign, noise=SIMULATION.noise),),
    validation=(
        ValidationCase(name="choose", stacks=8, simulation=SIMULATION),
        ValidationCase(name="score", stacks=12, simulation=SIMULATION),
    ),
    seed=SEED,
)
ONE_OBJECT = ENDLESS.changed(name="one object", fixed=96, one_phantom=True)  # as many stacks as the notebook's


class Variant(NamedTuple):
    """A network, what it learns from, and the loss that is made small."""

    name: str
    build: Callable[[], nn.Module]
    dataset: DatasetConfig = ENDLESS
    loss: str = "mse"


CNN3D = partial(build_model, Cnn3dConfig(), SHAPE)
POOLED = partial(Mended, SHAPE, angles="pooled", read="all views")
KEPT = partial(Mended, SHAPE, width=0.5, angles="kept")
EACH_VIEW = partial(KEPT, read="each view")
CENTROID = partial(build_model, shape=SHAPE)
VARIANTS = (
    Variant("`cnn3d`, its four faults mended: 96 stacks of one object, raw loss", CNN3D, ONE_OBJECT, "raw-mse"),
    Variant("+ gauge taken out of the loss", CNN3D, ONE_OBJECT),
    Variant("+ endless stacks, each of another object", CNN3D),
    Variant("+ ReLU and GroupNorm for sigmoid and BatchNorm, no dropout", partial(POOLED, width=1.0)),
    Variant("the same at half the channels", partial(POOLED, width=0.5)),
    Variant("+ angle axis not pooled", partial(KEPT, read="all views")),
    Variant("+ views not flattened together, each read by itself", EACH_VIEW),
    Variant("+ read as places: soft arg-max of maps, pooled twice only", Places),
    Variant("`centroid`, one pass: registered views are not matched", partial(CENTROID, CentroidConfig(passes=1))),
    Variant("`centroid`", partial(CENTROID, CentroidConfig())),
    # once views are read one by one: what each earlier change is worth
    Variant("7 with the raw loss", EACH_VIEW, loss="raw-mse"),
    Variant("7 with 96 stacks of one object", EACH_VIEW, ONE_OBJECT),
    Variant("7 with sigmoid and BatchNorm", partial(EACH_VIEW, mended=False)),
)


@lru_cache(maxsize=1024)
def stack(dataset: DatasetConfig, index: int) -> SimulatedScan:
    """Training stack ``index``, made once for all variants."""
    return training_stack(dataset, index)


def batch_of(dataset: DatasetConfig, step: int) -> Batch:
    """The batch of a step, as ``training_batch`` gives it."""
    return collate([stack(dataset, place(dataset, i)) for i in range(step * BATCH, (step + 1) * BATCH)])


@torch.no_grad()
def scores(model: nn.Module, held_out: Batch) -> dict[str, float]:
    """Gauge-removed RMSE in px on stacks of objects that no training has shown."""
    model.eval()
    errors = errors_of(model(held_out.proj, held_out.angle_rad)[-1], held_out)
    model.train()
    return {name: errors[name] for name in ("rmse_dx_px", "rmse_dy_px")}


def train(variant: Variant, rate: float, steps: int, held_out: dict[str, Batch]) -> dict[str, Any]:
    """Train a variant at one rate; its curve, its scores, and what a step takes."""
    torch.manual_seed(SEED)
    model = variant.build()
    optimizer = make_optimizer(TRAIN.changed(learning_rate=rate), model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=TRAIN.warm_up, cycle_momentum=False
    )
    curve = [{"step": 0, **scores(model, held_out["score"])}]
    trained_on, seconds = [], 0.0
    for step in range(steps):
        batch = batch_of(variant.dataset, step)
        began = time.process_time()
        estimates = model(batch.proj, batch.angle_rad)
        loss = loss_of(variant.loss, estimates, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), TRAIN.clip)
        optimizer.step()
        schedule.step()
        seconds += time.process_time() - began
        trained_on.append(errors_of(Estimate(estimates[-1].shift.detach()), batch)["mse_px2"])
        if (step + 1) % math.ceil(steps / LOOKS) == 0 or step + 1 == steps:
            curve.append({"step": step + 1, **scores(model, held_out["score"])})
    return {
        "rate": rate,
        "choose_px": overall_rmse({"choose": scores(model, held_out["choose"])}),
        "curve": curve,
        "trained_on_px": math.sqrt(sum(trained_on[-steps // 4 :]) / len(trained_on[-steps // 4 :])),
        "weights": sum(p.numel() for p in model.parameters()),
        "seconds_per_step": seconds / steps,
    }


def levels(scans: Sequence[LabelledScan], batch: Batch) -> dict[str, list[float]]:
    """What the errors (dx, dy) in px are to be read against: knowing nothing, the centre of mass, the bound."""
    nothing = errors_of(Estimate(torch.zeros_like(batch.shift)), batch)
    by_mass = [score_shifts(find_shifts(s.proj.numpy(), s.angle_rad, method="center-of-mass"), s.shifts) for s in scans]
    bounds = [scan_bound(s.clean.numpy(), gaussian=s.gaussian, counts=s.counts) for s in scans]
    return {
        "knowing nothing (label σ)": [nothing["rmse_dx_px"], nothing["rmse_dy_px"]],
        "centre of mass, nothing learned": [rms([s.dx_rmse_px for s in by_mass]), rms([s.dy_rmse_px for s in by_mass])],
        "Cramér-Rao bound": [rms([b[0] for b in bounds]), rms([b[1] for b in bounds])],
    }


def measure(steps: int, rates: Sequence[float], only: Sequence[int]) -> dict[str, Any]:
    """Train the variants of these numbers; all that was measured, as plain data."""
    began = time.perf_counter()
    scans = validation_stacks(ENDLESS)
    held_out = {case: collate(each) for case, each in scans.items()}
    found = {"steps": steps, "levels": levels(scans["score"], held_out["score"]), "variants": []}
    for number in only:
        variant = VARIANTS[number]
        runs = [train(variant, rate, steps, held_out) for rate in rates]
        best = min(runs, key=lambda run: run["choose_px"])
        found["variants"].append(
            {"number": number, "name": variant.name, "best": rates.index(best["rate"]), "runs": runs}
        )
        for run in runs:
            dx, dy = run["curve"][-1]["rmse_dx_px"], run["curve"][-1]["rmse_dy_px"]
            print(
                f"{time.perf_counter() - began:5.0f} s  {number + 1} at {run['rate']:g}: {dx:.3f} / {dy:.3f} px, "
                f"{run['seconds_per_step']:.2f} s a step",
                file=sys.stderr,
                flush=True,
            )
    found["seconds"] = time.perf_counter() - began
    return found


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What was kept of several calls with the same steps, as if it had been one."""
    variants = [variant for part in parts for variant in part["variants"]]
    return {**parts[0], "variants": variants, "seconds": sum(part["seconds"] for part in parts)}


def as_table(found: dict[str, Any]) -> str:
    """The Markdown table: errors in px, gauge removed, on stacks of objects never trained on."""
    heads = ("", "network and training", "dx, px", "dy, px", "before training, px", "on its own stacks, px")
    lines = [f"| {' | '.join((*heads, 'weights', 's / step', 'rate'))} |", "| --- " * 9 + "|"]
    for variant in found["variants"]:
        run = variant["runs"][variant["best"]]
        (dx0, dy0), (dx, dy) = (
            (look["rmse_dx_px"], look["rmse_dy_px"]) for look in (run["curve"][0], run["curve"][-1])
        )
        lines.append(
            f"| {variant['number'] + 1} | {variant['name']} | {dx:.3f} | {dy:.3f} | {dx0:.3f} / {dy0:.3f} | "
            f"{run['trained_on_px']:.3f} | {run['weights']:,} | {run['seconds_per_step']:.2f} | {run['rate']:g} |"
        )
    lines += [f"| | {name} | {dx:.3f} | {dy:.3f} | | | | | |" for name, (dx, dy) in found["levels"].items()]
    return "\n".join(lines)


def draw(found: dict[str, Any], path: Path) -> None:
    """The curves of dx and of dy over the steps, on white."""
    sys.path.append(str(Path(__file__).parents[1] / "gallery"))  # whose paper it is drawn on
    from paper import FAINT, Plot, save, sheet, words

    from tomoalign_core.show.style import CASES, DX, RUNS

    flat = ("1 to 6: cnn3d, flattened", CASES[0])
    names = {
        **dict.fromkeys(range(6), flat),
        6: ("7 each view by itself", RUNS[4]),
        7: ("8 read as places", CASES[1]),
        8: ("9 centroid, one pass", RUNS[5]),
        9: ("10 centroid", DX),
    }
    paper = sheet(960, 350)
    steps, levels = found["steps"], found["levels"]
    for panel, axis in enumerate(("dx", "dy")):
        nothing, _, bound = (level[panel] for level in levels.values())
        plot = Plot(
            paper=paper, left=58 + 490 * panel, top=66, width=400, height=230, x=(0, steps), y=(0.02, 8), log_y=True
        )
        title = f"Error of {axis} on objects never trained on, px"
        plot.axes(range(0, steps + 1, steps // 5), (0.03, 0.1, 0.3, 1, 3), x_title="step", title=title)
        plot.level(nothing, "knowing nothing")
        plot.level(bound, "the bound")  # the font knows no accents
        for variant in found["variants"]:
            if variant["number"] in names:
                curve = variant["runs"][variant["best"]]["curve"]
                errors = [look[f"rmse_{axis}_px"] for look in curve]
                plot.line([look["step"] for look in curve], errors, names[variant["number"]][1])
    across = 58.0
    for text, colour in dict.fromkeys(names.values()):
        across += 30 + words(paper, (across, 10), text, fill=colour)
    save(paper, path, [FAINT, *(colour for _, colour in names.values())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=250, help="updates of the weights, the same for all")
    parser.add_argument("--rates", default="5e-4,3e-3", help="learning rates, of which the better is taken")
    parser.add_argument("--only", default="", help="numbers of variants, from 1, with commas")
    parser.add_argument("--json", type=Path, help="keep all that was measured there")
    parser.add_argument("--from", dest="kept", nargs="+", type=Path, help="train nothing, join what was kept")
    parser.add_argument("--picture", type=Path, help="draw the curves there, a PNG")
    args = parser.parse_args()
    torch.set_num_threads(1)  # seconds per step are those of one core
    torch.set_flush_denormal(True)  # or numbers that are next to nothing make some networks ten times as slow
    rates = [float(rate) for rate in args.rates.split(",")]
    only = [int(n) - 1 for n in args.only.split(",") if n] or range(len(VARIANTS))
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in args.kept or ()]
    found = joined(kept) if kept else measure(args.steps, rates, only)
    if args.json:
        args.json.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    print(as_table(found))
    stacks = f"{BATCH} stacks of {' × '.join(map(str, SHAPE))}"
    print(f"\n{found['steps']} steps of {stacks}; {found['seconds'] / 60:.0f} minutes")
    if args.picture:
        draw(found, args.picture)


if __name__ == "__main__":
    main()
