"""A list of wanted studies, in a file that only its owner may read."""

import re
from pathlib import Path

from cmr_planes.errors import SourceError
from cmr_planes.pacs.server import WantedStudy, is_safe_uid
from cmr_planes.system.private_file import read_private_file

_MAX_BYTES = 64 << 20
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_REMEDY = "write one StudyInstanceUID or accession number into each line"
_WILDCARDS = frozenset("*?\\")


def read_study_list(path: Path) -> tuple[WantedStudy, ...]:
    """Read a list of studies: one StudyInstanceUID or accession number a line; empty lines and those after ``#`` say nothing.

    Numbers with dots are UIDs, everything else is an accession number.

    Raises
    ------
    SourceError
        The file cannot be used, holds nothing, or a line that could mean several studies. No line is in the message.
    """
    content = read_private_file(path, "list of studies", limit=_MAX_BYTES, how_to_make=_REMEDY)
    if len(content) > _MAX_BYTES:
        raise SourceError(f"list of studies {str(path)!r} is larger than {_MAX_BYTES >> 20} MiB; {_REMEDY}")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"list of studies {str(path)!r} is no UTF-8 text; {_REMEDY}") from error
    wanted: dict[str, WantedStudy] = {}
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        is_uid = _UID.fullmatch(name) is not None
        if not name.isprintable() or _WILDCARDS & set(name) or (is_uid and not is_safe_uid(name)):
            raise SourceError(f"line {number} of the list of studies {str(path)!r} could mean several studies; {_REMEDY}")
        wanted.setdefault(name, WantedStudy(line=number, **{"study_uid" if is_uid else "accession_number": name}))
    if not wanted:
        raise SourceError(f"list of studies {str(path)!r} names none; {_REMEDY}")
    return tuple(wanted.values())
