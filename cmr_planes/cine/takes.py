"""Which frames of a series at one plane are one run of the scanner: a plane acquired twice is two takes, not a longer cycle.

A take is one cardiac cycle: its moments differ and follow one another in even steps, and it has no more frames than
CardiacNumberOfImages. Frames that are no such cycle are split by the first attribute that makes cycles of them.
"""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from cmr_planes.cine.frame_order import are_even, n_equal_allowed, n_missing_allowed
from cmr_planes.cine.grouping import group_by_plane
from cmr_planes.cine.moments import OrderedBy, moments
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.geometry.arrays import median

MIN_CINE_FRAMES = 2
"""Planes with fewer frames are localisers or single shots, not cine."""
MIN_TAKE_FRAMES = 4
"""The largest part of a split has at least as many frames: fewer show nothing of a cycle."""
SURPLUS = 1.5
"""This many times CardiacNumberOfImages are more than one cycle."""
MIN_OVERLAP = 0.5
"""Takes show the same part of the cycle: their times overlap by this share of the shorter one."""
PAUSE_S = 0.5
"""Takes are made at least so long apart, ..."""
PAUSE_STEPS = 4.0
"""... and this many times the usual time between their frames."""

Split = list[list[FrameHeader]]


def split_takes(frames: Sequence[FrameHeader]) -> Split:
    """Split frames of one plane and one series into takes.

    Parameters
    ----------
    frames
        Frames of one plane, from files that agree in all that the frames of one run of the scanner share. SeriesInstanceUID may
        differ: pieces of a cycle that lie under several UIDs are one take.

    Returns
    -------
        The takes, earlier ones first.
    """
    by = _telling(frames)
    uids = {frame.series_uid for frame in frames}
    allowed = n_equal_allowed(len(frames)) if len(uids) == 1 else 0
    if by is None or len(frames) < MIN_TAKE_FRAMES or _is_cycle(frames, by, allowed):
        return [list(frames)]
    for split in _SPLITS:
        parts = split(frames, by)
        if _are_takes(parts, by):
            return sorted(parts, key=_age)
    return _without_crowd(frames, by)


def _without_crowd(frames: Sequence[FrameHeader], by: OrderedBy) -> Split:
    """Part the frames of one moment, as of perfusion or maps, from those that are a cycle without them."""
    values = moments(frames, by)
    crowded, count = Counter(value for value in values if value is not None).most_common(1)[0]
    crowd = [frame for value, frame in zip(values, frames, strict=True) if value == crowded]
    others = [frame for value, frame in zip(values, frames, strict=True) if value != crowded]
    is_cycle = count >= MIN_TAKE_FRAMES and len(others) >= MIN_TAKE_FRAMES and _is_cycle(others, by, allowed=0)
    return [others, crowd] if is_cycle else [list(frames)]


def join_pieces(takes: Sequence[list[FrameHeader]]) -> Split:
    """Join pieces of one cycle that lie under several series numbers.

    Parameters
    ----------
    takes
        All takes of a study.

    Returns
    -------
        The takes. Those with fewer frames than CardiacNumberOfImages are joined where, at one plane and with equal names or one
        series number, they are together one cycle of exactly as many.
    """
    pieces = [take for take in takes if len(take) < expected_frames(take)]
    if len(pieces) < 2:
        return list(takes)
    frames = [frame for take in pieces for frame in take]
    joined = _whole_cycles(group_by_plane(frames, by_number=False))
    used = {id(frame) for group in joined for frame in group}
    joined += _whole_cycles(group_by_plane((frame for frame in frames if id(frame) not in used), by_protocol=False))
    used = {id(frame) for group in joined for frame in group}
    return [*(take for take in takes if id(take[0]) not in used), *joined]


def _whole_cycles(groups: Split) -> Split:
    """Return those groups that are one cycle of as many frames as CardiacNumberOfImages."""
    told = [(group, _telling(group)) for group in groups if len(group) == expected_frames(group)]
    return [group for group, by in told if by is not None and _is_cycle(group, by, allowed=0)]


def expected_frames(frames: Iterable[FrameHeader]) -> int:
    """Return the largest CardiacNumberOfImages, 0 where no header gives one that can be meant for a cine."""
    expected = max((frame.cardiac_number_of_images or 0 for frame in frames), default=0)
    return expected if expected >= MIN_CINE_FRAMES else 0


def _telling(frames: Sequence[FrameHeader]) -> OrderedBy | None:
    """Return the first attribute that most frames have and that is not the same in nearly all."""
    for by in OrderedBy:
        known = [value for value in moments(frames, by) if value is not None]
        if len(known) >= len(frames) - n_missing_allowed(len(frames)) and len(set(known)) >= max(2, len(frames) // 6):
            return by
    return None


def _is_cycle(frames: Sequence[FrameHeader], by: OrderedBy, allowed: int) -> bool:
    """Tell whether frames are one cycle, but for ``allowed`` doubled moments and some missing ones."""
    values = [value for value in moments(frames, by) if value is not None]
    n_equal = len(values) - len(set(values))
    expected = expected_frames(frames)
    is_too_long = expected and len(frames) >= (SURPLUS * expected if not n_equal else expected + 1)
    return n_equal <= allowed and not is_too_long and are_even(values)


def _are_takes(parts: Split, by: OrderedBy) -> bool:
    """Tell whether each part is a cycle of its own, and all show the same part of it."""
    if len(parts) < 2 or max(map(len, parts)) < MIN_TAKE_FRAMES:
        return False
    if not all(_is_cycle(part, by, n_equal_allowed(len(part))) for part in parts):
        return False
    if by is OrderedBy.INSTANCE_NUMBER:
        return True
    spans = [(min(known), max(known)) for known in ([v for v in moments(part, by) if v is not None] for part in parts) if known]
    low, high = max(spans, key=lambda span: span[1] - span[0])
    return all(min(high, end) - max(low, start) >= MIN_OVERLAP * (end - start) for start, end in spans)


def _by_value(value: Callable[[FrameHeader], Hashable]) -> Callable[[Sequence[FrameHeader], OrderedBy], Split]:
    """Return a split by the values of an attribute."""

    def split(frames: Sequence[FrameHeader], _: OrderedBy) -> Split:
        groups: defaultdict[Hashable, list[FrameHeader]] = defaultdict(list)
        for frame in frames:
            groups[value(frame)].append(frame)
        return list(groups.values())

    return split


def _by_pause(clock: OrderedBy) -> Callable[[Sequence[FrameHeader], OrderedBy], Split]:
    """Return a split where a clock shows that the scanner paused."""

    def split(frames: Sequence[FrameHeader], _: OrderedBy) -> Split:
        timed = [(time, frame) for time, frame in zip(moments(frames, clock), frames, strict=True) if time is not None]
        if len(timed) < len(frames):
            return []
        timed.sort(key=lambda pair: pair[0])
        gaps = np.diff([time for time, _ in timed])
        pauses = np.flatnonzero(gaps > max(PAUSE_S, PAUSE_STEPS * median(gaps))) + 1
        return _cut([frame for _, frame in timed], pauses.tolist())

    return split


def _where_times_run_back(frames: Sequence[FrameHeader], by: OrderedBy) -> Split:
    """Split, in the order of instance numbers, where the moment falls back; short pieces show shuffled numbers, not takes."""
    numbered = _in_order_of_numbers(frames)
    known = [(value, frame) for value, frame in zip(moments(numbered, by), numbered, strict=True) if value is not None]
    if len(known) < len(frames):
        return []
    values = [value for value, _ in known]
    parts = _cut([frame for _, frame in known], [place for place in range(1, len(values)) if values[place] < values[place - 1]])
    return parts if all(len(part) >= MIN_TAKE_FRAMES for part in parts) else []


def _by_repeated_moments(frames: Sequence[FrameHeader], by: OrderedBy) -> Split:
    """Put the first frame of each moment into the first take, the second one into the second, if they are so numbered or timed."""
    expected = expected_frames(frames)
    if expected and len(frames) <= expected:
        return []
    by_moment: defaultdict[float | None, list[FrameHeader]] = defaultdict(list)
    for value, frame in zip(moments(frames, by), frames, strict=True):
        by_moment[value].append(frame)
    ranked = [sorted(same, key=_age_of) for same in by_moment.values()]
    parts = [[same[rank] for same in ranked if rank < len(same)] for rank in range(max(map(len, ranked)))]
    numbers = [{frame.instance_number or 0 for frame in part} for part in parts]
    apart = all(max(first) < min(second) or second <= first for first, second in pairwise(numbers))
    return parts if apart else []


def _by_count(frames: Sequence[FrameHeader], by: OrderedBy) -> Split:
    """Cut a whole multiple of CardiacNumberOfImages into cycles, where nothing but numbers tells frames apart."""
    expected = expected_frames(frames)
    if by is not OrderedBy.INSTANCE_NUMBER or not expected or len(frames) % expected:
        return []
    return _cut(_in_order_of_numbers(frames), list(range(expected, len(frames), expected)))


_SPLITS: tuple[Callable[[Sequence[FrameHeader], OrderedBy], Split], ...] = (
    _by_value(lambda frame: frame.series_uid),
    _by_value(lambda frame: (frame.file.path if frame.file.member else "", _folder(frame))),
    _by_value(lambda frame: frame.acquisition_number),
    _by_value(lambda frame: (frame.nominal_interval_ms, frame.heart_rate_bpm)),
    _by_pause(OrderedBy.ACQUISITION_TIME),
    _by_pause(OrderedBy.CONTENT_TIME),
    _where_times_run_back,
    _by_repeated_moments,
    _by_count,
)


def _cut(frames: Sequence[FrameHeader], places: Sequence[int]) -> Split:
    """Cut a sequence before each of some places."""
    return [list(frames[start:end]) for start, end in zip([0, *places], [*places, len(frames)], strict=True)]


def _in_order_of_numbers(frames: Sequence[FrameHeader]) -> list[FrameHeader]:
    """Return frames by InstanceNumber, where takes have the same numbers by AcquisitionTime first."""
    numbers = [frame.instance_number for frame in frames]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return sorted(frames, key=lambda frame: frame.instance_number or 0)
    return sorted(frames, key=_age_of)


def _age_of(frame: FrameHeader) -> tuple[str, int, int, str, str]:
    """Sort frames by when they were made."""
    return (
        frame.acquired_at,
        frame.acquisition_number or 0,
        frame.instance_number or 0,
        frame.content_at,
        frame.sop_instance_uid,
    )


def _age(frames: Sequence[FrameHeader]) -> tuple[str, int, int, str, str]:
    """Sort takes by when they were made."""
    return max(map(_age_of, frames))


def _folder(frame: FrameHeader) -> str:
    """Return the folder of a frame's file."""
    return posixpath.dirname(frame.file.member) if frame.file.member else str(frame.file.path.parent)
