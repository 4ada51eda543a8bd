"""Whose and which examination files are of, on the evidence of their headers.

PatientID, dates, times and UIDs are compared in memory: no value of them is stored, shown or logged, and none is in a ``repr``.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

MIN_SCATTERED = 3
"""A value that an anonymiser makes new for every file or series has at least this many different ones in an examination."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """What the headers of one examination have in common; a value is empty where the header says nothing."""

    patient: bytes = b""
    """PatientID."""
    birth_date: bytes = b""
    """PatientBirthDate."""
    date: bytes = b""
    """StudyDate."""
    time: bytes = b""
    """StudyTime, in whole seconds."""
    study_uid: bytes = b""
    """StudyInstanceUID."""

    @property
    def person(self) -> tuple[bytes, bytes]:
        """What tells persons apart."""
        return self.patient, self.birth_date


UNKNOWN = Identity()
"""Of a header that says nothing."""

_COLUMNS = ("patient", "birth_date", "date", "time", "study_uid")


@lru_cache(maxsize=4096)
def read_identity(patient: bytes, birth_date: bytes, date: bytes, time: bytes, study_uid: bytes) -> Identity:
    """Return the identity that raw header values give; values of zeros alone say nothing.

    Letters of PatientID count alike, small and capital. Files of one examination share the object.
    """
    return Identity(
        _meaningful(patient).upper(),
        _meaningful(birth_date).replace(b".", b""),
        _meaningful(date).replace(b".", b""),
        _meaningful(time).replace(b":", b"").partition(b".")[0],
        study_uid.strip(b" \x00"),
    )


class Origin(NamedTuple):
    """What tells where a file comes from: its examination, and its place in it."""

    identity: Identity = UNKNOWN
    series: tuple[Hashable, ...] = ()
    """SeriesNumber and SeriesDescription; no UID, since some anonymisers make one for every file."""
    series_uid: str = ""
    instance_number: int | None = None
    frame_of_reference: str = ""
    sop_instance_uid: str = ""
    place: Hashable = None
    """Where the image lies in the patient, None where that is not known."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


def divide(origins: Sequence[Origin]) -> list[list[int]]:
    """Divide files into examinations, so that no two persons share one.

    Different known values of PatientID, PatientBirthDate, StudyDate, StudyTime or StudyInstanceUID tell examinations apart, an
    equal UID notwithstanding. A UID, date or time that is another in every file, phase or series of what is otherwise one
    examination says nothing, nor does such a PatientID where all else agrees. Where none of them differs, and the files would be
    several complete examinations of one numbering, FrameOfReferenceUID divides them if it does so completely.

    Parameters
    ----------
    origins
        One for each file.

    Returns
    -------
        Indices into ``origins``, one list for each examination, by their first file.
    """
    if len({origin.identity for origin in origins}) == 1 and len({origin.frame_of_reference for origin in origins}) == 1:
        return [list(range(len(origins)))]
    found: list[tuple[tuple[bytes, ...], list[int]]] = []
    rest: list[int] = []
    for _, same_study in _by_values(origins, range(len(origins)), ("study_uid",)):
        if _is_scattered("patient", origins, same_study):
            found += _by_values(origins, same_study, ["", *_COLUMNS[1:]])
        else:
            rest += same_study
    for _, same_person in _by_values(origins, sorted(rest), ("patient", "birth_date")):
        scattered = {column for column in ("date", "time", "study_uid") if _is_scattered(column, origins, same_person)}
        found += _by_values(origins, same_person, ["" if column in scattered else column for column in _COLUMNS])
    return sorted(part for group in _join_unknown(found) for part in _by_frame_of_reference(origins, group))


def are_of_one_person(identities: Sequence[Identity]) -> bool | None:
    """Tell whether examinations are of one person; None where PatientID does not say."""
    patients = {identity.patient for identity in identities}
    birth_dates = {identity.birth_date for identity in identities} - {b""}
    if len(patients - {b""}) > 1 or len(birth_dates) > 1:
        return False
    return None if b"" in patients else True


def are_several_sets(origins: Sequence[Origin]) -> bool:
    """Tell whether files hold several complete sets of views: most of their series occur more than once, at other places.

    That is so where files of several examinations lie together and no identifier is left. Two files are copies of one place in
    the protocol if SeriesNumber, SeriesDescription and InstanceNumber are equal, and they are not of one series by its UID.
    """
    if len({(origin.series, origin.instance_number) for origin in origins}) == len(origins):
        return False
    copies: defaultdict[tuple[Hashable, int], list[Origin]] = defaultdict(list)
    for origin in origins:
        if origin.series[:1] != (None,) and origin.instance_number is not None:
            copies[origin.series, origin.instance_number].append(origin)
    doubled, all_series = Counter[Hashable](), Counter[Hashable]()
    for (series, _), members in copies.items():
        all_series[series] += 1
        uids = {member.series_uid for member in members}
        doubled[series] += len({member.place for member in members}) > 1 and ("" in uids or len(uids) > 1)
    several = [series for series, count in doubled.items() if 2 * count > all_series[series]]
    return len(several) > 1 and 2 * len(several) > len(all_series)


def collide(origins: Sequence[Origin]) -> bool:
    """Tell whether two files hold one place in the protocol: equal series and InstanceNumber, but not SOPInstanceUID."""
    return _n_collisions(origins, range(len(origins))) > 0


def _by_values(
    origins: Sequence[Origin], indices: Sequence[int], columns: Sequence[str]
) -> list[tuple[tuple[bytes, ...], list[int]]]:
    """Group files by columns of their identity; a column without a name counts as not known."""
    groups: defaultdict[tuple[bytes, ...], list[int]] = defaultdict(list)
    for index in indices:
        identity = origins[index].identity
        groups[tuple(getattr(identity, column) if column else b"" for column in columns)].append(index)
    return list(groups.items())


def _join_unknown(groups: Sequence[tuple[tuple[bytes, ...], list[int]]]) -> list[list[int]]:
    """Join a group with values that are not known to the only one that agrees with it wherever both are known."""
    joined: dict[tuple[bytes, ...], list[int]] = {}
    for values, members in sorted(groups, key=lambda group: (group[0].count(b""), group[1])):
        hosts = [host for host in joined if all(a == b or not (a and b) for a, b in zip(host, values, strict=True))]
        joined.setdefault(hosts[0] if len(hosts) == 1 else values, []).extend(members)
    return [sorted(members) for members in joined.values()]


def _is_scattered(column: str, origins: Sequence[Origin], indices: Sequence[int]) -> bool:
    """Tell whether a value is another in every file, phase or series of what is otherwise one examination."""
    values = [getattr(origins[index].identity, column) for index in indices]
    if len(set(values) - {b""}) < MIN_SCATTERED or not _agree(column, origins, indices):
        return False
    if _n_collisions(origins, indices):
        return False
    series_of: defaultdict[bytes, set[Hashable]] = defaultdict(set)
    files_of = Counter[Hashable]()
    for value, index in zip(values, indices, strict=True):
        series_of[value].add(origins[index].series)
        files_of[value, origins[index].series] += 1
    return all(len(series) == 1 for series in series_of.values()) or all(count == 1 for count in files_of.values())


def _agree(column: str, origins: Sequence[Origin], indices: Sequence[int]) -> bool:
    """Tell whether anything but a column says that files are of one examination; against PatientID, all else must."""
    criteria: list[Callable[[Origin], object]] = [
        lambda origin: origin.identity.patient,
        lambda origin: origin.frame_of_reference.encode(),
    ]
    if column != "study_uid":
        criteria.append(lambda origin: origin.identity.study_uid)
    if column == "patient":
        criteria += [lambda origin: origin.identity.date, lambda origin: origin.identity.time]
        del criteria[0]
    found = [{criterion(origins[index]) for index in indices} for criterion in criteria]
    is_enough = all if column == "patient" else any
    return is_enough(len(values) == 1 and b"" not in values for values in found)


def _n_collisions(origins: Sequence[Origin], indices: Sequence[int]) -> int:
    """Count files that hold a place in the protocol which another one, with another SOPInstanceUID, holds too."""
    holders: defaultdict[Hashable, set[object]] = defaultdict(set)
    for index in indices:
        origin = origins[index]
        holders[origin.series, origin.instance_number].add(origin.sop_instance_uid or index)
    return sum(len(uids) for uids in holders.values() if len(uids) > 1)


def _by_frame_of_reference(origins: Sequence[Origin], indices: list[int]) -> list[list[int]]:
    """Divide files by frame of reference if most collide in their numbering, and none does once they are divided."""
    ordered = sorted(indices, key=lambda index: (origins[index].frame_of_reference, index))
    groups = [list(group) for _, group in groupby(ordered, key=lambda index: origins[index].frame_of_reference)]
    if len(groups) < 2 or not origins[ordered[0]].frame_of_reference:
        return [indices]
    if 2 * _n_collisions(origins, indices) <= len(indices) or any(_n_collisions(origins, group) for group in groups):
        return [indices]
    return groups


def _meaningful(raw: bytes) -> bytes:
    """Return a value without padding, empty if it only holds zeros."""
    value = raw.strip(b" \x00")
    return value if value.strip(b"0.:") else b""
