"""Where mixed precision may not act: what is measured in fractions of a pixel is reckoned with all digits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def full_precision(like: torch.Tensor) -> AbstractContextManager[Any]:
    """A context in which float32 stays float32, on the device of ``like``, where the trainer has switched that off.

    A bfloat16 has 8 bits: a column 100 px from the middle would be known to 0.5 px.
    """
    kind = like.device.type
    mixed = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if mixed else nullcontext()
