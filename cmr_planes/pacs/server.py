"""What is asked of a server, whichever protocol it speaks, and what it answers. UIDs never stand in a ``repr``."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

_SAFE_UID = re.compile(r"[0-9A-Za-z]+([._-][0-9A-Za-z]+)*")
_LONGEST_UID = 128
"""Twice what the standard allows."""


def is_safe_uid(uid: str) -> bool:
    """Tell whether a UID can stand in a URL or a query and means itself alone.

    Letters, which some de-identification tools put into UIDs, do no harm; slashes, double dots and wildcards would.

    Examples
    --------
    >>> is_safe_uid("1.2.840.113619"), is_safe_uid("../../etc/passwd"), is_safe_uid("1.2.*")
    (True, False, False)
    """
    return len(uid) <= _LONGEST_UID and _SAFE_UID.fullmatch(uid) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedStudy:
    """One line of a list of studies; one of the two values is given."""

    line: int
    """Its number in the list, from 1."""
    study_uid: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyQuery:
    """Which studies are wanted."""

    modality: str = "MR"
    """A modality that a study has; empty for any."""
    since: date | None = None
    """First StudyDate."""
    until: date | None = None
    """Last StudyDate."""
    wanted: WantedStudy | None = None
    """The one study that is asked for by name."""

    @property
    def dates(self) -> str:
        """The range of StudyDate as a query has it (PS3.4, C.2.2.2.5); empty for all."""
        first, last = ("" if day is None else f"{day:%Y%m%d}" for day in (self.since, self.until))
        return f"{first}-{last}" if first or last else ""

    def has_date(self, study_date: str) -> bool:
        """Tell whether a StudyDate lies in the range; an unknown one does in no range."""
        digits = study_date.replace(".", "").strip()
        first, last = ("" if day is None else f"{day:%Y%m%d}" for day in (self.since, self.until))
        return not (first or last) or (bool(digits) and first <= digits and (not last or digits <= last))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """A study that a server has."""

    uid: str = field(repr=False)
    date: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    modalities: tuple[str, ...] = ()
    """Empty where the server does not say."""

    def matches(self, query: StudyQuery) -> bool:
        """Tell whether it is what was asked for: some servers ignore what they do not know in a query."""
        wanted = query.wanted
        if wanted is not None and (wanted.study_uid or self.uid, wanted.accession_number or self.accession_number) != (
            self.uid,
            self.accession_number,
        ):
            return False
        has_modality = not query.modality or not self.modalities or query.modality in self.modalities
        return has_modality and query.has_date(self.date)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """A series that a server has."""

    uid: str = field(repr=False)
    modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInstance:
    """An instance that a server has."""

    uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_class_uid: str = ""
    header: bytes | None = field(default=None, repr=False)
    """A DICOM file with the header values that are needed to choose views, and no pixels; None if the server tells none."""
    n_pixel_bytes: int = 0
    """Size of its pixels if they are not compressed; 0 if not known."""


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """An instance as it came, whole."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    uid: str = field(repr=False)
    data: bytes = field(repr=False)
    """The DICOM file."""


OnInstance = Callable[[ReceivedInstance], None]
"""Called with each instance as it comes."""


class Server(Protocol):
    """A server. Each method asks once, and raises PacsError or one of its kinds (:mod:`cmr_planes.pacs.transfer`)."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all answers so far, as they travelled."""
        ...

    @property
    def tells_headers(self) -> bool:
        """Whether it tells header values without moving pixels."""
        ...

    def studies(self, query: StudyQuery) -> Sequence[FoundStudy]:
        """Return the studies that match a query."""
        ...

    def series(self, study_uid: str) -> Sequence[FoundSeries]:
        """Return the series of a study."""
        ...

    def instances(self, study_uid: str, series_uid: str) -> Sequence[FoundInstance]:
        """Return the instances of a series."""
        ...

    def fetch(self, study_uid: str, instances: Sequence[FoundInstance], receive: OnInstance) -> None:
        """Fetch all instances of one series."""
        ...

    def fetch_one(self, study_uid: str, instance: FoundInstance, receive: OnInstance) -> None:
        """Fetch one instance."""
        ...
