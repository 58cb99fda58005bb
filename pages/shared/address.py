"""Widgets whose values stand in the address, on a page that links to another with the same names in its address.

``bind="query-params"`` does that and more, but takes every name it has bound out of a link to another page: a link from
Model to Train would lose the settings that it carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st


class Address:
    """The address of one run of a page: read by ``number`` and ``choice`` before each widget, then written."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._defaults: dict[str, Any] = {}
        # a visitor who came by a link, or went back, finds the widgets as that address says
        self._moved = st.query_params.to_dict() != st.session_state.get(f"{page}-address")

    def number(self, name: str, default: int, low: int, high: int) -> str:
        """The key of a widget for a whole number between two ends."""
        text = st.query_params.get(name, "")
        asked = int(text) if text.lstrip("-").isdecimal() else default
        return self._key(name, default, min(max(asked, low), high))

    def choice(self, name: str, options: Sequence[str], default: str) -> str:
        """The key of a widget for one of some words."""
        asked = st.query_params.get(name)
        return self._key(name, default, asked if asked in options else default)

    def switch(self, name: str) -> str:
        """The key of a widget for yes or no, by default no."""
        return self._key(name, False, st.query_params.get(name) in ("true", "True"))

    def key(self, name: str) -> str:
        """The key of the widget of that name, for a callback that sets it."""
        return f"{self._page}-{name}"

    def write(self) -> None:
        """Put into the address what differs from its default."""
        values = {
            name: str(st.session_state[self.key(name)])
            for name, default in self._defaults.items()
            if st.session_state[self.key(name)] != default
        }
        if st.query_params.to_dict() != values:
            st.query_params.from_dict(values)
        st.session_state[f"{self._page}-address"] = values

    def _key(self, name: str, default: Any, asked: Any) -> str:
        key = self.key(name)
        self._defaults[name] = default
        if self._moved or key not in st.session_state:
            st.session_state[key] = asked
        return key
