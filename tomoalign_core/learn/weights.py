"""Trained weights on disk: safetensors, with the model's settings and its scores inside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from tomoalign_core.config import DatasetConfig, InputError, ModelConfig
from tomoalign_core.files.atomic import atomic_path
from tomoalign_core.learn.models import build_model
from tomoalign_core.learn.runs import open_run

PRETRAINED = Path(__file__).parent / "pretrained" / "centroid.safetensors"
LEARNED_FROM = "learned_from"


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A network ready to predict, where it came from, and what it learned from, where its file says so."""

    network: nn.Module
    config: ModelConfig
    shape: tuple[int, int, int]
    source: str
    learned_from: DatasetConfig | None = None


def save_weights(
    path: Path,
    network: nn.Module,
    config: ModelConfig,
    shape: tuple[int, int, int],
    *,
    learned_from: DatasetConfig | None = None,
    **about: str,
) -> None:
    """Write the weights of a network with its settings, its training shape, what it learned from, and notes."""
    meta = {"model": config.model_dump_json(), "shape": json.dumps(list(shape)), **about}
    if learned_from is not None:
        meta[LEARNED_FROM] = learned_from.to_json(indent=None)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=meta)


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of weights, looked into.

    shape : the stacks (N, V, U) it was trained on, the largest of them.
    about : what else stands in it: the run, the epoch and the key of the settings.
    first : the filters of the first convolution (C, views, rows, columns).
    """

    path: Path
    size_bytes: int
    config: ModelConfig
    shape: tuple[int, int, int]
    about: dict[str, str]
    first: np.ndarray


def look_into(name: str) -> WeightsFile:
    """What stands in the file of weights of that name, as ``load_weights`` takes it.

    Raises
    ------
    InputError
        If there is no such model, or the file is not one of ours.
    """
    path = _path_of(name)
    config, shape, about, tensors = _read(path)
    first = next(value for key, value in tensors.items() if key in ("first.weight", "group1.0.weight"))
    return WeightsFile(
        path=path,
        size_bytes=path.stat().st_size,
        config=config,
        shape=shape,
        about=about,
        first=first[:, 0].float().numpy(),
    )


def load_weights(name: str, device: torch.device | str = "cpu") -> TrainedModel:
    """The network called "pretrained", of a run (id or folder: its best epoch), or of a .safetensors file.

    Raises
    ------
    InputError
        If there is no such model, or the file is not one of ours.
    """
    path = _path_of(name)
    config, shape, about, tensors = _read(path)
    network = build_model(config, shape)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise _foreign(path, error) from None
    return TrainedModel(
        network=network.to(device).eval(), config=config, shape=shape, source=str(name), learned_from=_data_of(about)
    )


def learned_from(name: str) -> DatasetConfig | None:
    """What the network of that name learned from; None where its file does not say so.

    Raises
    ------
    InputError
        If there is no such model, or the file is not one of ours.
    """
    return _data_of(_read(_path_of(name))[2])


def _data_of(about: dict[str, str]) -> DatasetConfig | None:
    try:
        return DatasetConfig.from_json(about[LEARNED_FROM]) if LEARNED_FROM in about else None
    except InputError:  # written by another version: then nothing is known
        return None


def _path_of(name: str) -> Path:
    path = PRETRAINED if name == "pretrained" else Path(name)
    if name != "pretrained" and path.suffix != ".safetensors":
        path = open_run(name).path / "best.safetensors"
        if not path.exists():
            raise InputError(f"{name}: this run has no weights yet; wait for its first epoch to end")
    if not path.is_file():
        raise InputError(f"{path}: no such model; give 'pretrained', a run, or a .safetensors file")
    return path


def _read(path: Path) -> tuple[ModelConfig, tuple[int, int, int], dict[str, str], dict[str, torch.Tensor]]:
    """Settings, training shape, notes and tensors of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        config: ModelConfig = TypeAdapter(ModelConfig).validate_json(meta.pop("model"))
        n, rows, cols = json.loads(meta.pop("shape"))
    except (SafetensorError, KeyError, ValueError) as error:
        raise _foreign(path, error) from None
    return config, (n, rows, cols), meta, tensors


def _foreign(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"{path}: not the weights of a TomoAlign network ({reason:.80}); train one here")
