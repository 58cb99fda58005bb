"""From detector counts to attenuation: flat and dark fields, pixels without light, dead pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoalign_core.config import InputError
from tomoalign_core.files.dead import mend

MIN_TRANSMISSION = 1e-4  # less is noise or no light at all, and its logarithm would outshine the object
OPEN_BEAM_PERCENTILE = 99.0


def counts_to_attenuation(
    counts: NDArray[np.float32], flat: NDArray[Any] | None, dark: NDArray[Any] | None, where: str
) -> tuple[str, ...]:
    """Turn counts into attenuation, −ln((counts − dark) / (flat − dark)), in place, and say how.

    Parameters
    ----------
    counts : float32 array (N, V, U)
        Overwritten, for a stack may be too large to have twice.
    flat, dark : array (k, V, U) or (V, U), or None
        Frames with the beam alone and without it. Without a flat field the 99th percentile of each view is its open
        beam; without a dark field it is zero.
    where : str
        What the error messages begin with.

    Raises
    ------
    InputError
        If a field does not fit the views, a view has no light, or most of the flat field is no brighter than the dark.
    """
    dead, how = _divide_by_open_beam(counts, flat, dark, where)
    n_dead = int(np.count_nonzero(dead))
    n_dim = int(np.count_nonzero((counts < MIN_TRANSMISSION) & ~dead))
    np.maximum(counts, MIN_TRANSMISSION, out=counts)
    np.negative(np.log(counts, out=counts), out=counts)
    mend(counts, dead)
    notes = [f"counts to attenuation with {how}"]
    if n_dead:
        notes.append(f"{n_dead} dead pixel{'s'[: n_dead != 1]} replaced by the median of their neighbours")
    if n_dim:
        notes.append(f"{n_dim} pixel{'s'[: n_dim != 1]} with a transmission below {MIN_TRANSMISSION:g} set to that")
    return tuple(notes)


def _divide_by_open_beam(
    counts: NDArray[np.float32], flat: NDArray[Any] | None, dark: NDArray[Any] | None, where: str
) -> tuple[NDArray[np.bool_], str]:
    """Turn counts into transmission in place; give the dead pixels, (V, U), and in words what was divided by."""
    shape = counts.shape[1:]
    dark_field, n_dark = _mean_field(dark, "dark", shape, where)
    counts -= dark_field
    if flat is None:
        open_beam = np.percentile(counts, OPEN_BEAM_PERCENTILE, axis=(1, 2))
        if open_beam.min() <= 0:
            raise InputError(f"{where}: view {open_beam.argmin()} has no counts above the dark field; leave it out")
        counts /= open_beam[:, None, None]
        darks = f", {n_dark} dark" if n_dark else ""
        return np.zeros(shape, bool), f"the {OPEN_BEAM_PERCENTILE:g}th percentile of each view as its open beam{darks}"
    flat_field, n_flat = _mean_field(flat, "flat", shape, where)
    dead = ~((flat_field > dark_field) & np.isfinite(flat_field))
    if dead.mean() > 0.5:
        raise InputError(
            f"{where}: {dead.mean():.0%} of the flat field is no brighter than the dark; are they swapped?"
        )
    counts /= np.where(dead, 1, flat_field - dark_field)
    return dead, f"{n_flat} flat, {n_dark} dark"


def _mean_field(
    field: NDArray[Any] | None, name: str, shape: tuple[int, ...], where: str
) -> tuple[NDArray[np.float32], int]:
    """Average of the flat or dark frames, (k, V, U) or (V, U), and how many there are; none: zero."""
    if field is None:
        return np.zeros(shape, np.float32), 0
    frames = field[None] if field.ndim == 2 else field
    if frames.shape[1:] != shape:
        raise InputError(
            f"{where}: the {name} field has the shape {field.shape}, the views {shape}; give one that fits"
        )
    return frames.mean(0, dtype=float).astype(np.float32), len(frames)
