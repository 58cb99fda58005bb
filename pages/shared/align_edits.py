"""Corrections by hand on the Align page: what was done to each method's table, undo and redo."""

from __future__ import annotations

import json
from dataclasses import replace

import streamlit as st

from pages.shared.align_work import Found, Result
from tomoalign_core.config import InputError
from tomoalign_core.edits import Compose, Edits, Nudge, Use

STATE = "edits by stack and method"
AS_FOUND = "as-found"
ADDRESS, LONGEST_ADDRESS = "edits", 1500  # characters: some 20 nudges; a table that was added is too long


def edits_of(result: Result, found: Found) -> Edits:
    """What was done by hand to this table: in this visit, on whatever page, or as a link brought it."""
    known = st.session_state.setdefault(STATE, {})
    key = _key(result, found)
    if key not in known:
        known[key] = _from_address(found)
    return known[key]


def _from_address(found: Found) -> Edits:
    name, _, text = st.query_params.get(ADDRESS, "").partition(":[")
    if name != found.name:
        return Edits()
    try:
        edits = Edits.from_json(f'{{"done": [{text}}}', where="the edits in the address")
        edits.apply(found.shifts)
    except InputError as error:
        st.warning(str(error), icon=":material/edit_off:")
        return Edits()
    return edits


def _to_address(found: Found, edits: Edits) -> None:
    """A link restores what was done by hand to the table that is looked at, as far as an address can hold it."""
    text = f"{found.name}:{json.dumps([e.model_dump(mode='json') for e in edits.done], separators=(',', ':'))}"
    if edits.done and len(text) < LONGEST_ADDRESS:
        st.query_params[ADDRESS] = text
    else:
        st.query_params.pop(ADDRESS, None)


def edited(result: Result, found: Found) -> Found:
    """The table with what was done by hand; the one that was found where nothing was, or where that is asked for."""
    edits = edits_of(result, found)
    if not edits.done or st.session_state.get(AS_FOUND):
        return found
    return with_edits(found, edits)


def with_edits(found: Found, edits: Edits) -> Found:
    """The table after these edits, under a name that says so."""
    count = count_words(edits)
    return replace(
        found,
        name=f"{found.name} + {count}",
        made_by=f"{found.made_by}, {count} by hand",
        shifts=edits.apply(found.shifts),
        edits=edits,
    )


def count_words(edits: Edits) -> str:
    """How many edits are in force."""
    return f"{len(edits.done)} edit{'s'[: len(edits.done) != 1]}"


def do(result: Result, found: Found, edit: Nudge | Use | Compose) -> None:
    """One more edit, for a button's ``on_click``."""
    _set(result, found, edits_of(result, found).then(edit))
    st.session_state[AS_FOUND] = False


def edit_bar(result: Result, found: Found) -> None:
    """Undo, redo, all back; whether the table is looked at with the edits or as it was found."""
    edits = edits_of(result, found)
    _to_address(found, edits)
    if not edits.done and not edits.undone:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="edit-bar"):
        last = f" · {edits.done[-1].words()}" if edits.done else ""
        st.markdown(f":material/edit: **{count_words(edits)}**{last}")
        for words, icon, to, there, note in (
            ("Undo", "undo", edits.undo(), edits.done, "Take the last edit back."),
            ("Redo", "redo", edits.redo(), edits.undone, "Do again what was undone last."),
            ("Reset", "restart_alt", edits.reset(), edits.done, "All edits back at once; Redo does them again."),
        ):
            st.button(
                words, icon=f":material/{icon}:", disabled=not there, key=f"edit-{words}", on_click=_set,
                args=(result, found, to), help=note,
            )  # fmt: skip
        if edits.done:
            st.toggle("As found", key=AS_FOUND, help="Look at, and save, the table as it was before the edits.")


def _set(result: Result, found: Found, edits: Edits) -> None:
    st.session_state.setdefault(STATE, {})[_key(result, found)] = edits


def _key(result: Result, found: Found) -> str:
    return repr((result.key, found.name))
