"""Which participant is in which set: the one reader of split files."""

import json
from enum import StrEnum
from pathlib import Path

from cmr_planes.system.csv_text import read_csv

_EXPECTED = "a CSV table with the columns participant and set is expected, or the split.json of a run"


class ParticipantSet(StrEnum):
    """A set of participants, as split files name them."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    PRETEXT = "pretext"
    """Learnt from for positions only."""


def read_sets(path: Path) -> dict[str, ParticipantSet]:
    """Read the set of each participant.

    Parameters
    ----------
    path
        A CSV table in UTF-8 with the columns ``participant`` and ``set``, or the ``split.json`` of a training run.

    Raises
    ------
    ValueError
        It is neither, names a set that is none, or a participant in two sets; the message is a sentence with the path.
    """
    where = f"split {str(path)!r}"
    try:
        rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{where} cannot be read ({type(error).__name__}); {_EXPECTED}") from error
    if rows is None:
        raise ValueError(f"{where} has no such columns; {_EXPECTED}")
    sets: dict[str, ParticipantSet] = {}
    for place, key, name in rows:
        if name not in list(ParticipantSet):
            raise ValueError(f"{where}, {place}: the set is {name!r}, one of {', '.join(ParticipantSet)} is expected")
        if sets.setdefault(key, ParticipantSet(name)) != name:
            raise ValueError(f"{where}, {place}: the participant is in two sets, {sets[key]} and {name}")
    if not sets:
        raise ValueError(f"{where} names no participant; runs that were exported to be given away have none")
    return sets


def _csv_rows(path: Path) -> list[tuple[str, str, str]] | None:
    """Return the place, participant and set of each row; None where the columns are others."""
    table = read_csv(path.read_bytes())
    if not {"participant", "set"} <= {*table.columns}:
        return None
    return [(f"row {row.number}", row.cells["participant"], row.cells["set"].lower()) for row in table.rows]


def _json_rows(path: Path) -> list[tuple[str, str, str]]:
    value = json.loads(path.read_text(encoding="utf-8"))
    pairs = [(str(key), name) for name in ("train", "validation", "test") for key in value[name]]
    return [(f"participant {number}", key, name) for number, (key, name) in enumerate(pairs, start=1)]
