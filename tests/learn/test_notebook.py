"""The preset ``notebook`` is the notebook's experiment: its data, shapes and table, in full size and in miniature."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torchinfo import summary

from tomoalign_core.config import Cnn3dConfig, DatasetConfig, InputError, SimulationConfig
from tomoalign_core.learn.dataset import training_batch, training_stack
from tomoalign_core.learn.models import Cnn3d, build_model
from tomoalign_core.learn.presets import like_simulation, notebook, preset
from tomoalign_core.learn.recipes import training_recipe, validation_recipes
from tomoalign_core.learn.shapes import shapes
from tomoalign_core.simulate.phantoms import Ellipsoids, shepp3d


def test_the_shapes_are_those_that_the_notebook_printed():
    assert shapes(preset("notebook").dataset) == {
        "entries": "(120, 2)",
        "one entry": "(2,)",
        "its stack": "(1, 1, 180, 256, 366)",
        "its label": "(1, 360)",
        "training set": "(96, 2)",
        "validation set": "(24, 2)",
    }


def test_drawn_stacks_and_the_networks_answer_have_the_shapes_that_are_said():
    config = notebook(scale=0.2)
    said = shapes(config.dataset)
    batch = training_batch(config.dataset, 0, 1)
    stack, label = batch.proj[:, None], batch.shift.transpose(1, 2).reshape(1, -1)
    network = build_model(config.model, (36, 51, 76)).eval()
    assert (str(tuple(stack.shape)), str(tuple(label.shape))) == (said["its stack"], said["its label"])
    assert network(stack).shape == label.shape
    assert len(validation_recipes(config.dataset)["shepp3d"]) == 24


def test_an_endless_set_has_endless_entries():
    said = shapes(DatasetConfig(scan=notebook(scale=0.1).dataset.scan))
    assert said["entries"] == said["training set"] == "(∞, 2)" and said["validation set"] == "(4, 2)"


@pytest.mark.parametrize(
    ("scale", "shape"),
    [(1.0, (180, 256, 366)), (0.5, (90, 128, 184)), (0.25, (45, 64, 94)), (0.1, (32, 44, 66)), (0.01, (32, 44, 66))],
)
def test_a_miniature_holds_the_whole_head_on_a_detector_of_tomopys_width(scale: float, shape: tuple[int, int, int]):
    """tomopy's project makes 128 px to 184 columns and 64 to 94; below 32 views and 44 rows it would not train."""
    scan = notebook(scale=scale).dataset.scan
    assert (scan.n_views, scan.n_rows, scan.n_cols) == shape
    if scale < 0.5:
        drawn = training_stack(notebook(scale=scale).dataset, 0)
        assert isinstance(drawn.phantom, Ellipsoids)
        np.testing.assert_allclose(drawn.phantom.form, shepp3d(shape[1]).form)


def test_first_and_last_view_of_the_notebook_are_half_a_turn_apart_and_mirror_images():
    drawn = training_stack(notebook(scale=0.2).dataset, 0)
    assert drawn.angle_rad[0] == 0 and drawn.angle_rad[-1] == pytest.approx(np.pi)
    still = drawn.aligned()
    torch.testing.assert_close(still[-1], still[0].flip(-1), atol=1e-4, rtol=0)


def test_shifts_and_roll_are_drawn_as_the_notebook_drew_them():
    """Rounded normal numbers of σ 4, 1 and 1: rounding adds a variance of 1/12."""
    stacks = [training_stack(notebook(scale=0.2).dataset, i).shifts for i in range(40)]
    for name, sigma in (("dx_px", 4), ("dy_px", 1), ("roll_deg", 1)):
        values = np.concatenate([getattr(s, name) for s in stacks])
        np.testing.assert_array_equal(values, np.round(values))
        assert values.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.06)
        assert abs(values.mean()) < 0.15 * sigma


def test_noise_and_background_are_off_unless_asked_for_and_then_the_notebooks():
    plain = notebook(scale=0.2).dataset
    assert (plain.train[0].noise, plain.validation[0].simulation.noise) == (SimulationConfig().noise,) * 2
    both = notebook(scale=0.2, noise=True, background=True).dataset
    assert both.train[0].noise == both.validation[0].simulation.noise
    noisy = training_stack(notebook(scale=0.2, noise=True).dataset, 0)
    # random_noise(mode="gaussian"): variance 0.01, cut off outside 0 to 1
    assert float(noisy.proj.min()) == 0 and float(noisy.proj.max()) == 1
    middle = (noisy.clean > 0.35) & (noisy.clean < 0.65)
    assert float((noisy.proj - noisy.clean)[middle].std()) == pytest.approx(0.1, rel=0.03)
    lifted = training_stack(notebook(scale=0.2, background=True).dataset, 0)
    # + U(0, 1) / 5, then divided by the maximum: every view's maximum is 1, empty pixels are offset / (peak + offset)
    torch.testing.assert_close(lifted.proj.amax(dim=(1, 2)), torch.ones(len(lifted.proj)))
    lowest = lifted.proj.amin(dim=(1, 2))
    assert 0 <= float(lowest.min()) < 0.05 and 0.12 < float(lowest.max()) < 0.35


@pytest.mark.parametrize("scale", [0.0, -1.0, 1.5])
def test_a_scale_that_is_none_is_refused(scale: float):
    with pytest.raises(InputError, match="give more than 0 and at most 1"):
        notebook(scale=scale)


def test_the_engine_reaches_every_stack_of_a_set():
    for dataset in (
        notebook(scale=0.2, engine="tomopy").dataset,
        like_simulation(SimulationConfig(engine="tomopy")),
    ):
        every = [training_recipe(dataset, 3), *validation_recipes(dataset)[dataset.validation[0].name]]
        assert {recipe.settings.engine for recipe in every} == {"tomopy"}


# ---------------------------------------------------------------- torchinfo

CONVOLUTIONS = ((1, 16), (16, 32), (32, 64, 64), (64, 128, 128), (128, 256, 256), (256, 16))


def expected_table() -> tuple[list[str], dict[str, int]]:
    """The lines that torchinfo prints for the notebook's layers, and its totals: from the layers' sizes alone."""
    size, lines, totals = (180, 256, 366), [], {"params": 0, "mult_adds": 0, "activations": 0}
    number = 1

    def shape(channels: int, at: tuple[int, ...]) -> str:
        return f"[1, {channels}, {at[0]}, {at[1]}, {at[2]}]"

    for group, channels in enumerate(CONVOLUTIONS, 1):
        pooled = tuple(n // 2 for n in size) if group < 6 else size
        lines.append(f"├─Sequential: 1-{group} {shape(channels[-1], pooled)} --")
        for before, after in pairwise(channels):
            weights, norm, voxels = 27 * before * after + after, 2 * after, int(np.prod(size))
            for what, params in (("Conv3d", weights), ("BatchNorm3d", norm), ("Sigmoid", 0)):
                lines.append(f"│ └─{what}: 2-{number} {shape(after, size)} {f'{params:,}' if params else '--'}")
                number += 1
            totals["params"] += weights + norm
            totals["mult_adds"] += weights * voxels + norm
            totals["activations"] += 2 * after * voxels  # of layers with parameters: Conv3d and BatchNorm3d
        if group < 6:
            lines.append(f"│ └─MaxPool3d: 2-{number} {shape(channels[-1], pooled)} --")
            number += 1
        size = pooled
    flat = 16 * int(np.prod(size))
    lines += [f"├─Flatten: 1-7 [1, {flat}] --", "├─Sequential: 1-8 [1, 256] --"]
    for what, before, after in (("Linear", flat, 512), ("Sigmoid", 0, 512), ("Dropout", 0, 512), ("Linear", 512, 256)):
        params = (before + 1) * after if what == "Linear" else 0
        lines.append(f"│ └─{what}: 2-{number} [1, {after}] {f'{params:,}' if params else '--'}")
        number += 1
    lines.append(f"├─Linear: 1-9 [1, 360] {257 * 360:,}")
    for before, after in ((flat, 512), (512, 256), (256, 360)):
        totals["params"] += (before + 1) * after
        totals["mult_adds"] += (before + 1) * after
        totals["activations"] += after
    return lines, totals


SEEDS_LINES = (  # as far as the notebook's output was kept
    "├─Sequential: 1-1 [1, 16, 90, 128, 183] --",
    "│ └─Conv3d: 2-1 [1, 16, 180, 256, 366] 448",
    "│ └─BatchNorm3d: 2-2 [1, 16, 180, 256, 366] 32",
    "│ └─Sigmoid: 2-3 [1, 16, 180, 256, 366] --",
    "│ └─MaxPool3d: 2-4 [1, 16, 90, 128, 183] --",
    "├─Sequential: 1-2 [1, 32, 45, 64, 91] --",
    "│ └─Conv3d: 2-5 [1, 32, 90, 128, 183] 13,856",
    "│ └─BatchNorm3d: 2-6 [1, 32, 90, 128, 183] 64",
    "│ └─Sigmoid: 2-7 [1, 32, 90, 128, 183] --",
    "│ └─MaxPool3d: 2-8 [1, 32, 45, 64, 91] --",
    "├─Sequential: 1-3 [1, 64, 22, 32, 45] --",
    "│ └─Conv3d: 2-9 [1, 64, 45, 64, 91] 55,360",
)


def test_the_table_is_the_notebooks_in_every_line_and_total():
    with torch.device("meta"):  # no memory: a real pass takes 6 GB
        network, stack = Cnn3d(Cnn3dConfig(), (180, 256, 366)), torch.empty(1, 1, 180, 256, 366)
    table = summary(network, input_data=stack, verbose=0)  # with the notebook's own arguments
    printed = [" ".join(line.split()) for line in str(table).splitlines()]
    lines, totals = expected_table()
    first = printed.index("CNN_3D_aligner [1, 360] --") + 1
    assert printed[first : first + len(lines)] == lines
    assert tuple(lines[: len(SEEDS_LINES)]) == SEEDS_LINES
    assert set("=") == set(printed[first + len(lines)])  # nothing after them
    assert (table.total_params, table.trainable_params) == (totals["params"],) * 2 == (7_440_216,) * 2
    assert table.total_mult_adds == totals["mult_adds"]
    assert f"Input size (MB): {180 * 256 * 366 * 4 / 1e6:.2f}" in printed
    both_ways = 2 * 4 * totals["activations"] / 1e6
    assert f"Forward/backward pass size (MB): {both_ways:.2f}" in printed
    assert f"Params size (MB): {totals['params'] * 4 / 1e6:.2f}" in printed
