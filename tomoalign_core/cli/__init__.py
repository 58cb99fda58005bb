"""The command line: the same work without a browser.

Exit 0: done. 2: the input is at fault, said in one line on stderr. 1: a training that failed.
"""

from __future__ import annotations

import sys

import typer

from tomoalign_core.cli import benching, learning, scans, telling
from tomoalign_core.cli.root import app
from tomoalign_core.config import InputError

__all__ = ["app", "benching", "learning", "main", "scans", "telling"]

# typer exports its usage errors only by their commonest kind; what it is a kind of catches them all
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; every fault of the user's input is one line and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
    except UsageError as error:
        message: str = error.format_message()  # type: ignore[attr-defined]
        if message.startswith("Usage:"):  # nothing was asked for: this is the help
            typer.echo(message, err=True)
        else:
            one_line = message.replace("\n", " ")
            typer.echo(
                f"error: {one_line.rstrip('. ')}{'' if one_line.rstrip().endswith('?') else '.'} Try --help.", err=True
            )
    except typer.Abort:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(2)
