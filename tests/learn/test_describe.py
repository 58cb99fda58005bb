"""What is told of a network before it is trained, against real passes, closed forms and a profiler."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    DatasetConfig,
    InputError,
    ModelConfig,
    RunConfig,
    ScanConfig,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.geometry import angles
from tomoalign_core.learn import describe
from tomoalign_core.learn.dataset import Batch
from tomoalign_core.learn.describe import LayerTable, Machine, layer_table, memory_for, memory_of, reaches
from tomoalign_core.learn.describe import machine as machine_room
from tomoalign_core.learn.describe import memory as memory_room
from tomoalign_core.learn.describe.machine import machine_of
from tomoalign_core.learn.describe.parts import parts_of
from tomoalign_core.learn.describe.reach import reach_of
from tomoalign_core.learn.describe.trace import Watch, inference_bytes, training_sizes
from tomoalign_core.learn.losses import loss_of
from tomoalign_core.learn.models import Centroid, build_model
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.weights import load_weights

NOTEBOOK = (180, 256, 366)
SMALL = (40, 48, 56)
BOTH: tuple[ModelConfig, ...] = (CentroidConfig(passes=2), Cnn3dConfig())
GB = 10**9


def by_name(config: ModelConfig) -> str:
    return config.name


def loss_name(config: ModelConfig) -> str:
    return "laplace" if config.name == "centroid" else "mse"


# ---------------------------------------------------------------- layers


@pytest.fixture(scope="module")
def notebook_table() -> LayerTable:
    return layer_table(Cnn3dConfig(), NOTEBOOK)


def test_cnn3d_has_the_numbers_of_the_notebooks_table(notebook_table: LayerTable) -> None:
    """The lines that the notebook printed for ``summary(model, (1, 1, 180, 256, 366))``."""
    rows = {row.name: row for row in notebook_table.rows}
    for name, kind, shape, parameters in (
        ("group1.0", "Conv3d", (1, 16, 180, 256, 366), 448),
        ("group1.1", "BatchNorm3d", (1, 16, 180, 256, 366), 32),
        ("group1.2", "Sigmoid", (1, 16, 180, 256, 366), 0),
        ("group1.3", "MaxPool3d", (1, 16, 90, 128, 183), 0),
        ("group2.0", "Conv3d", (1, 32, 90, 128, 183), 13_856),
        ("group2.1", "BatchNorm3d", (1, 32, 90, 128, 183), 64),
        ("group2.3", "MaxPool3d", (1, 32, 45, 64, 91), 0),
        ("group3.0", "Conv3d", (1, 64, 45, 64, 91), 55_360),
        ("flatten", "Flatten", (1, 7040), 0),
    ):
        row = rows[name]
        assert (row.kind, row.output_shape, row.parameters) == (kind, shape, parameters)
    assert notebook_table.output_shape == (1, 360)
    lines = [" ".join(line.split()) for line in notebook_table.text.splitlines()]
    assert any(line.startswith("├─Sequential (group1): 1-1 [1, 16, 90, 128, 183]") for line in lines)
    assert any("[1, 16, 180, 256, 366] 448" in line for line in lines)


def test_multiply_adds_of_a_convolution_are_outputs_times_kernel(notebook_table: LayerTable) -> None:
    rows = {row.name: row for row in notebook_table.rows}
    assert rows["group2.0"].multiply_adds == 90 * 128 * 183 * 32 * (16 * 27 + 1)  # torchinfo counts the bias too
    first = next(row for row in layer_table(CentroidConfig(passes=3), SMALL).rows if row.name == "first")
    assert (first.kind, first.kernel, first.parameters, first.calls) == ("Conv3d", (1, 5, 5), 400, 3)
    assert first.multiply_adds == 3 * 40 * 24 * 28 * 16 * 25


@pytest.mark.parametrize("config", BOTH, ids=by_name)
def test_the_table_of_empty_tensors_is_that_of_a_real_pass(config: ModelConfig) -> None:
    network, seen = build_model(config, SMALL).eval(), {}
    for name, layer in network.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda _m, _i, out, name=name: seen.setdefault(name, []).append(out.shape))
    with torch.no_grad():
        network(torch.rand(2, *SMALL), torch.from_numpy(angles(SMALL[0])).float().expand(2, -1))
    table = layer_table(config, SMALL, batch=2)
    layers = [row for row in table.rows if row.kind != "parameter"]
    assert {row.name: (row.output_shape, row.calls) for row in layers} == {
        name: (tuple(shapes[0]), len(shapes)) for name, shapes in seen.items()
    }
    assert sum(row.parameters for row in table.rows) == table.parameters == table.trainable
    assert table.parameters == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("config", BOTH, ids=by_name)
def test_each_layer_and_parameter_is_in_one_part(config: ModelConfig) -> None:
    network = build_model(config, SMALL)
    claimed = [name for part in parts_of(network) for name in part.layers]
    alone = [name for name, _ in network.named_parameters(recurse=False)]
    assert sorted(claimed) == sorted([*(name for name, _ in network.named_children()), *alone])


def test_the_encoder_of_the_shipped_weights_is_bit_for_bit_the_convolutions_that_it_was_trained_as() -> None:
    network = load_weights("pretrained").network
    assert isinstance(network, Centroid)
    level = torch.randn(2, 5, 33, 40, generator=torch.Generator().manual_seed(0))
    x = F.pad(level[:, None], (2, 2, 2, 2, 0, 0), mode="replicate").to(memory_format=torch.channels_last_3d)
    x = F.silu(F.conv3d(x, network.first.weight, stride=(1, 2, 2)))
    for layer in (network.second, network.third):
        x = F.silu(F.conv3d(x, layer.weight, padding=(0, 1, 1))) + x
    with torch.no_grad():
        assert torch.equal(network.filters(level), x)


# ---------------------------------------------------------------- bytes


def test_a_watch_counts_each_storage_once_and_for_as_long_as_it_lives() -> None:
    with Watch() as watch:
        a = torch.empty(1000, device="meta")
        b = a.view(10, 100)
        assert watch.now == 4000
        c = b + 1
        assert watch.now == 8000
        del a
        assert watch.now == 8000
        del b
        assert watch.now == 4000
        del c
    assert (watch.now, watch.peak) == (0, 8000)


def measured(work: Callable[[], object]) -> tuple[int, int]:
    """What real work allocates, as the profiler sees it: bytes still held by its result, and at the fullest moment."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        result = work()
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    del result
    return now, peak


def unfolded(config: ModelConfig, shape: tuple[int, int, int], size: int) -> int:
    """Bytes of the largest input of a convolution unfolded for its kernel: what some processors' libraries work on."""
    rows = [row for row in layer_table(config, shape, batch=size).rows if row.kernel]
    return 4 * max(row.multiply_adds // row.calls // row.output_shape[1] for row in rows)


@pytest.mark.parametrize(
    ("config", "shape", "size", "precision"),
    [
        (CentroidConfig(passes=2), (24, 56, 72), 2, "float32"),
        (CentroidConfig(passes=2, channels=6, maps=3), (31, 40, 45), 1, "float32"),
        (CentroidConfig(passes=2), (24, 48, 56), 1, "bfloat16"),
        (Cnn3dConfig(), (48, 80, 96), 1, "float32"),
        (Cnn3dConfig(), (48, 64, 80), 1, "bfloat16"),
    ],
    ids=["centroid", "a narrow centroid", "centroid, mixed", "cnn3d", "cnn3d, mixed"],
)
def test_bytes_of_a_step_are_those_that_a_profiler_sees_in_a_real_one(
    config: ModelConfig, shape: tuple[int, int, int], size: int, precision: str
) -> None:
    """The profiler does not see what stands before it begins: weights and batch. Its library may unfold an input."""
    network = build_model(config, shape).train()
    proj, angle = torch.rand(size, *shape), torch.from_numpy(angles(shape[0])).float().expand(size, -1)
    batch = Batch(proj, angle, torch.zeros(size, shape[0], 2), torch.zeros(size, shape[0]), proj.clone())
    told = training_sizes(config, shape, TrainConfig(batch=size, loss=loss_name(config), precision=precision))
    dtype = getattr(torch, precision)

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32, cache_enabled=False):
            estimates = network(proj, angle)
        return loss_of(loss_name(config), estimates, batch)

    kept, _ = measured(forward)
    assert kept == pytest.approx(told.activations_total, rel=0.01)

    _, peak = measured(lambda: forward().backward())
    real = peak + told.weights + told.optimizer + told.batch
    assert 0.98 * told.peak < real < 1.02 * told.peak + unfolded(config, shape, size)


def test_bytes_that_are_told_do_not_hang_on_when_the_garbage_collector_runs() -> None:
    """Tensors come and go while a step is followed; one that takes the place of another is another all the same."""
    config, shape, train = CentroidConfig(passes=2, channels=6, maps=3), (31, 40, 45), TrainConfig(batch=1)
    before = gc.get_threshold()
    told = set()
    try:
        for threshold in (0, 1, 50, before[0]):  # 0: never
            gc.collect()
            gc.set_threshold(threshold)
            told.add(training_sizes(config, shape, train).activations_total)
    finally:
        gc.set_threshold(*before)
    assert len(told) == 1


def test_bytes_of_finding_shifts_are_those_that_a_profiler_sees() -> None:
    config, shape = CentroidConfig(passes=3), (20, 56, 72)
    network, proj = build_model(config, shape).eval(), torch.rand(1, *shape)
    angle = torch.from_numpy(angles(shape[0])).float()[None]
    with torch.no_grad():
        _, peak = measured(lambda: network(proj, angle))
    told = inference_bytes(config, shape)
    assert 0.98 * told < peak + proj.nbytes < 1.02 * told + unfolded(config, shape, 1)


@pytest.mark.parametrize(("optimizer", "copies"), [({"optimizer": "adamw"}, 2), ({"optimizer": "sgd"}, 1)])
def test_weights_gradients_and_optimizer_are_whole_copies_of_the_parameters(optimizer: dict, copies: int) -> None:
    parameters = layer_table(Cnn3dConfig(), SMALL).parameters
    sizes = training_sizes(Cnn3dConfig(), SMALL, TrainConfig(batch=2, loss="mse", **optimizer))
    assert sizes.gradients == 4 * parameters
    assert sizes.weights == pytest.approx(4 * parameters, rel=1e-3)  # batch norms keep means and variances beside
    assert sizes.optimizer == pytest.approx(copies * 4 * parameters, rel=1e-3)
    assert sizes.batch == pytest.approx(2 * 2 * 4 * math.prod(SMALL), rel=1e-2)


@pytest.mark.parametrize("config", BOTH, ids=by_name)
def test_activations_grow_with_the_batch_and_are_told_by_part(config: ModelConfig) -> None:
    few, many = (training_sizes(config, SMALL, TrainConfig(batch=b, loss=loss_name(config))) for b in (2, 6))
    assert many.activations_total == pytest.approx(3 * few.activations_total, rel=0.01)
    assert all(few.activations[part.name] > 0 for part in parts_of(build_model(config, SMALL)))
    largest = max(few.activations, key=few.activations.__getitem__)
    assert largest == ("encoder" if config.name == "centroid" else "group 1")


def test_monstrous_stacks_are_sized_without_being_made() -> None:
    """300 TB of activations; the shape that no tensor of this machine could have."""
    sizes = training_sizes(CentroidConfig(channels=256), (4000, 4096, 4096), TrainConfig(batch=4))
    assert sizes.peak > 100_000 * GB


# ---------------------------------------------------------------- receptive field


def closed_form() -> list[int]:
    """The receptive field after each group of cnn3d, by kernels and strides (Dumoulin & Visin 2016)."""
    field, jump, found = 1, 1, []
    for number, convolutions in enumerate((1, 1, 2, 2, 2, 1), 1):
        field += convolutions * 2 * jump
        if number < 6:
            field, jump = field + jump, 2 * jump
        found.append(field)
    return found


def test_measured_reach_of_cnn3d_is_its_closed_form() -> None:
    *groups, whole = reaches(Cnn3dConfig())
    assert [(r.views, r.rows, r.cols) for r in groups] == [(n, n, n) for n in closed_form()]
    assert (whole.views, whole.rows, whole.cols) == (None, None, None)


def test_reach_of_the_real_first_groups_is_that_of_the_thin_ones() -> None:
    network = build_model(Cnn3dConfig(), (32, 32, 32)).eval()

    def real(stack: torch.Tensor) -> torch.Tensor:
        return nn.Sequential(network.group1, network.group2)(stack[None, None])[0]

    found = reach_of("two groups", real, least=16, most=32)
    assert (found.views, found.rows, found.cols) == (10, 10, 10)


def test_reach_of_centroid_is_that_of_its_kernels_and_the_arithmetic_sees_all() -> None:
    found = {r.part: (r.views, r.rows, r.cols) for r in reaches(CentroidConfig())}
    encoder = 5 + 2 * 2 + 2 * 2  # 5 px, then twice 3 feature px of 2 px
    assert found == {
        "encoder": (1, encoder, encoder),
        "row profiles": (1, 9, None),
        "views against views": (1, encoder + 6 * 2, encoder + 6 * 2),
        "head": (5, None, None),
        "whole network": (None, None, None),
    }


def test_pixels_beyond_the_reach_of_the_encoder_change_nothing() -> None:
    network = build_model(CentroidConfig(), SMALL)
    reach = reaches(CentroidConfig())[0].cols
    stack = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))

    def middle(values: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return network.filters(values)[0, :, 1, 10, 10]

    half = reach // 2
    inside, outside = stack.clone(), stack + 5.0
    outside[0, 1, 20 - half : 21 + half, 20 - half : 21 + half] = stack[
        0, 1, 20 - half : 21 + half, 20 - half : 21 + half
    ]
    assert torch.equal(middle(outside), middle(stack))
    inside[0, 1, 20 - half, 20 + half] += 5.0
    assert not torch.equal(middle(inside), middle(stack))


# ---------------------------------------------------------------- machine and verdict


def fake_machine(monkeypatch: pytest.MonkeyPatch, *, free: float, total: float) -> None:
    found = Machine(name="this machine", free=int(free), total=int(total))
    monkeypatch.setattr(memory_room, "machine_of", lambda _device: found)


def test_what_fits_is_said_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=20 * GB, total=23 * GB)
    memory = memory_for(CentroidConfig(), (60, 80, 104), TrainConfig(batch=1))
    assert memory.fits
    assert memory.words() == "This needs about 803 MB in training: it fits, this machine has 20 GB free."


def test_what_does_not_fit_is_told_the_largest_batch_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=20 * GB, total=23 * GB)
    train = TrainConfig(batch=8, loss="mse")
    memory = memory_for(Cnn3dConfig(), NOTEBOOK, train)
    assert not memory.fits
    assert memory.words() == "This needs about 44 GB in training, this machine has 23 GB: choose a batch of 3."
    assert memory_for(Cnn3dConfig(), NOTEBOOK, train.changed(batch=3)).fits
    assert not memory_for(Cnn3dConfig(), NOTEBOOK, train.changed(batch=4)).fits


@pytest.mark.parametrize(
    ("batch", "begin"), [(1, "choose a smaller scan"), (4, "choose a batch of 1 and a smaller scan")]
)
def test_where_no_batch_fits_a_scan_is_named_that_does(monkeypatch: pytest.MonkeyPatch, batch: int, begin: str) -> None:
    fake_machine(monkeypatch, free=8 * GB, total=23 * GB)
    memory = memory_for(Cnn3dConfig(), (400, 512, 640), TrainConfig(batch=batch, loss="mse"))
    assert memory.way_out.startswith(begin)
    rows, cols = (int(word) for word in memory.way_out.split("such as ")[1].split(" px")[0].split(" × "))
    smaller = memory_for(Cnn3dConfig(), (400, rows, cols), TrainConfig(batch=1, loss="mse"))
    assert smaller.fits
    assert smaller.training_bytes > 0.8 * 8 * GB  # no smaller than it must be


def test_what_would_fit_into_an_idle_machine_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=2 * GB, total=23 * GB)
    memory = memory_for(Cnn3dConfig(), NOTEBOOK, TrainConfig(batch=1, loss="mse"))
    assert not memory.fits
    assert "has only 2.0 GB free now: wait until other work is done, or choose a smaller scan" in memory.words()


def test_memory_of_a_run_holds_its_validation_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=20 * GB, total=23 * GB)

    def run(stacks: int) -> RunConfig:
        check = ValidationCase(name="a", stacks=stacks, simulation=SimulationConfig(scan=ScanConfig(n_views=50)))
        return RunConfig(dataset=DatasetConfig(validation=(check,)))

    few, many = memory_of(run(1)).training_bytes, memory_of(run(11)).training_bytes
    assert many - few == 10 * 2 * 4 * 50 * 80 * 104  # with and without their noise, float32


def test_memory_of_a_run_counts_its_largest_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=20 * GB, total=23 * GB)
    ranged = preset("quick")
    views, rows, cols = ranged.dataset.scan.largest_shape()
    top = ranged.changed(dataset=ranged.dataset.changed(scan=ScanConfig(n_views=views, n_rows=rows, n_cols=cols)))
    assert memory_of(ranged) == memory_of(top)


def test_memory_of_a_run_counts_validation_stacks_larger_than_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_machine(monkeypatch, free=20 * GB, total=23 * GB)
    large = SimulationConfig(scan=ScanConfig(n_views=180, n_rows=256, n_cols=366))
    dataset = DatasetConfig(validation=(ValidationCase(name="large", stacks=1, simulation=large),))
    memory = memory_of(RunConfig(dataset=dataset))
    assert memory.training_bytes > inference_bytes(CentroidConfig(), NOTEBOOK)


def test_a_stack_that_is_drawn_takes_no_more_than_is_counted_for_it() -> None:
    from tomoalign_core.simulate import simulate

    for recipe in preset("quick").dataset.train[::3]:
        config = SimulationConfig(phantom=recipe.phantom, misalign=recipe.misalign, noise=recipe.noise)
        with Watch() as watch:
            scan = simulate(config, shape=SMALL)
        dataset = DatasetConfig(train=(recipe,))
        assert watch.peak <= memory_room._drawing(dataset, SMALL)
        del scan


def test_a_network_that_cannot_be_is_one_line() -> None:
    with pytest.raises(InputError, match=r"\(20, 80, 104\) is smaller than 32 somewhere"):
        layer_table(Cnn3dConfig(), (20, 80, 104))
    with pytest.raises(InputError, match="batch normalisation cannot learn from one"):
        memory_for(Cnn3dConfig(), (32, 40, 63), TrainConfig(batch=1, loss="mse"))
    with pytest.raises(InputError, match="CUDA devices"):
        memory_for(CentroidConfig(), SMALL, TrainConfig(device="cuda:77"))


MEMINFO = "MemTotal:       24684096 kB\nMemFree:        1000 kB\nMemAvailable:   21785204 kB\nHugePages_Total:  0\n"


def group(path: Path, *, limit: str, used: int, cache: int) -> None:
    path.mkdir(parents=True)
    (path / "memory.max").write_text(f"{limit}\n")
    (path / "memory.current").write_text(f"{used}\n")
    (path / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\nactive_file 7\n")


def test_memory_of_the_machine_is_what_the_kernel_says_and_its_groups_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo, mine, groups = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "groups"
    meminfo.write_text(MEMINFO)
    for name, path in (("PROC", meminfo), ("GROUPS", groups), ("MY_GROUP", mine)):
        monkeypatch.setattr(machine_room, name, path)
    cpu = torch.device("cpu")
    assert machine_of(cpu) == Machine(name="this machine", free=21785204 * 1024, total=24684096 * 1024)

    mine.write_text("12:memory:/old\n0::/job/step\n")
    group(groups / "job", limit=str(8 * GB), used=3 * GB, cache=1 * GB)
    group(groups / "job" / "step", limit="max", used=3 * GB, cache=0)
    assert machine_of(cpu) == Machine(name="this machine", free=6 * GB, total=8 * GB)


def test_every_public_name_of_the_room_is_documented() -> None:
    assert [name for name in describe.__all__ if not (getattr(describe, name).__doc__ or "").strip()] == []
