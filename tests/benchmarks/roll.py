"""How much roll views can tell, of an object that is not known: the limit of each harmonic of the view angle.

    python tests/benchmarks/roll.py [--pillar]

The limit of ``align.limit`` takes roll as known. Here dx, dy and roll of all views are unknown together, of an object
small enough to write everything out: independent Gaussian values x on a grid in a ball, or in a pillar that the top and
the bottom of the views cut off, each smeared by a Gaussian. So it tells as well how much the limit in dx and dy rises
where roll is not known. The
views are A(θ) x with noise σ; with A_p the derivative of A by a movement p, S = (AᵀA + σ²)⁻¹, E_p = Aᵀ A_p and
B = S AᵀA, the Fisher information of their covariance (Slepian-Bangs, see ``align.limit``) is

    F_pq = tr(S E_p S E_q) + (tr(A_qᵀ A_p B) [same view] - tr(E_qᵀ S E_p B)) / σ²

and that of a known template, in the mean over all such objects, tr(A_qᵀ A_p) / σ² [same view].
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.geometry import angles, centred_axis, gauge_functions

Matrix = NDArray[np.float64]

VIEWS, SIZE_PX, RADIUS_PX, SMEAR_PX, NOISE = 16, 22, 7.0, 1.0, 0.03
PILLAR_PX, BEYOND_PX = 5.0, 3.0  # its radius, and how far it goes on above and below
KINDS = ("dx", "dy", "roll")


def views_of(points: Matrix, angle_rad: float) -> tuple[Matrix, list[Matrix]]:
    """A view (pixels, points) of points (n, 3) of value 1, and how it changes with dx, dy and roll."""
    pixel = centred_axis(SIZE_PX)
    u = pixel[:, None] - points[:, 0] * np.cos(angle_rad) - points[:, 1] * np.sin(angle_rad)
    v = pixel[:, None] - points[:, 2]

    def image(down: Matrix, across: Matrix) -> Matrix:
        return (down[:, None] * across[None]).reshape(SIZE_PX**2, -1)

    along_u, along_v = (np.exp(-0.5 * (at / SMEAR_PX) ** 2) for at in (u, v))
    by_u, by_v = image(along_v, -u / SMEAR_PX**2 * along_u), image(-v / SMEAR_PX**2 * along_v, along_u)
    row, column = np.repeat(pixel, SIZE_PX)[:, None], np.tile(pixel, SIZE_PX)[:, None]
    return image(along_v, along_u), [-by_u, -by_v, row * by_u - column * by_v]


def ball() -> Matrix:
    """Points (n, 3) on a grid in a ball."""
    grid = centred_axis(2 * int(RADIUS_PX) + 3)
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), -1).reshape(-1, 3)
    return points[(points**2).sum(1) < RADIUS_PX**2]


def pillar() -> Matrix:
    """The same in a pillar, taller than a view."""
    across, along = centred_axis(2 * int(PILLAR_PX) + 3), centred_axis(SIZE_PX + 2 * int(BEYOND_PX))
    points = np.stack(np.meshgrid(across, across, along, indexing="ij"), -1).reshape(-1, 3)
    return points[(points[:, :2] ** 2).sum(1) < PILLAR_PX**2]


def information(points: Matrix) -> tuple[Matrix, Matrix]:
    """The information on (dx, dy, roll) of all views, of an unknown object made of these points and of a known one."""
    shown, changed = zip(*(views_of(points, angle) for angle in angles(VIEWS)), strict=True)
    # the brightest pixel of a view is taken for three standard deviations of its middle one
    noise = NOISE * 3 * np.sqrt((shown[0][SIZE_PX // 2 * (SIZE_PX + 1)] ** 2).sum())
    square = sum(view.T @ view for view in shown)
    s = np.linalg.inv(square + noise**2 * np.eye(len(points)))
    b = s @ square
    ways = [(view, kind) for kind in range(len(KINDS)) for view in range(VIEWS)]
    e = [shown[view].T @ changed[view][kind] for view, kind in ways]
    across = np.stack([one.ravel() for one in e])
    turned = np.stack([one.T.ravel() for one in e])
    unknown, known = np.zeros((2, len(ways), len(ways)))
    for p, (view, kind) in enumerate(ways):
        se = s @ e[p]
        unknown[p] = turned @ (se @ s).ravel() - across @ (se @ b).ravel() / noise**2
        seen = changed[view][kind] @ b
        for q, other in ((q, other) for q, (there, other) in enumerate(ways) if there == view):
            unknown[p, q] += (changed[view][other] * seen).sum() / noise**2
            known[p, q] = (changed[view][other] * changed[view][kind]).sum() / noise**2
    return (unknown + unknown.T) / 2, known


def main() -> None:
    """Print the limit by harmonic, in multiples of the bound of a known template."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pillar", action="store_true", help="instead of a ball")
    cut = parser.parse_args().pillar
    unknown, known = information(pillar() if cut else ball())
    best, template = np.linalg.inv(unknown), np.linalg.inv(known)
    angle = angles(VIEWS)
    shape = f"pillar of {2 * PILLAR_PX:.0f} px, cut off by {SIZE_PX} rows" if cut else f"ball of {2 * RADIUS_PX:.0f} px"
    print(f"A {shape}, {VIEWS} views over 180°, {NOISE:.0%} noise: limit / bound, no gauge")
    for kind, name in enumerate(KINDS):
        free, _ = np.linalg.qr(gauge_functions(angle, axis=name))
        keep = np.eye(VIEWS) - free @ free.T
        part = slice(kind * VIEWS, (kind + 1) * VIEWS)
        rise = ""
        if name != "roll":
            alone = np.linalg.pinv(keep @ unknown[part, part] @ keep)
            rise = (
                f", {np.sqrt((keep * best[part, part]).sum() / np.trace(alone)):.2f} times that of who knows all else"
            )
        print(f"{name} {np.sqrt((keep * best[part, part]).sum() / (keep * template[part, part]).sum()):.2f}{rise}")
    print()
    print("| harmonic of the view angle | dx | dy | roll |\n| --- | --- | --- | --- |")
    for harmonic in range(1, VIEWS):
        cells = ["–"] * len(KINDS)
        for kind, name in enumerate(KINDS):
            if (harmonic % 2 == 0) == (name == "dy"):  # a view from behind is the mirror image
                ratios = []
                for wave in (np.cos(harmonic * angle), np.sin(harmonic * angle)):
                    way = np.zeros(len(best))
                    way[kind * VIEWS : (kind + 1) * VIEWS] = wave
                    ratios.append(way @ best @ way / (way @ template @ way))
                cells[kind] = f"{np.sqrt(np.mean(ratios)):.2f}"
        print(f"| {harmonic} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
