"""A quick walk over plain elements, those of defined length in either little-endian encoding: nearly all of most headers.

Elements that follow one another in file after file are read at once (:mod:`cmr_planes.dicom.element_runs`), others one by one.
pydicom's reader, made for every element there is, takes several times as long; it reads what this walk leaves
(:mod:`cmr_planes.dicom.other_elements`).
"""

import struct
from functools import lru_cache
from typing import NamedTuple

from cmr_planes.dicom.element_runs import KEY_SIZE, ElementHeader, RunMemory

_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs whose length has 16 bits (PS3.5, 7.1.2)."""
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose length has 32 bits, after two bytes that are reserved."""
_EXPLICIT_HEADER = struct.Struct("<HH2sH")
_IMPLICIT_HEADER = struct.Struct("<HHL")
_LONG_LENGTH = struct.Struct("<L")
LONG_HEADER_SIZE = 12
"""Bytes before the value of an element of a long VR."""
_UNDEFINED = 0xFFFF_FFFF
_ITEM_END = 0xFFFE_E00D


class DamagedElementsError(ValueError):
    """Bytes are not those of DICOM elements."""


class PlainElements(NamedTuple):
    """What a walk found."""

    values: dict[int, bytes]
    """Raw values of the wanted elements, by tag."""
    position: int
    """Where the first element begins that was not walked over."""
    is_past_last: bool
    """Whether that is the first element above the last wanted tag; else it is one for pydicom, or the data end before it does."""


def walk_plain_elements(data: bytes, start: int, wanted: frozenset[int], last: int, *, is_implicit: bool = False) -> PlainElements:
    """Read wanted elements as far as all elements are plain.

    Parameters
    ----------
    data
        The beginning of a file.
    start
        Where the first element begins.
    wanted
        The tags of the elements that are wanted.
    last
        Where to stop: at the first tag above this one.
    is_implicit
        Whether the elements are written without their VR.

    Returns
    -------
        The elements, and how far the walk came.
    """
    walk = _walk_implicit if is_implicit else _walk_explicit
    return walk(data, start, wanted, last, _memory(wanted, last, is_implicit))


@lru_cache(maxsize=16)
def _memory(wanted: frozenset[int], last: int, is_implicit: bool) -> RunMemory:  # noqa: ARG001  # what runs depend on
    """Return the runs of elements that were met on walks with the same arguments."""
    return RunMemory()


def _walk_explicit(data: bytes, start: int, wanted: frozenset[int], last: int, memory: RunMemory) -> PlainElements:
    """Walk over elements with their VR."""
    values: dict[int, bytes] = {}
    position, size = start, len(data)
    is_past_last = False
    last_end = size - LONG_HEADER_SIZE + KEY_SIZE  # where a long header could still begin with the last element of a run
    position = memory.read(data, start, last_end, values)
    met: list[ElementHeader] = []
    while position + LONG_HEADER_SIZE <= size:
        group, element, vr, length = _EXPLICIT_HEADER.unpack_from(data, position)
        begin = position + 8  # bytes of a short header
        if vr in _LONG_VRS:
            (length,) = _LONG_LENGTH.unpack_from(data, begin)
            begin += 4
        elif vr not in _SHORT_VRS:
            break
        tag = group << 16 | element
        if tag > last:
            is_past_last = tag != _ITEM_END
            break
        end = begin + length
        if tag in wanted:
            if end > size:
                break
            values[tag] = data[begin:end]
        elif length == _UNDEFINED:
            break
        met.append(ElementHeader(data[position:begin], length, tag if tag in wanted else None))
        position = end
        if memory.add_if_full(met):
            position = memory.read(data, position, last_end, values)
            met = []
    memory.add(met)
    return PlainElements(values, position, is_past_last)


def _walk_implicit(data: bytes, start: int, wanted: frozenset[int], last: int, memory: RunMemory) -> PlainElements:
    """Walk over elements without their VR."""
    values: dict[int, bytes] = {}
    position, size = start, len(data)
    is_past_last = False
    position = memory.read(data, start, size, values)
    met: list[ElementHeader] = []
    while position + 8 <= size:  # bytes of a header
        group, element, length = _IMPLICIT_HEADER.unpack_from(data, position)
        tag = group << 16 | element
        if tag > last:
            is_past_last = tag != _ITEM_END
            break
        begin = position + 8
        end = begin + length
        if tag in wanted:
            if end > size:
                break
            values[tag] = data[begin:end]
        elif length == _UNDEFINED:
            break
        met.append(ElementHeader(data[position:begin], length, tag if tag in wanted else None))
        position = end
        if memory.add_if_full(met):
            position = memory.read(data, position, size, values)
            met = []
    memory.add(met)
    return PlainElements(values, position, is_past_last)
