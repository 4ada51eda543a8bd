"""Whether files are those that were met before: copies of one scan, a subject of an earlier run, files that changed."""

import filecmp
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cmr_planes.dicom.archive import Archive, FileBytes
from cmr_planes.dicom.listing import is_zip, list_files
from cmr_planes.discovery.folders import read_origin
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.errors import UnreadableFileError


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


def instances(group: FileGroup) -> Iterator[str]:
    """Yield the SOPInstanceUID of each file of a group; headers are read one after another, as far as the caller goes."""
    for path in _files(group).values():
        with suppress(UnreadableFileError):
            if is_zip(path.name):
                with Archive(path) as archive:
                    for name in group.members or archive.members:
                        with suppress(UnreadableFileError):
                            yield read_origin(archive.member(name)).sop_instance_uid
            else:
                with FileBytes(path) as file:
                    yield read_origin(file).sop_instance_uid


def fingerprint(paths: Sequence[Path], salt: str) -> str:
    """Return what changes when files are added, removed or replaced by others of another size.

    Parameters
    ----------
    paths
        Folders, zips and files of a subject.
    salt
        Keeps names of files from being tried out.

    Returns
    -------
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        for file in list_files(path, lambda _: None) if path.is_dir() else [path]:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            with suppress(OSError):
                digest.update(f"{name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
