"""What memory the device has that a training would run on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

PROC = Path("/proc/meminfo")
GROUPS, MY_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A device's memory, bytes: what is free now, and all of it."""

    name: str
    free: int
    total: int


def machine_of(device: torch.device) -> Machine:
    """The memory of a GPU, or what this process may have of the machine's."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Machine(name=f"the GPU ({torch.cuda.get_device_name(device)})", free=free, total=total)
    free, total = _memory(PROC)
    limit = _limit(GROUPS, MY_GROUP)
    if limit is not None:
        free, total = min(free, limit[0]), min(total, limit[1])
    return Machine(name="this machine", free=free, total=total)


def _memory(meminfo: Path) -> tuple[int, int]:
    """Free and total bytes; where the system does not tell what is free, all of it counts as free."""
    if meminfo.exists():
        kilobytes = {name: int(value) for name, value in re.findall(r"(\w+):\s+(\d+) kB", meminfo.read_text())}
        return 1024 * kilobytes["MemAvailable"], 1024 * kilobytes["MemTotal"]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total, total


def _limit(root: Path, mine: Path) -> tuple[int, int] | None:
    """Free and total bytes that the tightest of the groups this process is in leaves; None where none has a limit."""
    place = next((line[3:] for line in _text(mine).splitlines() if line.startswith("0::")), "/").strip("/")
    here = root / place
    found = []
    for group in [here, *here.parents][: len(Path(place).parts) + 1]:
        limit = _text(group / "memory.max").strip()
        if limit.isdigit():
            spare = re.search(r"^inactive_file (\d+)", _text(group / "memory.stat"), re.MULTILINE)
            # the page cache is given back when it is asked for
            used = int(_text(group / "memory.current") or 0) - (int(spare[1]) if spare else 0)
            found.append((max(int(limit) - used, 0), int(limit)))
    return min(found, default=None)


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
