"""Who watches trainings now, and how often their pages may ask: watching must not slow what is watched."""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple
from uuid import uuid4

import streamlit as st

LOOKS_PER_S = 5.0  # of all visitors together
FORGOTTEN_AFTER_S = 12.0  # of silence beyond a look that is due: a tab that is closed, or hidden


class Pace(NamedTuple):
    """How often a visitor looks, and how many do."""

    interval_s: float
    watching: int


class Watchers:
    """The visitors of live pages, shared by all sessions of a server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._gone_at: dict[str, float] = {}

    def look(self, visitor: str) -> Pace:
        """Note that a visitor looks now; returns when to look again, so that all together look not too often.

        Each second while few are watching; with more, each of them less often.
        """
        now = time.monotonic()
        with self._lock:
            self._gone_at = {who: gone for who, gone in self._gone_at.items() if gone > now}
            watching = len(self._gone_at.keys() | {visitor})
            interval_s = max(1.0, watching / LOOKS_PER_S)
            self._gone_at[visitor] = now + interval_s + FORGOTTEN_AFTER_S
            return Pace(interval_s, watching)


@st.cache_resource(show_spinner=False, max_entries=1)
def watchers() -> Watchers:
    """The one list of this server."""
    return Watchers()


def visitor() -> str:
    """A name for this browser tab, until it is loaded anew."""
    return str(st.session_state.setdefault("visitor", uuid4().hex))
