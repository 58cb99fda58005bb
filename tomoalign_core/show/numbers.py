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
