"""TomoAlign: find the stage movements that blur a tomography scan, and undo them.

The names below are the short way in; the conventions stand in ``tomoalign_core.geometry``. Nothing slow is imported
before it is used.

>>> import tomoalign_core as ta
>>> ta.SimulationConfig(noise=ta.NoiseConfig(gaussian=0.1)).noise.gaussian
0.1
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoalign_core.align import find_shifts, undo_shifts
    from tomoalign_core.config import InputError, NoiseConfig, RunConfig, SimulationConfig
    from tomoalign_core.files.stacks import read_stack
    from tomoalign_core.files.writers import write_aligned
    from tomoalign_core.geometry import Shifts
    from tomoalign_core.learn.presets import preset
    from tomoalign_core.learn.runs import launch
    from tomoalign_core.metrics import score_shifts

# Threads of torch that wait for each other sleep instead of spinning, unless the user has said otherwise. On a core
# that is wanted by something else too, a dashboard or a second training, spinning made steps several times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "InputError",
    "NoiseConfig",
    "RunConfig",
    "Shifts",
    "SimulationConfig",
    "find_shifts",
    "launch",
    "preset",
    "read_stack",
    "score_shifts",
    "undo_shifts",
    "write_aligned",
]

_HOME = {
    "InputError": "config",
    "NoiseConfig": "config",
    "RunConfig": "config",
    "Shifts": "geometry",
    "SimulationConfig": "config",
    "find_shifts": "align",
    "launch": "learn.runs",
    "preset": "learn.presets",
    "read_stack": "files.stacks",
    "score_shifts": "metrics",
    "undo_shifts": "align",
    "write_aligned": "files.writers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"tomoalign_core has no {name!r}")
    return getattr(import_module(f"tomoalign_core.{_HOME[name]}"), name)
