"""Finding subjects: which folders, zips and files belong to which subject.

Planning is cheap: folders and the directories of zips are listed, and one header is read where folder names cannot tell series
from subjects; of UK Biobank's zips nothing is read. Layouts that are understood: a folder for each subject at any depth; zips of
any name, of one subject or of many; UK Biobank's ``EID_20208_2_0.zip`` (long axis) and ``EID_20209_2_0.zip`` (short axis), joined
by participant and visit, unpacked or not; Kaggle's ``<id>/study/sax_5``; one study; one flat folder of several studies; one file.
"""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from cmr_planes.dicom.archive import Archive
from cmr_planes.dicom.listing import is_candidate, is_zip
from cmr_planes.discovery.copies import are_copies, have_equal_bytes
from cmr_planes.discovery.folders import all_folders, walk, walk_zip
from cmr_planes.discovery.groups import FileGroup, find_groups
from cmr_planes.discovery.naming import NONE_KNOWN, Found, KnownSubjects, name_all, name_of_source, stem
from cmr_planes.errors import Finding, NoteCode, SourceError, UnreadableFileError
from cmr_planes.system.reasons import reason
from cmr_planes.system.text import counted

UKB_CINE_FIELDS = ("20208", "20209")
"""UK Biobank's fields of long-axis and short-axis images."""

_UKB_NAME = re.compile(r"(?P<eid>[^_/\\]+)_(?P<field>202[0-9]{2})_(?P<visit>[0-9]+)_(?P<array>[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSource:
    """Where the files of one subject lie."""

    key: str
    """Unique name of the subject (for UK Biobank of participant and visit)."""
    participant: str
    """The person: subjects of one participant never go to different splits."""
    paths: tuple[Path, ...]
    """Folders, zips and files, in the order in which they are read."""
    root: Path
    """The SOURCE under which they were found."""
    members: tuple[str, ...] = field(default=(), repr=False)
    """Where a zip holds several subjects: the names of the members of this one."""
    instance: str = field(default="", repr=False)
    """SOPInstanceUID of one of the files, empty where none was read; never shown."""
    findings: tuple[Finding, ...] = ()
    """What was noticed while the subject was found."""


class UkbName(NamedTuple):
    """The parts of a UK Biobank bulk file's name."""

    eid: str
    field: str
    visit: str
    array: str


def ukb_name(stem: str) -> UkbName | None:
    """Take a UK Biobank bulk file's name apart; None if it is not one.

    Examples
    --------
    >>> ukb_name("9000001_20209_2_0")
    UkbName(eid='9000001', field='20209', visit='2', array='0')
    """
    match = _UKB_NAME.fullmatch(stem) if stem.isprintable() else None
    return UkbName(**match.groupdict()) if match else None


def find_subjects(paths: Sequence[Path], known: KnownSubjects = NONE_KNOWN) -> list[SubjectSource]:
    """Find the subjects in folders, zips and files.

    Parameters
    ----------
    paths
        What the user gave; UK Biobank's parts are joined across all of them.
    known
        Subjects of an earlier run, which keep their keys.

    Returns
    -------
        The subjects, sorted by key.

    Raises
    ------
    SourceError
        A path is missing or cannot be listed, or holds neither DICOM files nor zips; two different UK Biobank files have one name.
    """
    found: list[Found] = []
    parts: dict[tuple[str, str], dict[UkbName, tuple[Path, Path]]] = defaultdict(dict)
    roots = [Path(path) for path in paths]
    for source, root in enumerate(roots):
        groups, named = _look_into(root)
        n_ignored = 0
        for path, name in named:
            if name.field in UKB_CINE_FIELDS:
                first, _ = parts[name.eid, name.visit].setdefault(name, (path, root))
                _check_same(first, path)
            else:
                n_ignored += 1
        is_only = len(groups) == 1 and not named
        found += [Found(source, name_of_source(root), group, is_only) for group in groups]
        if not groups and n_ignored == len(named):
            raise SourceError(_nothing(root, n_ignored))
    subjects = [_join(eid, visit, named_paths) for (eid, visit), named_paths in parts.items()]
    kept, n_copies = _distinct(found)
    names = name_all(kept, {subject.key for subject in subjects}, known)
    subjects += [
        SubjectSource(
            key=name.key,
            participant=name.participant,
            paths=one.group.paths,
            root=roots[one.source],
            members=one.group.members,
            instance="" if one.group.origin is None else one.group.origin.sop_instance_uid,
            findings=_copies_found(count),
        )
        for one, name, count in zip(kept, names, n_copies, strict=True)
    ]
    return sorted(subjects, key=lambda subject: subject.key)


def _nothing(root: Path, n_ignored: int) -> str:
    """Say that a source holds nothing that could be used."""
    if n_ignored:
        fields = " and ".join(UKB_CINE_FIELDS)
        return (
            f"{root}: only UK Biobank fields other than {fields} ({counted(n_ignored, 'file')}); the cine images are in these two"
        )
    names = (root.name, *(name for _, _, names in os.walk(root) for name in names))
    if any(name.lower().endswith((".nii", ".nii.gz")) for name in names):
        return f"{root}: NIfTI files and no DICOM files or zips in it; 'cmr-planes extract --nifti' makes a catalogue of these"
    return f"{root}: no DICOM files and no zips in it; give a folder of subjects, of zips, or of one study"


def _check_same(first: Path, second: Path) -> None:
    """Raise SourceError where two files of one UK Biobank name differ; of a zip and its unpacked folder the first is taken."""
    if first == second or first.is_dir() or second.is_dir() or have_equal_bytes(first, second):
        return
    raise SourceError(
        f"{second} has the name of {first}, and other content: they may be of two persons; give one of the two, or rename it"
    )


def _look_into(root: Path) -> tuple[list[FileGroup], list[tuple[Path, UkbName]]]:
    """Return the groups under a SOURCE, and the UK Biobank parts, the zip before a folder of the same name."""
    try:
        if not root.is_dir():
            return _look_at_file(root)
        name = ukb_name(name_of_source(root))
        if name is not None:
            return [], [(root, name)]
        top = walk(root, lambda folder: ukb_name(folder) is not None)
    except OSError as error:
        raise SourceError(f"{root}: cannot be read ({reason(error)}); check the path and its permissions") from error
    groups: list[FileGroup] = []
    named: list[tuple[Path, UkbName]] = []
    zipped: set[tuple[str, ...]] = set()
    is_alone = not top.holds_images and sum(len(folder.zips) for folder in all_folders(top)) == 1
    for folder in all_folders(top):
        if folder.is_part and folder.parts not in zipped:
            name = ukb_name(folder.parts[-1])
            if name is not None:
                named.append((folder.path, name))
        for zip_name in folder.zips:
            parts = (*folder.parts, stem(zip_name))
            zipped.add(parts)
            name = ukb_name(parts[-1])
            if name is not None:
                named.append((folder.path / zip_name, name))
            else:
                groups += _look_into_zip(folder.path / zip_name, parts, is_alone=is_alone)
    return groups + [group for group in find_groups(top, is_alone=True) if not _is_beside_zip(group.parts, zipped)], named


def _look_into_zip(path: Path, parts: tuple[str, ...], *, is_alone: bool) -> list[FileGroup]:
    """Return the groups in a zip; one without members if it holds one, or cannot be read."""
    whole = FileGroup(paths=(path,), parts=parts)
    try:
        with Archive(path) as archive:
            groups = find_groups(walk_zip(path, archive, parts), is_alone=is_alone)
    except UnreadableFileError:
        return [whole]
    return groups if len(groups) > 1 else [replace(whole, origin=group.origin) for group in groups] or [whole]


def _is_beside_zip(parts: tuple[str, ...], zipped: set[tuple[str, ...]]) -> bool:
    """Tell whether files lie in a folder beside a zip of the same name: they are its unpacked copy."""
    return any(parts[:length] in zipped for length in range(1, len(parts) + 1))


def _look_at_file(path: Path) -> tuple[list[FileGroup], list[tuple[Path, UkbName]]]:
    """Return the groups, or the part, that a single file is; raises OSError or SourceError."""
    path.stat()
    name = ukb_name(stem(path.name))
    if is_zip(path.name):
        return ([], [(path, name)]) if name is not None else (_look_into_zip(path, (stem(path.name),), is_alone=True), [])
    if not (path.is_file() and is_candidate(path.name)):
        raise SourceError(f"{path}: neither a folder, nor a zip, nor a DICOM file")
    return [FileGroup(paths=(path,), parts=(stem(path.name),))], []


def _join(eid: str, visit: str, parts: dict[UkbName, tuple[Path, Path]]) -> SubjectSource:
    """Join the parts of one participant and visit: long axis first, then short axis."""
    ordered = sorted(parts, key=lambda name: (name.field, int(name.array), name.array))
    return SubjectSource(
        key=f"{eid}_{visit}",
        participant=eid,
        paths=tuple(parts[name][0] for name in ordered),
        root=parts[ordered[0]][1],
    )


def _distinct(found: Sequence[Found]) -> tuple[list[Found], list[int]]:
    """Drop what was found twice, because sources overlap or hold copies; also return how many copies of each there were."""
    kept: list[Found] = []
    n_copies: list[int] = []
    places: dict[tuple[tuple[Path, ...], tuple[str, ...]], int] = {}
    by_instance: dict[str, list[int]] = defaultdict(list)
    for one in found:
        place = tuple(path.resolve() for path in one.group.paths), one.group.members
        if place in places:
            continue
        instance = "" if one.group.origin is None else one.group.origin.sop_instance_uid
        alike = by_instance[instance] if instance else []
        original = next((index for index in alike if are_copies(kept[index].group, one.group)), None)
        if original is not None:
            n_copies[original] += 1
            continue
        places[place] = len(kept)
        by_instance[instance].append(len(kept))
        kept.append(one)
        n_copies.append(0)
    return kept, n_copies


def _copies_found(n_copies: int) -> tuple[Finding, ...]:
    """Note copies of a subject's files."""
    if not n_copies:
        return ()
    places = counted(n_copies, "other place")
    sentence = f"the same files lie in {places} of the sources too; they are one scan, and were read once"
    return (Finding("", NoteCode.COPIED_FILES, sentence),)
