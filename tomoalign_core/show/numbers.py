"""Numbers as people say them."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """Seconds as people say them.

    >>> duration(42.4), duration(312), duration(8000), duration(None)
    ('42 s', '5 min 12 s', '2 h 13 min', '–')
    """
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def pixels(value: float | None) -> str:
    """A length in px with the digits it deserves.

    >>> pixels(0.0612), pixels(3.456), pixels(None)
    ('0.061 px', '3.46 px', '–')
    """
    if value is None:
        return "–"
    return f"{value:.3f} px" if abs(value) < 1 else f"{value:.2f} px"
