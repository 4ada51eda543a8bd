"""JSON files of a run's folder."""

import json
from pathlib import Path
from typing import Any

from cmr_planes.system.whole_file import write_whole


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    """Write a value as JSON, whole or not at all."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())
