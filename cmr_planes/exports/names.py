"""Subjects' keys as names of files that every file system and program takes."""

import re
from collections.abc import Iterable, Sequence

from cmr_planes.errors import ExportError
from cmr_planes.system.names import is_reserved

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
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
    return f"subject-{name}" if is_reserved(name) else name


def first_equal(names: Iterable[str]) -> tuple[int, int] | None:
    """Return the numbers, from 1, of the first two names that are equal where case does not count; None if all differ."""
    met: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if met.setdefault(name.lower(), number) != number:
            return met[name.lower()], number
    return None


def safe_names(keys: Sequence[str]) -> dict[str, str]:
    """Return a name for each key, different ones for different keys.

    Raises
    ------
    ExportError
        Two keys would have the same name, also on file systems that ignore case, or a name is too long.
    """
    names = {key: safe_name(key) for key in keys}
    pair = first_equal(names.values())
    if pair is not None:
        raise ExportError(
            f"subjects {pair[0]} and {pair[1]} of the export would have the same file name: of a subject's key only letters, "
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
