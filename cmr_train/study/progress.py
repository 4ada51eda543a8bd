"""The progress of a study: iterations, which its runs write into their metrics while they train."""

import json
import os
from pathlib import Path

from cmr_train.training.tracking import METRICS_NAME

_TAIL_BYTES = 1 << 14
"""More than a line of metrics takes."""


def iterations_done(run: Path) -> int:
    """Return the iterations of the last whole line of a run's metrics; 0 for a run without."""
    try:
        with (run / METRICS_NAME).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line)["iteration"])
        except (ValueError, KeyError, TypeError):  # a line that is being written, or the first, which the tail cuts
            continue
    return 0
