"""A report to take home: one HTML file, made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st

from pages.shared.align_work import Found
from tomoalign_core.files.stacks import Stack
from tomoalign_core.learn.runs import Run
from tomoalign_core.show.report import Report, to_html


def run_report_button(run: Run) -> None:
    """Everything about a run as a file."""

    def make() -> Report:
        from tomoalign_core.report import run_report

        return run_report(run)

    _button(make, f"{run.id}-report.html", "settings, curves, scores, shifts and pictures of the best epoch")


def stack_report_button(
    stack: Stack,
    found: Sequence[Found],
    *,
    name: str,
    bound_px: tuple[float, float] | None,
    outside: Mapping[str, Sequence[str]],
    file_name: str,
) -> None:
    """What was found in a stack as a file.

    Parameters
    ----------
    found : the tables; the first is looked at closely.
    name : the stack's, as the visitor knows it.
    bound_px : the Cramér-Rao bound, where it is known.
    outside : how the stack differs from what the networks learned from, by their names.
    """

    def make() -> Report:
        from tomoalign_core.report import Alignment, stack_report

        alignments = [
            Alignment(
                name=one.name,
                shifts=one.shifts,
                seconds=one.seconds,
                rounds=() if one.edits.done else one.rounds,  # which say nothing of what was done by hand since
            )
            for one in found
        ]
        return stack_report(replace(stack, source=name), alignments, bound_px=bound_px, outside=outside)

    _button(make, file_name, "shifts, scores, sinogram and slice before and after")


def _button(make: Callable[[], Report], file_name: str, holds: str) -> None:
    st.download_button(
        "Report (HTML)",
        lambda: to_html(make()),
        file_name,
        "text/html",
        icon=":material/description:",
        on_click="ignore",
        help=f"One file of about 5 MB with {holds}, and versions. It needs no network and fits into a mail. Made when "
        "clicked: that takes a few seconds.",
    )
