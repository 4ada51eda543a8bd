"""What became of the studies of a pull."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from cmr_planes.errors import ShardError
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import sealed

LEFT_OUT_NAME = "left_out.csv"
"""The file in the output folder that lists the studies that were left out."""


class TransferCode(StrEnum):
    """Why a study was not pulled, beside the codes of ``extract``. The values are stable: scripts may rely on them."""

    NOT_ON_SERVER = "not_on_server"
    """The server has no study of that StudyInstanceUID or accession number, modality and date."""
    VANISHED = "vanished"
    """The study, or a part of it, was on the server when it was asked for, and is no longer."""
    INCOMPLETE = "incomplete"
    """The server did not send all instances, however often it was asked."""
    REFUSED = "refused"
    """The server refuses this study, though it answers otherwise."""
    UNSAFE_UID = "unsafe_uid"
    """A UID holds characters that would mean something else in a URL or a query."""
    EMPTY = "empty"
    """The server lists no instances."""


UNFINISHED = frozenset({TransferCode.VANISHED, TransferCode.INCOMPLETE, TransferCode.REFUSED})
"""Codes of studies of which another pull may bring more."""


class LeftOut(NamedTuple):
    """A study, or a view of it, that was left out; the fields are the columns of the list."""

    study: str
    """Its name; empty for a line of a list that no study answers to."""
    view: str
    """The view's value (``"sax"``), or empty for the whole study."""
    code: str
    """The stable reason."""
    sentence: str
    """What was found, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """What became of one study."""

    name: str
    """What its folder is called."""
    is_whole: bool = False
    """Whether it was pulled, or would be in a dry run."""
    was_there: bool = False
    """Whether an earlier pull had brought it."""
    left_out: tuple[LeftOut, ...] = ()
    """Why it was left out."""
    n_series: int = 0
    """Series that were pulled, or would be."""
    n_instances: int = 0
    """Instances of them."""
    n_pixel_bytes: int = 0
    """Size of their pixels if they are not compressed; 0 if the server does not tell."""
    n_spared_bytes: int = 0
    """Size of the pixels that were not needed."""
    n_foreign: int = 0
    """Instances of other studies or series that the server sent, and that were dropped."""


def read_left_out(folder: Path) -> list[LeftOut]:
    """Return the list of an output folder; empty if there is none.

    Raises
    ------
    ShardError
        The file cannot be read, or is no such list.
    """
    path = folder / LEFT_OUT_NAME
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream)
        if tuple(head) == LeftOut._fields:
            return [LeftOut(*row) for row in rows]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({reason(error)}); check the path and its permissions") from error
    except (ValueError, TypeError, csv.Error):
        pass
    raise ShardError(f"{path} is no list of studies that were left out; move it away, it is left as it is")


def write_left_out(folder: Path, rows: Sequence[LeftOut]) -> None:
    """Write the list of an output folder."""
    with sealed(folder / LEFT_OUT_NAME, private=True) as stream:
        stream.write(csv_text(LeftOut._fields, sorted(rows)).encode())
