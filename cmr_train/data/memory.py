"""How much memory a job may still use."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Return the memory that is free, in bytes, a batch system's limit counted; None where the system does not say."""
    found = [number for number in (_system(), _job()) if number is not None]
    return min(found, default=None)


def _system() -> int | None:
    """Return what Linux calls available, caches of files among it; elsewhere what is not in use."""
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _job() -> int | None:
    """Return what the control group of this job leaves, None without a limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        return None if limit == "max" else int(limit) - int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
