"""The two networks: the notebook's table, and what ``centroid`` promises for any weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchinfo import ModelStatistics, summary

from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    MisalignConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
)
from tomoalign_core.geometry import angles, rotation
from tomoalign_core.learn.dataset import collate
from tomoalign_core.learn.models import Centroid, Cnn3d, build_model
from tomoalign_core.learn.models.matching import (
    AWAY,
    _Products,
    about,
    fuse,
    match_neighbours,
    turned,
    undo,
    without_gauge,
)
from tomoalign_core.learn.models.scene import middle_row_of
from tomoalign_core.metrics import psnr
from tomoalign_core.simulate import simulate

SEEDS = range(4)

# ---------------------------------------------------------------- cnn3d


@pytest.fixture(scope="module")
def notebook_table() -> ModelStatistics:
    """torchinfo's summary at the notebook's size; on the meta device, as a real pass would take 6 GB."""
    with torch.device("meta"):
        model, stack = Cnn3d(Cnn3dConfig(), (180, 256, 366)), torch.empty(1, 1, 180, 256, 366)
    return summary(model, input_data=stack, depth=2, verbose=0)


def test_cnn3d_prints_the_table_of_the_notebook(notebook_table: ModelStatistics):
    lines = [" ".join(line.split()) for line in str(notebook_table).splitlines()]
    for line in (
        "├─Sequential: 1-1 [1, 16, 90, 128, 183] --",
        "│ └─Conv3d: 2-1 [1, 16, 180, 256, 366] 448",
        "│ └─BatchNorm3d: 2-2 [1, 16, 180, 256, 366] 32",
        "│ └─Sigmoid: 2-3 [1, 16, 180, 256, 366] --",
        "│ └─MaxPool3d: 2-4 [1, 16, 90, 128, 183] --",
        "├─Sequential: 1-2 [1, 32, 45, 64, 91] --",
        "│ └─Conv3d: 2-5 [1, 32, 90, 128, 183] 13,856",
        "│ └─BatchNorm3d: 2-6 [1, 32, 90, 128, 183] 64",
        "├─Sequential: 1-3 [1, 64, 22, 32, 45] --",
        "│ └─Conv3d: 2-9 [1, 64, 45, 64, 91] 55,360",
        "├─Flatten: 1-7 [1, 7040] --",
        "├─Linear: 1-9 [1, 360] 92,520",
    ):
        assert line in lines
    assert any(line.endswith("[1, 360] --") for line in lines[:5])


def test_cnn3d_has_as_many_parameters_as_its_layers_say(notebook_table: ModelStatistics):
    pairs = [(1, 16), (16, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 16)]
    convolutions = sum(27 * a * b + b for a, b in pairs)
    norms = sum(2 * b for _, b in pairs)
    linear = (7040 + 1) * 512 + (512 + 1) * 256 + (256 + 1) * 360
    assert notebook_table.total_params == convolutions + norms + linear


def test_cnn3d_gives_dx_of_all_views_and_then_dy():
    torch.manual_seed(0)
    model = Cnn3d(Cnn3dConfig(), (40, 32, 64)).eval()
    stack = torch.rand(2, 40, 32, 64)
    flat = model(stack[:, None])
    assert flat.shape == (2, 80)
    (estimate,) = model(stack, torch.zeros(2, 40))
    assert torch.equal(estimate.shift[..., 0], flat[:, :40])
    assert torch.equal(estimate.shift[..., 1], flat[:, 40:])
    assert estimate.log_b is None


def test_cnn3d_sees_stacks_scaled_to_0_and_1():
    torch.manual_seed(0)
    model = Cnn3d(Cnn3dConfig(), (32, 32, 32)).eval()
    stack = torch.rand(1, 1, 32, 32, 32)
    torch.testing.assert_close(model(stack), model(250 * stack - 40), atol=1e-5, rtol=1e-4)


def test_forced_output_of_the_notebook_scores_100_plus_the_label_variance_whatever_it_learns():
    """Mean 0 and standard deviation 10 by force: against labels of σ = (4, 1) px the loss is 100 + 8.5."""
    torch.manual_seed(0)
    model = Cnn3d(Cnn3dConfig(force_std=True), (32, 32, 32)).eval()
    with torch.no_grad():
        out = model(torch.rand(1, 1, 32, 32, 32))
    assert float(out.std()) == pytest.approx(10, rel=1e-4)
    assert float(out.mean()) == pytest.approx(0, abs=1e-4)
    labels = torch.randn(4000, 2, 32) * torch.tensor([4.0, 1.0])[:, None]
    assert float((out.view(2, 32) - labels).square().mean()) == pytest.approx(108.5, rel=0.03)


def test_cnn3d_refuses_what_it_was_not_built_for():
    with pytest.raises(ValueError, match="smaller than 32 somewhere"):
        Cnn3d(Cnn3dConfig(), (31, 64, 64))
    model = Cnn3d(Cnn3dConfig(), (32, 32, 32))
    with pytest.raises(ValueError, match=r"built for stacks of \(32, 32, 32\), not \(32, 32, 40\)"):
        model(torch.zeros(1, 32, 32, 40), torch.zeros(1, 32))


# ---------------------------------------------------------------- centroid


def network(seed: int, *, passes: int = 2) -> Centroid:
    """A small network with weights that no training chose, larger than fresh ones, all of them at work."""
    torch.manual_seed(seed)
    model = Centroid(CentroidConfig(channels=6, maps=5, profiles=4, head=8, passes=passes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def content(n_views: int, rows: int = 64, cols: int = 72, seed: int = 0) -> torch.Tensor:
    """Textured objects of 20 px in the middle of empty views."""
    stack = torch.zeros(1, n_views, rows, cols)
    texture = torch.rand(n_views, 20, 20, generator=torch.Generator().manual_seed(seed))
    stack[0, :, 22:42, 26:46] = texture
    return stack


def seen_tracks(model: Centroid, stack: torch.Tensor) -> torch.Tensor:
    """Tracks (N, K, 2) px; not a number where a map sees too little for a centroid."""
    with torch.no_grad():
        center, mass = model.tracks(model.encode(stack))
    seen = mass * stack.shape[2] * stack.shape[3] / 4 > 1.01
    assert seen.any(dim=2).float().mean() > 0.2
    return torch.where(seen[..., None], center, torch.nan)[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("move", [(2, 0), (0, -2), (14, -10), (-18, 16)])
def test_content_of_one_view_moved_by_whole_strides_moves_its_tracks_by_the_same(seed: int, move: tuple[int, int]):
    """Among full views, and theirs stay where they are: the encoder looks at each view by itself."""
    model, stack = network(seed), content(11)
    moved = stack.clone()
    moved[0, 5] = torch.roll(stack[0, 5], (move[1], move[0]), (0, 1))
    before, after = seen_tracks(model, stack), seen_tracks(model, moved)
    expected = before.clone()
    expected[5] += torch.tensor(move)
    torch.testing.assert_close(after, expected, atol=1e-3, rtol=0, equal_nan=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_content_of_all_views_moved_by_whole_strides_moves_all_tracks_by_the_same(seed: int):
    model, stack = network(seed), content(8)
    before, after = seen_tracks(model, stack), seen_tracks(model, torch.roll(stack, (-12, 8), (2, 3)))
    moved = (after - before)[~before.isnan().any(-1)]
    torch.testing.assert_close(moved, torch.tensor([8.0, -12.0]).expand_as(moved), atol=1e-3, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_empty_space_stays_zero_under_any_background(seed: int):
    """The content reaches at most 2 px by the first layer and 2 steps of 2 px by the others."""
    model, stack = network(seed).double(), content(8).double() + 0.7
    with torch.no_grad():
        features = model.encode(stack).x[0].abs()
    features[..., 8:25, 10:27] = 0
    assert float(features.max()) < 1e-12


def answers(model: Centroid, stack: torch.Tensor) -> torch.Tensor:
    """Shift and log b of both passes in double precision."""
    angle = torch.from_numpy(angles(stack.shape[1])).expand(stack.shape[:2])
    with torch.no_grad():
        estimates = model.double()(stack.double(), angle)
    return torch.stack([torch.stack([e.shift, e.log_b]) for e in estimates])


@pytest.mark.parametrize("seed", SEEDS)
def test_background_of_any_height_in_each_view_changes_nothing(seed: int):
    offset = torch.tensor([0.0, 3.0, -1.0, 0.5, 10.0, 2.0, -7.0, 1.0])[None, :, None, None]
    plain, lifted = (answers(network(seed), stack) for stack in (content(8), content(8).double() + offset))
    torch.testing.assert_close(plain, lifted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [1e-4, 0.3, 4000.0])
def test_units_of_the_stack_change_nothing(factor: float):
    plain, scaled = (answers(network(0), stack) for stack in (content(8), factor * content(8).double()))
    torch.testing.assert_close(plain, scaled, atol=1e-6, rtol=0)


def test_one_set_of_weights_takes_any_views_sizes_and_angles():
    model = network(1)
    for n, rows, cols, span in (
        (7, 40, 50, 180),
        (33, 64, 48, 360),
        (3, 17, 31, 120),
        (2, 16, 16, 90),
        (60, 33, 40, 180),
    ):
        stack = torch.rand(2, n, rows, cols, generator=torch.Generator().manual_seed(n))
        angle = torch.from_numpy(angles(n, range_deg=span)).float().expand(2, n)
        with torch.no_grad():
            estimates = model(stack, angle)
        assert len(estimates) == 2
        for estimate in estimates:
            assert estimate.shift.shape == estimate.log_b.shape == (2, n, 2)
            assert bool(torch.isfinite(estimate.shift).all())
            assert bool(torch.isfinite(estimate.log_b).all())


def test_stacks_of_a_batch_do_not_see_each_other():
    model = network(2)
    stack = torch.cat([content(6, seed=1), content(6, seed=2) * 50])
    torch.testing.assert_close(answers(model, stack)[:, :, :1], answers(model, stack[:1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_stack_that_shows_nothing_is_answered_with_finite_numbers_and_gradients(level: float):
    model = network(3)
    stack = torch.full((1, 6, 24, 30), level)
    estimate = model(stack, torch.from_numpy(angles(6)).float()[None])[-1]
    (estimate.shift.square().sum() + estimate.log_b.sum()).backward()
    assert bool(torch.isfinite(estimate.shift).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_every_weight_learns():
    """No parameter is cut off from the loss."""
    model = network(0)
    estimates = model(content(8), torch.from_numpy(angles(8)).float()[None])
    loss = sum((e.shift.square().sum() + e.log_b.square().sum()) for e in estimates)
    (loss + estimates[0].clean.square().sum()).backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_fresh_network_is_built_from_its_settings():
    model = build_model(CentroidConfig(), (60, 80, 104))
    assert isinstance(model, Centroid)
    assert sum(p.numel() for p in model.parameters()) < 250_000  # under 1 MB as float32
    assert isinstance(build_model(Cnn3dConfig(), (32, 32, 32)), Cnn3d)


def test_undoing_takes_a_movement_of_the_exact_projector_back():
    """Shift and roll of the stage undone: what is left is what a perfect stage sees, but for the resampling."""
    scan = simulate(
        SimulationConfig(
            scan=ScanConfig(n_views=6, n_rows=48, n_cols=64),
            phantom=PhantomConfig(part_size=(0.4, 0.6), radius=0.6, height=0.6),
            misalign=MisalignConfig(dx_sigma_px=3, dy_sigma_px=1, roll_sigma_deg=5),
        )
    )
    shift = torch.from_numpy(np.stack([scan.shifts.dx_px, scan.shifts.dy_px], -1)).float()
    roll = torch.from_numpy(np.deg2rad(scan.shifts.roll_deg)).float()
    back = undo(scan.proj[None], shift[None], roll[None])[0][0]
    assert psnr(scan.aligned().numpy(), back.numpy()) > 40
    assert psnr(scan.aligned().numpy(), scan.proj.numpy()) < 30


def test_turning_is_the_rotation_of_the_conventions():
    points = torch.tensor([[1.0, 0.0], [0.3, -2.0]], dtype=torch.float64)
    for degrees in (-30.0, 10.0, 90.0):
        expected = points.numpy() @ rotation(degrees)[0].T
        np.testing.assert_allclose(turned(points, torch.tensor(np.deg2rad(degrees))), expected)


def test_a_movement_about_another_row_is_the_same_movement():
    rng = np.random.default_rng(0)
    points, shift = torch.from_numpy(rng.normal(0, 9, (5, 2))), torch.from_numpy(rng.normal(0, 3, (1, 1, 2)))
    roll, row = torch.full((1, 1), 0.3).double(), torch.tensor([7.0]).double()
    middle = torch.tensor([0.0, 7.0])
    here = turned(points, roll[0, 0]) + shift[0, 0]
    there = turned(points - middle, roll[0, 0]) + middle + about(shift, roll, row)[0, 0]
    torch.testing.assert_close(here, there)
    torch.testing.assert_close(about(about(shift, roll, row), roll, -row), shift)


@pytest.mark.parametrize("row", [-9.0, 0.0, 14.0])
def test_the_middle_row_is_where_the_object_is(row: float):
    """Under noise, of views that move up and down: the mean height of what they show, to a pixel of theirs."""
    generator = torch.Generator().manual_seed(1)
    v, u = torch.meshgrid(torch.arange(50.0) - 24.5, torch.arange(60.0) - 29.5, indexing="ij")
    up = torch.randn(20, generator=generator)
    views = torch.stack([torch.exp(-(u**2 + (v - row / 2 - one) ** 2) / 18) for one in up])
    image = (views + 0.05 * torch.randn(views.shape, generator=generator))[None]
    assert float(middle_row_of(image, 2.0)) == pytest.approx(row, abs=2)
    assert abs(float(middle_row_of(torch.zeros(1, 3, 8, 8), 2.0))) < 1e-6


@pytest.mark.parametrize(("lag_number", "axis"), [(0, 0), (1, 1), (2, 2)])
def test_neighbours_tell_how_far_one_view_stands_off(lag_number: int, axis: int):
    """One view of a still object moved by 0.4 px (roll: at the lever) reads that, and its neighbours half of it."""
    v, u = torch.meshgrid(torch.arange(40.0) - 19.5, torch.arange(50.0) - 24.5, indexing="ij")
    places = ((-9.0, 5.0, 4.0), (8.0, -7.0, 3.0), (2.0, 9.0, 2.5), (10.0, 6.0, 3.0))

    def image(dx: float, dy: float, roll: float) -> torch.Tensor:
        c, s = np.cos(roll), np.sin(roll)
        at = [(c * a - s * b + dx, s * a + c * b + dy, w) for a, b, w in places]
        return sum((torch.exp(-((u - a) ** 2 + (v - b) ** 2) / (2 * w**2)) for a, b, w in at), torch.zeros_like(u))

    move = [0.0, 0.0, 0.0]
    move[axis] = 0.4 / (20.0 if axis == 2 else 1.0)
    stack = torch.stack([image(*move) if i == 6 else image(0, 0, 0) for i in range(13)])
    views = stack[None, None]
    bend, sure = match_neighbours(views, views, torch.zeros(1, 13), 1.0, torch.ones(1, 40, 50), torch.zeros(1))
    lag = lag_number + 1
    assert float(bend[0, 6, lag_number, axis]) == pytest.approx(0.4, abs=0.06)
    for other in (6 - lag, 6 + lag):
        assert float(bend[0, other, lag_number, axis]) == pytest.approx(-0.2, abs=0.06)
    assert float(sure[0, 0, lag_number, axis]) == -1
    assert float(sure[0, 6, lag_number, axis]) > 0.8


def test_products_of_neighbours_are_those_of_slices_and_so_is_their_gradient():
    parts = torch.randn(2, 9, 3, 5, dtype=torch.double, requires_grad=True)
    for away, found in zip(AWAY, _Products.apply(parts), strict=True):
        torch.testing.assert_close(found, torch.einsum("bnkp,bnlp->bnkl", parts[:, : 9 - away], parts[:, away:]))
    assert torch.autograd.gradcheck(_Products.apply, (parts,))


def test_fusing_agrees_with_least_squares():
    """The dense normal equations against numpy's solver, and consistent data against themselves."""
    rng = np.random.default_rng(0)
    n, truth = 11, rng.normal(size=11)
    absolute, off = truth + rng.normal(size=n), truth + rng.normal(size=n)
    trust = rng.uniform(0.5, 9, (n, 5))
    bends, weights = np.zeros((n, 3)), trust[:, 2:]
    rows = [np.diag(np.sqrt(trust[:, 0])), np.diag(np.sqrt(trust[:, 1]))]
    right = [np.sqrt(trust[:, 0]) * absolute, np.sqrt(trust[:, 1]) * off]
    for number, lag in enumerate((1, 2, 3)):
        for i in range(lag, n - lag):
            bends[i, number] = truth[i] - (truth[i - lag] + truth[i + lag]) / 2 + 0.1 * rng.normal()
            row = np.zeros(n)
            row[[i - lag, i, i + lag]] = -0.5, 1, -0.5
            rows.append(np.sqrt(weights[i, number]) * row[None])
            right.append(np.sqrt(weights[i, number]) * bends[i, number, None])
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]
    found = fuse(*(torch.from_numpy(a)[None, ..., None] for a in (absolute, off[:, None], bends, trust)))
    np.testing.assert_allclose(found[0, :, 0], expected)


def test_reweighted_gauge_fit_is_not_pulled_by_the_worst_views():
    """Two views thrown 30 px off: the plain fit leaves the others wrong by their share, the reweighted one does not."""
    angle = torch.from_numpy(angles(40))[None]
    thrown = torch.zeros(1, 40, 1, dtype=torch.float64)
    thrown[0, [5, 22]] = 30.0
    path = 3 + 5 * angle.cos() - 2 * angle.sin()
    rest, axis = without_gauge(thrown + path[..., None], angle, axis="dx", rounds=3)
    assert float(axis) == pytest.approx(3, abs=0.5)
    others = np.delete(rest[0, :, 0].numpy(), [5, 22])
    plain_rest, _ = without_gauge(thrown + path[..., None], angle, axis="dx", rounds=1)
    plain = np.delete(plain_rest[0, :, 0].numpy(), [5, 22])
    assert np.abs(others).max() < 0.5 * np.abs(plain).max()


def test_centroid_goes_on_from_what_was_found_before():
    """Two passes from a start equal the last two of four: the first registered look differs by its start alone."""
    scan = simulate(SimulationConfig(scan=ScanConfig(n_views=20, n_rows=40, n_cols=48), seed=3))
    torch.manual_seed(0)
    network = Centroid(CentroidConfig(channels=4, passes=4)).eval()
    batch = collate([scan])
    with torch.no_grad():
        whole = network(batch.proj, batch.angle_rad)
        network.config = CentroidConfig(channels=4, passes=2)
        rest = network(batch.proj, batch.angle_rad, (whole[1].shift, whole[1].roll_rad))
    assert len(rest) == 2
    torch.testing.assert_close(rest[-1].shift, whole[-1].shift, atol=1e-3, rtol=0)
