"""The public names of every module, for a page that shows the code's own words about itself."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import Any

import tomoalign_core


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
