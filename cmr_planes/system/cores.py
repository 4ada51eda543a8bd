"""The CPU cores of this process."""

import os
import sys


def n_cores() -> int:
    """Return the number of CPU cores that this process may use; batch systems and containers often allow only some.

    Where the system cannot say which cores those are (macOS, and Windows before Python 3.13), all of the machine count.
    """
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
