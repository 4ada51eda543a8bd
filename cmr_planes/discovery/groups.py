"""Which files of a SOURCE are one examination each.

Folder names tell little (``Series0006``, ``study``, ``1``), so one header is read from a few folders and compared in memory
(:mod:`cmr_planes.dicom.examinations`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.dicom.examinations import Origin, collide, divide
from cmr_planes.discovery.folders import Folder, all_folders, sample
from cmr_planes.discovery.words import is_generic, is_visit_of, owner_of

_MAX_SERIES_DIGITS = 4
"""A longer number is no folder of a series."""

_BESIDE_SUBJECTS = re.compile(
    r"""\W*(docs?|documents?|reports?|notes?|labels?|annotations?|contours?|masks?|seg(mentation)?s?|truth|ground[\s_-]*truth|gt
    |derivatives|results?|outputs?|pictures?|figures?|logs?|code|scripts?|src|tables?|meta(data)?|sourcedata|phenotype|te?mp|.*\.shards
    |.*\.labels|.*\.damaged)[\s_-]*[0-9]*""",
    re.IGNORECASE | re.VERBOSE,
)
"""Folders without images that lie beside those of subjects and are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGroup:
    """Files of one examination."""

    paths: tuple[Path, ...]
    """Folders, zips or files."""
    parts: tuple[str, ...]
    """Names from below SOURCE to where they lie."""
    members: tuple[str, ...] = ()
    """Where a zip holds several examinations: the names of members, or of folders with a ``/`` at the end, that are of this one."""
    origin: Origin | None = None
    """Of one of the files; None where none was read."""
    token: str = field(default="", repr=False)
    """What tells the examination from others of its folder, whose name does not; empty where the name does."""


def find_groups(top: Folder, *, is_alone: bool = False) -> list[FileGroup]:
    """Divide the loose DICOM files under a folder into examinations.

    Parameters
    ----------
    top
        A folder; zips in it, and parts that are joined by name, are not examined.
    is_alone
        Whether nothing else is in the source, so that one flat folder may be a whole archive.

    Returns
    -------
        One group for each examination, parents before children; and one for each subject's folder that has files, but no image.
    """
    if not top.holds_images:
        return list(_without_images(top)) if top.zips else []
    chain = [top]
    while not chain[-1].n_files and len(branches := _branches(chain[-1])) == 1:
        chain += branches
    folder = chain[-1]
    groups = _divide_folder(folder, is_alone=is_alone and sum(other.n_files > 0 for other in all_folders(top)) == 1)
    level: Folder | None = folder
    if len(groups) == 1 and len(groups[0].parts) <= len(folder.parts):
        depth = len(owner_of(groups[0].parts)) - 1 - len(top.parts)
        level = chain[depth] if depth >= 0 else None
    return groups + ([] if level is None else list(_without_images(level)))


def _divide_folder(folder: Folder, *, is_alone: bool = False) -> list[FileGroup]:
    """Divide what lies in and under a folder."""
    is_lone = len(folder.parts) > 1
    while not folder.n_files and len(branches := _branches(folder)) == 1:
        folder, is_lone = branches[0], True
    if not folder.holds_images:
        return []
    branches = _branches(folder)
    if not branches:
        return _divide_flat(folder, is_alone=is_alone, is_lone=is_lone)
    if not folder.holds_parts and _is_one_study(folder, branches):
        return [_whole(folder, folder.parts)]
    groups = _divide_flat(folder) if folder.n_files else []
    for members in _same_studies(branches):
        if len(members) > 1:
            first = sample(members[0])
            token = "" if first is None else first.identity.study_uid.decode("ascii", "replace") or first.sop_instance_uid
            groups.append(_joined(members, first, token))
        else:
            groups += _divide_folder(members[0])
    return groups


def _whole(folder: Folder, parts: tuple[str, ...]) -> FileGroup:
    """Return all that lies under a folder as one group."""
    return FileGroup(paths=(folder.path,), parts=parts, members=_inside(folder), origin=sample(folder))


def _joined(folders: Sequence[Folder], origin: Origin | None, token: str) -> FileGroup:
    """Return several folders as one group."""
    paths = tuple(dict.fromkeys(folder.path for folder in folders))
    members = tuple(name for folder in folders for name in _inside(folder))
    return FileGroup(paths=paths, parts=folders[0].parts, members=members, origin=origin, token=token)


def _inside(folder: Folder) -> tuple[str, ...]:
    """Return the members of a zip that lie under a folder; none for one on disk."""
    return tuple(name for leaf in all_folders(folder) for name in leaf.members)


def _branches(folder: Folder) -> list[Folder]:
    """Return the subfolders that hold loose images."""
    return [child for child in folder.children if child.holds_images]


def _without_images(folder: Folder) -> Iterator[FileGroup]:
    """Yield the subfolders that have files, none of which can be an image."""
    for child in folder.children:
        below = list(all_folders(child))
        name = child.parts[-1]
        if child.holds_images or child.holds_parts or any(other.zips for other in below) or not any(f.n_other_files for f in below):
            continue
        if not (is_generic(name) or is_visit_of(child.parts) or _BESIDE_SUBJECTS.fullmatch(name)):
            yield FileGroup(paths=(child.path,), parts=child.parts)


def _are_one_study(origins: Sequence[Origin]) -> bool | None:
    """Tell whether files of several folders belong to one examination; None if their headers do not say."""
    if len(divide(origins)) > 1:
        return False
    if collide(origins):
        return None
    uids = {origin.identity.study_uid for origin in origins}
    frames_of_reference = {origin.frame_of_reference for origin in origins}
    if (len(uids) == 1 and b"" not in uids) or (len(frames_of_reference) == 1 and "" not in frames_of_reference):
        return True
    return True if all(origin.identity.time for origin in origins) else None


def _is_one_study(folder: Folder, branches: Sequence[Folder]) -> bool:
    """Tell whether the subfolders are the series of one study, rather than a subject each."""
    chosen = [branches[index] for index in sorted({0, len(branches) // 2, len(branches) - 1})]
    ends = [origin for origin in map(sample, (chosen[0], chosen[-1])) if origin is not None]
    middle = [origin for origin in map(sample, chosen[1:-1]) if origin is not None]
    own = [origin for origin in map(folder.origin, folder.samples[:1]) if origin is not None]
    origins = [*ends, *middle, *own]
    answer = _are_one_study(origins) if len(origins) > 1 else None
    if answer is not None:
        return answer
    chosen = [branch for branch in chosen if sample(branch) is not None]
    return bool(chosen) and 2 * sum(_holds_several_series(branch) for branch in chosen) <= len(chosen)


def _series_of(folder: Folder) -> set[object]:
    """Return the series of a folder's samples."""
    origins = (folder.origin(name) for name in folder.samples)
    return {(origin.series_uid, origin.series) for origin in origins if origin is not None}


def _holds_several_series(folder: Folder) -> bool:
    """Tell whether a folder has several folders of files below it, or files of several series in one."""
    leaves = [leaf for leaf in all_folders(folder) if leaf.n_files]
    return len(leaves) > 1 if len(leaves) != 1 else len(_series_of(leaves[0])) > 1


def _same_studies(branches: Sequence[Folder]) -> list[list[Folder]]:
    """Bring folders together that are single series of one study among several studies; all others stay alone."""
    if any(branch.children or branch.holds_parts for branch in branches):
        return [[branch] for branch in branches]
    known = [(branch, origin) for branch in branches if (origin := sample(branch)) is not None]
    together = [
        [known[index][0] for index in group]
        for group in divide([origin for _, origin in known])
        if len(group) > 1 and _are_one_study([known[index][1] for index in group])
    ]
    joined = {id(member) for members in together for member in members}
    return [*together, *([branch] for branch in branches if id(branch) not in joined)]


def _divide_flat(folder: Folder, *, is_alone: bool = False, is_lone: bool = False) -> list[FileGroup]:
    """Divide the files of one folder.

    Three headers are read; all of them, each once, if these are of several examinations, or if the folder ``is_alone`` in its
    source and may be a whole archive.
    """
    parts = folder.parts[:-1] if is_lone and _is_folder_of_a_series(folder) else folder.parts
    origins = [origin for origin in map(folder.origin, folder.samples) if origin is not None]
    if folder.is_readable and (is_alone or len(divide(origins)) > 1):
        known = [(name, origin) for name in folder.file_names() if (origin := folder.origin(name)) is not None]
        groups = divide([origin for _, origin in known])
        if len(groups) > 1:
            tokens = _tokens([[known[index][1] for index in group] for group in groups])
            return [
                _files(folder, parts, [known[index][0] for index in group], known[group[0]][1], token)
                for group, token in zip(groups, tokens, strict=True)
            ]
    if not folder.children:
        return [_whole(folder, parts)]
    return [_files(folder, parts, folder.file_names() if folder.is_readable else (), next(iter(origins), None))]


def _tokens(groups: Sequence[Sequence[Origin]]) -> list[str]:
    """Return what tells each group from the others: StudyInstanceUID, else the first of its SOPInstanceUIDs, else its number."""
    uids = [{origin.identity.study_uid for origin in group} for group in groups]
    counts = Counter(uid for known in uids for uid in known)
    tokens = []
    for number, (known, group) in enumerate(zip(uids, groups, strict=True), start=1):
        own = min(known).decode("ascii", "replace") if len(known) == 1 and counts[min(known)] == 1 else ""
        tokens.append(own or min(origin.sop_instance_uid for origin in group) or f"examination {number}")
    return tokens


def _files(folder: Folder, parts: tuple[str, ...], names: Sequence[str], origin: Origin | None, token: str = "") -> FileGroup:
    """Return files of a folder as a group."""
    if folder.archive is not None:
        return FileGroup(paths=(folder.path,), parts=parts, members=tuple(names), origin=origin, token=token)
    return FileGroup(paths=tuple(folder.path / name for name in names), parts=parts, origin=origin, token=token)


def _is_folder_of_a_series(folder: Folder) -> bool:
    """Tell whether the only folder of its parent is named by a short number and holds one series: that names no person."""
    name = folder.parts[-1]
    return name.isdecimal() and len(name) <= _MAX_SERIES_DIGITS and len(folder.parts) > 1 and len(_series_of(folder)) == 1
