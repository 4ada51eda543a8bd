"""Keys of examinations, and which of them are visits of one person.

A key is made from folder names. PatientID is compared in memory, and no participant is called by it.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.dicom.examinations import are_of_one_person
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.discovery.words import is_stated_visit, is_uid, is_visit_of, owner_of, split_visit

MAX_VISITS = 12
"""A PatientID that more examinations share is a placeholder, and no person's."""

_PLACEHOLDER = re.compile(
    rb"[\W_0]*|x{2,}|(anon\w*|de-?identified|unknown|removed|deleted|redacted|none|null|patient|subject|test|phantom|n/?a)[\W_0x]*",
    re.IGNORECASE,
)
_LONG_NUMBER = re.compile(r"\d{7}")


@dataclass(frozen=True, slots=True)
class Found:
    """A group of files, and the SOURCE in which it was found."""

    source: int
    """The number of the SOURCE."""
    top: str
    """Its name."""
    group: FileGroup
    is_only: bool = False
    """Whether nothing else was found in the SOURCE."""


@dataclass(frozen=True, slots=True)
class KnownSubjects:
    """The subjects that an output has already."""

    participants: Mapping[str, str] = field(default_factory=dict)
    """Their participants, by key; empty where that is not known."""
    is_same: Callable[[str, Found, bool], bool | None] = lambda key, found, thorough: None  # noqa: ARG005  # nothing is known
    """Tells whether a subject of a key is this one, with or without reading all of its headers; None for an unknown key."""


NONE_KNOWN = KnownSubjects()


@dataclass(frozen=True, slots=True)
class Name:
    """What a subject is called."""

    key: str
    participant: str


def name_all(found: Sequence[Found], taken: Collection[str] = (), known: KnownSubjects = NONE_KNOWN) -> list[Name]:
    """Give every group a key of its own, and a participant.

    A group that ``known`` has keeps its key, whatever else was found. Another one gets its folder's name; where several would be
    called alike, the names of the folders above too.

    Parameters
    ----------
    found
        The groups.
    taken
        Keys that are in use in this run.
    known
        Subjects of an earlier run.
    """
    keys = _known_keys(found, known)
    new = [index for index, key in enumerate(keys) if not key]
    used = {*taken, *known.participants, *keys} - {""}
    for index, key in zip(new, unique_keys([_candidates(found[index]) for index in new], used), strict=True):
        keys[index] = key
    return [Name(key, person) for key, person in zip(keys, _participants(found, keys, known), strict=True)]


def name_by_folders(found: Sequence[Found]) -> list[Name]:
    """Give every group its folder's name, numbered where several are called alike, and a participant."""
    keys = unique_keys([_candidates(one)[:1] for one in found])
    return [Name(key, person) for key, person in zip(keys, _participants(found, keys, NONE_KNOWN), strict=True)]


def _known_keys(found: Sequence[Found], known: KnownSubjects) -> list[str]:
    """Return the keys of the groups that are known, empty for the others; sure matches come before those that cost reading."""
    keys = [""] * len(found)
    if not known.participants:
        return keys
    for is_thorough in (False, True):
        for index, one in enumerate(found):
            names = [] if keys[index] else [*_candidates(one), *_former_candidates(one)]
            free = (key for key in map(key_text, names) if key in known.participants and key not in keys)
            keys[index] = keys[index] or next((key for key in free if known.is_same(key, one, is_thorough)), "")
    return keys


def _candidates(one: Found) -> list[str]:
    """Return the names that a group may have, the best first."""
    parts = tuple(_without_uid(part) for part in one.group.parts)
    owner = tuple(_without_uid(part) for part in owner_of(one.group.parts))
    visits = [part for index, part in enumerate(parts) if index >= len(owner) and is_visit_of(one.group.parts[: index + 1])]
    token = [short_digest(one.group.token)] if one.group.token else []
    path = "__".join((*parts, *token))
    lone = one.top if one.is_only else path
    best = "__".join((owner[-1], *visits, *token)) if owner else "__".join(token) or lone
    return [best or one.top, path or one.top, "__".join((one.top, *parts, *token))]


def _former_candidates(one: Found) -> list[str]:
    """Return further names that an earlier run may have given a group: when less lay beside it, or from another SOURCE."""
    parts = one.group.parts
    owner = owner_of(parts)
    return [
        short_digest(one.group.token) if one.group.token else (owner[-1] if owner else one.top),
        parts[-1] if parts else one.top,
        "__".join(parts) or one.top,
        "__".join((one.top, *parts)),
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


def _participants(found: Sequence[Found], keys: Sequence[str], known: KnownSubjects) -> list[str]:
    """Return the person of each group: equal for visits by the folders' names, and for those of one PatientID."""
    visits = [(place, members) for place, candidates in _by_owner(found).items() for members in _visits_by_name(found, candidates)]
    labels = {index: place for place, members in visits for index in members}
    persons = _join([*(members for _, members in visits), *_by_patient(found)], len(found))
    names = [_label(members, keys, labels) for members in persons]
    counts = Counter(names)
    participants = [""] * len(found)
    for members, name in zip(persons, names, strict=True):
        before = sorted({known.participants.get(keys[index], "") for index in members} - {""})
        by_path = "__".join(labels[members[0]]) if counts[name] > 1 and members[0] in labels else name
        for index in members:
            participants[index] = before[0] if before else key_text(by_path)
    return participants


def _join(sets: Iterable[Sequence[int]], count: int) -> list[list[int]]:
    """Return the parts into which numbers from 0 fall where those of one set belong together."""
    part_of = list(range(count))
    for members in sets:
        parts = {part_of[member] for member in members}
        part_of = [min(parts) if part in parts else part for part in part_of]
    joined: defaultdict[int, list[int]] = defaultdict(list)
    for index, part in enumerate(part_of):
        joined[part].append(index)
    return list(joined.values())


def _by_owner(found: Sequence[Found]) -> dict[tuple[str, ...], list[int]]:
    """Group by source and by the folder whose name is a person's."""
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(found):
        owner = owner_of(one.group.parts)
        if owner and not one.group.token:
            groups[str(one.source), *owner[:-1], split_visit(owner[-1])[0]].append(index)
    return groups


def _visits_by_name(found: Sequence[Found], members: Sequence[int]) -> list[list[int]]:
    """Return which groups of one owner are visits of one person; no PatientID may speak against what names only suggest."""
    words = [_visit_words(found[index].group.parts) for index in members]
    identities = [one.identity for index in members if (one := found[index].group.origin) is not None]
    answer = are_of_one_person(identities) if identities else None
    if any(is_stated_visit(word) for said in words for word in said) or (answer is not False and any(words)):
        return [list(members)]
    return [list(members)] if answer and len(identities) == len(members) > 1 else []


def _visit_words(parts: tuple[str, ...]) -> list[str]:
    """Return the names that say which visit a group is."""
    owner = owner_of(parts)
    words = [parts[index] for index in range(len(owner), len(parts)) if is_visit_of(parts[: index + 1])]
    visit = split_visit(owner[-1])[1] if owner else ""
    return [*words, visit] if visit else words


def _by_patient(found: Sequence[Found]) -> Iterable[list[int]]:
    """Yield the groups of each PatientID that can be one person's."""
    by_patient: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, one in enumerate(found):
        patient = one.group.origin.identity.patient if one.group.origin is not None else b""
        if patient and not _PLACEHOLDER.fullmatch(patient):
            by_patient[patient].append(index)
    for members in by_patient.values():
        origins = [found[index].group.origin for index in members]
        if len(members) <= MAX_VISITS and are_of_one_person([one.identity for one in origins if one is not None]):
            yield members


def _label(members: Sequence[int], keys: Sequence[str], labels: Mapping[int, tuple[str, ...]]) -> str:
    """Return what a person is called: by the folder of the visits, else by the first key."""
    by_folder = sorted({labels[index][-1] for index in members if index in labels})
    return key_text(_without_uid(by_folder[0])) if by_folder else min(keys[index] for index in members)


def _without_uid(name: str) -> str:
    """Return a name, or what stands for it if it is a UID."""
    return short_digest(name) if is_uid(name) else name


def short_digest(uid: str) -> str:
    """Return twelve hexadecimal digits that stand for a UID, without a run of digits that looks like an EID."""
    digest = uid
    while True:
        digest = hashlib.sha256(digest.encode("utf-8", "surrogateescape")).hexdigest()
        if not _LONG_NUMBER.search(digest[:12]):
            return digest[:12]


def name_of_source(root: Path) -> str:
    """Return a SOURCE's own name, without the suffix of a file."""
    name = root.name if root.name not in ("", "..") else root.resolve().name or "subject"
    return stem(name) if root.is_file() else name


def stem(name: str) -> str:
    """Return a file's name without the suffix of a zip or DICOM file; other dots belong to the name."""
    return name[:-4] if name.lower().endswith((".zip", ".dcm")) else name


_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half a character, as file names of Windows may have; the others stand for bytes that are not UTF-8 (PEP 383)."""


def key_text(name: str) -> str:
    """Return a name as a key can be: UTF-8, printable, with no dot in front."""
    escaped = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", name)
    text = escaped.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return f"_{text}" if text.startswith(".") else text
