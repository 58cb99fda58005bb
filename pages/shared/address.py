"""Addresses: what in them is not understood, said in one line; and widgets whose values stand in them.

``bind="query-params"`` passes silently over what it cannot read, and wipes it off: a page says beforehand what it
expects (``tell_misread``). It also takes every name it has bound out of a link to another page, so that one from Model
to Train would lose the settings that it carries: such widgets are ``Address``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import streamlit as st
from streamlit.errors import StreamlitAPIException

MISREAD = "what was not understood in the address"

# The browser writes a bound value into the address at once, and the server takes names out of it later, when it redraws
# a widget or, for one that is gone, at the very end of a run. Each such word is of the whole address as the run knew
# it: what was typed meanwhile falls out of it. ``put_back`` and ``leave_out`` mend that in the run which follows.


class Expected(NamedTuple):
    """What a name in the address may be: ``fits`` tells whether a text is, ``words`` say what would be."""

    fits: Callable[[str], bool]
    words: str
    shown: str


class Told(NamedTuple):
    """What a page said, and of which address."""

    page: str
    words: str
    address: dict[str, str]


def one_of(options: Sequence[str], shown: str) -> Expected:
    """One of some words; ``shown`` is what the page shows where it is none of them."""
    return Expected(lambda text: text in options, f"one of {', '.join(options)}", shown)


def number(low: float, high: float, shown: Any) -> Expected:
    """A number between two ends, both included."""

    def fits(text: str) -> bool:
        try:
            return low <= float(text) <= high
        except ValueError:
            return False

    return Expected(fits, f"a number from {low:.10g} to {high:.10g}".replace("-", "−"), f"{shown}".replace("-", "−"))


def misread(expected: Mapping[str, Expected]) -> str:
    """In one line, what of the address is not as expected, and what is shown instead; nothing where all is."""
    faults = []
    for name, (fits, words, shown) in expected.items():
        texts = st.query_params.get_all(name)
        if not all(map(fits, texts)):
            said = f"{name}={', '.join(texts)}".replace("`", "")
            faults.append(f"`{said:.60}`: expected {words}; shown is {shown}")
    return f"Not understood in the address: {'. '.join(faults)}." if faults else ""


def tell_misread(page: str, expected: Mapping[str, Expected], *, also: str = "") -> None:
    """Warn of what is not understood in the address, until the visitor changes something. Call it before the widgets.

    Parameters
    ----------
    page : the page that tells; what another has told is forgotten.
    also : a further fault, already in words.
    """
    now = st.query_params.to_dict()
    words = " ".join(filter(None, (misread(expected), also)))
    told: Told | None = st.session_state.get(MISREAD)
    # widgets wipe off what they do not understand, and leave the rest: whatever is new in the address, the visitor did
    if told is not None and (told.page != page or not now.items() <= told.address.items()):
        told = None
    if told is None and words:
        told = Told(page, words, now)
    st.session_state[MISREAD] = told
    if told is not None:
        st.warning(told.words, icon=":material/link_off:")


def put_back(usual: Mapping[str, Any]) -> None:
    """Before the widgets that are bound to these names: whatever is not as usual stands in the address, or will again.

    Parameters
    ----------
    usual : the values that an address does not name, by the key of the widget.
    """
    for name, value in usual.items():
        if name not in st.query_params and st.session_state.get(name, value) != value:
            st.session_state[name] = st.session_state[name]  # as if the page had set it, which the address is told


def leave_out(names: Iterable[str]) -> None:
    """Take out of the address what no widget stands for; told with it is all that the browser asked for last."""
    for name in names:
        if name in st.query_params:
            with suppress(StreamlitAPIException):  # its widget was here a run ago: the end of this one takes it out
                del st.query_params[name]


class Address:
    """The address of one run of a page: read by ``number`` and ``choice`` before each widget, then written."""

    def __init__(self, page: str) -> None:
        self._page = page
        self._defaults: dict[str, Any] = {}
        # a visitor who came by a link, or went back, finds the widgets as that address says; who has just set one has
        # done neither: what was written of the change before has not reached the browser yet
        shown: dict[str, Any] = st.session_state.get(f"{page}-shown", {})
        just_set = any(st.session_state.get(key, value) != value for key, value in shown.items())
        self._moved = not just_set and st.query_params.to_dict() != st.session_state.get(f"{page}-address")

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
        shown = {key: st.session_state[key] for key in map(self.key, self._defaults)}
        st.session_state.update({f"{self._page}-address": values, f"{self._page}-shown": shown})

    def _key(self, name: str, default: Any, asked: Any) -> str:
        key = self.key(name)
        self._defaults[name] = default
        if self._moved or key not in st.session_state:
            st.session_state[key] = asked
        return key
