"""Names of files."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

PathLike = str | os.PathLike[str]
"""A path, as callers may give it."""

_SUFFIXES = (".cvi42wsx", ".cvi42ws", ".nii.gz", ".nii", ".xml", ".zip", ".dcm", ".txt")
"""Suffixes that are no part of a subject's name, the longer of two first."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]) *(\..*)?", re.IGNORECASE)
"""Names that Windows has for devices, whatever suffix follows."""
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]+$')
"""What no name may hold on Windows, or end with."""
_DIGEST_LENGTH = 6


def stem_of(name: str) -> str:
    """Return a file's name without the suffix of an image, of an annotation, or of a zip.

    Examples
    --------
    >>> stem_of("patient001_frame01_gt.nii.gz")
    'patient001_frame01_gt'
    """
    lower = name.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def is_reserved(name: str) -> bool:
    """Tell whether Windows has a device of this name.

    Examples
    --------
    >>> is_reserved("con"), is_reserved("NUL.h5"), is_reserved("console")
    (True, True, False)
    """
    return _RESERVED.fullmatch(name) is not None


def folded(name: str) -> str:
    """Return what is equal for names that macOS or Windows takes for the same: those that differ in case or composition only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def file_names(keys: Iterable[str]) -> dict[str, str]:
    """Return names of files for keys: ones that every system takes, and that no two systems take as the same.

    A key that is such a name stays as it is. In another one ``_`` stands for what a system refuses. Of several that a system would
    take as the same, each gets the beginning of its SHA-256.

    Examples
    --------
    >>> file_names(["9000001_2", "P:7.", "con", "Anna", "anna"])
    {'9000001_2': '9000001_2', 'P:7.': 'P_7_', 'con': '_con', 'Anna': 'Anna~bf4fcc', 'anna': 'anna~55579b'}
    """
    names = {key: _allowed(key) for key in keys}
    counts = Counter(folded(name) for name in names.values())
    return {key: name if counts[folded(name)] == 1 else f"{name}~{_digest(key)}" for key, name in names.items()}


def _allowed(key: str) -> str:
    """Return a name that Windows takes."""
    name = _REFUSED.sub("_", key)
    return f"_{name}" if is_reserved(name) else name


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:_DIGEST_LENGTH]
