"""The order of an acquisition's frames over the cardiac cycle: by the first attribute that gives one, never by file names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cmr_planes.cine.moments import OrderedBy, moments
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.geometry.arrays import median
from cmr_planes.system.text import counted

_CYCLE_TIMES = (OrderedBy.TRIGGER_TIME, OrderedBy.CYCLE_PERCENTAGE)
"""Moments of the cycle itself: they order frames even where they are so coarse that pairs are equal."""
_CLOCK_TIMES = (OrderedBy.CONTENT_TIME, OrderedBy.ACQUISITION_TIME)
MIN_CORRELATION = 0.9
"""Instance numbers that agree less with the clock (Spearman's rank correlation) were shuffled and give no order."""
MIN_FRAMES_WITH_FAULTS = 4
"""With fewer frames no value may be missing or doubled."""
EQUAL_SHARE = 1 / 8
"""Largest share of frames with the value of another frame; one frame in any case."""
MISSING_SHARE = 1 / 4
"""Largest share of frames without a value; one frame in any case."""
MIN_STEP_SHARE = 0.4
"""Frames of one cycle are no nearer to one another than this share of their usual step."""
GAP_SHARE = 0.7
"""A first moment later than this share of a step leaves room for a frame before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOrder:
    """Frames in the order of time, and how that order was found."""

    frames: tuple[FrameHeader, ...]
    """The frames, the first one nearest after the R wave."""
    by: OrderedBy
    """The attribute that gives the order."""
    n_placed: int = 0
    """Frames without a value of that attribute, put into the gap that others leave."""
    n_equal: int = 0
    """Frames that have the value of the frame before; another attribute decides between the two."""
    n_left_out: int = 0
    """Frames without a value, which fit in nowhere or in several places."""
    is_even: bool = True
    """Whether the times of the cycle follow one another in steps as those of a single acquisition do."""

    @property
    def irregularity(self) -> str:
        """How frames without a value of their own were treated, as part of a sentence; empty if there are none."""
        parts = []
        if self.n_equal:
            parts.append(
                f"{counted(self.n_equal, 'frame')} with the {self.by} of another one, put beside it in the order of "
                "other attributes"
            )
        if self.n_placed:
            parts.append(f"{counted(self.n_placed, 'frame')} without {self.by}, put where the others leave a gap")
        if self.n_left_out:
            parts.append(f"{counted(self.n_left_out, 'frame')} without {self.by}, left out since the place is not certain")
        if not self.is_even:
            parts.append(f"{counted(len(self.frames), 'frame')} in steps as uneven as if two acquisitions were mixed")
        return "; ".join(parts)


def order_frames(frames: Sequence[FrameHeader]) -> FrameOrder | None:
    """Order the frames of one acquisition.

    Parameters
    ----------
    frames
        Frames of one plane and one cycle, at least two, in any order.

    Returns
    -------
        The order, by the first attribute of :class:`OrderedBy` whose values differ from frame to frame. One missing or doubled
        value does not spoil an attribute. None if no attribute orders the frames.
    """
    for by in OrderedBy:
        values = moments(frames, by)
        if _differ(values, is_coarse=by in _CYCLE_TIMES) and not (by is OrderedBy.INSTANCE_NUMBER and _is_shuffled(frames)):
            return _arrange(frames, values, by)
    return None


def n_equal_allowed(n_frames: int) -> int:
    """Return how many frames of a cycle may have another frame's moment."""
    return max(1, int(n_frames * EQUAL_SHARE)) if n_frames >= MIN_FRAMES_WITH_FAULTS else 0


def n_missing_allowed(n_frames: int) -> int:
    """Return how many frames of a cycle may lack a moment."""
    return max(1, int(n_frames * MISSING_SHARE)) if n_frames >= MIN_FRAMES_WITH_FAULTS else 0


def are_even(values: Iterable[float]) -> bool:
    """Tell whether different moments follow one another in even steps, holes apart."""
    steps = np.diff(sorted(set(values)))
    return len(steps) < 2 or bool(steps.min() >= MIN_STEP_SHARE * median(steps))


def _differ(values: Sequence[float | None], *, is_coarse: bool) -> bool:
    """Tell whether values differ from frame to frame, some apart; coarse ones may be equal in pairs."""
    known = [value for value in values if value is not None]
    n_frames = len(values)
    least = len(known) / 2 if is_coarse and n_frames >= MIN_FRAMES_WITH_FAULTS else len(known) - n_equal_allowed(n_frames)
    return n_frames - len(known) <= n_missing_allowed(n_frames) and len(set(known)) >= max(2, least)


def _is_shuffled(frames: Sequence[FrameHeader]) -> bool:
    """Tell whether a clock that runs from frame to frame contradicts the instance numbers."""
    numbers = moments(frames, OrderedBy.INSTANCE_NUMBER)
    for by in _CLOCK_TIMES:
        times = moments(frames, by)
        if None not in numbers and None not in times and len(set(times)) == len(frames):
            return _rank_correlation(numbers, times) < MIN_CORRELATION
    return False


def _rank_correlation(first: Sequence[float | None], second: Sequence[float | None]) -> float:
    """Return Spearman's correlation of two sequences without equal values."""
    one, other = (np.argsort(np.argsort(np.array(values, dtype=np.float64))).astype(np.float64) for values in (first, second))
    one, other = one - one.mean(), other - other.mean()
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def _arrange(frames: Sequence[FrameHeader], values: Sequence[float | None], by: OrderedBy) -> FrameOrder:
    """Order frames by values, equal ones by what else orders them; frames without a value go where they fit."""
    known = [(value, frame) for value, frame in zip(values, frames, strict=True) if value is not None]
    n_equal = len(known) - len({value for value, _ in known})
    if n_equal:
        known = _by_other_attributes(known, by)
    known.sort(key=lambda pair: pair[0])
    without = [frame for value, frame in zip(values, frames, strict=True) if value is None]
    placed = _place(known, without, by) if without else [frame for _, frame in known]
    return FrameOrder(
        frames=tuple(placed),
        by=by,
        is_even=by not in _CYCLE_TIMES or are_even(value for value, _ in known),
        n_equal=n_equal,
        n_placed=len(placed) - len(known),
        n_left_out=len(frames) - len(placed),
    )


def _by_other_attributes(known: list[tuple[float, FrameHeader]], by: OrderedBy) -> list[tuple[float, FrameHeader]]:
    """Sort frames by the attributes that follow ``by``, so that a stable sort by value leaves equal ones in that order."""
    frames = [frame for _, frame in known]
    others = [moments(frames, other) for other in _after(by)]
    keys = [tuple(-1.0 if value is None else value for value in row) for row in zip(*others, strict=True)]
    uids = [frame.sop_instance_uid for frame in frames]
    return [known[index] for index in sorted(range(len(known)), key=lambda index: (keys[index], uids[index]))]


def _place(known: Sequence[tuple[float, FrameHeader]], without: Sequence[FrameHeader], by: OrderedBy) -> list[FrameHeader]:
    """Put frames without a value among the others: where another attribute agrees with the order, else one into the gap."""
    ordered = [frame for _, frame in known]
    for other in _after(by):
        theirs, ours = moments(ordered, other), moments(without, other)
        rising = [value for value in theirs if value is not None]
        if len(rising) == len(ordered) and None not in ours and all(a < b for a, b in pairwise(rising)):
            merged = [
                *zip(rising, ordered, strict=True),
                *((value or 0.0, frame) for value, frame in zip(ours, without, strict=True)),
            ]
            return [frame for _, frame in sorted(merged, key=lambda pair: pair[0])]
    gap = _only_gap([value for value, _ in known], starts_at_zero=by in _CYCLE_TIMES) if len(without) == 1 else None
    return ordered if gap is None else [*ordered[:gap], *without, *ordered[gap:]]


def _after(by: OrderedBy) -> list[OrderedBy]:
    """Return the attributes that are less telling than one."""
    attributes = list(OrderedBy)
    return attributes[attributes.index(by) + 1 :]


def _only_gap(values: Sequence[float], *, starts_at_zero: bool) -> int | None:
    """Return before which of ascending values one is missing, ``len(values)`` if behind the last; None if not certain."""
    steps = np.diff(values)
    step = median(steps[steps > 0])
    holes = np.rint(steps / step) - 1
    if starts_at_zero and values[0] > GAP_SHARE * step:
        return 0 if holes.max() < 1 else None
    if holes.max() < 1:
        return len(values)
    return int(np.argmax(holes)) + 1 if np.maximum(holes, 0).sum() == 1 else None
