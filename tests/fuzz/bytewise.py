"""Mutations that know nothing of a format, or only that it is text: the same for the same generator of random numbers."""

import re
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[bytes, Random], bytes]
"""Changes an input; never fails, whatever the bytes."""

NUMBERS = (
    "0 -0 1 -1 2 1.0 0.0 1e308 -1e308 1e309 1e-320 1e-12 1e6 nan NaN -nan inf -Infinity 0x10 1_000 1,5 ١٢ 255 256 32767 32768 65535 "
    "65536 2147483647 2147483648 4294967295 4294967296 9223372036854775808 1" + "0" * 40 + " " + "9" * 400
).split(" ")
"""Numbers at which readers break, as text."""
STRINGS = (
    *(
        "",
        " ",
        "\0",
        "\x1b[31m",
        "\x1b(B",
        "\r\n",
        "\\",
        "\\\\\\",
        "/",
        "../../x",
        "C:\\x",
        "%s%n",
        "é",
        "日本",
        "\ufeff",
        "\u202e",
    ),
    *("<", "&#0;", '"', "'", "-", ".", "a" * 300, "{}", "[]", "null", "true"),
)
"""Strings at which readers break."""

_INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_NUMBER = re.compile(rb"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_TOKEN = re.compile(rb"[A-Za-z0-9_.:-]+")


def stacked(*mutations: Mutation) -> Mutation:
    """Return a mutation that applies one to four of some, chosen again each time."""

    def mutate(data: bytes, rng: Random) -> bytes:
        for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
            data = rng.choice(mutations)(data, rng)
        return data

    return mutate


def flip(data: bytes, rng: Random) -> bytes:
    """Change one to eight bytes anywhere."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[rng.randrange(len(changed))] = rng.choice((rng.randrange(256), 0, 0xFF, changed[rng.randrange(len(changed))]))
    return bytes(changed)


def overwrite_integer(data: bytes, rng: Random) -> bytes:
    """Put an integer at which readers break at any place, in 1, 2, 4 or 8 bytes."""
    width = rng.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    start = rng.randrange(len(data) - width + 1)
    value = rng.choice(_INTEGERS) & ((1 << 8 * width) - 1)
    return data[:start] + value.to_bytes(width, rng.choice(("little", "big"))) + data[start + width :]


def cut(data: bytes, rng: Random) -> bytes:
    """Cut off the end."""
    return data[: rng.randrange(len(data) + 1)]


def remove(data: bytes, rng: Random) -> bytes:
    """Take a piece out."""
    start, stop = _span(data, rng)
    return data[:start] + data[stop:]


def repeat(data: bytes, rng: Random) -> bytes:
    """Put a piece in again, up to a hundred times."""
    start, stop = _span(data, rng)
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 2, 100 if stop - start < 1000 else 1)) + data[stop:]


def move(data: bytes, rng: Random) -> bytes:
    """Put a piece elsewhere."""
    start, stop = _span(data, rng)
    rest = data[:start] + data[stop:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + data[start:stop] + rest[place:]


def insert(data: bytes, rng: Random) -> bytes:
    """Put random bytes in."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.choice((1, 2, 4, 16, 300))) + data[place:]


def change_number(data: bytes, rng: Random) -> bytes:
    """Exchange a number that is written as text."""
    return _exchange(data, list(_NUMBER.finditer(data)), rng, NUMBERS)


def change_token(data: bytes, rng: Random) -> bytes:
    """Exchange a word for another string, or for another word of the input."""
    words = list(_TOKEN.finditer(data))
    return _exchange(data, words, rng, [*STRINGS, *(match[0].decode("latin-1") for match in rng.sample(words, min(8, len(words))))])


def change_lines(data: bytes, rng: Random) -> bytes:
    """Leave a line out, repeat it, move it, or empty it."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    index = rng.randrange(len(lines))
    line = lines.pop(index)
    for _ in range(rng.choice((0, 1, 2, 50))):
        lines.insert(rng.randrange(len(lines) + 1), rng.choice((line, line, b"\n")))
    return b"".join(lines)


ANY_BYTES: Sequence[Mutation] = (flip, overwrite_integer, cut, remove, repeat, move, insert)
"""Mutations of bytes."""
ANY_TEXT: Sequence[Mutation] = (change_number, change_number, change_token, change_token, change_lines, remove, repeat, move, flip)
"""Mutations of text."""


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 30, 200, 2000)))


def _exchange(data: bytes, matches: Sequence[re.Match[bytes]], rng: Random, values: Sequence[str]) -> bytes:
    if not matches:
        return data
    match = rng.choice(matches)
    return data[: match.start()] + rng.choice(values).encode("utf-8", "surrogateescape") + data[match.end() :]
