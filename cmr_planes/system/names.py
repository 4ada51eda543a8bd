"""Names of files."""

import os

PathLike = str | os.PathLike[str]
"""A path, as callers may give it."""

_SUFFIXES = (".cvi42wsx", ".cvi42ws", ".nii.gz", ".nii", ".xml", ".zip", ".dcm", ".txt")
"""Suffixes that are no part of a subject's name, the longer of two first."""


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
