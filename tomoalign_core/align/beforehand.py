"""What is known of the movements of a stack before its views tell, and how far they are believed then.

Movements are dx, dy, roll, gain and offset of each view, in this order; a roll is counted in px, ``LEVER_PX`` off the
centre. The start has a σ, and errs alike on views near each other, in rolls most as an object would that leans.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from tomoalign_core.align.outline import Cut
from tomoalign_core.align.ways import LEVER_PX
from tomoalign_core.geometry import Float, Shifts

ROLL_SIGMA_DEG, ROLL_SIGMA = 0.35, 1 / 3  # of the start's roll: at least, and as a fraction of the rolls it found
LEAN = 10.0  # times the variance, of rolls that go once around: an object that leans shows nearly the same
AXIS_TILT_SIGMA_DEG = 10.0  # the roll that all views have in common, of which a start knows nothing
LEAST_VIEWS_OF_TILT = 8  # that can tell it
GAIN_SIGMA = 0.3
UNKNOWN_SIGMA_PX = 1.0  # of a start that states none
NEAR_VIEWS = 4  # the start errs alike on views so near
OWN_ERROR = 3.0  # of a view alone, in σ of the start; what near views have in common is trusted to 1 σ
# How far the likelihood is believed in dx, dy, roll, gain, offset. In dx it would mislead: the field of the model may
# lie anywhere in its disc, where a real object has an outline; that tells slow movements in dx, and the start knew it.
BELIEF = (0.3, 1.0, 1.0, 1.0, 1.0)
LEAN_BELIEF = 0.1  # of that, in rolls that go once around, which the field takes for those of an object that leans
# The slower movements in dx are, the less: of that, up to these harmonics of the angle. The slowest a start knows best.
SLOW_HARMONIC, SLOW_BELIEF = 9, 1 / 3
SLOWEST_HARMONIC, SLOWEST_BELIEF = 3, 1 / 15
# Slow ones are told wrongly in the same way however many pixels there are: what the likelihood is taken to know of them
# does not grow beyond that of so many. So are those of rolls, and in dy up to another harmonic; the moments tell both.
SLOW_PIXELS = 5e5
# In dy as well where top and bottom cut the object off: what comes and goes there goes as slowly.
BORDER_HARMONIC, BORDER_BELIEF = 4, 0.1
# The same of the moments of the rows. In dx they hang on where the object ends, and tell of faster movements no more
# than the field does: up to this harmonic.
MOMENTS_BELIEF = (1.0, 0.8, 1.0, 1.0, 1.0)
MOMENTS_HARMONIC, ALL_HARMONICS = 25, 1_000_000
FREE_RIDGE = 1e-3  # of what is known of each movement in dx: the gauge is not
CLEAR = 0.5  # of the noise is not its floor: below, straight sides are no sharper than what pixels leave of the moments


def prior_of(start: Shifts, *, largest: float) -> Float:
    """What is known beforehand, as an inverse covariance (5 N, 5 N).

    Parameters
    ----------
    start : with σ, px; where it states none, a pixel.
    largest : of the views, in the unit of the offsets.
    """
    n = len(start)
    place = np.argsort(np.argsort(start.angle_rad))
    near = np.exp(-0.5 * ((place[:, None] - place) / NEAR_VIEWS) ** 2)
    blocks = []
    for sigma in (start.dx_sigma_px, start.dy_sigma_px):
        known = np.where(np.isfinite(sigma), np.maximum(sigma, 1e-3), UNKNOWN_SIGMA_PX)
        blocks.append(np.linalg.inv(known[:, None] * near * known + np.diag((OWN_ERROR * known) ** 2)))
    roll_sigma_deg = np.hypot(ROLL_SIGMA_DEG, ROLL_SIGMA * float(np.std(start.roll_deg)))
    lean = np.linalg.qr(np.stack([np.cos(start.angle_rad), np.sin(start.angle_rad)], 1))[0]
    rolls = np.eye(n) + LEAN * lean @ lean.T
    if n >= LEAST_VIEWS_OF_TILT:
        rolls += (AXIS_TILT_SIGMA_DEG / roll_sigma_deg) ** 2
    blocks.append(np.linalg.inv((np.deg2rad(roll_sigma_deg) * LEVER_PX) ** 2 * rolls))
    blocks += [np.eye(n) / expected**2 for expected in (GAIN_SIGMA, GAIN_SIGMA * largest)]
    prior: Float = linalg.block_diag(*blocks)
    return prior


def belief_of(cut: Cut, start: Shifts, *, clear: float) -> tuple[float, ...]:
    """How far the likelihood of a stack is believed in dx, dy, roll, gain and offset.

    Where the top or the bottom cuts the object off, views differ by what comes and goes there, as they would by dx and
    roll: both are left as they are, the roll if there was none. dx is believed the less the nearer the noise is to its
    floor (``clear`` is 0 there): then what the model errs by is more than what the start does.
    """
    belief = [clear * BELIEF[0], *BELIEF[1:]]
    if cut.ends and not cut.sides:
        belief[0] = 0.0
        if np.ptp(start.roll_deg) == 0:
            belief[2] = 0.0
    return tuple(belief)


def believed(
    information: Float, belief: tuple[float, ...], angle: Float, cut: Cut, *, pixels: int, moments: bool
) -> Float:
    """The information (5 N, 5 N) of the likelihood of a stack of so many pixels, as far as it is believed.

    Parameters
    ----------
    moments : whether those of the rows tell as well: slow movements, of large stacks, better than the likelihood.
    """
    n = len(angle)
    root = np.repeat(np.sqrt(belief), n)
    found: Float = root[:, None] * information * root
    slow = slow_movements(angle, "dx", SLOW_HARMONIC)
    slowest = slow_movements(angle, "dx", SLOWEST_HARMONIC).shape[1]
    no_more = min(1.0, SLOW_PIXELS / pixels)
    share = np.full(slow.shape[1], SLOW_BELIEF * no_more)
    share[:slowest] *= SLOWEST_BELIEF / SLOW_BELIEF
    lean = np.linalg.qr(np.stack([np.cos(angle), np.sin(angle)], 1))[0]
    less = [(0, slow, share), (2, lean, np.full(lean.shape[1], LEAN_BELIEF))]
    of_dy = (BORDER_BELIEF if cut.through else 1.0) * (no_more if moments else 1.0)
    slow = slow_movements(angle, "dy", BORDER_HARMONIC)
    less.append((1, slow, np.full(slow.shape[1], of_dy)))
    if moments:
        rolls = slow_movements(angle, "dx", SLOW_HARMONIC)[:, lean.shape[1] :]
        less.append((2, rolls, np.full(rolls.shape[1], no_more)))
    for kind, ways, shares in less:
        part = slice(kind * n, (kind + 1) * n)
        keep = np.eye(n) - (ways * (1 - np.sqrt(shares))) @ ways.T
        found[part] = keep @ found[part]
        found[:, part] = found[:, part] @ keep
    return found


def moments_in_dx(cut: Cut, *, clear: float) -> int:
    """The highest harmonic of the angle up to which moments are believed in dx; 0 if they are not.

    If top and bottom cut the object off, they are where it has straight sides; those show any movement.
    """
    if cut.ends:
        return ALL_HARMONICS if cut.through and clear > CLEAR else 0
    return MOMENTS_HARMONIC if clear > 0 else 0


def moments_believed(information: Float, angle: Float, *, highest_in_dx: int, rolls: bool) -> Float:
    """The information (5 N, 5 N) of the moments of a stack, as far as it is believed.

    Parameters
    ----------
    highest_in_dx : see ``moments_in_dx``.
    rolls : whether views may roll.
    """
    n = len(angle)
    # what is told of the others holds whatever the movements in dx are that are not asked for
    free = np.eye(len(information), n)
    if highest_in_dx:
        asked = slow_movements(angle, "dx", highest_in_dx) if highest_in_dx < n else np.eye(n)
        free = free @ np.linalg.svd(asked)[0][:, asked.shape[1] :]  # none of few views, all of which are slow
    across = information @ free
    own = free.T @ across
    size = np.diag(own)
    ridge = np.diag(FREE_RIDGE * size + 1e-9 * size.max(initial=0) + 1e-30)  # a view may not be told of at all
    information = information - across @ linalg.solve(own + ridge, across.T)
    belief = np.array(MOMENTS_BELIEF) * (highest_in_dx > 0, 1, rolls, 1, 1)
    root = np.repeat(np.sqrt(belief), n)
    found: Float = root[:, None] * information * root
    return found


def slow_movements(angle: Float, axis: str, highest: int) -> Float:
    """Movements in dx or dy up to a harmonic of the angle (N, K), orthonormal, the slowest first; no constant.

    Over half a turn, from which the views of the other half follow, those in dx have odd harmonics, in dy even ones.
    """
    first, step = (1, 1) if np.ptp(angle) > 1.25 * np.pi else (1 if axis == "dx" else 2, 2)
    waves = [wave(harmonic * angle) for harmonic in range(first, highest + 1, step) for wave in (np.cos, np.sin)]
    found: Float = np.linalg.qr(np.stack(waves, 1))[0]
    return found
