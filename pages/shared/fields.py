"""Fields to type in, which never show another value than the page goes by."""

from __future__ import annotations

import streamlit as st


def whole_number(label: str, low: int, high: int, *, key: str, help: str, value: int | None = None) -> int:
    """A whole number that stands in the address; what is typed beyond an end becomes that end.

    Streamlit's own limits leave in the field what they refuse, while the page goes by the number before.
    """

    def inside(number: int) -> int:
        return min(max(number, low), high)

    def typed() -> None:
        st.session_state[key] = inside(int(st.session_state[key] or low))

    if key in st.session_state:
        st.session_state[key] = inside(int(st.session_state[key]))
    begin = low if value is None else value
    found = st.number_input(label, value=begin, step=1, key=key, bind="query-params", on_change=typed, help=help)
    if found != inside(found):  # it came in the address, which goes before what is set above
        st.rerun()
    return int(found)
