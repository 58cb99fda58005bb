"""Data sets are recipes: whoever asks for a step, whenever, gets the same stacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tomoalign_core.config import (
    DatasetConfig,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    Recipe,
    ScanConfig,
    SimulationConfig,
    ValidationCase,
)
from tomoalign_core.learn.dataset import Batch, collate, training_batch, training_stack, validation_stacks
from tomoalign_core.learn.presets import notebook, preset
from tomoalign_core.simulate import SimulatedScan
from tomoalign_core.simulate.phantoms import Ellipsoids

SMALL = ScanConfig(n_views=5, n_rows=12, n_cols=16)
CHECK = ValidationCase(name="check", stacks=3, simulation=SimulationConfig(scan=SMALL))
ENDLESS = DatasetConfig(
    scan=SMALL,
    train=(Recipe(name="blobs", misalign=MisalignConfig(roll_sigma_deg=1), noise=NoiseConfig(gaussian=(0, 0.1))),),
    validation=(CHECK,),
)
FIXED = ENDLESS.changed(fixed=5)


def print_of(stack: torch.Tensor) -> bytes:
    """What a stack is known by."""
    return stack.numpy().tobytes()


def epoch(config: DatasetConfig, number: int, batch: int = 1) -> list[bytes]:
    assert config.fixed is not None
    steps = range(number * config.fixed // batch, (number + 1) * config.fixed // batch)
    return [print_of(stack) for step in steps for stack in training_batch(config, step, batch).proj]


def shifts_of(scan: SimulatedScan) -> np.ndarray:
    return np.stack([scan.shifts.dx_px, scan.shifts.dy_px], -1)


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("config", [ENDLESS, FIXED], ids=["endless", "fixed"])
def test_same_step_gives_the_same_batch_whatever_was_asked_before(config: DatasetConfig):
    first = training_batch(config, 7, 2)
    training_batch(config, 3, 2)
    torch.manual_seed(99)
    again = training_batch(config, 7, 2)
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)


def test_endless_set_never_repeats_a_stack():
    seen = [print_of(stack) for step in range(20) for stack in training_batch(ENDLESS, step, 2).proj]
    assert len(set(seen)) == 40


def test_stacks_of_a_step_do_not_depend_on_the_size_of_the_batch():
    pairs = torch.cat([training_batch(ENDLESS, step, 2).proj for step in range(3)])
    assert torch.equal(pairs, training_batch(ENDLESS, 0, 6).proj)


def test_another_seed_is_another_data_set():
    assert not torch.equal(training_batch(ENDLESS, 0, 1).proj, training_batch(ENDLESS.changed(seed=1), 0, 1).proj)


def test_fixed_set_shows_each_stack_once_an_epoch_in_an_order_of_its_own():
    epochs = [epoch(FIXED, number) for number in range(4)]
    assert len(set(epochs[0])) == 5
    for other in epochs[1:]:
        assert sorted(other) == sorted(epochs[0])
    assert len({tuple(e) for e in epochs}) > 1


def test_fixed_set_is_gone_through_when_the_batch_does_not_divide_it():
    """Five stacks in batches of two: ten places hold each stack twice."""
    seen = [print_of(stack) for step in range(5) for stack in training_batch(FIXED, step, 2).proj]
    assert sorted(seen) == sorted(epoch(FIXED, 0) * 2)


def test_batch_holds_the_angles_and_true_movements_of_its_stacks():
    batch = training_batch(ENDLESS, 4, 3)
    assert [tuple(t.shape) for t in batch] == [(3, 5, 12, 16), (3, 5), (3, 5, 2), (3, 5), (3, 5, 12, 16)]
    assert {t.dtype for t in batch} == {torch.float32}
    for i in range(3):
        scan = training_stack(ENDLESS, 12 + i)
        np.testing.assert_allclose(batch.angle_rad[i], scan.angle_rad, rtol=1e-6)
        np.testing.assert_allclose(batch.shift[i], shifts_of(scan), rtol=1e-6)
        np.testing.assert_allclose(batch.roll_rad[i], np.deg2rad(scan.shifts.roll_deg), rtol=1e-6)
        assert torch.equal(batch.clean[i], scan.clean)


def test_stacks_of_a_batch_share_a_shape_that_changes_between_batches():
    many = ENDLESS.changed(scan=SMALL.changed(n_views=(4, 9), n_rows=(10, 20)))
    shapes = {tuple(training_batch(many, step, 2).proj.shape) for step in range(8)}
    assert len(shapes) > 3
    assert all(4 <= n <= 9 and 10 <= v <= 20 and u == 16 for _, n, v, u in shapes)


def test_collate_takes_scans_as_they_are():
    scan = training_stack(ENDLESS, 0)
    batch = collate([scan, scan])
    assert isinstance(batch, Batch)
    assert torch.equal(batch.proj[0], scan.proj)


# ---------------------------------------------------------------- mix


def test_recipes_are_drawn_by_weight():
    still = MisalignConfig(dx_sigma_px=0, dy_sigma_px=0)
    mix = ENDLESS.changed(
        train=(Recipe(name="moving", weight=3), Recipe(name="still", weight=1, misalign=still)),
    )
    moving = [bool(training_stack(mix, i).shifts.dx_px.any()) for i in range(120)]
    assert np.mean(moving) == pytest.approx(0.75, abs=0.1)


# ---------------------------------------------------------------- validation


def test_validation_is_the_same_each_time():
    one, two = validation_stacks(ENDLESS)["check"], validation_stacks(ENDLESS)["check"]
    assert len(one) == 3
    assert all(torch.equal(a.proj, b.proj) for a, b in zip(one, two, strict=True))


def test_validation_stacks_are_never_trained_on():
    """The same recipe on both sides: still no object and no shift of one side is found on the other."""
    training = [training_stack(ENDLESS, i) for i in range(60)]
    for check in validation_stacks(ENDLESS)["check"]:
        assert isinstance(check.phantom, Ellipsoids)
        for scan in training:
            assert isinstance(scan.phantom, Ellipsoids)
            same_object = scan.phantom.form.shape == check.phantom.form.shape and np.allclose(
                scan.phantom.form, check.phantom.form
            )
            assert not same_object
            assert not np.allclose(shifts_of(scan), shifts_of(check))


# ---------------------------------------------------------------- the notebook's set


def test_notebook_set_is_96_and_24_stacks_of_one_head_with_whole_shifts():
    config = notebook(scale=0.1).dataset
    assert (config.fixed, config.validation[0].stacks) == (96, 24)
    training = [training_stack(config, i) for i in (0, 50, 95)]
    checks = validation_stacks(config)["shepp3d"][:3]
    for scan in training + checks:
        assert scan.proj.shape == (32, 44, 66)
        np.testing.assert_array_equal(scan.shifts.dx_px, np.round(scan.shifts.dx_px))
        np.testing.assert_array_equal(scan.shifts.roll_deg, np.round(scan.shifts.roll_deg))
        torch.testing.assert_close(scan.aligned() / scan.scale, training[0].aligned() / training[0].scale)
    assert len({print_of(scan.proj) for scan in training + checks}) == 6


def test_one_phantom_set_shows_one_drawn_object_in_training_and_validation():
    config = ENDLESS.changed(one_phantom=True)
    scans = [training_stack(config, 0), training_stack(config, 9), *validation_stacks(config)["check"]]
    forms = [scan.phantom.form for scan in scans if isinstance(scan.phantom, Ellipsoids)]
    assert len(forms) == 5
    for form in forms[1:]:
        np.testing.assert_array_equal(form, forms[0])


@pytest.mark.parametrize("name", ["quick", "full"])
def test_presets_draw_what_they_promise(name: str):
    config = preset(name).dataset
    kinds = {r.phantom.kind for r in config.train}
    assert kinds == {"ellipsoids", "pillar", "foam"}
    stack = training_stack(config, 0, shape=(6, 16, 20))
    assert stack.proj.shape == (6, 16, 20)
    assert bool(torch.isfinite(stack.proj).all())


def test_a_voxel_phantom_trains_too(tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).random((12, 16, 16)))
    recipe = Recipe(name="voxels", phantom=PhantomConfig(kind="voxels", path=str(tmp_path / "v.npy")))
    assert training_batch(ENDLESS.changed(train=(recipe,)), 0, 2).proj.shape == (2, 5, 12, 16)
