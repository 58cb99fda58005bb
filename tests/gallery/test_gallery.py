"""The gallery of the README is what its commands make now: pictures, figures and words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import MOVE, REPORT, SIMULATE, SWEEP
from make import FIGURES, GALLERY, ROOT, make_small
from pictures import INJECTED, SIMULATED
from PIL import Image

from tomoalign_core import cli
from tomoalign_core.config import SimulationConfig
from tomoalign_core.files.stacks import read_stack

# other kernels' rounding moves the figures by 1e-7 px and the pictures not at all; weights all 0.2 % larger move the
# figures by 2e-5 px; titles two points larger, or shifts that are 0.05 px off, move a picture by more than 0.1 grey
LEAST_CHANGE_PX, LEAST_CHANGE_GREY = 1e-5, 0.1
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Gallery\n")[2].partition("\n## ")[0]
NAMED = {ROOT / path for path in re.findall(r"""(?:\]\(|src(?:set)?=")([^)"]+\.(?:png|svg|gif|jpg))""", README)}
KEPT = json.loads((GALLERY / FIGURES).read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, float]]]:
    """The small pictures, made anew, and their figures."""
    folder = tmp_path_factory.mktemp("gallery")
    return folder, make_small(folder)


def grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"), float)


def test_the_small_pictures_are_those_that_the_code_draws_now(made: tuple[Path, object]) -> None:
    drawn = sorted(made[0].glob("*.png"))
    assert [path.name for path in drawn] == ["align.png", "lesson.png"]
    for path in drawn:
        now, kept = grey(path), grey(GALLERY / path.name)
        assert now.shape == kept.shape, path.name
        assert np.abs(now - kept).mean() < LEAST_CHANGE_GREY, f"{path.name}: run tests/gallery/make.py and look at it"


def test_the_figures_beside_them_are_those_that_the_network_gives_now(
    made: tuple[Path, dict[str, dict[str, float]]],
) -> None:
    for picture, figures in made[1].items():
        assert KEPT[picture] == pytest.approx(figures, rel=1e-4, abs=LEAST_CHANGE_PX), picture


def test_the_readme_names_every_picture_of_the_gallery_and_none_that_is_missing() -> None:
    assert {path for path in NAMED if not path.is_file()} == set()
    assert set(GALLERY.glob("*.png")) - NAMED == set()
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) < 1_500_000


@pytest.mark.parametrize("picture", ["align", "scan"])
def test_the_readme_quotes_the_figures_that_were_measured(picture: str) -> None:
    quoted = {f"{value:.3f}" for name, value in KEPT[picture].items() if "moved" not in name}
    assert {value for value in quoted if value not in SECTION} == set()


def test_the_readme_gives_the_commands_that_made_the_pictures() -> None:
    typed = " ".join(SECTION.replace("\\\n", " ").split())
    for command in (SIMULATE, MOVE, SWEEP, REPORT):
        assert f"python -m tomoalign_core {command}" in typed


def test_the_first_command_of_the_gallery_simulates_the_scan_of_its_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.app(SIMULATE.split(), standalone_mode=False)
    assert SimulationConfig.from_json(str(read_stack("scan.h5").config_json)) == SIMULATED


def test_the_real_scan_is_moved_as_its_command_moves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a scan of a few pixels in the place of the real one, which is not in the repository."""
    monkeypatch.chdir(tmp_path)
    proj = np.random.default_rng(0).random((5, 12, 14), np.float32)
    np.savez("savu_24737.npz", proj=proj, angles_deg=np.arange(5.0))
    cli.app(MOVE.split(), standalone_mode=False)
    assert SimulationConfig.from_json(str(read_stack("moved.h5").config_json)) == INJECTED
