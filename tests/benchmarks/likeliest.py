"""Where is the most likely alignment, of an object of which no more than its extent and its power are known?

    python tests/benchmarks/likeliest.py [CASE] [--stacks 3] [--rounds 60]

The limit of an unknown object (``align.limit``) takes the object for a Gaussian random field of known extent and power.
Here that likelihood is climbed from the very truth, by scoring: with the extent and the power of the noise-free object,
the whole detector seen, no roll and no error in dy. All that it lacks is that the object is no such field. It prints
the error of dx along the way, gauge removed, beside the limit. Where it ends far above the limit, who comes nearer
knows more of the object: as a network does, of one whose outline and mass are in sight.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from scipy import fft

from tomoalign_core.align import limit, move_views
from tomoalign_core.align.ring import Ring, blocks, by_views, information, information_of_part, ring_of, written_out
from tomoalign_core.bench.suite import FIRST_SEED, SUITE
from tomoalign_core.config import MisalignConfig, SimulationConfig
from tomoalign_core.geometry import Float, Shifts, gauge_functions
from tomoalign_core.metrics import rms
from tomoalign_core.simulate import simulate

BESIDE = 40  # columns beyond either side of the detector, of what may be wider or move


class Level(NamedTuple):
    """Rows of one power; the inverse covariance of the views in them and that of their slopes, block by harmonic.

    Of a wedge, which is no ring, both are written out, and ``least`` (N,) is what noise alone makes of the slope.
    """

    rows: np.ndarray
    inverse: Float
    slope: Float
    least: Float


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", default="wider than the view")
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    ends = []
    for number in range(asked.stacks):
        errors, least = climb(SUITE[asked.case].simulation.changed(seed=FIRST_SEED + number), asked.rounds)
        along = " ".join(f"{error:.3f}" for error in errors[:: max(asked.rounds // 10, 1)])
        print(f"stack {number}: dx {along}, in the end {errors[-1]:.3f} px; limit {least:.3f} px", flush=True)
        ends.append(errors[-1] / least)
    print(f"{asked.case}: the likeliest dx is {np.median(ends):.2f} times the limit from the truth (median)")


def climb(simulation: SimulationConfig, rounds: int) -> tuple[list[float], float]:
    """Errors of dx after each round of scoring from the truth, px, and the limit."""
    views, angle, cols = still_views(simulation)
    ring, extent, n = ring_of(angle), limit._extent(views), len(angle)
    levels, told = [], np.zeros((n, n))
    for rows, power in limit._levels(fft.dct(views, axis=1, norm="ortho")):
        levels.append(level_of(rows, *blocks(power, cols, extent, ring)[:2], ring, n))
        told += len(rows) * information_of(power, cols, extent, ring, n)
    gauge = gauge_functions(angle, axis="dx")
    rest = np.linalg.svd(gauge)[0][:, gauge.shape[1] :]
    free = rest.T @ told @ rest
    noise = np.random.default_rng(simulation.seed).normal(size=(n, views.shape[1], cols))
    off, errors = np.zeros(n), []
    for _ in range(rounds):
        # the views as a table with this error aligns them, under the noise of the pixels
        moved = move_views(views, Shifts.from_arrays(angle_rad=angle, dx_px=off, dy_px=np.zeros(n)))
        seen = fft.dct(moved[..., BESIDE:-BESIDE] + noise, axis=1, norm="ortho")
        off = off - rest @ np.linalg.solve(free, rest.T @ sum(slope_of(level, seen, ring) for level in levels))
        errors.append(rms(off))
    return errors, float(np.sqrt(np.trace(np.linalg.inv(free)) / n))


def still_views(simulation: SimulationConfig) -> tuple[np.ndarray, Float, int]:
    """Views of a still stage (N, V, U + 2 BESIDE) in units of the noise, their angles, and the detector's columns."""
    scan, phantom = simulation.scan, simulation.phantom
    cols = scan.largest_shape()[2]
    broad = cols + 2 * BESIDE
    whole = simulate(
        simulation.changed(
            scan=scan.changed(n_cols=broad),
            phantom=phantom.changed(radius=tuple(np.array(phantom.radius) * cols / broad)),
            misalign=MisalignConfig(dx_sigma_px=0, dy_sigma_px=0),
        )
    )
    if not whole.gaussian:
        raise SystemExit("a case of Gaussian noise is needed")
    still = limit._in_the_middle(whole.clean.numpy(), whole.shifts)
    return (still / whole.gaussian).astype(np.float32), whole.angle_rad, cols


def level_of(rows: np.ndarray, signal: Float, slope: Float, ring: Ring, n: int) -> Level:
    """The level of some rows, from the covariance of the object in the views and that of its shift."""
    size = signal.shape[1]
    if not ring.is_part(n):
        return Level(rows, np.linalg.inv(signal + np.eye(size)), slope, np.zeros(n))
    inverse = np.linalg.inv(written_out(signal, ring, n) + np.eye(n * size))
    slopes = written_out(slope, ring, n)
    least = np.einsum("ij,ji->i", slopes, inverse).reshape(n, size).sum(1)
    return Level(rows, inverse, slopes, least)


def information_of(power: Float, cols: int, extent: float, ring: Ring, n: int) -> Float:
    """What one row tells of the dx of each two views, (N, N)."""
    if ring.is_part(n):
        return information_of_part(power, cols, extent, ring, n).dx
    return by_views(information(power, cols, extent, ring).dx, ring, "dx")


def slope_of(level: Level, seen: Float, ring: Ring) -> Float:
    """Slope (N,) of the log-likelihood of rows (N, V, U), in units of the noise, with a movement of each view."""
    n, part = len(seen), ring.is_part(len(seen))
    size = level.inverse.shape[1] // n if part else level.inverse.shape[1]
    cosines = fft.dct(np.eye(seen.shape[2]), axis=0, norm="ortho")[:size]
    some = np.einsum("nvu,ku->nkv", seen[:, level.rows], cosines)
    if part:
        told = level.inverse @ some.reshape(n * size, -1)
        moved = level.slope @ told
    else:
        # from behind a view is its mirror image, in which odd cosines change their sign
        mirrored = some * ((-1.0) ** np.arange(size))[:, None]
        told = level.inverse @ np.fft.fft(some if ring.whole else np.concatenate([some, mirrored]), axis=0)
        moved = np.fft.ifft(level.slope @ told, axis=0).real[:n]
        told = np.fft.ifft(told, axis=0).real[:n]
    found: Float = (told * moved).reshape(n, -1).sum(1) - len(level.rows) * level.least
    return found


if __name__ == "__main__":
    main()
