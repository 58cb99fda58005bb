"""Angles of views as text: one a line, or as SerialEM logs them. Degrees."""

from __future__ import annotations

import re
from pathlib import Path

from tomoalign_core.config import InputError


def angles_from_text(path: Path) -> list[float]:
    """Angles in degrees from a text file, one a line; blank lines and what follows a ``#`` are passed over.

    Of SerialEM's ``.mdoc``, the ``TiltAngle`` of each section, in the order of the sections.

    Raises
    ------
    InputError
        If there is no such file, it is no text, or a line (which is named) is not a number.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such angle file; give a text file with one angle in degrees a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text; give one angle in degrees a line") from None
    if path.suffix.lower() == ".mdoc":
        return _angles_from_mdoc(path, lines)
    angles = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        try:
            angles += [float(text)] if text else []
        except ValueError:
            fault = f"{path}, line {number}: {text[:40]!r} is not a number"
            raise InputError(f"{fault}; give one angle in degrees a line") from None
    return angles


def _angles_from_mdoc(path: Path, lines: list[str]) -> list[float]:
    """``[ZValue = 3]`` begins a section, and ``TiltAngle = 12.5`` is in it."""
    angles: dict[int, float] = {}
    section = None
    for number, line in enumerate(lines, 1):
        try:
            if begins := re.match(r"\[ZValue\s*=\s*(.*)\]", line.strip()):
                section = int(begins[1])
            elif (angle := re.match(r"TiltAngle\s*=\s*(.*)", line.strip())) and section is not None:
                angles[section] = float(angle[1])
        except ValueError:
            raise InputError(f"{path}, line {number}: {line.strip()[:40]!r} is not a number; mend it") from None
    if not angles:
        raise InputError(
            f"{path}: holds no TiltAngle of any section; give a text file with one angle in degrees a line"
        )
    return [angles[section] for section in sorted(angles)]
