"""What a network is made of, what it takes and how far it sees, told before anything is trained.

Nothing is computed for it: the network runs on torch's ``meta`` device, where tensors have sizes and no contents.
"""

from __future__ import annotations

from tomoalign_core.learn.describe.layers import Layer, LayerTable, layer_table
from tomoalign_core.learn.describe.machine import Machine, machine_of
from tomoalign_core.learn.describe.memory import Memory, in_bytes, memory_for, memory_of
from tomoalign_core.learn.describe.parts import Part, parts_of
from tomoalign_core.learn.describe.reach import Reach, reaches
from tomoalign_core.learn.describe.trace import Sizes, inference_bytes, training_sizes

__all__ = [
    "Layer",
    "LayerTable",
    "Machine",
    "Memory",
    "Part",
    "Reach",
    "Sizes",
    "in_bytes",
    "inference_bytes",
    "layer_table",
    "machine_of",
    "memory_for",
    "memory_of",
    "parts_of",
    "reaches",
    "training_sizes",
]
