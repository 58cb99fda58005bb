"""Small things that look the same on every page: theme, charts, state badge."""

from __future__ import annotations

from typing import Literal, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from tomoalign_core.learn.jobs import State

CHART_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
Colour = Literal["red", "orange", "blue", "green", "gray"]


class Badge(NamedTuple):
    """How a state is shown, and what it means."""

    icon: str
    colour: Colour
    meaning: str


STATES: dict[State, Badge] = {
    "queued": Badge(":material/schedule:", "blue", "It starts, or waits for its turn."),
    "running": Badge(":material/play_circle:", "blue", "A process is at work on it now."),
    "finished": Badge(":material/check_circle:", "green", "Done to its end."),
    "stopped": Badge(":material/pause_circle:", "orange", "Stopped with what it has; Resume goes on from there."),
    "failed": Badge(":material/error:", "red", "It ended with an error; the log says which."),
    "interrupted": Badge(":material/power_off:", "orange", "Its process is gone; Resume goes on from what it saved."),
}
# Streamlit's own sign of work would blink at every rerun, with a Stop that stops nothing but the page
NO_SIGN_OF_WORK = "<style>[data-testid='stStatusWidget'] { display: none; }</style>"
# on a narrow screen columns stand below each other, where beside each other they would cut what they hold
STACKED = """<style>@media (max-width: 1100px) {
.stMainBlockContainer [data-testid="stColumn"] { min-width: 100%; }
}</style>"""
ACTIVE: tuple[State, ...] = ("queued", "running")


def is_dark() -> bool:
    """Whether the visitor's browser shows the dark theme."""
    return st.context.theme.type == "dark"


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """Show a figure in its own colours, with words for who cannot see it."""
    st.plotly_chart(figure, width="stretch", theme=None, config=CHART_CONFIG, key=key, alt=alt)


def state_badge(state: State) -> None:
    """The state of a job, as it is."""
    look = STATES[state]
    st.badge(state, icon=look.icon, color=look.colour, help=look.meaning)
