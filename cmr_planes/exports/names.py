"""Subjects' keys as names of files that every file system and program takes."""

import re
from collections import Counter
from collections.abc import Sequence

from cmr_planes.errors import ExportError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that Windows has for devices."""
MAX_LENGTH = 120
"""File systems take 255 bytes; view, phase and suffixes follow."""


def safe_name(key: str) -> str:
    """Return a subject's key as a name of ASCII letters, digits, ``.``, ``_`` and ``-`` that begins with a letter or digit.

    Examples
    --------
    >>> safe_name("SYN-0001"), safe_name("P 001 (T0)"), safe_name("-rf")
    ('SYN-0001', 'P-001-T0', 'rf')
    """
    name = _UNSAFE.sub("-", key).strip("-.") or "subject"
    return f"subject-{name}" if _RESERVED.fullmatch(name) else name


def safe_names(keys: Sequence[str]) -> dict[str, str]:
    """Return a name for each key, different ones for different keys.

    Raises
    ------
    ExportError
        Two keys would have the same name, also on file systems that ignore case, or a name is too long.
    """
    names = {key: safe_name(key) for key in keys}
    counts = Counter(name.lower() for name in names.values())
    doubles = [number for number, name in enumerate(names.values(), start=1) if counts[name.lower()] > 1]
    if doubles:
        raise ExportError(
            f"subjects {doubles[0]} and {doubles[1]} of the export would have the same file name: of a subject's key only letters, "
            "digits, '.', '_' and '-' are kept, and upper and lower case are the same; rename one of their folders and extract "
            "again, or export them into different folders"
        )
    long = next((number for number, name in enumerate(names.values(), start=1) if len(name) > MAX_LENGTH), None)
    if long is not None:
        raise ExportError(
            f"the key of subject {long} of the export is longer than {MAX_LENGTH} characters; extract with pseudonyms, or rename "
            "its folder and extract again"
        )
    return names
