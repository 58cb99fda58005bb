"""Help has a text for every topic, and the address chooses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kit import ROOT, show, well, words

GUIDE = sorted(path.stem for path in (ROOT / "pages" / "guide").glob("*.md"))


@pytest.mark.parametrize("topic", GUIDE)
def test_every_text_of_the_guide_is_a_topic_of_the_address(topic: str) -> None:
    at = well(show("help", topic=topic))
    title = (ROOT / "pages" / "guide" / f"{topic}.md").read_text().splitlines()[0].removeprefix("### ")
    assert f"### {title}" in words(at)


def test_an_unknown_topic_shows_the_first_and_says_so() -> None:
    at = well(show("help", topic="nonsense"))
    assert "### Conventions" in words(at)
    assert "`topic=nonsense`: expected one of conventions, gauge" in at.warning[0].value
    at.button_group(key="topic-choice").set_value("gauge").run()
    assert not well(at).warning


def test_the_python_topic_shows_the_docstrings_of_the_module_in_the_address() -> None:
    at = well(show("help", topic="api", module="tomoalign_core.geometry"))
    assert "def compose" not in words(at)
    assert "compose(first: Shifts, then: Shifts) -> Shifts" in words(at)
    assert "The one movement that equals" in words(at)


def test_commands_in_the_guide_are_commands_that_exist() -> None:
    from tomoalign_core.cli import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    text = "\n".join(Path(ROOT / "pages" / "guide" / f"{name}.md").read_text() for name in GUIDE)
    assert set(re.findall(r"python -m tomoalign_core (\w+)", text)) - {"report"} <= names
