"""The results in a folder that may go to a PACS: files that this software made, each as it was made, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from cmr_planes.dicom.listing import list_files, walk_files
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom_output.authorship import Authorship, authorship
from cmr_planes.errors import SourceChangedError, SourceError
from cmr_planes.system.reasons import reason

MODALITIES = ("SEG", "SR")
"""Of the objects that this software makes."""

_TAGS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "Modality"]


@dataclass(frozen=True, slots=True)
class Result:
    """A file that may be sent."""

    number: int
    """Its place in the folder, from 1: by it sentences name the file."""
    path: Path = field(repr=False)
    n_bytes: int
    modality: str
    """``SEG`` or ``SR``."""
    study_uid: str = field(repr=False)
    instance_uid: str = field(repr=False)

    def read(self) -> Dataset:
        """Return the object, to be sent.

        Raises
        ------
        SourceChangedError
            The file is no longer what it was when it was examined.
        """
        try:
            with self.path.open("rb") as stream:
                if authorship(stream) is Authorship.OURS:
                    stream.seek(0)
                    with quiet_pydicom():
                        return dcmread(stream)
        except OSError as error:
            raise SourceChangedError(f"file {self.number} can no longer be read ({reason(error)})") from error
        raise SourceChangedError(f"file {self.number} has changed since the push began; start it again")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a file may not be sent, or was not stored."""

    number: int
    """The file's place in the folder, from 1."""
    name: str = field(repr=False)
    """The file's path in the folder, which holds a subject's key."""
    code: str
    """A stable reason."""
    sentence: str
    """What was found, where, and what to do; without the name."""


@dataclass(frozen=True, slots=True)
class Results:
    """What lies in a folder."""

    files: Sequence[Result]
    """What may be sent: each object once, studies together."""
    faults: Sequence[Fault]
    """What may not; if there is any, nothing is sent."""
    n_files: int
    """DICOM files in all."""
    n_others: int
    """Files that are called like no DICOM file, such as tables and pictures; they stay."""


def find_results(folder: Path) -> Results:
    """Look at every file in a folder and in those in it.

    Parameters
    ----------
    folder
        What ``cmr-train predict --format seg`` wrote.

    Raises
    ------
    SourceError
        There is no DICOM file, or a folder cannot be listed.
    """

    def give_up(error: OSError) -> None:
        raise SourceError(f"a folder in {str(folder)!r} cannot be listed ({reason(error)}); check its permissions") from error

    n_all = sum(1 for _ in walk_files(folder, give_up))
    paths = list(list_files(folder, give_up))
    if not paths:
        raise SourceError(
            f"there are no DICOM files in {str(folder)!r}; give the folder that 'cmr-train predict --format seg' wrote with -o"
        )
    files: dict[str, Result] = {}
    faults = []
    for number, path in enumerate(paths, start=1):
        found = _look_at(number, path)
        if isinstance(found, Result):
            found = _beside(found, files.get(found.instance_uid))
        if isinstance(found, Result):
            files.setdefault(found.instance_uid, found)
        else:
            code, sentence = found
            faults.append(Fault(number, str(path.relative_to(folder)), code, sentence))
    by_study = sorted(files.values(), key=lambda file: (file.study_uid, file.number))
    return Results(by_study, faults, len(paths), n_all - len(paths))


def _look_at(number: int, path: Path) -> Result | tuple[str, str]:
    """Return what a file is, or code and sentence of why it may not be sent."""
    try:
        with path.open("rb") as stream:
            author = authorship(stream)
            n_bytes = stream.tell()
            stream.seek(0)
            if author is Authorship.OURS:
                with quiet_pydicom():
                    header = dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
    except OSError as error:
        return "unreadable", f"file {number} cannot be read ({reason(error)}); check its permissions"
    if author is Authorship.CHANGED:
        return "changed", f"file {number} is not whole, or was changed after 'cmr-train predict' wrote it; write it again"
    if author is Authorship.FOREIGN:
        return "foreign", f"file {number} was not made by 'cmr-train predict --format seg'; take it out of the folder"
    values = (str(header[keyword].value) for keyword in ("Modality", "StudyInstanceUID", "SOPInstanceUID"))
    return Result(number, path, n_bytes, *values)


def _beside(found: Result, other: Result | None) -> Result | tuple[str, str]:
    """Return a file, or why it may not be sent beside another that is the same object."""
    if other is not None and found.path.read_bytes() != other.path.read_bytes():
        return (
            "two_versions",
            f"file {found.number} is the same object as file {other.number}, but another version of it; keep one of the two",
        )
    return found
