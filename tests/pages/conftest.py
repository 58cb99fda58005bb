"""Fixtures of the page tests: a workspace, a real tiny training, a server that has or has not run app.py."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from kit import ROOT, SCAN
from streamlit.runtime.pages_manager import PagesManager

from tomoalign_core.config import DatasetConfig, NoiseConfig, RunConfig, SimulationConfig, TrainConfig, ValidationCase
from tomoalign_core.learn import runs
from tomoalign_core.learn.runs import Run

COLD = PagesManager.__init__


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real, tiny, finished training."""
    from tomoalign_core.learn.process import run_training

    check = ValidationCase(
        name="blobs, few", stacks=1, simulation=SimulationConfig(scan=SCAN, noise=NoiseConfig(gaussian=0.1))
    )
    course = TrainConfig(epochs=3, steps_per_epoch=2, batch=1, device="cpu", log_every=1)
    config = RunConfig(name="tiny", dataset=DatasetConfig(scan=SCAN, validation=(check,)), train=course)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path_factory.mktemp("trained")))
        run = runs.create_run(config)
        assert run_training(run).state == "finished"
    for number, handler in handlers.items():  # run_training takes the signals of its process
        signal.signal(number, handler)
    return run.path


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty workspace; no cache remembers another one."""
    monkeypatch.setenv("TOMOALIGN_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield tmp_path
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on which app.py has run before, as Streamlit remembers it; AppTest forgets it before each run."""

    def init(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        PagesManager.uses_pages_directory = False
        COLD(self, *args, **kwargs)

    monkeypatch.setattr(PagesManager, "__init__", init)


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch, warm: None) -> None:
    """A server on which app.py has not run yet."""
    monkeypatch.setattr(PagesManager, "__init__", COLD)


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that were given a process; here they get none."""
    given: list[Run] = []
    monkeypatch.setattr(runs, "spawn", given.append)
    return given
