"""The reference is generated from the code, and the code says of itself what a reader needs."""

from __future__ import annotations

import inspect

import pytest

import tomoalign_core
from tomoalign_core.reference import modules, public_names

EVERY = [(room, entry) for room in modules() for entry in public_names(room)]


def test_every_room_of_the_house_is_in_the_reference() -> None:
    rooms = modules()
    assert {"tomoalign_core", "tomoalign_core.geometry", "tomoalign_core.align.apply"} <= set(rooms)
    assert [entry.__name__ for entry in public_names("tomoalign_core")] == tomoalign_core.__all__
    names = [entry.__name__ for entry in public_names("tomoalign_core.geometry")]
    assert names.index("Shifts") < names.index("compose") < names.index("remove_gauge")


@pytest.mark.parametrize(("room", "entry"), EVERY, ids=[f"{room}.{entry.__name__}" for room, entry in EVERY])
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence(room: str, entry: object) -> None:
    words = inspect.getdoc(entry)
    assert words, f"{room}.{entry.__name__} has no docstring"  # type: ignore[attr-defined]
    first = words.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "?")), first
