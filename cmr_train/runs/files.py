"""JSON files of a run's folder."""

from pathlib import Path
from typing import Any

from cmr_planes.system.json_text import readable_json
from cmr_planes.system.whole_file import write_whole


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    """Write a value as JSON, whole or not at all; NaN becomes null."""
    write_whole(path, f"{readable_json(value)}\n".encode())
