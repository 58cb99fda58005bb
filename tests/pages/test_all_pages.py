"""Every page shows itself without an exception box, in every state of the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from kit import in_state, show, well
from streamlit.testing.v1 import AppTest

from tomoalign_core import align
from tomoalign_core.geometry import Shifts

PAGES = ("overview", "simulate", "dataset", "model", "train", "monitor", "compare", "align", "lesson", "help")


@pytest.fixture(scope="module", autouse=True)
def aligned_once() -> Iterator[None]:
    """The example of the overview, the same in every state, is aligned once for all of them: most of their time."""
    found: dict[tuple[int, str], Shifts] = {}
    real = align.find_shifts

    def known(proj: np.ndarray, angle_rad: np.ndarray, **options: Any) -> Shifts:
        key = hash(np.asarray(proj).tobytes()), repr(options)
        if key not in found:
            found[key] = real(proj, angle_rad, **options)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(align, "find_shifts", known)
        yield


@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_on_an_empty_workspace(page: str, workspace: Path) -> None:
    at = well(show(page))
    assert len(at.title) == 1
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_deep_link_on_a_cold_server_goes_through_app_py(page: str, cold: None) -> None:
    at = well(show(page))
    assert at.sidebar.caption


@pytest.mark.parametrize("state", ["running", "finished", "interrupted", "stopped", "failed"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_with_a_run_in_every_state(page: str, state: str, trained: Path, workspace: Path) -> None:
    run = in_state(trained, workspace, state)
    if state == "running":
        with FileLock(run.path / "alive.lock"):
            well(show(page))
    else:
        well(show(page))


def test_no_two_pages_write_the_same_name_into_the_address() -> None:
    """A bound widget lives on when its page is left, and its value would turn up in the other page's widget."""
    names = {page: bound(show(page)) for page in PAGES}
    for one, other in combinations(PAGES, 2):
        assert names[one] & names[other] == set(), f"{one} and {other} share {names[one] & names[other]}"
    assert names["simulate"] > {"views", "dx"}


def bound(at: AppTest) -> set[str]:
    """The names under which the widgets of a page stand in the address."""

    def walk(block: Any) -> Iterator[str]:
        for child in getattr(block, "children", {}).values():
            yield getattr(getattr(child, "proto", None), "query_param_key", "")
            yield from walk(child)

    return set(walk(at._tree)) - {""}
