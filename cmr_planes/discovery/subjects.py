"""Finding subjects: which folders, zips and files belong to whom.

Planning is cheap: folders are listed, no zip is opened, and headers are read only where folder names cannot tell series from
subjects. Layouts that are understood: a folder for each subject at any depth; zips of any name; UK Biobank's
``EID_20208_2_0.zip`` (long axis) and ``EID_20209_2_0.zip`` (short axis), joined by participant and visit, unpacked or not; Kaggle's
``<id>/study/sax_5``; one study; one flat folder of several studies; one file.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cmr_planes.dicom.listing import is_candidate, is_zip
from cmr_planes.discovery.folders import FileGroup, all_folders, find_groups, walk
from cmr_planes.errors import SourceError
from cmr_planes.system.reasons import reason

UKB_CINE_FIELDS = ("20208", "20209")
"""UK Biobank's fields of long-axis and short-axis images."""

_UKB_NAME = re.compile(r"(?P<eid>[^_/\\]+)_(?P<field>202[0-9]{2})_(?P<visit>[0-9]+)_(?P<array>[0-9]+)", re.ASCII)
_GENERIC = re.compile(
    r"""(the)?[\s_-]*(study|studies|stud|dicoms?|dcm|images?|img|im|scans?|mri?|cmr|cardiac|heart|cine|raw|data|original|orig|export|exam
    |series|ser|se|st|pa|sax|lax|[234]ch|unknown|anonymi[sz]ed|files?|input|extracted|unzipped)[\s_-]*[0-9]*
    |series[0-9]+.*|[0-9]+(\.[0-9]+){3,}""",
    re.IGNORECASE | re.VERBOSE,
)
_VISIT = re.compile(
    r"(visit|ses|session|baseline|bl|follow[\s_-]*up|fu|time[\s_-]*point|tp|exam|(19|20)\d\d[-_]?\d\d[-_]?\d\d)[\s_-]*[0-9]*",
    re.IGNORECASE,
)
_LONG_NUMBER = re.compile(r"\d{7}")


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
    study_uid: str = field(default="", repr=False)
    """Where several studies lie in one folder: the StudyInstanceUID of this one; never shown."""


class UkbName(NamedTuple):
    """The parts of a UK Biobank bulk file's name."""

    eid: str
    field: str
    visit: str
    array: str


class _Found(NamedTuple):
    """A group, and the SOURCE (by number) in which it was found."""

    source: int
    group: FileGroup


def ukb_name(stem: str) -> UkbName | None:
    """Take a UK Biobank bulk file's name apart; None if it is not one.

    Examples
    --------
    >>> ukb_name("9000001_20209_2_0")
    UkbName(eid='9000001', field='20209', visit='2', array='0')
    """
    match = _UKB_NAME.fullmatch(stem) if stem.isprintable() else None
    return UkbName(**match.groupdict()) if match else None


def find_subjects(paths: Sequence[Path]) -> list[SubjectSource]:
    """Find the subjects in folders, zips and files.

    Parameters
    ----------
    paths
        What the user gave; UK Biobank's parts are joined across all of them.

    Returns
    -------
        The subjects, sorted by key.

    Raises
    ------
    SourceError
        A path is missing or cannot be listed, or holds neither DICOM files nor zips.
    """
    found: list[_Found] = []
    parts: dict[tuple[str, str], dict[UkbName, tuple[Path, Path]]] = defaultdict(dict)
    roots = [Path(path) for path in paths]
    for source, root in enumerate(roots):
        groups, named = _look_into(root)
        n_ignored = 0
        for path, name in named:
            if name.field in UKB_CINE_FIELDS:
                parts[name.eid, name.visit].setdefault(name, (path, root))
            else:
                n_ignored += 1
        found += [_Found(source, group) for group in groups]
        if not groups and n_ignored == len(named):
            raise SourceError(_nothing(root, n_ignored))
    subjects = [_join(eid, visit, named_paths) for (eid, visit), named_paths in parts.items()]
    subjects += _name_all(_distinct(found, roots), roots, taken={subject.key for subject in subjects})
    return sorted(subjects, key=lambda subject: subject.key)


def _nothing(root: Path, n_ignored: int) -> str:
    """Say that a source holds nothing that could be used."""
    if n_ignored:
        fields = " and ".join(UKB_CINE_FIELDS)
        return f"{root}: only UK Biobank fields other than {fields} ({n_ignored} files); the cine images are in these two"
    return f"{root}: no DICOM files and no zips in it; give a folder of subjects, of zips, or of one study"


def _look_into(root: Path) -> tuple[list[FileGroup], list[tuple[Path, UkbName]]]:
    """Return the groups under a SOURCE, and the UK Biobank parts, the zip before a folder of the same name."""
    try:
        if not root.is_dir():
            return _look_at_file(root)
        name = ukb_name(_name_of(root))
        if name is not None:
            return [], [(root, name)]
        top = walk(root, lambda folder: ukb_name(folder) is not None)
    except OSError as error:
        raise SourceError(f"{root}: cannot be read ({reason(error)}); check the path and its permissions") from error
    groups: list[FileGroup] = []
    named: list[tuple[Path, UkbName]] = []
    zipped: set[tuple[str, ...]] = set()
    for folder in all_folders(top):
        if folder.is_part and folder.parts not in zipped:
            name = ukb_name(folder.parts[-1])
            if name is not None:
                named.append((folder.path, name))
        for zip_name in folder.zips:
            stem = _stem(zip_name)
            zipped.add((*folder.parts, stem))
            name = ukb_name(stem)
            if name is not None:
                named.append((folder.path / zip_name, name))
            else:
                groups.append(FileGroup((folder.path / zip_name,), (*folder.parts, stem)))
    return groups + [group for group in find_groups(top) if not _is_beside_zip(group.parts, zipped)], named


def _is_beside_zip(parts: tuple[str, ...], zipped: set[tuple[str, ...]]) -> bool:
    """Tell whether files lie in a folder beside a zip of the same name: they are its unpacked copy."""
    return any(parts[:length] in zipped for length in range(1, len(parts) + 1))


def _look_at_file(path: Path) -> tuple[list[FileGroup], list[tuple[Path, UkbName]]]:
    """Return the group, or the part, that a single file is; raises OSError or SourceError."""
    path.stat()
    stem = _stem(path.name)
    name = ukb_name(stem)
    if is_zip(path.name) and name is not None:
        return [], [(path, name)]
    if not (path.is_file() and is_candidate(path.name)):
        raise SourceError(f"{path}: neither a folder, nor a zip, nor a DICOM file")
    return [FileGroup((path,), (stem,))], []


def _join(eid: str, visit: str, parts: dict[UkbName, tuple[Path, Path]]) -> SubjectSource:
    """Join the parts of one participant and visit: long axis first, then short axis."""
    ordered = sorted(parts, key=lambda name: (name.field, int(name.array), name.array))
    return SubjectSource(
        key=f"{eid}_{visit}",
        participant=eid,
        paths=tuple(parts[name][0] for name in ordered),
        root=parts[ordered[0]][1],
    )


def _distinct(found: Sequence[_Found], roots: Sequence[Path]) -> list[_Found]:
    """Drop what was found twice because sources overlap."""
    if len(roots) == 1:
        return list(found)
    seen: set[tuple[tuple[Path, ...], str]] = set()
    kept = []
    for item in found:
        identity = (tuple(path.resolve() for path in item.group.paths), item.group.study_uid)
        if identity not in seen:
            seen.add(identity)
            kept.append(item)
    return kept


def _name_all(found: Sequence[_Found], roots: Sequence[Path], taken: set[str]) -> list[SubjectSource]:
    """Give every group a key of its own and a participant."""
    owners = [_owner(item.group.parts) for item in found]
    tops = [_name_of(root) for root in roots]
    candidates = [
        [
            _uid_key(item.group) if item.group.is_named_by_uid else (owner[-1] if owner else tops[item.source]),
            "__".join(item.group.parts) or tops[item.source],
            "__".join((tops[item.source], *item.group.parts)),
        ]
        for item, owner in zip(found, owners, strict=True)
    ]
    keys = unique_keys(candidates, taken)
    people = _participants(found, owners)
    return [
        SubjectSource(
            key=key,
            participant=key_text(person) if person else key,
            paths=item.group.paths,
            root=roots[item.source],
            study_uid=item.group.study_uid,
        )
        for item, key, person in zip(found, keys, people, strict=True)
    ]


def unique_keys(candidates: Sequence[Sequence[str]], taken: Collection[str] = ()) -> list[str]:
    """Choose a key for each item: its first candidate that no other item has, and a numbered one if all collide.

    Parameters
    ----------
    candidates
        Names by item, equally many for each, the best first.
    taken
        Keys that are in use already.
    """
    keys = [""] * len(candidates)
    used = set(taken)
    pending: Sequence[int] = range(len(candidates))
    for rank in range(len(candidates[0]) if candidates else 0):
        names = {index: key_text(candidates[index][rank]) for index in pending}
        counts = Counter(names.values())
        chosen = {index: name for index, name in names.items() if counts[name] == 1 and name not in used}
        for index, name in chosen.items():
            keys[index] = name
        used.update(chosen.values())
        pending = [index for index in pending if index not in chosen]
    for index in pending:
        name, number = key_text(candidates[index][-1]), 2
        key = name
        while key in used:
            key, number = f"{name}__{number}", number + 1
        keys[index] = key
        used.add(key)
    return keys


def _owner(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names down to the last one that can name a person: ``study``, ``visit 1``, ``Series0006`` and UIDs cannot."""
    end = len(parts)
    while end and (_GENERIC.fullmatch(parts[end - 1]) or _VISIT.fullmatch(parts[end - 1])):
        end -= 1
    return parts[:end]


def _participants(found: Sequence[_Found], owners: Sequence[tuple[str, ...]]) -> list[str]:
    """Return who the groups belong to, where visits lie in one folder; empty for all others, who are persons of their own."""
    visits = [
        bool(owner) and not item.group.is_named_by_uid and any(_VISIT.fullmatch(part) for part in item.group.parts[len(owner) :])
        for item, owner in zip(found, owners, strict=True)
    ]
    persons = {(item.source, owner) for item, owner, is_visit in zip(found, owners, visits, strict=True) if is_visit}
    counts = Counter(owner[-1] for _, owner in persons)
    return [
        (owner[-1] if counts[owner[-1]] == 1 else "__".join((str(item.source), *owner))) if is_visit else ""
        for item, owner, is_visit in zip(found, owners, visits, strict=True)
    ]


def _uid_key(group: FileGroup) -> str:
    """Return twelve hexadecimal digits that stand for a StudyInstanceUID, without a run of digits that looks like an EID."""
    digest = group.study_uid
    while True:
        digest = hashlib.sha256(digest.encode()).hexdigest()
        if not _LONG_NUMBER.search(digest[:12]):
            return digest[:12]


def _name_of(root: Path) -> str:
    """Return a SOURCE's own name, without the suffix of a file."""
    name = root.name if root.name not in ("", "..") else root.resolve().name or "subject"
    return _stem(name) if root.is_file() else name


def _stem(name: str) -> str:
    """Return a file's name without the suffix of a zip or DICOM file; other dots belong to the name."""
    return name[:-4] if name.lower().endswith((".zip", ".dcm")) else name


def key_text(name: str) -> str:
    """Return a name as a key can be: UTF-8, printable, with no dot in front."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return f"_{text}" if text.startswith(".") else text
