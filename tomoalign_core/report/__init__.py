"""Reports: one HTML file about a training or about an alignment, to be sent in a mail."""

from __future__ import annotations

from tomoalign_core.report.of_run import run_report
from tomoalign_core.report.of_stack import Alignment, aligned_report, stack_report

__all__ = ["Alignment", "aligned_report", "run_report", "stack_report"]
