"""How much memory a job may still use."""

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int:
    """Return the memory that is free, in bytes; a batch system's limit counts."""
    available: int = psutil.virtual_memory().available  # caches of files, which the system gives back, count as free
    limit = _job()
    return available if limit is None else min(available, limit)


def _job() -> int | None:
    """Return what the control group of this job leaves, None without a limit, and on systems that have no such groups."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        return None if limit == "max" else int(limit) - int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
