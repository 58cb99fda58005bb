"""Make the pictures of the README's gallery.

    python tests/gallery/make.py [--scan savu_24737.npz] [--screens [--workspace DIR]] [--out .github/gallery]

Always: the small ones, drawn from arrays, and ``figures.json`` with what was measured. With ``--scan``: a well aligned
real scan, into which a known jitter is injected. With ``--screens``: the dashboard and a report in Chromium, after the
trainings of a sweep, which take some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from pictures import Figures, draw_align, draw_lesson, draw_scan

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / ".github" / "gallery"
FIGURES = "figures.json"


def make_small(out: Path) -> dict[str, Figures]:
    """Draw what needs neither a scan nor a browser; returns the figures by picture."""
    return {"align": draw_align(out), "lesson": draw_lesson(out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=GALLERY, help="folder for the pictures")
    parser.add_argument("--scan", type=Path, help="a well aligned real scan, to be moved by known shifts")
    parser.add_argument("--screens", action="store_true", help="take the screens as well, in Chromium")
    parser.add_argument("--workspace", type=Path, help="keep the trainings there, to repeat no finished one")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    path = out / FIGURES
    figures = json.loads(path.read_text()) if path.exists() else {}  # those of the scan stay if it is not given
    figures |= make_small(out)
    if args.scan:
        figures["scan"] = draw_scan(out, args.scan)
    rounded = {name: {k: float(f"{v:.5g}") for k, v in values.items()} for name, values in figures.items()}
    path.write_text(json.dumps(rounded, indent=2) + "\n")
    if args.screens:
        sys.path.append(str(ROOT / "tests" / "browser"))  # whose dashboard it is
        from screens import take_screens

        with tempfile.TemporaryDirectory(prefix="tomoalign-") as scratch:
            take_screens(out, (args.workspace or Path(scratch)).resolve())
    for picture in sorted(out.glob("*.png")):
        print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
