"""How well every method aligns: on one suite of simulated stacks with fixed seeds, and on a scan as it is."""

from tomoalign_core.bench.accuracy import METHODS, Row, as_table, measure, method_names, on_a_scan, over
from tomoalign_core.bench.scan import ScanRow, as_lines, judge_scan
from tomoalign_core.bench.sinogram import sinogram_residual
from tomoalign_core.bench.suite import FIRST_SEED, SUITE, Case, scans

__all__ = [
    "FIRST_SEED",
    "METHODS",
    "SUITE",
    "Case",
    "Row",
    "ScanRow",
    "as_lines",
    "as_table",
    "judge_scan",
    "measure",
    "method_names",
    "on_a_scan",
    "over",
    "scans",
    "sinogram_residual",
]
