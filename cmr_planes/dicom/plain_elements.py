"""A quick walk over plain elements, those of explicit VR, little-endian and of defined length: nearly all of most headers.

pydicom's reader, made for every element there is, takes several times as long. It goes on where this walk stops
(:mod:`cmr_planes.dicom.elements`).
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

_SHORT_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_16)
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_SHORT_HEADER = struct.Struct("<HH2sH")
_LONG_LENGTH = struct.Struct("<L")
_LONG_HEADER_SIZE = 12
_UNDEFINED = 0xFFFF_FFFF


class PlainElements(NamedTuple):
    """What a walk found."""

    values: dict[int, bytes]
    """Raw values of the wanted elements, by tag."""
    position: int
    """Where the first element begins that was not walked over."""
    is_past_last: bool
    """Whether that is the first element above the last wanted tag; else it is one for pydicom, or the data end."""


def walk_plain_elements(data: bytes, start: int, tags: Iterable[int], last: int) -> PlainElements:
    """Read wanted elements as far as all elements are plain.

    Parameters
    ----------
    data
        The beginning of a file.
    start
        Where the first element begins.
    tags
        Which elements are wanted.
    last
        Where to stop: at the first tag above this one.

    Returns
    -------
        The elements, and how far the walk came.
    """
    wanted = frozenset(tags)
    values: dict[int, bytes] = {}
    position, size = start, len(data)
    while position + _LONG_HEADER_SIZE <= size:
        group, element, vr, length = _SHORT_HEADER.unpack_from(data, position)
        begin = position + 8  # bytes of a short header
        if vr in _LONG_VRS:
            (length,) = _LONG_LENGTH.unpack_from(data, begin)
            begin += 4
        elif vr not in _SHORT_VRS:
            break
        tag = group << 16 | element
        if tag > last:
            return PlainElements(values, position, is_past_last=True)
        end = begin + length
        if tag in wanted:
            if end > size:
                break
            values[tag] = data[begin:end]
        elif length == _UNDEFINED:
            break
        position = end
    return PlainElements(values, position, is_past_last=False)
