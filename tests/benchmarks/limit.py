"""Which movements views can tell, of an object that is not known: the limit of each harmonic of the view angle.

    python tests/benchmarks/limit.py [CASE]

For a stack of the suite of ``bench accuracy``: the error that is possible at best, as multiples of the Cramér-Rao bound
of a known template; and that bound for roll.
"""

from __future__ import annotations

import sys

from tomoalign_core.align.limit import harmonic_bounds, unknown_object_bound
from tomoalign_core.bench import SUITE
from tomoalign_core.bench.suite import scans
from tomoalign_core.metrics import scan_bound, scan_roll_bound


def main(case: str) -> None:
    """Print the table of a case."""
    scan = scans(SUITE[case], 1)[0]
    clean, noise = scan.clean.numpy(), {"gaussian": scan.gaussian, "counts": scan.counts}
    known = scan_bound(clean, **noise)
    whole = unknown_object_bound(clean, scan.angle_rad, scan.shifts, **noise)
    print(f"{case}: dx {whole[0] / known[0]:.2f}, dy {whole[1] / known[1]:.2f} times the bound of a known template,")
    print(f"which for roll is {scan_roll_bound(clean, **noise):.2f}°\n")
    print("| harmonic of the view angle | dx / bound | dy / bound |\n| --- | --- | --- |")
    dx, dy = harmonic_bounds(clean, scan.angle_rad, scan.shifts, **noise)
    for harmonic in sorted({*dx, *dy}):
        if harmonic <= len(clean):
            cells = [f"{a[harmonic] / b:.2f}" if harmonic in a else "–" for a, b in ((dx, known[0]), (dy, known[1]))]
            print(f"| {harmonic} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "blobs, 3 % noise")
