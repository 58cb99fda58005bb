"""What a network says about a batch of stacks."""

from __future__ import annotations

from typing import NamedTuple

import torch

# b is learned as the scale of a Laplace distribution, whose σ is √2 b, but errors have shorter tails. By this factor,
# and not below what noise allows (align/confidence.py), 70 % of the errors of bench accuracy lie within σ.
SIGMA_OVER_B = 1.02


class Estimate(NamedTuple):
    """Movement and confidence after one pass.

    shift : (B, N, 2) px, (dx, dy).
    log_b : (B, N, 2), logarithm of the scale of a Laplace distribution in px; None from a network that has none.
    roll_rad : (B, N), from +u towards +v; None from a network that gives none.
    clean : (B, N, V', U'), the views without their noise, at half the resolution; of the first pass only, else None.
    """

    shift: torch.Tensor
    log_b: torch.Tensor | None = None
    roll_rad: torch.Tensor | None = None
    clean: torch.Tensor | None = None

    @property
    def sigma_px(self) -> torch.Tensor | None:
        """The standard deviation of dx and dy (B, N, 2), px; None from a network that states none."""
        return None if self.log_b is None else SIGMA_OVER_B * self.log_b.exp()
