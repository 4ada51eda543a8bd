"""Annotation files, plain or in zips: found, identified by name, and opened within bounds."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cmr_planes.annotations.model import LabelFormat
from cmr_planes.dicom.archive import Archive
from cmr_planes.dicom.inflation import InflationLimit
from cmr_planes.errors import AnnotationError, SourceError, UnreadableFileError
from cmr_planes.system.names import stem_of
from cmr_planes.system.reasons import reason

LABEL_LIMIT = InflationLimit(member_bytes=1 << 30, ratio=400, free_bytes=1 << 24)
"""The limit of annotations in zips: cvi42 workspaces take up to 100 MB, and XML and contours compress about thirtyfold."""

SUNNYBROOK_NAME = re.compile(r"IM-(?P<series>\d+)-(?P<number>\d+)-(?P<kind>[a-z]\d?)contour-(manual|auto)\.txt", re.IGNORECASE)
"""A Sunnybrook contour: ``i`` endocardium, ``o`` epicardium, ``p1`` and so on papillary muscles."""

_SUFFIXES = {
    ".nii": LabelFormat.NIFTI,
    ".nii.gz": LabelFormat.NIFTI,
    ".cvi42wsx": LabelFormat.CVI42,
    ".cvi42ws": LabelFormat.CVI42,
    ".xml": LabelFormat.CVI42,
}


@dataclass(frozen=True, slots=True)
class LabelFile:
    """One annotation file."""

    path: Path
    """The file, or the zip."""
    member: str
    """The member's name in the zip; empty for a file."""
    parts: tuple[str, ...]
    """Names from below LABELS to the file, a zip's own without its suffix."""
    label_format: LabelFormat
    """What its name says that it is."""

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return stem_of(self.parts[-1])


def find_label_files(root: Path, only: LabelFormat | None = None) -> list[LabelFile]:
    """Find the annotation files under a folder, in a zip, or one file.

    Parameters
    ----------
    root
        LABELS.
    only
        The format asked for; None for all.

    Returns
    -------
        The files, sorted by their path.

    Raises
    ------
    SourceError
        ``root`` does not exist or cannot be listed, or holds no annotation file.
    """
    found: list[LabelFile] = []
    try:
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        root.stat()
    except OSError as error:
        raise SourceError(f"{root}: cannot be read ({reason(error)}); check the path and its permissions") from error
    for path in files:
        parts = path.relative_to(root).parts if root.is_dir() else (path.name,)
        if path.suffix.lower() == ".zip":
            found += _in_zip(path, parts)
        else:
            label_format = _format_of(path.name, path)
            if label_format is not None:
                found.append(LabelFile(path, "", parts, label_format))
    wanted = [file for file in found if only is None or file.label_format is only]
    if not wanted and any(path.suffix.lower() == ".con" for path in files):
        raise SourceError(
            f"{root}: Medis .con files are not read, because they name a slice by its number alone and software disagrees about "
            "the end of the stack from which that counts; export the contours as DICOM SEG or NIfTI"
        )
    if not wanted:
        what = "annotation files" if only is None else f"annotation files of the format {only.value!r}"
        formats = ", ".join(known.value for known in LabelFormat)
        raise SourceError(f"{root}: no {what} in it (known formats: {formats}); give the folder, the zip, or one file")
    return wanted


@contextmanager
def open_label_file(file: LabelFile) -> Iterator[BinaryIO]:
    """Open an annotation file for reading, a zip's member as a stream that cannot inflate beyond bounds.

    Raises
    ------
    AnnotationError
        It cannot be read; also in place of what a damaged zip raises while it is read.
    """
    try:
        if not file.member:
            with file.path.open("rb") as stream:
                yield stream
            return
        with Archive(file.path, LABEL_LIMIT) as archive:
            yield archive.member(file.member).stream()
    except UnreadableFileError as error:
        raise AnnotationError(str(error)) from error
    except OSError as error:
        raise AnnotationError(f"cannot be read ({reason(error)}); check its permissions") from error


def _in_zip(path: Path, parts: tuple[str, ...]) -> list[LabelFile]:
    """Return the annotation files in a zip; none if it cannot be opened, for it may hold images only."""
    try:
        with Archive(path, LABEL_LIMIT) as archive:
            names = archive.members
    except UnreadableFileError:
        return []
    inside = (*parts[:-1], stem_of(parts[-1]))
    found = []
    for name in names:
        label_format = _format_of(PurePosixPath(name).name, None)
        if label_format is not None and not name.startswith("__MACOSX/"):
            found.append(LabelFile(path, name, (*inside, *PurePosixPath(name).parts), label_format))
    return found


def _format_of(name: str, path: Path | None) -> LabelFormat | None:
    """Return the format that a name stands for; DICOM files are read in part, so that only segmentations count."""
    lower = name.lower()
    if lower.startswith("."):
        return None
    if SUNNYBROOK_NAME.fullmatch(name):
        return LabelFormat.SUNNYBROOK
    for suffix, label_format in _SUFFIXES.items():
        if lower.endswith(suffix):
            return label_format
    if path is not None and (lower.endswith(".dcm") or "." not in lower) and _is_segmentation(path):
        return LabelFormat.DICOM_SEG
    return None


def _is_segmentation(path: Path) -> bool:
    """Tell whether a file is a DICOM segmentation: its SOP class stands near its beginning."""
    try:
        with path.open("rb") as stream:
            head = stream.read(2048)
    except OSError:
        return False
    return head[128:132] == b"DICM" and re.search(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.(4|7)[\0 ]?(?![0-9.])", head) is not None
