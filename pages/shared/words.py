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
NOT_TRAINED = (
    "No pretrained network is in this copy yet. Train one (the preset *quick* takes minutes on two cores) and pick "
    "it here, or use a classical method."
)
