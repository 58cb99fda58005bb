"""Write beside, flush, replace: a file has its final name only when it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomoalign_core.config import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes the final name, on any error it is removed.

    The temporary name begins with a dot and keeps the suffix, by which some writers choose the format.

    Parameters
    ----------
    path : path
        The final name. Its folder must exist; a file of that name is replaced.

    Raises
    ------
    InputError
        If the folder does not exist, cannot be written to, or the path is a folder or no name for a file.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with atomic_path(target) as beside:
    ...     _ = beside.write_text("whole"); target.exists()
    False
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    path = Path(path)
    beside = _begun_beside(path)
    try:
        yield beside
        with beside.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Refuse a path to which ``atomic_path`` could not write, before there is anything to write.

    Raises
    ------
    InputError
        As ``atomic_path`` does.
    """
    _begun_beside(Path(path)).unlink()


def _begun_beside(path: Path) -> Path:
    if os.path.isdir(path):  # and False of a name that is too long
        raise InputError(f"{path}: is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it or choose another")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to; choose another")
    beside = path.with_name(f".{path.stem}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        beside.touch()
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; choose another name or folder") from None
    return beside
