"""When in the cardiac cycle a frame was taken, by each attribute of its header that may say so."""

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from itertools import pairwise

from cmr_planes.dicom.frames import FrameHeader

_POINT_IN_TIME = re.compile(r"(?:(\d{4})(\d\d)(\d\d))?(\d\d)(\d\d)(\d\d)(\.\d+)?(?:[+-]\d{4})?")
_DAY_S = 86_400
_LONGEST_RUN_S = 3_600
"""Frames of one plane are acquired within a shorter time: times of day that are farther apart lie on both sides of midnight."""


class OrderedBy(StrEnum):
    """The attribute that gives the order of frames, the most telling first; the values name it in messages."""

    TRIGGER_TIME = "TriggerTime (0018,1060)"
    """Also NominalCardiacTriggerDelayTime of Enhanced MR."""
    CYCLE_PERCENTAGE = "NominalPercentageOfCardiacPhase (0020,9241)"
    TEMPORAL_POSITION = "TemporalPositionIdentifier (0020,0100)"
    """Also TemporalPositionIndex of Enhanced MR."""
    DIMENSION_INDEX = "DimensionIndexValues (0020,9157)"
    INSTANCE_NUMBER = "InstanceNumber (0020,0013)"
    """In a multi-frame instance: the number of the frame."""
    CONTENT_TIME = "ContentTime (0008,0033)"
    ACQUISITION_TIME = "AcquisitionTime (0008,0032)"


def moments(frames: Sequence[FrameHeader], by: OrderedBy) -> list[float | None]:
    """Return when each frame was taken according to one attribute, None where it does not say.

    Parameters
    ----------
    frames
        Frames of one plane.
    by
        The attribute.

    Returns
    -------
        Numbers that rise with time. Their unit is that of the attribute; points in time are in seconds.
    """
    match by:
        case OrderedBy.TRIGGER_TIME:
            return [frame.trigger_time_ms for frame in frames]
        case OrderedBy.CYCLE_PERCENTAGE:
            return [frame.cycle_percentage for frame in frames]
        case OrderedBy.TEMPORAL_POSITION:
            return [frame.temporal_position for frame in frames]
        case OrderedBy.DIMENSION_INDEX:
            rank = {index: float(place) for place, index in enumerate(sorted({frame.dimension_index for frame in frames} - {()}))}
            return [rank.get(frame.dimension_index) for frame in frames]
        case OrderedBy.INSTANCE_NUMBER:
            return [frame.instance_number for frame in frames]
        case OrderedBy.CONTENT_TIME:
            return _past_midnight([seconds(frame.content_at) for frame in frames])
        case OrderedBy.ACQUISITION_TIME:
            return _past_midnight([seconds(frame.acquired_at) for frame in frames])


def _past_midnight(times_s: Sequence[float | None]) -> list[float | None]:
    """Let times of one day continue past midnight, where their date is missing or stays the same."""
    known = sorted({time_s for time_s in times_s if time_s is not None})
    gap_s, start_s = max(((later - earlier, later) for earlier, later in pairwise(known)), default=(0.0, 0.0))
    if not _DAY_S - _LONGEST_RUN_S < gap_s < _DAY_S:
        return list(times_s)
    return [time_s if time_s is None or time_s >= start_s else time_s + _DAY_S for time_s in times_s]


def seconds(point_in_time: str) -> float | None:
    """Return a DICOM date and time, or a time alone, in seconds; None if it is not one.

    Examples
    --------
    >>> seconds("100001.5"), seconds("20200102000000") - seconds("20200101235959"), seconds("")
    (36001.5, 1.0, None)
    """
    match = _POINT_IN_TIME.fullmatch(point_in_time)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() if day else 0
    except ValueError:
        return None
    return days * _DAY_S + int(hour) * 3600 + int(minute) * 60 + int(second) + float(fraction or 0)
