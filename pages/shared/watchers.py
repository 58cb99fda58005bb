"""Who watches trainings now, and how often their pages may ask: watching must not slow what is watched."""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple
from uuid import uuid4

import streamlit as st

LOOKS_PER_S = 5.0  # of all visitors together
FORGOTTEN_AFTER_S = 12.0  # of silence beyond a look that is due: a tab that is closed, or hidden and asks once a minute


class Pace(NamedTuple):
    """How often a visitor looks, and how many do."""

    interval_s: float
    watching: int


class Watchers:
    """The visitors of live pages, shared by all sessions of a server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._gone_at: dict[str, float] = {}

    def look(self, visitor: str, *, interval_s: float) -> int:
        """Note that a visitor, who looks every ``interval_s``, looks now; returns how many are watching."""
        now = time.monotonic()
        with self._lock:
            self._gone_at[visitor] = now + interval_s + FORGOTTEN_AFTER_S
            self._gone_at = {who: gone for who, gone in self._gone_at.items() if gone > now}
            return len(self._gone_at)


def interval_s(watching: int, present_s: float = 1.0) -> float:
    """Seconds between two looks of each visitor: 1, 2, 4 …, so that all together look ``LOOKS_PER_S`` times a second.

    It falls below the present one only when a fifth more could join, so that it does not change at each visitor.

    >>> [interval_s(n) for n in (1, 5, 6, 20, 21)], interval_s(10, present_s=4.0), interval_s(8, present_s=4.0)
    ([1.0, 1.0, 2.0, 4.0, 8.0], 4.0, 2.0)
    """
    wanted = 1.0
    while watching > LOOKS_PER_S * wanted:
        wanted *= 2
    return present_s if wanted < present_s and watching > 0.8 * LOOKS_PER_S * wanted else wanted


@st.cache_resource(show_spinner=False, max_entries=1)
def watchers() -> Watchers:
    """The one list of this server."""
    return Watchers()


def visitor() -> str:
    """A name for this browser tab, until it is loaded anew."""
    return str(st.session_state.setdefault("visitor", uuid4().hex))
