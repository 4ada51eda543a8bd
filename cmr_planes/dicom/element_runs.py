"""Elements that follow one another in file after file, read at once.

The headers of a study hold the same elements, most of them of the same length. A run remembers the element headers (tag, VR and
length) that followed one another. Where another file has the same ones, at the same distances, its values are where they
were, and one call of ``struct`` reads what a walk reads element by element. Any difference is seen, since all element headers are
compared: values come only from where a walk would find them.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self

MAX_ELEMENTS = 128
"""Elements of one run."""
MAX_BYTES = 4096
"""Bytes of one run."""
MAX_RUNS = 512
"""Runs that are remembered: a study has some fifty; when there are more, all are forgotten."""
KEY_SIZE = 8
"""Bytes of an element's header that tell which runs may begin with it."""


class ElementHeader(NamedTuple):
    """An element without its value."""

    raw: bytes
    """Tag, VR if it is written, and length."""
    length: int
    """Bytes of the value."""
    tag: int | None
    """The tag of an element that is wanted, None for others."""


@dataclass(frozen=True, slots=True)
class Run:
    """Elements that follow one another."""

    elements: tuple[ElementHeader, ...]
    size: int
    """Bytes from the first header to the end of the last value."""
    mask: int
    """The bits of the headers among those of all bytes as one number."""
    headers: int
    """These bits as they must be."""
    tags: tuple[int, ...]
    """Of the wanted elements."""
    values: struct.Struct
    """Takes the values of the wanted elements from the bytes."""

    @classmethod
    def of(cls, elements: Sequence[ElementHeader]) -> Self:
        """Return the run of some elements, one at least."""
        return cls(
            tuple(elements),
            sum(len(one.raw) + one.length for one in elements),
            _number(b"".join(b"\xff" * len(one.raw) + bytes(one.length) for one in elements)),
            _number(b"".join(one.raw + bytes(one.length) for one in elements)),
            tuple(one.tag for one in elements if one.tag is not None),
            struct.Struct("".join(f"{len(one.raw)}x{one.length}{'x' if one.tag is None else 's'}" for one in elements)),
        )

    def common(self, data: bytes, position: int, size: int) -> Self | None:
        """Return as many of the first elements as stand at a place too, within a number of bytes; None if the first does not."""
        ends = accumulate(len(one.raw) + one.length for one in self.elements)
        n_common, begin = 0, position
        for one, end in zip(self.elements, ends, strict=True):
            if end > size or data[begin : begin + len(one.raw)] != one.raw:
                break
            n_common, begin = n_common + 1, position + end
        return self.of(self.elements[:n_common]) if n_common else None


class RunMemory:
    """The runs that were met on walks."""

    def __init__(self) -> None:
        self._runs: dict[bytes, Run] = {}

    def read(self, data: bytes, position: int, stop: int, values: dict[int, bytes]) -> int:
        """Read as many runs as follow one another.

        Parameters
        ----------
        data
            The beginning of a file.
        position
            Where the first one begins.
        stop
            Where the last one ends at the latest.
        values
            Receives the values of the wanted elements.

        Returns
        -------
            Where the first element begins that was not read.
        """
        while (run := self._runs.get(data[position : position + KEY_SIZE])) is not None:
            end = position + run.size
            if end > stop or _number(data[position:end]) & run.mask != run.headers:
                shorter = run.common(data, position, stop - position)
                if shorter is None:
                    break
                self._runs[data[position : position + KEY_SIZE]] = run = shorter
                end = position + run.size
            values.update(zip(run.tags, run.values.unpack_from(data, position), strict=True))
            position = end
        return position

    def add_if_full(self, elements: Sequence[ElementHeader]) -> bool:
        """Remember elements if they are as many as a run may have, or the last one is too long; return whether they were."""
        if len(elements) < MAX_ELEMENTS and elements[-1].length <= MAX_BYTES:
            return False
        self.add(elements)
        return True

    def add(self, elements: Sequence[ElementHeader]) -> None:
        """Remember elements that followed one another, unless a run is known that begins as they do."""
        ends = accumulate(len(one.raw) + one.length for one in elements)
        n_fit = min(MAX_ELEMENTS, sum(end <= MAX_BYTES for end in ends))
        if not n_fit or elements[0].raw[:KEY_SIZE] in self._runs:
            return
        if len(self._runs) >= MAX_RUNS:
            self._runs.clear()
        self._runs[elements[0].raw[:KEY_SIZE]] = Run.of(elements[:n_fit])


def _number(raw: bytes) -> int:
    """Return bytes as one number: of a whole run two operations on it compare all headers."""
    return int.from_bytes(raw, "little")
