"""The aligner in the box: on simulated stacks of unseen kinds and sizes, and on a real scan where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tomoalign_core.align import find_shifts, joint, move_views, predict
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.bench.suite import SUITE
from tomoalign_core.config import (
    Cnn3dConfig,
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    ScanConfig,
    SimulationConfig,
)
from tomoalign_core.files.stacks import read_stack
from tomoalign_core.geometry import turned_about
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.weights import PRETRAINED, TrainedModel, load_weights
from tomoalign_core.metrics import ShiftScore, rms, score_shifts
from tomoalign_core.simulate import simulate
from tomoalign_core.simulate.misalign import draw_shifts

DATA = Path(os.environ.get("TOMOALIGN_DATA", Path(__file__).parents[3] / "shared" / "data"))
STAGE = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, roll_sigma_deg=1)
STACKS = {
    "blobs, 10 % noise": (SimulationConfig(misalign=STAGE, noise=NoiseConfig(gaussian=0.1, background=0.2)), 0.12),
    "pillar, 3 % noise": (
        SimulationConfig(
            phantom=PhantomConfig(kind="pillar", height=(1.2, 1.8)),
            misalign=STAGE,
            noise=NoiseConfig(gaussian=0.03, background=0.2),
        ),
        0.13,
    ),
    "Shepp-Logan of another size, 360 degrees": (
        SimulationConfig(
            scan=ScanConfig(n_views=75, n_rows=50, n_cols=73, range_deg=360),
            phantom=PhantomConfig(kind="shepp3d"),
            misalign=MisalignConfig(dx_sigma_px=4, dy_sigma_px=1, rounded=True),
        ),
        0.08,
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_shipped_network_aligns_what_it_never_saw(name: str):
    config, limit_px = STACKS[name]
    scores = []
    for seed in (31, 32, 33):
        scan = simulate(config.changed(seed=seed))
        found = find_shifts(scan.proj.numpy(), scan.angle_rad)
        scores.append(score_shifts(found, scan.shifts))
    assert rms([s.dx_rmse_px for s in scores]) < limit_px
    assert rms([s.dy_rmse_px for s in scores]) < limit_px


@pytest.mark.parametrize("method", ["network", "network+refine"])
def test_empty_rows_on_one_side_change_little(method: str):
    """What a view shows may stand anywhere in it: rolls do not pass for dx because it stands off the centre."""
    empty, before, after = 24, [], []
    for seed in (31, 32):
        small = ScanConfig(n_views=40, n_rows=48, n_cols=64)
        scan = simulate(SimulationConfig(scan=small, misalign=STAGE, noise=NoiseConfig(gaussian=0.03), seed=seed))
        proj = scan.proj.numpy()
        noise = np.random.default_rng(0).normal(0, 0.03, (len(proj), empty, proj.shape[2])).astype(np.float32)
        here = find_shifts(proj, scan.angle_rad, method=method)
        there = find_shifts(np.concatenate([noise, proj], axis=1), scan.angle_rad, method=method)
        before.append(score_shifts(here, scan.shifts))
        after.append(score_shifts(turned_about(there, empty / 2), scan.shifts))
    assert rms([s.dx_rmse_px for s in after]) < 1.2 * rms([s.dx_rmse_px for s in before])
    assert rms([s.dy_rmse_px for s in after]) < 1.2 * rms([s.dy_rmse_px for s in before])


def test_shipped_weights_are_small_and_come_with_a_card():
    assert PRETRAINED.stat().st_size < 1_000_000
    card = PRETRAINED.with_suffix(".md").read_text()
    assert "python -m tomoalign_core train" in card and "seed" in card


def test_confidence_is_of_the_size_of_the_error():
    scan = simulate(SimulationConfig(misalign=STAGE, noise=NoiseConfig(gaussian=0.1, background=0.2), seed=5))
    found = find_shifts(scan.proj.numpy(), scan.angle_rad)
    error = score_shifts(found, scan.shifts)
    assert 0.4 < rms(found.dx_sigma_px) / error.dx_rmse_px < 2.5
    assert 0.4 < rms(found.dy_sigma_px) / error.dy_rmse_px < 2.5


def test_a_stack_wider_than_400_px_is_binned_and_its_shifts_come_back_in_its_own_px():
    config = SimulationConfig(
        scan=ScanConfig(n_views=40, n_rows=96, n_cols=416),
        misalign=MisalignConfig(dx_sigma_px=8, dy_sigma_px=2),
        noise=NoiseConfig(gaussian=0.02),
        seed=1,
    )
    scan = simulate(config)
    score = score_shifts(find_shifts(scan.proj.numpy(), scan.angle_rad), scan.shifts)
    assert score.dx_rmse_px < 0.5 and score.dy_rmse_px < 0.5


def test_a_cnn3d_refuses_a_stack_of_another_shape_in_one_line():
    shape = (32, 32, 32)
    config = Cnn3dConfig()
    model = TrainedModel(network=build_model(config, shape).eval(), config=config, shape=shape, source="mine")
    with pytest.raises(InputError, match=r"mine: this cnn3d takes stacks of \(32, 32, 32\), not \(33, 32, 32\)"):
        predict_shifts(np.zeros((33, 32, 32), np.float32), np.linspace(0, 3, 33), model)


@pytest.mark.skipif(not (DATA / "savu_24737.npz").exists(), reason="the real scan savu_24737.npz is not at hand")
def test_real_scan_with_known_jitter_is_aligned_within_hundredths_of_a_pixel():
    scan = read_stack(DATA / "savu_24737.npz")
    stage = MisalignConfig(dx_sigma_px=4, dy_sigma_px=1)
    truth = draw_shifts(stage, scan.angle_rad, np.random.default_rng(0))
    found = predict_shifts(move_views(scan.proj, truth), scan.angle_rad, load_weights("pretrained"))
    score = score_shifts(found, truth)
    assert score.dx_rmse_px <= 0.03 and score.dy_rmse_px <= 0.04


def test_views_that_roll_far_are_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network finds rolls in parts; where it builds on what it saw first it loses fewer views."""
    calm = SUITE["blobs, 3 % noise"].simulation
    scan = simulate(calm.changed(misalign=calm.misalign.changed(roll_sigma_deg=12), seed=1))

    def found() -> tuple[int, ShiftScore]:
        table = find_shifts(scan.proj.numpy(), scan.angle_rad)
        return int(table.used.sum()), score_shifts(table, scan.shifts)

    views, score = found()
    assert views == 60
    with monkeypatch.context() as patch:
        patch.setattr(predict, "FAR_ROLLED_DEG", np.inf)
        assert found()[0] < 58
    # and as long as a step turns them far, another follows
    monkeypatch.setattr(joint, "TURNED_DEG", np.inf)
    assert score.roll_rmse_deg < 0.5 * found()[1].roll_rmse_deg
