"""Pseudonyms: keyed hashes in the place of subjects' keys, and the one file that maps them back.

A pseudonym is an HMAC-SHA256 under the bytes of a key file. Who has neither the key nor the mapping cannot go back, nor try names
out. With the same key the same person has the same pseudonym in every catalogue.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import ShardError
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.key_file import SecretKey, read_key_file
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import remove_leftovers, sealed

_VISIT = re.compile(r"(?P<person>.+)_(?P<visit>[0-9]{1,2})", re.ASCII | re.DOTALL)


class MappingRow(NamedTuple):
    """One subject in the mapping file; the fields are its columns."""

    subject: str
    """The pseudonym under which the subject is stored."""
    participant: str
    """The person's pseudonym."""
    original_subject: str
    """The key that the subject would have without pseudonyms."""
    original_participant: str
    """The person in the same form."""


@dataclass(frozen=True, slots=True)
class Pseudonyms(SecretKey):
    """Makes pseudonyms under one key, whose check value stands in the catalogue's configuration."""

    @property
    def instance_salt(self) -> str:
        """Salt of the digests of DICOM instances: secret, so that UIDs cannot be tried out without the key."""
        return self.digest("instance", "")

    def key(self, key: str, participant: str) -> str:
        """Return the pseudonym of a subject's key; UK Biobank's visit ``EID_2`` keeps its number behind the person's pseudonym."""
        match = _VISIT.fullmatch(key)
        if match and match["person"] == participant:
            return f"{self.name(participant)}_{match['visit']}"
        return self.name(key)

    def spellings(self, name: str) -> tuple[str, ...]:
        """Return the keys and participants that a subject of this original name may have."""
        match = _VISIT.fullmatch(name)
        return (self.name(name), self.key(name, match["person"])) if match else (self.name(name),)

    def row(self, subject: str, participant: str) -> MappingRow:
        """Return a subject's row in the mapping."""
        return MappingRow(self.key(subject, participant), self.name(participant), subject, participant)

    def rename(self, subjects: Iterable[SubjectSource]) -> tuple[list[SubjectSource], list[MappingRow]]:
        """Give subjects their pseudonyms.

        Parameters
        ----------
        subjects
            The subjects as they were found.

        Returns
        -------
            The subjects under their pseudonyms, and the mapping, both in the order of the pseudonyms: the place of a subject tells
            nothing of its name.

        Raises
        ------
        ShardError
            Two subjects have one pseudonym.
        """
        renamed = [(self.row(subject.key, subject.participant), subject) for subject in subjects]
        renamed.sort(key=lambda pair: pair[0])
        rows = [row for row, _ in renamed]
        _check_distinct(rows)
        return [replace(subject, key=row.subject, participant=row.participant) for row, subject in renamed], rows


def load_pseudonyms(path: Path) -> Pseudonyms:
    """Read a key file; raises SourceError as :func:`cmr_planes.system.key_file.read_key_file` does."""
    return Pseudonyms(read_key_file(path))


def mapping_path(out: Path) -> Path:
    """Return the path of a catalogue's mapping file: ``out.mapping.csv`` beside ``out.h5``."""
    return out.with_suffix(".mapping.csv")


def write_mapping(path: Path, rows: Sequence[MappingRow], pseudonyms: Pseudonyms) -> None:
    """Add rows to a mapping file that only its owner may read; rows that are there stay, in their order.

    Raises
    ------
    ShardError
        The file cannot be written, is no mapping, or was made with another key, or two subjects have one pseudonym.
    """
    known = read_mapping(path, pseudonyms)
    _check_distinct((*known, *rows))
    there = {row.subject for row in known}
    merged = [*known, *(row for row in rows if row.subject not in there)]
    remove_leftovers(path)
    with sealed(path, private=True) as stream:
        stream.write(csv_text(MappingRow._fields, merged, quote_all=True).encode())


def read_mapping(path: Path, pseudonyms: Pseudonyms) -> list[MappingRow]:
    """Read a mapping, of which every row is computed again; empty if there is none.

    Raises
    ------
    ShardError
        The file cannot be read, is no mapping, or was made with another key.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            head, *lines = csv.reader(stream)
        rows = [MappingRow(*line) for line in lines]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({reason(error)}); check the path and its permissions") from error
    except (ValueError, TypeError, csv.Error):
        head, rows = [], []
    if tuple(head) != MappingRow._fields:
        raise ShardError(f"{path} is no mapping of cmr-planes; move it away, it is left as it is")
    if any(row != pseudonyms.row(row.original_subject, row.original_participant) for row in rows):
        raise ShardError(f"{path} was made with another key file; move it away, or give that key file")
    return rows


def _check_distinct(rows: Sequence[MappingRow]) -> None:
    """Raise ShardError if two originals share a pseudonym."""
    subjects = {(row.subject, row.original_subject) for row in rows}
    participants = {(row.participant, row.original_participant) for row in rows}
    for pairs in (subjects, participants):
        if len({pseudonym for pseudonym, _ in pairs}) < len(pairs):
            raise ShardError("two subjects have the same pseudonym, which is very rare; use another key file")
