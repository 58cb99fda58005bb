"""The short way in: every public name is there, and looking at the package imports nothing slow."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tomoalign_core


@pytest.mark.parametrize("name", tomoalign_core.__all__)
def test_every_public_name_resolves_and_is_documented(name: str):
    assert (getattr(tomoalign_core, name).__doc__ or "").strip()


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="'nonsense'"):
        _ = tomoalign_core.nonsense


@pytest.mark.parametrize("module", ["tomoalign_core", "tomoalign_core.learn.runs", "tomoalign_core.show.figures"])
def test_what_a_page_imports_at_its_top_does_not_wait_for_torch(module: str):
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
