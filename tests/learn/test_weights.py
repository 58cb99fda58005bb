"""A file of weights says what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tomoalign_core.config import Cnn3dConfig, InputError
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.weights import PRETRAINED, load_weights, look_into, save_weights


def test_the_shipped_weights_tell_settings_epoch_key_and_training_shape() -> None:
    file, trained = look_into("pretrained"), load_weights("pretrained")
    assert (file.path, file.size_bytes) == (PRETRAINED, PRETRAINED.stat().st_size)
    assert (file.config, file.shape) == (trained.config, trained.shape)
    assert file.about["epoch"].isdecimal()
    assert len(file.about["key"]) == 16
    first = dict(trained.network.named_parameters())["first.weight"].detach()
    assert np.array_equal(file.first, first[:, 0].numpy())


def test_the_first_filters_of_cnn3d_are_its_first_convolution(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_model(Cnn3dConfig(), (32, 40, 48))
    save_weights(tmp_path / "w.safetensors", network, Cnn3dConfig(), (32, 40, 48), epoch="7")
    file = look_into(str(tmp_path / "w.safetensors"))
    assert (file.config, file.shape, file.about) == (Cnn3dConfig(), (32, 40, 48), {"epoch": "7"})
    assert np.array_equal(file.first, network.group1[0].weight.detach()[:, 0].numpy())


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(InputError, match="not the weights of a TomoAlign network"):
        look_into(str(tmp_path / "w.safetensors"))
