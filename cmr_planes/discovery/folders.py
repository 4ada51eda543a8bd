"""What a SOURCE folder holds: which of its folders are one study each, and which of them hold several.

Folder names tell little (``Series0006``, ``study``, ``1``), so one header is read from a few folders and compared in memory. What
is compared (StudyInstanceUID; if that is empty, patient id, study date and time, frame of reference) is never stored or shown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import FileBytes
from cmr_planes.dicom.elements import read_elements
from cmr_planes.dicom.listing import is_candidate, is_new, is_zip, scan_folder
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.values import text
from cmr_planes.errors import UnreadableFileError

MAX_DEPTH = 100
"""Folders nested deeper are not looked at."""

_KNOWN_TAGS = (tags.PATIENT_ID, tags.STUDY_DATE, tags.STUDY_TIME, tags.ACCESSION_NUMBER)
_SERIES_TAGS = (tags.SERIES_INSTANCE_UID, tags.SERIES_NUMBER, tags.SERIES_DESCRIPTION)
_TAGS = (tags.STUDY_INSTANCE_UID, tags.FRAME_OF_REFERENCE_UID, *_KNOWN_TAGS, *_SERIES_TAGS)


@dataclass(slots=True, eq=False)
class Folder:
    """A folder that was walked."""

    path: Path
    parts: tuple[str, ...]
    """Names from below SOURCE to this folder."""
    n_files: int = 0
    """Files that may be DICOM images."""
    samples: tuple[str, ...] = ()
    """Names of the first, the middle and the last of them."""
    zips: tuple[str, ...] = ()
    children: list["Folder"] = field(default_factory=list)
    is_readable: bool = True
    is_part: bool = False
    """Named like a part of a subject that is joined by name (UK Biobank), and therefore not looked into."""
    holds_images: bool = False
    """Files that may be images lie in it or, outside of parts, below it."""
    holds_parts: bool = False
    """It is, or has below it, a part that is joined by name."""


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that belong to one subject."""

    paths: tuple[Path, ...]
    """Folders, zips or files."""
    parts: tuple[str, ...]
    """Names from below SOURCE to where they lie."""
    study_uid: str = field(default="", repr=False)
    """Only files of this study belong to the subject; empty for all."""
    is_named_by_uid: bool = False
    """The name of the folder does not tell the subject from others."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whose and which examination a file belongs to; compared in memory, never stored or shown."""

    study_uid: str
    known: tuple[bytes, ...]
    """Patient id, study date, study time, accession number; empty where it says nothing."""
    frame_of_reference: bytes
    series: tuple[bytes, ...]


def walk(root: Path, is_part_name: Callable[[str], bool]) -> Folder:
    """Walk a folder without opening any file; each real folder is visited once, so that links cannot lead in circles.

    Parameters
    ----------
    root
        Where to begin.
    is_part_name
        Tells by its name whether a folder is joined with others by name; such folders are not entered.

    Returns
    -------
        The folder with all that was found below it.

    Raises
    ------
    OSError
        The root cannot be listed; folders below it that cannot be are marked.
    """
    seen: set[tuple[int, int]] = set()
    top = Folder(root, ())
    found = [top]
    for folder in found:  # grows while it is walked
        if folder is not top and is_part_name(folder.parts[-1]):
            folder.is_part = True
            continue
        try:
            if not is_new(folder.path, seen):
                continue
            folders, files = scan_folder(folder.path)
        except OSError:
            if folder is top:
                raise
            folder.is_readable = False
            continue
        images = [name for name in files if is_candidate(name) and not is_zip(name)]
        folder.n_files = len(images)
        folder.samples = _spread(images)
        folder.zips = tuple(name for name in files if is_zip(name))
        if len(folder.parts) < MAX_DEPTH:
            folder.children = [Folder(folder.path / name, (*folder.parts, name)) for name in folders]
            found += folder.children
    for folder in reversed(found):
        folder.holds_images = bool(folder.n_files or not folder.is_readable or any(child.holds_images for child in folder.children))
        folder.holds_parts = folder.is_part or any(child.holds_parts for child in folder.children)
    return top


def all_folders(top: Folder) -> Iterator[Folder]:
    """Yield a folder and all below it, parents first."""
    pending = [top]
    while pending:
        folder = pending.pop()
        yield folder
        pending.extend(reversed(folder.children))


def find_groups(top: Folder) -> list[FileGroup]:
    """Divide the loose DICOM files under a folder into subjects.

    Parameters
    ----------
    top
        A walked folder; zips in it, and parts that are joined by name, are not looked at.

    Returns
    -------
        One group a study, parents before children.
    """
    folder = top
    while not folder.n_files and len(branches := _branches(folder)) == 1:
        folder = branches[0]
    if not folder.holds_images:
        return []
    branches = _branches(folder)
    if not branches:
        is_alone = not top.parts and sum(other.n_files > 0 for other in all_folders(top)) == 1
        return _divide_flat(folder, is_alone=is_alone)
    if not folder.holds_parts and _is_one_study(folder, branches):
        return [FileGroup((folder.path,), folder.parts)]
    groups = _divide_flat(folder, is_alone=False) if folder.n_files else []
    for uid, members in _same_studies(branches):
        if len(members) > 1:
            groups.append(FileGroup(tuple(member.path for member in members), members[0].parts, uid, is_named_by_uid=True))
        else:
            groups += find_groups(members[0])
    return groups


def identify(path: Path) -> Identity | None:
    """Read what tells a file's examination from others; None if it is no readable DICOM file."""
    try:
        with quiet_pydicom(), FileBytes(path) as file:
            values = read_elements(file, _TAGS, last=tags.FRAME_OF_REFERENCE_UID).values
    except UnreadableFileError:
        return None
    return Identity(
        study_uid=text(values.get(tags.STUDY_INSTANCE_UID, b"")),
        known=tuple(_meaningful(values.get(tag, b"")) for tag in _KNOWN_TAGS),
        frame_of_reference=_meaningful(values.get(tags.FRAME_OF_REFERENCE_UID, b"")),
        series=tuple(values.get(tag, b"") for tag in _SERIES_TAGS),
    )


def are_one_study(identities: Sequence[Identity]) -> bool | None:
    """Tell whether files belong to one examination; None if their headers do not say.

    Equal StudyInstanceUIDs say so. Where some are empty, any other value that is known and differs says no, an equal study time
    or frame of reference says yes. Different frames of reference say nothing: some exports give one to every file.
    """
    uids = {identity.study_uid for identity in identities}
    if "" not in uids:
        return len(uids) == 1
    columns = [set(column) - {b""} for column in zip(*(identity.known for identity in identities), strict=True)]
    if len(uids - {""}) > 1 or any(len(column) > 1 for column in columns):
        return False
    time_index = 2
    frames_of_reference = {identity.frame_of_reference for identity in identities}
    if all(identity.known[time_index] for identity in identities) or (
        len(frames_of_reference) == 1 and b"" not in frames_of_reference
    ):
        return True
    return None


def _branches(folder: Folder) -> list[Folder]:
    """Return the subfolders that hold loose images."""
    return [child for child in folder.children if child.holds_images]


def _spread(items: Sequence[str]) -> tuple[str, ...]:
    """Return the first, the middle and the last item, without repeats."""
    return tuple(dict.fromkeys(items[index] for index in (0, len(items) // 2, -1))) if items else ()


def _sample(folder: Folder) -> Identity | None:
    """Return the identity of a file under a folder."""
    for leaf in all_folders(folder):
        for name in leaf.samples:
            identity = identify(leaf.path / name)
            if identity is not None:
                return identity
    return None


def _is_one_study(folder: Folder, branches: Sequence[Folder]) -> bool:
    """Tell whether the subfolders are the series of one study, rather than a subject each."""
    first, last = _sample(branches[0]), _sample(branches[-1])
    identities = [identity for identity in (first, last) if identity is not None]
    if len(identities) > 1 and are_one_study(identities) is False:
        return False
    others = [_sample(branches[index]) for index in {len(branches) // 2} - {0, len(branches) - 1}]
    own = [identify(folder.path / name) for name in folder.samples[:1]]
    identities += [identity for identity in (*others, *own) if identity is not None]
    answer = are_one_study(identities) if identities else None
    if answer is not None and len(identities) > 1:
        return answer
    chosen = [branches[index] for index in sorted({0, len(branches) // 2, len(branches) - 1})]
    chosen = [branch for branch in chosen if _sample(branch) is not None]
    return bool(chosen) and 2 * sum(_holds_several_series(branch) for branch in chosen) <= len(chosen)


def _holds_several_series(folder: Folder) -> bool:
    """Tell whether a folder has several folders of files below it, or files of several series in one."""
    leaves = [leaf for leaf in all_folders(folder) if leaf.n_files]
    if len(leaves) != 1:
        return len(leaves) > 1
    identities = [identify(leaves[0].path / name) for name in leaves[0].samples]
    return len({identity.series for identity in identities if identity is not None}) > 1


def _same_studies(branches: Sequence[Folder]) -> list[tuple[str, list[Folder]]]:
    """Bring folders together that are single series of one study among several studies; all others stay alone, without a UID."""
    alone: list[tuple[str, list[Folder]]] = [("", [branch]) for branch in branches]
    if any(branch.children or branch.holds_parts for branch in branches):
        return alone
    together: dict[str, list[Folder]] = {}
    for branch in branches:
        identity = _sample(branch)
        together.setdefault(identity.study_uid if identity is not None else "", []).append(branch)
    shared = {uid: members for uid, members in together.items() if uid and len(members) > 1}
    joined = {member for members in shared.values() for member in members}
    return [*shared.items(), *(item for item in alone if item[1][0] not in joined)]


def _divide_flat(folder: Folder, *, is_alone: bool) -> list[FileGroup]:
    """Divide the files of one folder by StudyInstanceUID.

    Three files are asked; all of them if these differ, or if the folder ``is_alone`` in its source and may be a whole archive.
    """
    paths: tuple[Path, ...] = (folder.path,)
    if folder.children and folder.is_readable:
        _, files = scan_folder(folder.path)
        paths = tuple(folder.path / name for name in files if is_candidate(name) and not is_zip(name))
    uids = _study_uids(folder.path / name for name in folder.samples)
    if (is_alone or len(uids) > 1) and folder.is_readable:
        _, files = scan_folder(folder.path)
        uids = _study_uids(folder.path / name for name in files if is_candidate(name) and not is_zip(name))
    if len(uids) < 2:  # one study, or none known
        return [FileGroup(paths, folder.parts)]
    return [FileGroup(paths, folder.parts, uid, is_named_by_uid=True) for uid in sorted(uids)]


def _study_uids(paths: Iterator[Path] | Sequence[Path]) -> set[str]:
    """Return the StudyInstanceUIDs of files that have one."""
    identities = (identify(path) for path in paths)
    return {identity.study_uid for identity in identities if identity is not None} - {""}


def _meaningful(raw: bytes) -> bytes:
    """Return a value without padding, empty if it only holds zeros."""
    value = raw.strip(b" \x00")
    return value if value.strip(b"0.:") else b""
