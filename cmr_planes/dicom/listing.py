"""Which files and folders are examined, and in which order."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

SKIPPED_FOLDERS = frozenset({"__macosx", "$recycle.bin", "system volume information", "lost+found"})
"""Folders without images, in lower case; hidden ones are skipped too."""
SKIPPED_NAMES = frozenset({"dicomdir", "thumbs.db", "desktop.ini", "license", "readme", "autorun.inf", "lockfile", "version"})
"""Files without images, in lower case; hidden ones are skipped too."""
# fmt: off
SKIPPED_SUFFIXES = frozenset({
    "pdf", "txt", "csv", "cvs", "tsv", "xml", "json", "yaml", "yml", "toml", "ini", "log", "md", "rst", "htm", "html",
    "css", "js", "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "svg", "mp4", "avi", "mov", "mpg", "doc", "docx",
    "xls", "xlsx", "ppt", "pptx", "rtf", "exe", "dll", "bat", "sh", "py", "m", "mat", "npy", "npz", "pkl", "nii", "gz",
    "bz2", "xz", "tar", "7z", "rar", "h5", "hdf5", "inf", "jar", "db", "sqlite", "cvi42ws", "cvi42wsx", "md5", "sha256",
    "part", "tmp", "crdownload", "lock",
})
# fmt: on
"""Suffixes of files without images, in lower case, after the last dot. Any other name may be an image's."""


def is_candidate(name: str) -> bool:
    """Tell whether a file of this name may be a DICOM image."""
    lower = name.lower()
    return (
        name != "" and not lower.startswith(".") and lower not in SKIPPED_NAMES and lower.rpartition(".")[2] not in SKIPPED_SUFFIXES
    )


def is_zip(name: str) -> bool:
    """Tell whether a file is called a zip."""
    return name.lower().endswith(".zip") and not name.startswith(".")


def is_member_candidate(name: str) -> bool:
    """Tell whether a zip member of this name may be a DICOM image."""
    *folders, last = name.replace("\\", "/").split("/")
    return is_candidate(last) and not any(folder.lower() in SKIPPED_FOLDERS for folder in folders)


def scan_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the subfolders and of the regular files of a folder, each sorted; links are followed.

    Raises
    ------
    OSError
        The folder cannot be listed.
    """
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir():
                    if not name.startswith(".") and name.lower() not in SKIPPED_FOLDERS:
                        folders.append(name)
                elif entry.is_file():
                    files.append(name)
            except OSError:  # a link that leads nowhere, or in a circle
                continue
    return sorted(folders), sorted(files)


def list_files(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files under a folder that may be DICOM images, in a fixed order.

    Parameters
    ----------
    folder
        Where to begin.
    on_error
        Called with what went wrong for every folder that cannot be listed; the others are listed all the same.
    """
    return (path for path in walk_files(folder, on_error) if is_candidate(path.name) and not is_zip(path.name))


def walk_files(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield all files under a folder, in a fixed order, each real folder once, and none of its parents.

    Parameters
    ----------
    folder
        Where to begin.
    on_error
        Called with what went wrong for every folder that cannot be listed; the others are listed all the same.
    """
    seen = parents_of(folder)
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            if not is_new(current, seen):
                continue
            folders, files = scan_folder(current)
        except OSError as error:
            on_error(error)
            continue
        yield from (current / name for name in files)
        pending.extend(current / name for name in reversed(folders))


def parents_of(folder: Path) -> set[tuple[int, int]]:
    """Return what :func:`is_new` remembers of a folder's parents, by its path and by its real one."""
    seen: set[tuple[int, int]] = set()
    for parent in {*folder.absolute().parents, *folder.resolve().parents}:
        is_new(parent, seen)
    return seen


def is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Tell whether a real folder was not met before, and remember it: links may lead in circles."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return False
    seen.add(identity)
    return True
