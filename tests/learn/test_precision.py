"""Mixed precision spares memory in the convolutions, and costs no fraction of a pixel: geometry stays float32."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tomoalign_core.config import CentroidConfig, Cnn3dConfig, ModelConfig, ScanConfig, SimulationConfig
from tomoalign_core.learn.dataset import Batch, collate
from tomoalign_core.learn.losses import loss_of
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.simulate import simulate

HALVES = (torch.bfloat16, torch.float16)


def batch_of(n_views: int, n_rows: int, n_cols: int) -> Batch:
    scan = ScanConfig(n_views=n_views, n_rows=n_rows, n_cols=n_cols)
    return collate([simulate(SimulationConfig(scan=scan, seed=1))])


def outputs_of(network: nn.Module, kind: type[nn.Module]) -> list[torch.dtype]:
    """The types that come out of the layers of a kind, as a list that fills while the network runs."""
    seen: list[torch.dtype] = []
    for layer in network.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda _layer, _given, out: seen.append(out.dtype))
    return seen


@pytest.mark.parametrize("dtype", HALVES)
def test_the_aligner_finds_the_same_shifts_to_a_hundredth_of_a_pixel(dtype: torch.dtype) -> None:
    batch, network = batch_of(14, 24, 28), load_weights("pretrained").network
    layers = outputs_of(network, nn.Conv3d)
    with torch.no_grad():
        full = network(batch.proj, batch.angle_rad)[-1]
        with torch.autocast("cpu", dtype):
            mixed = network(batch.proj, batch.angle_rad)[-1]
    assert dtype in layers
    assert (mixed.shift - full.shift).abs().max() < 0.01
    assert {value.dtype for value in mixed if value is not None} == {torch.float32}


@pytest.mark.parametrize("config", [CentroidConfig(), Cnn3dConfig(), Cnn3dConfig(force_std=True)])
def test_what_is_in_px_is_reckoned_in_float32_and_so_is_its_loss(config: ModelConfig) -> None:
    shape = (14, 24, 28) if config.name == "centroid" else (32, 32, 64)  # cnn3d halves each axis five times
    batch, network = batch_of(*shape), build_model(config, shape)
    inner, last = outputs_of(network, nn.Conv3d), outputs_of(network, nn.Linear)
    heads = outputs_of(network, nn.Conv1d)
    with torch.autocast("cpu", torch.bfloat16):
        estimates = network(batch.proj, batch.angle_rad)
    assert torch.bfloat16 in inner
    assert {*last, *heads} == {torch.float32}
    assert estimates[-1].shift.dtype == torch.float32
    loss = loss_of("mse", estimates, batch)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in network.parameters())
