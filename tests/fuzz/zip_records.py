"""A zip as its records, changed and written again with a directory that still leads to its members, unless it is to be wrong."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from tests.fuzz.bytewise import ANY_BYTES, STRINGS, Mutation


@dataclass(slots=True)
class Member:
    """One member: what its local header and its directory entry say, and its stored bytes."""

    name: bytes
    stored: bytes
    method: int
    crc: int
    size: int
    compressed: int
    flags: int = 0
    extra: bytes = b""
    offset: int | None = None
    """Where the directory says that it begins, if that is wrong."""
    local_name: bytes | None = None


def pack(members: Mapping[str, bytes], *, deflated: bool = True) -> bytes:
    """Return a zip of some files, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of a zip that :func:`pack` wrote; raises what zipfile raises."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def mutation(of_member: Mutation) -> Mutation:
    """Return a mutation of zips that changes records, or the content of members with ``of_member``."""

    def mutate(data: bytes, rng: Random) -> bytes:
        if rng.random() < 0.15:
            return rng.choice(ANY_BYTES)(data, rng)
        try:
            members = [_member(name, content, rng) for name, content in unpack(data).items()]
        except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError, struct.error):
            return rng.choice(ANY_BYTES)(data, rng)
        end: dict[str, int | bytes] = {}
        for _ in range(rng.choice((1, 1, 2, 3)) if members else 0):
            if rng.random() < 0.35:
                index = rng.randrange(len(members))
                members[index] = _member(
                    members[index].name.decode("utf-8", "replace"), of_member(_content(members[index]), rng), rng
                )
            else:
                _change(members, end, rng)
        return _write(members, end)

    return mutate


def inner_mutation(of_member: Mutation) -> Mutation:
    """Return a mutation of the files in a container that :func:`pack` wrote; the container stays whole."""

    def mutate(data: bytes, rng: Random) -> bytes:
        try:
            files = unpack(data)
        except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError, struct.error):
            return data
        if files:
            name = rng.choice(sorted(files))
            files[name] = of_member(files[name], rng)
        return pack(files)

    return mutate


def _member(name: str, content: bytes, rng: Random) -> Member:
    method = rng.choice((0, 8, 8, 8, 12, 14)) if rng.random() < 0.1 else 8
    stored = content
    if method == 8:
        compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
        stored = compressor.compress(content) + compressor.flush()
    elif method:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("x", content)
            info = archive.getinfo("x")
        stored = buffer.getvalue()[31 : 31 + info.compress_size]
    return Member(name.encode(), stored, method, zlib.crc32(content), len(content), len(stored))


def _content(member: Member) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(member.stored, 1 << 24) if member.method == 8 else member.stored
    except zlib.error:  # changed before
        return member.stored


def _change(members: list[Member], end: dict[str, int | bytes], rng: Random) -> None:
    """Make one record say something else."""
    member = rng.choice(members)
    way = rng.randrange(11)
    number = rng.choice(
        (0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 20, member.size - 1 & 0xFFFFFFFF, member.size + 1, 300 << 20)
    )
    if way == 0:
        member.name = rng.choice(
            [each.name for each in members] + [text.encode() for text in STRINGS] + [b"manifest.csv", b"d/", b"\xff"]
        )
    elif way == 1:
        member.size = number
    elif way == 2:
        member.compressed = number
    elif way == 3:
        member.crc = number
    elif way == 4:
        member.method = rng.choice((0, 1, 6, 8, 9, 12, 14, 93, 95, 99, 65535))
    elif way == 5:
        member.flags = rng.choice((1, 8, 0x20, 0x40, 0x800, 0x2000, 0xFFFF))
    elif way == 6:
        member.offset = number
    elif way == 7:
        zip64 = struct.pack("<HHQQQ", 1, 24, *(rng.choice((0, 1 << 20, 1 << 40, (1 << 64) - 1)) for _ in range(3)))
        member.extra = rng.choice((zip64, zip64[: rng.randrange(len(zip64))], b"\x01\x00\xff\xff", b"\x75\x70\x05\x00\x01\0\0\0\0"))
        member.size = rng.choice((member.size, 0xFFFFFFFF))
    elif way == 8:
        member.stored = rng.choice(ANY_BYTES)(member.stored, rng)
    elif way == 9:
        member.local_name = rng.choice((b"", b"x" * 65535, member.name + b"x"))
    else:
        end[rng.choice(("entries", "size", "offset", "disk", "comment"))] = number


def _write(members: list[Member], end: dict[str, int | bytes]) -> bytes:
    body, directory = b"", b""
    for member in members:
        offset = len(body) if member.offset is None else member.offset & 0xFFFFFFFF
        sizes = (member.crc & 0xFFFFFFFF, member.compressed & 0xFFFFFFFF, member.size & 0xFFFFFFFF)
        local = member.name if member.local_name is None else member.local_name
        body += (
            struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, member.flags, member.method, 0, 33, *sizes, len(local), 0)
            + local
            + member.stored
        )
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, member.flags, member.method, 0, 33, *sizes, len(member.name), len(member.extra), 0, 0, 0, 0, offset
        )  # fmt: skip
        directory += member.name + member.extra
    numbers = {"disk": 0, "entries": len(members), "size": len(directory), "offset": len(body), "comment": 0, **end}
    disk, entries, size, start, comment = (int(numbers[name]) for name in ("disk", "entries", "size", "offset", "comment"))
    tail = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", disk & 0xFFFF, 0, entries & 0xFFFF, entries & 0xFFFF, size & 0xFFFFFFFF, start & 0xFFFFFFFF, comment & 0xFFFF
    )  # fmt: skip
    return body + directory + tail
