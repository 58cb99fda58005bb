"""What a network says about a batch of stacks."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Estimate(NamedTuple):
    """Shifts and confidence of one pass.

    shift : (B, N, 2) px, (dx, dy).
    log_b : (B, N, 2), logarithm of the scale of a Laplace distribution in px; None from a network that has none.
    """

    shift: torch.Tensor
    log_b: torch.Tensor | None
