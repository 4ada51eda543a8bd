"""The CPU cores of this process."""

import os


def n_cores() -> int:
    """Return the number of CPU cores that this process may use; batch systems and containers often allow only some."""
    return len(os.sched_getaffinity(0))
