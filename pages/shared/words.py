"""Sentences and help texts that several pages say, so that they say the same."""

from __future__ import annotations

GAUGE = (
    "The *gauge* is what no data can tell: a shift c + a·cos θ + b·sin θ in dx, or a constant in dy, is the same scan "
    "of an object that sits elsewhere; errors are shown without it. The *bound* (Cramér–Rao) is the least error that "
    "noise allows any method."
)
HELP_GAUGE = GAUGE.replace("*", "")
HELP_ROLL = "How far the view is turned about the beam, degrees; positive from right towards down."
NOT_TRAINED = (
    "No pretrained network is in this copy yet. Train one (the preset *quick* takes minutes on two cores) and pick "
    "it here, or use a classical method."
)


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
