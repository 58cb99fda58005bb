"""The command line's root, which all commands hang on, and what they share."""

from __future__ import annotations

from typing import Any

import typer

from tomoalign_core.config import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Find the stage movements that blur a tomography scan, and undo them.",
)


def override(settings: Any, part: str | None, **values: Any) -> Any:
    """Settings with those values replaced that are given; a fault names the option's value."""
    from pydantic import ValidationError

    from tomoalign_core.config import first_fault

    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return settings
    try:
        if part is None:
            return settings.changed(**given)
        return settings.changed(**{part: getattr(settings, part).changed(**given)})
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def check_kind(kind: str) -> None:
    """Refuse a kind of pixels that there is not."""
    if kind not in ("auto", "attenuation", "counts"):
        raise InputError(f"--kind {kind}: choose auto, attenuation or counts")
