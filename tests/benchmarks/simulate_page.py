"""How long the Simulate page takes to show a change, on the server.

    python tests/benchmarks/simulate_page.py [--size 90x96x136] [--times 7]

Moves one slider at a time and runs the page's script, as a visitor's click does. Prints a Markdown table: median
milliseconds by the clock and on the processor, after everything has been imported and warmed up.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from streamlit.testing.v1 import AppTest  # noqa: E402


def opened(size: tuple[int, int, int], preset: str) -> AppTest:
    """The page as a visitor sees it, once all is imported."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in zip(("views", "rows", "cols"), size, strict=True):
        at.query_params[name] = str(value)
    at.query_params["example"] = preset
    at.switch_page("pages/simulate.py")
    at.run()
    if at.exception:
        raise SystemExit(f"the page fails: {at.exception[0].value}")
    return at


def changes(at: AppTest) -> dict[str, Callable[[int], object]]:
    """What is moved, each to a place where it has not been: turn number to the widget's new value."""
    row = at.slider(key="row").value
    sliders: dict[str, tuple[str, Callable[[int], float]]] = {
        "jitter dx": ("dx", lambda i: 1.0 + 0.1 * i),
        "roll": ("roll", lambda i: 1.0 + 0.1 * i),
        "drift": ("drift", lambda i: 0.5 + 0.5 * i),
        "noise": ("gaussian", lambda i: 4.0 + 0.5 * i),
        "background": ("background", lambda i: 5.0 * (i + 1)),
        "angular range": ("range", lambda i: 140.0 + 5 * i),
        "detector row": ("row", lambda i: row - 10 - i),
    }
    shown = {slider.key for slider in at.slider}  # a sample without noise has no slider for it

    def moves(key: str, value: Callable[[int], float]) -> Callable[[int], object]:
        return lambda i: at.slider(key=key).set_value(value(i))

    return {
        **{name: moves(key, value) for name, (key, value) in sliders.items() if key in shown},
        "object": lambda i: at.number_input(key="object").set_value(100 + i),
        "nothing": lambda _: None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="90x96x136", help="views x rows x columns")
    parser.add_argument("--times", type=int, default=7, help="changes of each slider")
    parser.add_argument("--presets", nargs="+", default=["Easy", "Pillar", "Far off"])
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    n_views, rows, cols = (int(n) for n in args.size.split("x"))
    os.environ["TOMOALIGN_WORKSPACE"] = tempfile.mkdtemp()
    os.chdir(ROOT)
    print(f"| {args.size}, what is moved | begun as | clock, ms | slowest, ms | processor, ms |")
    print("| --- | --- | --- | --- | --- |")
    for preset in args.presets:
        at = opened((n_views, rows, cols), preset)
        for name, change in changes(at).items():
            clock, processor = [], []
            for turn in range(args.times):
                change(turn)
                began, worked = time.perf_counter(), time.process_time()
                at.run()
                clock.append(1000 * (time.perf_counter() - began))
                processor.append(1000 * (time.process_time() - worked))
            middle = f"{statistics.median(clock):.0f} | {max(clock):.0f} | {statistics.median(processor):.0f}"
            print(f"| {name} | {preset} | {middle} |", flush=True)


if __name__ == "__main__":
    main()
