"""How far a piece of work is, in words, with the time that is left where that is long."""

from __future__ import annotations

import time
from collections.abc import Callable

from pages.shared.words import duration

LONG_S = 2.0
OFTEN_S = 0.2


def telling(say: Callable[[str, float], None], words: str) -> Callable[[int, int], None]:
    """A report of progress for the core to call with (done, of); ``say`` gets the words and the share that is done."""
    began, said = time.perf_counter(), [0.0]

    def tell(done: int, of: int) -> None:
        now = time.perf_counter()
        if now - said[0] > OFTEN_S:
            said[0] = now
            left = (now - began) * (of - done) / done
            say(f"{words}: {done} of {of}" + (f", about {duration(left)} left" if left > LONG_S else ""), done / of)

    return tell
