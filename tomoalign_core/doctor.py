"""What this machine has."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from tomoalign_core import engines


def findings() -> dict[str, str]:
    """Versions, devices, memory, the optional tomopy and the trained aligner, each as one line."""
    import torch

    from tomoalign_core.learn.jobs import workspace
    from tomoalign_core.learn.weights import PRETRAINED

    found = {"python": f"{platform.python_version()} on {platform.system()} {platform.machine()}"}
    for package in ("torch", "numpy", "scikit-image", "streamlit", "plotly", "h5py"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing: pip install -r requirements.txt"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    threads = torch.get_num_threads()
    uses = "1 thread" if threads == 1 else f"{threads} threads"
    found["processor"] = f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, torch uses {uses}"
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(i)
            found[f"cuda:{i}"] = f"{card.name}, {card.total_memory / 2**30:.0f} GiB (CUDA {torch.version.cuda})"
    else:
        found["cuda"] = "no device; trainings run on the processor"
    found["engine"] = engines.in_words()
    found["aligner"] = f"{PRETRAINED.stat().st_size / 1e3:.0f} kB" if PRETRAINED.exists() else "missing"
    found["workspace"] = str(workspace())
    return found
