"""The reference is generated from the code, and the code says of itself what a reader needs."""

from __future__ import annotations

import inspect

import pytest

import tomoalign_core
from tomoalign_core.align import undo_shifts
from tomoalign_core.config import NoiseConfig
from tomoalign_core.geometry import remove_gauge
from tomoalign_core.reference import modules, public_names, words_of

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


def test_the_words_of_a_function_are_its_signature_its_parameters_and_its_example() -> None:
    words = words_of(remove_gauge)
    assert "remove_gauge(shift: ArrayLike, angle_rad: ArrayLike, *, axis: str" in words
    assert "The fit sees only the `used` views" in words
    assert ">>> angle = angles(8)" in words.split("```python")[2]


def test_the_words_of_settings_are_all_their_fields() -> None:
    words = words_of(NoiseConfig)
    for name, field in NoiseConfig.model_fields.items():
        assert f"| `{name}` |" in words
        assert str(field.description) in words


def test_sections_of_a_docstring_are_bold_and_their_entries_a_list() -> None:
    words = words_of(undo_shifts)
    assert "**Parameters**" in words
    assert "- `proj`: array, shape (N, V, U)" in words
    assert "----" not in words
