"""What a refinement came to, round by round, in words: the same on a page, in a terminal and in a report."""

from __future__ import annotations

from collections.abc import Sequence

from tomoalign_core.align.refine import ROUNDS, Round


def best_of(rounds: Sequence[Round]) -> int:
    """The number of the round whose table is given back; 0 is the start."""
    return max(one.number for one in rounds if one.kept)


def told(one: Round) -> str:
    """A round that has just ended.

    >>> told(Round(number=2, residual=0.00871234, step_px=0.0512, kept=True))
    'round 2 of at most 6, held-out residual 0.008712, views moved by 0.051 px rms'
    """
    if one.number == 0:
        return f"the network has answered, held-out residual {one.residual:.4g}: the share that others do not explain"
    place = f"round {one.number} of at most {ROUNDS}"
    return f"{place}, held-out residual {one.residual:.4g}, views moved by {one.step_px:.3f} px rms"


def outcome(rounds: Sequence[Round]) -> str:
    """Which round is kept, and what became of the residual; of a refinement that has ended."""
    best, last = best_of(rounds), len(rounds) - 1
    if best == 0:
        return "no round foretold the views better than the network's own answer, which is kept"
    before, after = f"{rounds[0].residual:.4g}", f"{rounds[best].residual:.4g}"
    became = f"went from {before} to {after}" if after != before else f"stays at {before} to these digits"
    return f"round {best} of {last} is kept, the held-out residual {became}"


MEANING = (
    "Round 0 is the network's own answer. Each round then moves all views together once more, and is "
    "judged by the held-out residual: how much of a view the others do not explain. Noise keeps that above 0 however "
    "well the views are aligned; of rounds whose residuals differ by less than 0.02 % the last is kept. The step is "
    "how far a round moved the views, root mean square over dx and dy."
)
