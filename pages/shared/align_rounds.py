"""The rounds of a refinement on the Align page: a chart that grows while they come in, and what they came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shared.align_work import Found, OnRound
from pages.shared.live_plot import live_news, live_plot
from pages.shared.looks import chart, is_dark
from tomoalign_core.show import alignment

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tomoalign_core.align.refine import Round

HEIGHT = 210
ALT = "Held-out residual and step after each round of the refinement"


@contextmanager
def rounds_live(say: Callable[[str], None], words: str, place: DeltaGenerator, *, key: str) -> Iterator[OnRound]:
    """What is to be called with each round of a refinement as it ends: it is told, and drawn in one chart.

    When the method has ended, well or not, the chart is gone. The page has called ``load_plotly``.

    Parameters
    ----------
    say : gets the words on each round, after those of what is going on.
    place : an ``st.empty()`` for the chart.
    key : of the chart, another one for each method.
    """
    rounds: list[Round] = []
    live = f"rounds-{key}"
    news = place  # until there is a chart

    def ended(one: Round) -> None:
        from tomoalign_core.align.refine import ROUNDS
        from tomoalign_core.align.rounds import told

        nonlocal news
        rounds.append(one)
        say(f"{words}: {told(one)}")
        figure = _figure(rounds, words="best so far", most=ROUNDS)
        if len(rounds) == 1:
            with place.container():
                live_plot(figure, key=live, height=HEIGHT, alt=ALT, file="refinement", live=live)
                news = st.empty()
        else:
            with news:
                live_news(figure, live=live, key=f"{live}-{one.number}")

    try:
        yield ended
    finally:
        place.empty()


def show_rounds(found: Found, *, edited: bool) -> None:
    """How a refinement went, folded under what it came to; nothing for other methods."""
    if not found.rounds:
        return
    from tomoalign_core.align.rounds import MEANING, outcome

    without = " Edits by hand came later, and are not in it." if edited else ""
    with st.expander(f"Refined: {outcome(found.rounds)}."):
        chart(_figure(found.rounds), key="rounds", alt=ALT)
        st.caption(f"{MEANING}{without}")


def _figure(rounds: Sequence[Round], *, words: str = "kept", most: int | None = None) -> go.Figure:
    from tomoalign_core.align.rounds import best_of

    return alignment.rounds_of_refinement(
        [one.residual for one in rounds], [one.step_px for one in rounds], best=best_of(rounds), words=words, most=most,
        dark=is_dark(), height=HEIGHT,
    )  # fmt: skip
