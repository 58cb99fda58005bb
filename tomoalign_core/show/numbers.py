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


def roughly(seconds: float) -> str:
    """A forecast of seconds, no finer than it can be.

    >>> roughly(43.4), roughly(312), roughly(3589), roughly(100)
    ('45 s', '5 min', '1 h', '2 min')
    """
    if seconds < 57.5:
        return f"{max(5 * round(seconds / 5), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(seconds / 600), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def plain(value: float, digits: int = 3) -> str:
    """A figure in so many digits, with a minus sign where it has one.

    >>> plain(-0.04567), plain(2.0), plain(1234.5)
    ('−0.0457', '2', '1.23e+03')
    """
    return f"{value:.{digits}g}".replace("-", "−")


def pixels(value: float | None) -> str:
    """A length in px with the digits it deserves.

    >>> pixels(0.0612), pixels(3.456), pixels(None)
    ('0.061 px', '3.46 px', '–')
    """
    if value is None:
        return "–"
    return f"{value:.3f} px" if abs(value) < 1 else f"{value:.2f} px"
