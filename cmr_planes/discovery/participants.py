"""A table of who subjects are, for cohorts whose visits neither names nor headers join."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import SourceError
from cmr_planes.system.csv_text import read_csv
from cmr_planes.system.reasons import reason

KEY_COLUMN, PARTICIPANT_COLUMN = "key", "participant"
"""Columns that a table must have."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The person of each subject, as a table states it."""

    by_key: Mapping[str, str]
    """The participant of each key."""

    def assign(self, subjects: Iterable[SubjectSource]) -> list[SubjectSource]:
        """Give subjects the participants of the table; one that it does not name keeps its own."""
        return [replace(subject, participant=self.by_key.get(subject.key, subject.participant)) for subject in subjects]


def read_participants(path: Path) -> Participants:
    """Read a table of participants.

    Parameters
    ----------
    path
        A CSV file in UTF-8 with the columns ``key`` and ``participant``.

    Raises
    ------
    SourceError
        It cannot be read or is no such table, a cell is empty or cannot be printed, or one key has two participants.
    """
    try:
        table = read_csv(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({reason(error)}); check the path and its permissions") from error
    except ValueError as error:
        raise SourceError(f"{path} is no table of participants: it is not CSV in UTF-8") from error
    if not {KEY_COLUMN, PARTICIPANT_COLUMN} <= set(table.columns):
        raise SourceError(f"{path} is no table of participants: the columns {KEY_COLUMN} and {PARTICIPANT_COLUMN} are expected")
    by_key: dict[str, str] = {}
    for row in table.rows:
        key, participant = row.cells[KEY_COLUMN], row.cells[PARTICIPANT_COLUMN]
        if not (key and participant and participant.isprintable()):
            raise SourceError(f"{path}, row {row.number}: a key and a participant in printable letters are expected")
        if by_key.setdefault(key, participant) != participant:
            raise SourceError(f"{path}, row {row.number}: the key has another participant in a row above; keep one")
    return Participants(by_key)
