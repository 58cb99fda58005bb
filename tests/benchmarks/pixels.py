"""How far values in the middle of pixels are from means over their areas, which is what a detector shows.

    python tests/benchmarks/pixels.py

For the stacks of ``bench accuracy`` without noise: the root mean square of the difference, of the maximum of the views.
"""

from __future__ import annotations

from dataclasses import replace

from tomoalign_core.bench import SUITE, scans

POINTS = 4


def main() -> None:
    """Print a line for each kind."""
    for name in ("blobs, clean", "Shepp-Logan, clean"):
        by_point, by_area = (
            scans(replace(SUITE[name], pixel_points=points), 1)[0].clean.numpy() for points in (1, POINTS)
        )
        share = (by_point * by_area).sum() / (by_area**2).sum()  # the maximum of points is not that of areas
        print(f"{name}: {(by_point - share * by_area).std():.2%} of the maximum")


if __name__ == "__main__":
    main()
