"""Which movements views can tell, of an object that is not known: the limit of each harmonic of the view angle.

    python tests/benchmarks/limit.py [CASE]

For a stack of the suite of ``bench accuracy``: the error that is possible at best, as multiples of the Cramér-Rao bound
of a known template.
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
    roll = scan_roll_bound(clean, **noise)
    print(f"{case}: dx {whole.dx_px / known[0]:.2f}, dy {whole.dy_px / known[1]:.2f}, roll {whole.roll_deg / roll:.2f}")
    print(f"times the bound of a known template, which for roll is {roll:.2f}°\n")
    print("| harmonic of the view angle | dx / bound | dy / bound | roll / bound |\n| --- | --- | --- | --- |")
    by_harmonic = list(zip(harmonic_bounds(clean, scan.angle_rad, scan.shifts, **noise), (*known, roll), strict=True))
    for harmonic in sorted({h for found, _ in by_harmonic for h in found}):
        if harmonic <= len(clean):
            cells = [f"{found[harmonic] / bound:.2f}" if harmonic in found else "–" for found, bound in by_harmonic]
            print(f"| {harmonic} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "blobs, 3 % noise")
