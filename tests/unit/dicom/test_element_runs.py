"""Runs of elements that are read at once: values must be those of a reader that remembers nothing, here a plain one of the test."""

import random
import struct

import pytest

from cmr_planes.dicom import element_runs
from cmr_planes.dicom.element_runs import MAX_BYTES, MAX_ELEMENTS, MAX_RUNS, ElementHeader, RunMemory
from cmr_planes.dicom.plain_elements import walk_plain_elements

TAGS = [0x0008_0005 + 2 * number for number in range(30)] + [0x0018_0010 + number for number in range(200)]
LAST = 0x0018_FFFF
STOP = (0x0020_0010, b"SH", b"stop")
Element = tuple[int, bytes, bytes]


def encode(elements: list[Element], *, is_implicit: bool) -> bytes:
    """Write elements in a little-endian encoding (PS3.5, 7.1)."""
    parts = []
    for tag, vr, value in elements:
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if is_implicit:
            head += struct.pack("<L", len(value))
        elif vr == b"OB":
            head += vr + struct.pack("<HL", 0, len(value))
        else:
            head += vr + struct.pack("<H", len(value))
        parts.append(head + value)
    return b"".join(parts)


def some_elements(rng: random.Random, like: list[Element]) -> list[Element]:
    """Return elements that resemble others: other values, some of another length or VR, some more and some fewer."""
    elements = []
    for tag, vr, value in like:
        if rng.random() < 0.04:
            continue
        length = rng.choice((0, 2, 3, 40)) if rng.random() < 0.05 else len(value)
        elements.append((tag, b"OB" if rng.random() < 0.02 else vr, rng.randbytes(length)))
    return elements


@pytest.mark.parametrize("is_implicit", [False, True])
@pytest.mark.parametrize("n_tags", [40, len(TAGS)])
def test_values_are_read_whatever_was_read_before(is_implicit: bool, n_tags: int) -> None:
    rng = random.Random(n_tags)
    like: list[Element] = [(tag, rng.choice((b"LO", b"OB", b"DS")), rng.randbytes(rng.choice((2, 4, 9)))) for tag in TAGS[:n_tags]]
    like[25] = (like[25][0], b"OB", bytes(MAX_BYTES + 1))
    wanted = frozenset(rng.sample(TAGS[:n_tags], n_tags // 2))
    for _ in range(200):
        elements = some_elements(rng, like)
        data = b"before" + encode([*elements, STOP], is_implicit=is_implicit)
        found = walk_plain_elements(data, 6, wanted, LAST, is_implicit=is_implicit)
        assert found.values == {tag: value for tag, _, value in elements if tag in wanted}
        assert found.is_past_last
        assert found.position == 6 + len(encode(elements, is_implicit=is_implicit))


@pytest.mark.parametrize("is_implicit", [False, True])
def test_nothing_is_read_beyond_where_the_data_end(is_implicit: bool) -> None:
    elements: list[Element] = [(tag, b"LO", b"value%d" % tag) for tag in TAGS[:20]]
    ends = [len(encode(elements[:count], is_implicit=is_implicit)) for count in range(1, 21)]
    data = encode([*elements, STOP], is_implicit=is_implicit)
    wanted = frozenset(TAGS)
    for size in [len(data), *range(len(data))]:
        found = walk_plain_elements(data[:size], 0, wanted, LAST, is_implicit=is_implicit)
        n_whole = sum(end <= size for end in ends)
        assert found.values == {tag: value for tag, _, value in elements[:n_whole]}
        assert found.is_past_last is (size >= ends[-1] + (8 if is_implicit else 12))


def header_of(tag: int, length: int) -> ElementHeader:
    return ElementHeader(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length), length, tag)


def test_a_known_run_is_read_at_once() -> None:
    memory = RunMemory()
    memory.add([header_of(tag, 4) for tag in TAGS[:5]])
    data = b"".join(header_of(tag, 4).raw + b"%04d" % number for number, tag in enumerate(TAGS[:6]))
    values: dict[int, bytes] = {}
    assert memory.read(data, 0, len(data), values) == 5 * 12
    assert values == {tag: b"%04d" % number for number, tag in enumerate(TAGS[:5])}
    assert memory.read(data, 12, len(data), values) == 12  # of the second element none is known


def test_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = RunMemory()
    many = [header_of(tag, 4) for tag in TAGS[: MAX_ELEMENTS + 10]]
    memory.add(many)
    data = b"".join(one.raw + b"0000" for one in many)
    assert memory.read(data, 0, len(data), {}) == 12 * MAX_ELEMENTS
    memory = RunMemory()
    memory.add([header_of(TAGS[0], 4), header_of(TAGS[1], MAX_BYTES)])
    data = header_of(TAGS[0], 4).raw + b"0000" + header_of(TAGS[1], MAX_BYTES).raw + bytes(MAX_BYTES)
    assert memory.read(data, 0, len(data), {}) == 12
    made: list[object] = []
    monkeypatch.setattr(element_runs.Run, "of", made.append)
    memory = RunMemory()
    for length in range(MAX_RUNS + 1):
        memory.add([header_of(TAGS[0], length)])
        memory.add([header_of(TAGS[0], length)])
    assert len(made) == MAX_RUNS + 1
    memory.add([header_of(TAGS[0], 0)])  # forgotten with all others
    assert len(made) == MAX_RUNS + 2
