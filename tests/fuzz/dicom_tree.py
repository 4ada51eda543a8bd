"""A DICOM file as a tree of elements, changed and encoded again, so that mutations get past a reader's first checks.

Written from PS3.5 and not with pydicom, so that what is written can be wrong in any way.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.bytewise import ANY_BYTES, NUMBERS, STRINGS

_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_VRS = (
    *_LONG,
    b"AE",
    b"AS",
    b"AT",
    b"CS",
    b"DA",
    b"DS",
    b"DT",
    b"FD",
    b"FL",
    b"IS",
    b"LO",
    b"LT",
    b"PN",
    b"SH",
    b"SL",
    b"SS",
    b"TM",
)
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_PIXEL_DATA = 0x7FE0_0010
_META_GROUP = 0x0002
_SYNTAXES = {
    "explicit": b"1.2.840.10008.1.2.1\0",
    "implicit": b"1.2.840.10008.1.2\0",
    "big": b"1.2.840.10008.1.2.2\0",
    "deflated": b"1.2.840.10008.1.2.1.99",
}
_COMPRESSED = [
    f"1.2.840.10008.1.2.{end}\0".encode() for end in ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "5")
]
_UIDS = [
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.1.3.10",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "",
    "1" * 65,
]
_CHARACTER_SETS = [
    "ISO 2022 IR 6",
    "ISO_IR 100",
    "ISO_IR 192",
    "ISO 2022 IR 87\\ISO 2022 IR 13",
    "GB18030",
    "\\",
    "utf-8",
    "nonsense",
]


@dataclass(slots=True)
class Element:
    """One element: bytes, or the items of a sequence."""

    tag: int
    vr: bytes
    value: "bytes | list[list[Element]]"
    claimed: int | None = None
    """The length that is written, where it is not the true one."""
    is_encapsulated: bool = False


@dataclass(slots=True)
class File:
    """A file: preamble, file meta information, dataset."""

    preamble: bytes
    elements: list[Element]
    encoding: str = "explicit"
    trailing: bytes = b""
    elements_of_meta: list[Element] = field(default_factory=list)


def parse(data: bytes) -> File:
    """Take an explicit little-endian file apart; raises ValueError or struct.error for anything else."""
    if data[128:132] != b"DICM":
        raise ValueError("no file meta information")
    elements, _ = _elements(data, 132, len(data))
    meta = [element for element in elements if element.tag >> 16 == _META_GROUP]
    return File(data[:132], elements[len(meta) :], elements_of_meta=meta)


def write(file: File) -> bytes:
    """Encode a file."""
    meta = b"".join(_write(element, "explicit") for element in file.elements_of_meta)
    dataset = b"".join(_write(element, file.encoding) for element in file.elements)
    if file.encoding == "deflated":
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        dataset = compressor.compress(dataset) + compressor.flush()
    return file.preamble + meta + dataset + file.trailing


def all_elements(elements: Sequence[Element]) -> Iterator[tuple[list[Element], int]]:
    """Yield every element of a dataset and of its sequences, as the list that holds it and its place there."""
    for index, element in enumerate(elements):
        yield elements, index  # type: ignore[misc]  # lists, all of them
        if isinstance(element.value, list):
            for item in element.value:
                yield from all_elements(item)


def mutate(data: bytes, rng: Random) -> bytes:
    """Change a file's elements; bytes where it is no explicit little-endian file, or by chance."""
    if rng.random() < 0.1:
        return rng.choice(ANY_BYTES)(data, rng)
    try:
        file = parse(data)
    except (ValueError, struct.error, IndexError, RecursionError):
        return rng.choice(ANY_BYTES)(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        change_element(file, rng)
    if rng.random() < 0.3:
        reencode(file, rng)
    return write(file)


def reencode(file: File, rng: Random) -> None:
    """Choose another encoding, and nearly always say so in the file meta information."""
    file.encoding = rng.choice(list(_SYNTAXES))
    uid = _SYNTAXES[file.encoding] if rng.random() < 0.9 else rng.choice(_COMPRESSED)
    for element in file.elements_of_meta:
        if element.tag == 0x0002_0010:
            element.value = uid


def change_element(file: File, rng: Random) -> None:
    """Change one element in one way."""
    places = list(all_elements(file.elements if file.elements and rng.random() < 0.93 else file.elements_of_meta))
    if not places:
        return
    holder, index = rng.choice(places)
    element = holder[index]
    way = rng.random()
    if way < 0.6:
        element.value = other_value(element, rng)
    elif way < 0.68:
        del holder[index]
    elif way < 0.74:
        holder.insert(rng.randrange(len(holder) + 1), Element(element.tag, element.vr, element.value))
    elif way < 0.80:
        element.vr = rng.choice(_VRS) if rng.random() < 0.8 else rng.randbytes(2)
    elif way < 0.86:
        element.claimed = rng.choice((0, 1, 3, 7, 255, 65535, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFE, _UNDEFINED))
    elif way < 0.92:
        element.tag = rng.choice((rng.choice(places)[0][0].tag, rng.randrange(1 << 32), element.tag ^ 1, _ITEM, _SEQUENCE_END))
    elif way < 0.97:
        opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, _UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED)
        holder.insert(index, Element(0x0008_1140, b"UN", opening * rng.choice((1, 3, 60, 1200, 20_000))))
    else:
        file.trailing = rng.choice((bytes(100), bytes(5000), rng.randbytes(50), b"\x10\x00\x10\x00PN\x04\x00A^B "))


def other_value(element: Element, rng: Random) -> "bytes | list[list[Element]]":
    """Return another value of an element's VR, or bytes that are none."""
    value = element.value
    if isinstance(value, list):
        return _other_items(value, rng)
    if element.tag == _PIXEL_DATA or rng.random() < 0.1:
        return rng.choice(ANY_BYTES)(value, rng)
    if element.vr in (b"DS", b"IS"):
        parts = value.decode("latin-1").split("\\")
        for _ in range(rng.choice((1, 1, len(parts)))):
            parts[rng.randrange(len(parts))] = rng.choice((*NUMBERS, *parts, f"{rng.uniform(-300, 300):.6g}", "", "x"))
        if rng.random() < 0.15:
            parts = rng.choice((parts[:-1], parts * 2, [*parts, "0"], parts[::-1]))
        return _even("\\".join(parts))
    if element.vr == b"US":
        return struct.pack("<H", rng.choice((0, 1, 2, 7, 8, 12, 15, 16, 17, 32, 33, 64, 255, 256, 4096, 32768, 65535)))
    if element.vr in (b"FD", b"FL"):
        form, number = (
            ("<d" if element.vr == b"FD" else "<f"),
            rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e30, -5e-324, 700.0)),
        )
        return struct.pack(form, number)
    if element.vr in (b"UL", b"SL", b"SS", b"AT"):
        return rng.choice((b"", b"\0", bytes(4), b"\xff" * 4, b"\x01\0\0\0", b"\xff\xff\xff\x7f"))
    if element.vr == b"UI":
        return _even(rng.choice((*_UIDS, *STRINGS)))
    if element.tag == 0x0008_0005:
        return _even(rng.choice(_CHARACTER_SETS))
    return _even(rng.choice((*STRINGS, *NUMBERS, value.decode("latin-1") * 2)))


def _other_items(items: list[list[Element]], rng: Random) -> list[list[Element]]:
    """Leave items out, repeat one, empty one, or exchange two."""
    items = [list(item) for item in items]
    if not items:
        return [[]]
    index, way = rng.randrange(len(items)), rng.randrange(6)
    if way == 0:
        return []
    if way == 1:
        del items[index]
    elif way == 2:
        items[index:index] = [items[index]] * rng.choice((1, 2, 300))
    elif way == 3:
        items[index] = []
    elif way == 4:
        other = rng.randrange(len(items))
        items[index], items[other] = items[other], items[index]
    else:
        rng.shuffle(items[index])
    return items


def _even(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return raw + b" " * (len(raw) % 2)


def _elements(data: bytes, position: int, stop: int, *, ends_at: int = 0) -> tuple[list[Element], int]:
    """Parse elements up to ``stop``, or to the delimiter ``ends_at``; return them and where they end."""
    found: list[Element] = []
    while position + 8 <= stop:
        group, number = struct.unpack_from("<HH", data, position)
        tag = group << 16 | number
        if ends_at and tag == ends_at:
            return found, position + 8
        vr = data[position + 4 : position + 6]
        if vr in _LONG:
            (length,) = struct.unpack_from("<I", data, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", data, position + 6)
            position += 8
        if vr == b"SQ":
            items, position = _items(data, position, stop if length == _UNDEFINED else min(stop, position + length))
            found.append(Element(tag, vr, items))
        elif length == _UNDEFINED:
            end = data.index(struct.pack("<HH", 0xFFFE, 0xE0DD), position)
            found.append(Element(tag, vr, data[position:end], is_encapsulated=True))
            position = end + 8
        else:
            if position + length > stop:
                raise ValueError("a value is longer than what holds it")
            found.append(Element(tag, vr, data[position : position + length]))
            position += length
    if position != stop or ends_at:
        raise ValueError("bytes are left")
    return found, position


def _items(data: bytes, position: int, stop: int) -> tuple[list[list[Element]], int]:
    items = []
    while position + 8 <= stop:
        group, number, length = struct.unpack_from("<HHI", data, position)
        position += 8
        tag = group << 16 | number
        if tag == _SEQUENCE_END:
            return items, position
        if tag != _ITEM:
            raise ValueError("no item")
        if length == _UNDEFINED:
            item, position = _elements(data, position, stop, ends_at=_ITEM_END)
        else:
            item, position = _elements(data, position, position + length)
        items.append(item)
    return items, position


def _write(element: Element, encoding: str) -> bytes:
    """Encode an element; sequences get defined lengths."""
    order = ">" if encoding == "big" else "<"
    if isinstance(element.value, list):
        value = b""
        for item in element.value:
            inner = b"".join(_write(each, encoding) for each in item)
            value += struct.pack(f"{order}HHI", 0xFFFE, 0xE000, len(inner)) + inner
    else:
        value = _swapped(element) if encoding == "big" else element.value
    length = len(value) if element.claimed is None else element.claimed
    if element.is_encapsulated:
        length, value = _UNDEFINED, value + struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)
    head = struct.pack(f"{order}HH", element.tag >> 16, element.tag & 0xFFFF)
    if encoding == "implicit" and element.tag >> 16 != _META_GROUP:
        return head + struct.pack("<I", length & _UNDEFINED) + value
    if element.vr in _LONG:
        return head + element.vr + b"\0\0" + struct.pack(f"{order}I", length & _UNDEFINED) + value
    return head + element.vr + struct.pack(f"{order}H", min(length, 0xFFFF)) + value


def _swapped(element: Element) -> bytes:
    """Return a value's bytes in big-endian order, by its VR."""
    value = element.value
    assert isinstance(value, bytes)
    width = {b"US": 2, b"SS": 2, b"OW": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"FD": 8, b"AT": 2}.get(element.vr, 1)
    return b"".join(value[start : start + width][::-1] for start in range(0, len(value), width)) if width > 1 else value
