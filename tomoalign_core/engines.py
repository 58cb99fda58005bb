"""Who can simulate here: torch always, tomopy where it is installed. Nothing is imported to find out."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from tomoalign_core.config import InputError

HOW_TO_GET_TOMOPY = "conda install -c conda-forge tomopy"  # the only place that has it


def tomopy_installed() -> bool:
    """Whether tomopy is there."""
    return find_spec("tomopy") is not None


def tomopy_version() -> str | None:
    """The version of tomopy, or None where it is not installed."""
    if not tomopy_installed():
        return None
    try:
        return metadata.version("tomopy")
    except metadata.PackageNotFoundError:
        return "of unknown version"


def require_tomopy(what: str) -> None:
    """Refuse what needs tomopy where there is none.

    Raises
    ------
    InputError
        In one line, with the command that installs it.
    """
    if not tomopy_installed():
        raise InputError(f"{what} needs tomopy, which is not installed; {HOW_TO_GET_TOMOPY}")


def in_words() -> str:
    """Who simulates unless asked otherwise, and whether tomopy can be asked for."""
    version = tomopy_version()
    if version is None:
        return f"torch; tomopy not installed (optional: {HOW_TO_GET_TOMOPY})"
    return f"torch; tomopy {version} available (simulate --engine tomopy, align --method tomopy-joint)"
