"""How well every method aligns, on one suite of simulated stacks with fixed seeds."""

from tomoalign_core.bench.accuracy import METHODS, Row, as_table, measure, method_names, on_a_scan, over
from tomoalign_core.bench.suite import FIRST_SEED, SUITE, Case, scans

__all__ = [
    "FIRST_SEED",
    "METHODS",
    "SUITE",
    "Case",
    "Row",
    "as_table",
    "measure",
    "method_names",
    "on_a_scan",
    "over",
    "scans",
]
