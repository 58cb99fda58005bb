"""Shelves for what took time to work out: shared by all visitors, outliving a refresh, of limited length."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

import streamlit as st

T = TypeVar("T")


class Shelf(Generic[T]):
    """Things by key; the one not looked at for longest makes room for a new one.

    Beside Streamlit's own caches because these things report their progress to the page while they are made, which
    a cached function may not.
    """

    def __init__(self, length: int) -> None:
        self._things: OrderedDict[str, T] = OrderedDict()
        self._length = length
        self._lock = Lock()

    def get(self, key: str) -> T | None:
        """What lies there, if anything does."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
            return self._things.get(key)

    def recall(self, key: str, make: Callable[[], T]) -> T:
        """What lies there, or what is made now and put there."""
        found = self.get(key)
        if found is None:
            found = make()
            with self._lock:
                self._things[key] = found
                while len(self._things) > self._length:
                    self._things.popitem(last=False)
        return found


@st.cache_resource(max_entries=16, show_spinner=False)
def shelf(name: str, length: int) -> Shelf:
    """The shelf of that name; the same for all visitors."""
    return Shelf(length)
