"""Copies of files: whether two groups of files are one scan, found in two places."""

import filecmp
from pathlib import Path

from cmr_planes.dicom.listing import list_files
from cmr_planes.discovery.groups import FileGroup


def have_equal_bytes(first: Path, second: Path) -> bool:
    """Tell whether two files are equal byte by byte; a file that cannot be read equals none."""
    try:
        return first.samefile(second) or filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False


def are_copies(first: FileGroup, second: FileGroup) -> bool:
    """Tell whether the files of two groups are equal: their names and sizes, and all bytes of the first file or of each zip."""
    if first.members != second.members or len(first.paths) != len(second.paths):
        return False
    ours, theirs = _files(first), _files(second)
    if ours.keys() != theirs.keys() or not ours:
        return False
    try:
        if any(path.stat().st_size != theirs[name].stat().st_size for name, path in ours.items()):
            return False
    except OSError:
        return False
    name = min(ours)
    return have_equal_bytes(ours[name], theirs[name])


def _files(group: FileGroup) -> dict[str, Path]:
    """Return the files of a group by their place in it; zips and files that are named one by one by their order."""
    files: dict[str, Path] = {}
    for number, path in enumerate(group.paths):
        if path.is_dir():
            files |= {f"{number}/{file.relative_to(path).as_posix()}": file for file in list_files(path, lambda _: None)}
        else:
            files[f"{number}"] = path
    return files
