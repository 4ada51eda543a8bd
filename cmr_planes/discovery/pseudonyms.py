"""Pseudonyms: keyed hashes in the place of subjects' keys, and the one file that leads back.

A pseudonym is an HMAC-SHA256 under the bytes of a key file. Who has neither the key nor the mapping cannot go back, nor try names
out. With the same key the same person has the same pseudonym in every catalogue.
"""

import csv
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import ShardError, SourceError
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import remove_leftovers, sealed

MIN_KEY_BYTES = 32
"""Bytes that a key file has at least, as many as SHA-256 gives."""
MAX_KEY_BYTES = 1 << 16
"""Bytes that it has at most: a longer file is something else."""


_LENGTH = 20
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
"""Letters in the place of hexadecimal digits: a pseudonym never looks like a participant's number."""

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
    """The person likewise."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms under one key."""

    secret: bytes = field(repr=False)
    """The bytes of the key file."""

    @property
    def check_value(self) -> str:
        """What tells this key from another and betrays nothing of it: it stands in the catalogue's configuration."""
        return self._digest("check value", "")[:16]

    @property
    def instance_salt(self) -> str:
        """Salt of the digests of DICOM instances: secret, so that nobody without the key can try UIDs out."""
        return self._digest("instance", "")

    def name(self, original: str) -> str:
        """Return the pseudonym of a name: 20 letters from ``a`` to ``p``, which are 80 bits."""
        return self._digest("name", original)[:_LENGTH].translate(_LETTERS)

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

    def _digest(self, purpose: str, text: str) -> str:
        return hmac.new(self.secret, f"cmr-planes {purpose}\0{text}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


def load_pseudonyms(path: Path) -> Pseudonyms:
    """Read a key file.

    Raises
    ------
    SourceError
        It cannot be read, is no plain file, is too short or too long, or others than its owner may read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not keep us waiting
        with os.fdopen(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode
            secret = stream.read(MAX_KEY_BYTES + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise SourceError(f"key file {str(path)!r} cannot be read ({reason(error)})") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"key file {str(path)!r} is no plain file; make one with: head -c 32 /dev/urandom > KEYFILE")
    if mode & 0o077:
        raise SourceError(
            f"key file {str(path)!r} has the mode {stat.S_IMODE(mode):03o}: others may use it; make it yours with chmod 600"
        )
    if not MIN_KEY_BYTES <= len(secret) <= MAX_KEY_BYTES:
        size = f"more than {MAX_KEY_BYTES:,}" if len(secret) > MAX_KEY_BYTES else f"{len(secret)}"
        raise SourceError(
            f"key file {str(path)!r} has {size} bytes, {MIN_KEY_BYTES} to {MAX_KEY_BYTES:,} are expected; make one with: "
            "head -c 32 /dev/urandom > KEYFILE"
        )
    return Pseudonyms(secret)


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
            raise ShardError("two subjects have the same pseudonym, which is hardly ever so; use another key file")
