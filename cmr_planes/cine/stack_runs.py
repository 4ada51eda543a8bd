"""Whole acquisitions of a short-axis stack: levels of one series, or of several of one name, until a level comes again.

Positions are along the stack's axis, in mm, growing from base to apex.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, is_complete
from cmr_planes.geometry.arrays import FloatArray

DEFAULT_THICKNESS_MM = 8.0
"""Slice thickness where the header gives none."""
SAME_SLICE_SHARE = 0.6
"""Slices closer than this share of a stack's usual distance are repeats of one level."""
MIN_SERIES_LEVELS = 3
"""A series of this many slices is an acquisition by itself; series of fewer belong together if their names do."""
SAME_LEVEL_MM = 1.0
"""Slices closer than this are at one level, whatever the stack's distance."""
MAX_STEP_SHARE = 2.2
"""A step from one slice to the next that is this many times the thickness skips levels: the slices were acquired interleaved."""

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Levels that were acquired one after the other."""

    slices: tuple[CineSlice, ...]
    """From base to apex."""
    positions_mm: FloatArray
    """Their places along the stack, shape (slices,)."""
    family: Hashable
    """What the names of its series share."""
    step_mm: float
    """Usual distance of its levels."""

    @property
    def recency(self) -> tuple[object, ...]:
        """Sorts runs by when they were made."""
        return max(cine.recency for cine in self.slices)


def count_levels(positions_mm: Sequence[float] | FloatArray) -> int:
    """Count the distinct levels among the places of slices along a stack."""
    return 1 + int((np.diff(np.sort(positions_mm)) > SAME_LEVEL_MM).sum())


def sound_slices(among: Sequence[CineSlice]) -> frozenset[CineSlice]:
    """Return the acquisitions that have all their frames, and that nothing makes doubtful."""
    return frozenset(cine for cine in among if not cine.doubt and is_complete(cine, among))


def split_runs(slices: Sequence[CineSlice], position_mm: Mapping[CineSlice, float]) -> list[Run]:
    """Split parallel slices into whole acquisitions.

    Parameters
    ----------
    slices
        Nearly parallel slices of one matrix.
    position_mm
        The place of each along the stack.

    Returns
    -------
        The runs. A series of three slices and more makes runs of its own; others do if their names differ in more than numbers.
        Slices follow one another by time, or by series number where that gives fewer runs: archives whose times are shifted or
        equal would mix two acquisitions.
    """
    places = {(cine.header.series_number, round(position_mm[cine] / SAME_LEVEL_MM)) for cine in slices}
    whole = {number for number, count in Counter(number for number, _ in places).items() if count >= MIN_SERIES_LEVELS}
    groups: defaultdict[tuple[Hashable, int | None], list[CineSlice]] = defaultdict(list)
    for cine in slices:
        number = cine.header.series_number
        groups[_family(cine), number if number in whole else None].append(cine)
    runs: list[Run] = []
    for (family, _), members in groups.items():
        by_time = sorted(members, key=lambda cine: (cine.recency, position_mm[cine]))
        by_number = sorted(by_time, key=lambda cine: cine.recency[1])
        fewest = min((_in_runs(ordered, position_mm, family) for ordered in (by_time, by_number)), key=len)
        runs += fewest
    return runs


def _in_runs(members: Sequence[CineSlice], position_mm: Mapping[CineSlice, float], family: Hashable) -> list[Run]:
    """Cut slices, in the order of their acquisition, into runs."""
    step_mm = _usual_step_mm(members, [position_mm[cine] for cine in members])
    return [_run(levels, position_mm, family, step_mm) for levels in _until_repeated(members, position_mm, step_mm)]


def _until_repeated(members: Sequence[CineSlice], position_mm: Mapping[CineSlice, float], step_mm: float) -> list[list[CineSlice]]:
    """Cut slices, in the order of their acquisition, before each one that repeats a level.

    A level that one series repeats at once is a retake: the run continues with the later take, or the sound one.
    """
    reach_mm = max(SAME_SLICE_SHARE * step_mm, SAME_LEVEL_MM)
    sound = sound_slices(members)
    cut: list[list[CineSlice]] = [[]]
    replaced: list[list[CineSlice]] = []
    for cine in members:
        near = [other for other in cut[-1] if abs(position_mm[cine] - position_mm[other]) < reach_mm]
        if near and near == cut[-1][-1:] and near[0].header.series_number == cine.header.series_number:
            is_better = cine in sound or near[0] not in sound
            replaced.append([near[0] if is_better else cine])
            cut[-1][-1] = cine if is_better else near[0]
            continue
        if near:
            cut.append([])
        cut[-1].append(cine)
    return [*cut, *replaced]


def _run(levels: Sequence[CineSlice], position_mm: Mapping[CineSlice, float], family: Hashable, step_mm: float) -> Run:
    """Put levels in the order of their places."""
    ordered = sorted(levels, key=lambda cine: position_mm[cine])
    return Run(tuple(ordered), np.array([position_mm[cine] for cine in ordered]), family, step_mm)


def _usual_step_mm(members: Sequence[CineSlice], positions_mm: Sequence[float]) -> float:
    """Return the usual distance of levels, for slices in the order of their acquisition."""
    header = members[0].header
    nominal_mm = max(header.slice_thickness_mm or DEFAULT_THICKNESS_MM, header.spacing_between_slices_mm or 0.0)
    steps_mm = np.abs(np.diff(positions_mm))
    steps_mm = steps_mm[steps_mm > SAME_LEVEL_MM]
    if len(steps_mm) < 2:
        return nominal_mm
    usual_mm = float(np.quantile(steps_mm, 0.5, method="lower"))
    if usual_mm <= MAX_STEP_SHARE * nominal_mm:
        return usual_mm
    steps_mm = np.diff(np.sort(positions_mm))
    return max(nominal_mm, float(np.quantile(steps_mm[steps_mm > SAME_LEVEL_MM], 0.25, method="lower")))


def _family(cine: CineSlice) -> Hashable:
    """Return what the names of one stack's series share: all but the numbers of levels."""
    return tuple(_DIGITS.sub("", name) for name in (cine.header.series_description, cine.header.protocol_name))
