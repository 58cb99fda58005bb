"""Sentences and help texts that several pages say, so that they say the same."""

from __future__ import annotations

from tomoalign_core.show.numbers import duration as duration
from tomoalign_core.show.numbers import pixels as pixels
from tomoalign_core.show.numbers import plain as plain
from tomoalign_core.show.numbers import roughly as roughly

GAUGE = (
    "The *gauge* is what no data can tell: a shift c + a·cos θ + b·sin θ in dx, or a constant in dy, is the same scan "
    "of an object that sits elsewhere; errors are shown without it. The *bound* (Cramér–Rao) is the least error that "
    "noise allows any method."
)
HELP_GAUGE = GAUGE.replace("*", "")
HELP_RECIPES = (
    "Object and movement of the stage. Blobs: smooth balls and rods; pillar: a column that leaves the view at top and "
    "bottom; foam: a body with holes. Jitter: each view by itself; far: up to 15 px; wander: drift, jumps, outliers."
)
HELP_ROLL = "How far the view is turned about the beam, degrees; positive from right towards down."
HELP_AXIS_TILT = (
    "How far the rotation axis is off the detector's columns: the roll that all views have in common. What lies off "
    "the axis bobs up and down then, once around, and a reconstruction about an upright axis is blurred away from it. "
    "The network's answer finds it; the classical methods do not."
)
NOT_TRAINED = (
    "No pretrained network is in this copy yet. Train one (the preset *quick* takes minutes on two cores) and pick "
    "it here, or use a classical method."
)
