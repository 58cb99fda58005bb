"""What a bench measured, to be read: kept figures joined, tables in Markdown, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from tomoalign_core.align.classical import METHODS as CLASSICAL
from tomoalign_core.bench.accuracy import Row
from tomoalign_core.bench.rivals import RIVALS
from tomoalign_core.bench.suite import SUITE
from tomoalign_core.config import InputError


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """The rows that ``bench accuracy --json`` kept, of several files, in the order of the suite.

    Of the same case and method a later file counts.

    Raises
    ------
    InputError
        If a file is missing, or holds something else.
    """
    rows: dict[tuple[str, str], Row] = {}
    for path in paths:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            found = [_row(one) for one in kept]
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; bench accuracy --json {path.name} writes one") from None
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: not figures of bench accuracy ({error}); measure anew with --json") from None
        rows |= {(row.case, row.method): row for row in found}
    place = {name: number for number, name in enumerate(SUITE)}
    return sorted(rows.values(), key=lambda row: place.get(row.case, len(place)))


def _row(kept: dict[str, Any]) -> Row:
    """A row from JSON, in which null is not a number."""
    values: dict[str, Any] = {f.name: np.nan if kept[f.name] is None else kept[f.name] for f in fields(Row)}
    return Row(**values)


def method_table(rows: Sequence[Row], method: str) -> str:
    """All figures of one method as a Markdown table: a line a case; "axis" is the error of the tilt of the axis."""
    names = ["stack", "dx / bound", "dy / bound", "dx / limit", "dy / limit", "roll, °", "its bound, °"]
    names += ["its limit, °", "axis, °", "worst view, px", "within σ", "within 2 σ", "left out", "s"]
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in rows:
        if row.method == method:
            ratios = [_number(value, "{:.2f}") for value in (*row.ratio, *row.limit_ratio)]
            shares = [_number(100 * value, "{:.0f} %") for value in (row.within_1_sigma, row.within_2_sigma)]
            out = f"{100 * row.left_out:.1f} %" if row.left_out else "–"
            rolls = (row.roll_deg, row.bound_roll_deg or np.nan, row.limit_roll_deg, row.axis_tilt_deg)
            cells = [
                *ratios,
                *(_number(value, "{:.2f}") for value in rolls),
                f"{row.worst_px:.2f}",
                *shares,
                out,
                f"{row.seconds:.1f}",
            ]
            lines.append(f"| {row.case} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def in_words(rows: Sequence[Row], method: str) -> str:
    """What the figures of a method come to: its distance from the bounds, its σ, and where a rival is better."""
    ours = [row for row in rows if row.method == method]
    told = []
    for name, ratios in (
        ("the Cramér-Rao bound of a known template", [row.ratio for row in ours]),
        ("the limit of an unknown object", [row.limit_ratio for row in ours]),
    ):
        known = np.array([pair for pair in ratios if np.isfinite(pair).all()])
        if len(known):
            spread = f"{known.min():.2f} to {known.max():.2f}; at most 1.2 in {np.mean(known <= 1.2):.0%}"
            told.append(
                f"{np.median(known):.2f} times {name} in the median of dx and dy of {len(known)} kinds ({spread})"
            )
    shares = np.array([(row.within_1_sigma, row.within_2_sigma) for row in ours])
    known = shares[np.isfinite(shares).all(axis=1)]
    if len(known):
        told.append(f"{known[:, 0].mean():.0%} of the views lie within σ, {known[:, 1].mean():.0%} within 2 σ")
    told += [_shared(row) for row in ours if np.isfinite(row.same_dx_px)]
    worse = [row.case for row in ours if _beaten(row, rows)]
    kinds = f"{len(ours)} kind" if len(ours) == 1 else f"{len(ours)} kinds"
    told.append(
        f"behind the best rival, in dx or dy, by more than 2 % and 0.001 px in {len(worse)} of {kinds}"
        + (f": {'; '.join(worse)}" if worse else "")
    )
    return f"{method}: " + ". ".join(told) + "."


def _shared(row: Row) -> str:
    """How much of the error on a real scan is the same however it was moved."""
    pairs = ((row.dx_px, row.same_dx_px), (row.dy_px, row.same_dy_px))
    dx, dy = (np.sqrt(max(error**2 - same**2, 0.0)) for error, same in pairs)
    return (
        f"{row.case}: of its error {row.same_dx_px:.3f} / {row.same_dy_px:.3f} px are the same in all {row.stacks} "
        f"stacks, which is what the scan had left or the method adds; {dx:.3f} / {dy:.3f} px differ"
    )


def _beaten(row: Row, rows: Sequence[Row]) -> bool:
    rivals = [r for r in rows if r.case == row.case and r.method in (*CLASSICAL, *RIVALS, "tomopy-joint") and r.stacks]
    if not rivals:
        return False
    best = min(r.dx_px for r in rivals), min(r.dy_px for r in rivals)
    return any(
        ours > 1.02 * least and ours > least + 0.001 for ours, least in zip((row.dx_px, row.dy_px), best, strict=True)
    )


def _number(value: float, how: str) -> str:
    return how.format(value) if np.isfinite(value) else "–"
