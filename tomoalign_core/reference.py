"""The public names of every module, for a page that shows the code's own words about itself."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from typing import Any

import tomoalign_core
from tomoalign_core.config import Settings

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!$|>>>).*\n?)*)+", flags=re.MULTILINE)  # prompts, and what they print


def modules() -> list[str]:
    """The names of all modules that have public names, the package itself first.

    >>> "tomoalign_core.geometry" in modules(), modules()[0]
    (True, 'tomoalign_core')
    """
    found = [info.name for info in pkgutil.walk_packages(tomoalign_core.__path__, "tomoalign_core.")]
    return [
        "tomoalign_core",
        *(name for name in sorted(found) if not name.endswith("__main__") and public_names(name)),
    ]


def public_names(module: str) -> list[Any]:
    """The functions and classes that a module defines and does not hide, in the order of its source.

    For the package itself: the short way in.
    """
    room = import_module(module)
    if module == "tomoalign_core":
        return [getattr(room, name) for name in room.__all__]
    entries = [
        entry
        for name, entry in vars(room).items()
        if not name.startswith("_")
        and (inspect.isfunction(entry) or inspect.isclass(entry))
        and entry.__module__ == module
    ]
    return sorted(entries, key=lambda entry: inspect.getsourcelines(entry)[1])


def words_of(entry: Any) -> str:
    """A function or class as Markdown: its signature, and what its docstring says; settings with all their fields."""
    if inspect.isclass(entry) and issubclass(entry, Settings):
        return f"{_head(entry.__name__)}\n\n{_prose(entry)}\n\n{_fields(entry)}"
    parts = [_head(f"{entry.__name__}{_signature(entry)}"), _prose(entry)]
    if inspect.isclass(entry):
        for name, method in vars(entry).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                parts += [f"`.{name}{_signature(method)}`", _prose(method)]
    return "\n\n".join(parts)


def _head(text: str) -> str:
    return f"```python\n{text}\n```"


def _signature(entry: Any) -> str:
    """The annotations as they are written, which is shorter than what they mean."""
    try:
        plain = str(inspect.signature(entry))
    except ValueError:
        return ""
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", plain).replace("(self, ", "(").replace("(self)", "()")


def _prose(entry: Any) -> str:
    """A NumPy docstring as Markdown: sections in bold, parameters as a list, examples as code."""
    text = inspect.getdoc(entry) or ""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r"^(\w+)\n-+\n", r"**\1**\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"^([\w, *]+) : (.*)$", r"- `\1`: \2", text, flags=re.MULTILINE)
    return EXAMPLE.sub(lambda found: f"\n```python\n{found[0].rstrip()}\n```\n", text)


def _fields(entry: type[Settings]) -> str:
    rows = ["| field | default | meaning |", "|---|---|---|"]
    for name, field in entry.model_fields.items():
        default = "" if field.is_required() else f"`{field.default!r}`" if len(repr(field.default)) < 60 else "…"
        rows.append(f"| `{name}` | {default} | {field.description or ''} |")
    return "\n".join(rows)
