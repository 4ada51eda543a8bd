"""Bytes of files and of zip members, streamed and bounded.

Nothing is ever unpacked to disk and member names are never used as paths, so that ``../`` and absolute names do no harm. Of a
member only as many bytes are inflated as are asked for; what a header or a member may inflate to has a bound, so that a zip bomb
costs little.
"""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from isal import igzip_lib, isal_zlib

from cmr_planes.dicom.frames import FileState
from cmr_planes.dicom.inflation import IMAGE_LIMIT, InflationLimit
from cmr_planes.errors import UnreadableFileError
from cmr_planes.system.reasons import reason

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
_INFLATE_ERRORS: tuple[type[Exception], ...] = (zlib.error, igzip_lib.IsalError, ValueError)  # type: ignore[assignment]  # its stub is wrong
_CHUNK = 1 << 20
_LEAST_READ = 4096
"""Stored bytes of a member that are read at least: fewer take no less time."""
_USUAL_EXTRA = 64
"""Bytes of the extra fields that most local headers have at most."""
_FILE_READ = 8192
"""Bytes of a file that are read at first: few more take no longer."""


class ByteSource(Protocol):
    """The bytes of one file or of one zip member, from the front."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def head(self, count: int) -> bytes:
        """Return at least the first ``count`` bytes, or all if there are fewer; raises UnreadableFileError."""
        ...

    def read(self) -> bytes:
        """Return all bytes, checked as far as the container can; raises UnreadableFileError."""
        ...

    def spans(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range (start, stop), in one pass; raises UnreadableFileError."""
        ...


class FileBytes:
    """The bytes of a regular file.

    Raises
    ------
    UnreadableFileError
        The file cannot be opened or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._head = b""
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise UnreadableFileError(f"cannot be opened ({reason(error)})") from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UnreadableFileError("is not a regular file")
        self.size = status.st_size
        self.state = FileState(status.st_size, status.st_mtime_ns)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all if there are fewer."""
        if len(self._head) < min(count, self.size):
            self._head += self.span(len(self._head), min(max(count, _FILE_READ), self.size))
        return self._head

    def read(self) -> bytes:
        """Return all bytes."""
        return self.span(0, self.size)

    def spans(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range."""
        return [self.span(start, stop) for start, stop in ranges]

    def span(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``, fewer only at the end of the file."""
        parts = []
        try:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            while start < stop and (part := os.read(self._descriptor, stop - start)):
                parts.append(part)
                start += len(part)
        except OSError as error:
            raise UnreadableFileError(f"cannot be read ({reason(error)})") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)


class MemberBytes:
    """The bytes of one member of an open zip."""

    def __init__(self, archive: "Archive", info: zipfile.ZipInfo) -> None:
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableFileError("is encrypted; unpack it with its password first")
        archive.limit.check(info.file_size, info.compress_size)
        self.size = info.file_size
        self._archive = archive
        self._info = info
        self._is_simple = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        self._head = b""
        self._stream: _Inflating | None = None

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all if there are fewer."""
        if len(self._head) >= min(count, self.size):
            return self._head
        if not self._is_simple:  # rare, and no stream of the zip may stay open: start over
            self._head = next(self._archive.inflate_other(self._info, lambda: count), b"")
            return self._head
        if self._stream is None:
            self._stream = _Inflating(self._archive.file, self._info, zlib)
        while len(self._head) < count:
            part = self._stream.part(count - len(self._head))
            if not part:
                break
            self._head = self._head + part if self._head else part
        return self._head

    def read(self) -> bytes:
        """Return all bytes; raises UnreadableFileError where size or CRC are not those of the zip's directory."""
        return self.spans([(0, self.size)])[0]

    def spans(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range; the whole member is inflated and checked, but only the ranges are held."""
        pieces: list[list[bytes]] = [[] for _ in ranges]
        position = 0
        for part in self._parts():
            end = position + len(part)
            for (start, stop), piece in zip(ranges, pieces, strict=True):
                if start <= position and end <= stop:
                    piece.append(part)
                elif position < stop and start < end:
                    piece.append(part[max(0, start - position) : stop - position])
            position = end
        return [piece[0] if len(piece) == 1 else b"".join(piece) for piece in pieces]

    def stream(self) -> BinaryIO:
        """Return the bytes as a stream, of which little is held; reading it raises UnreadableFileError as :meth:`read` does."""
        return io.BufferedReader(_PartStream(self._parts()))

    def _parts(self) -> Iterator[bytes]:
        """Yield the whole member in parts; raises UnreadableFileError where size or CRC are not those of the zip's directory."""
        position, crc = 0, 0
        for part in self._inflated(min(_CHUNK, self.size + 1)):
            crc = isal_zlib.crc32(part, crc)
            position += len(part)
            if position > self.size:
                break
            yield part
        if position != self.size or crc != self._info.CRC:
            raise UnreadableFileError("is damaged (its checksum is not the one in the zip's directory); fetch the zip again")

    def _inflated(self, step: int) -> Iterator[bytes]:
        """Yield the member's bytes in parts of ``step`` bytes at most."""
        if not self._is_simple:
            yield from self._archive.inflate_other(self._info, lambda: step)
            return
        stream = _Inflating(self._archive.file, self._info, isal_zlib)
        while part := stream.part(step):
            yield part


class _Inflating:
    """The bytes of a stored or deflated member, from its beginning."""

    def __init__(self, file: FileBytes, info: zipfile.ZipInfo, library: Any) -> None:  # noqa: ANN401  # a module
        self._file = file
        self._position = info.header_offset
        self._remaining = info.compress_size
        self._inflater = library.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
        self._pending = b""
        self._name_length = len(info.filename)
        self._is_located = False

    def part(self, limit: int) -> bytes:
        """Return the next bytes, ``limit`` at most; none at the end. Raises UnreadableFileError."""
        inflater = self._inflater
        part: bytes
        if not self._is_located:
            self._locate(max(limit, _LEAST_READ))
        try:
            while not (inflater and inflater.eof):
                if not self._pending and self._remaining:
                    self._read(max(limit, _LEAST_READ))
                if inflater is None:
                    part, self._pending = self._pending[:limit], self._pending[limit:]
                else:
                    part = inflater.decompress(self._pending, limit)
                    self._pending = inflater.unconsumed_tail
                if part or not (self._pending or self._remaining):  # an inflater may hold output after it took all input
                    return part
        except _INFLATE_ERRORS as error:
            raise UnreadableFileError("is damaged: it cannot be inflated; fetch the zip again") from error
        return b""

    def _read(self, count: int) -> None:
        """Read the next stored bytes."""
        self._pending = self._file.span(self._position, self._position + min(self._remaining, count))
        if not self._pending:
            raise UnreadableFileError("is cut off: the zip ends inside it; fetch the zip again")
        self._take(len(self._pending))

    def _take(self, count: int) -> None:
        """Note that stored bytes were read."""
        self._position, self._remaining = self._position + count, self._remaining - count

    def _locate(self, count: int) -> None:
        """Find where the stored bytes begin, and read them with the local header if that is as long as most are."""
        data = self._file.span(self._position, self._position + 30 + self._name_length + _USUAL_EXTRA + min(self._remaining, count))
        if len(data) < 30 or not data.startswith(b"PK\x03\x04"):  # the size of a local header
            raise UnreadableFileError("is damaged: it does not begin where the zip's directory says; fetch the zip again")
        _, name_length, extra_length = _LOCAL_HEADER.unpack_from(data)
        begin = 30 + int(name_length) + int(extra_length)
        self._position += begin
        self._pending = data[begin : begin + self._remaining]
        self._take(len(self._pending))
        self._is_located = True


class _PartStream(io.RawIOBase):
    """Parts of bytes as a stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # whatever can be written into
        """Fill the front of a buffer; return how much of it, 0 at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


class Archive:
    """A zip, opened for streaming.

    Parameters
    ----------
    path
        The zip.
    limit
        How much its members may inflate to.

    Raises
    ------
    UnreadableFileError
        The zip cannot be opened, is not a zip, or its directory (at its end) is missing or damaged.
    """

    def __init__(self, path: Path, limit: InflationLimit = IMAGE_LIMIT) -> None:
        self.limit = limit
        self.file = FileBytes(path)
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        try:
            self._infos = _read_directory(path, self.file.state)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, struct.error, OverflowError) as error:
            self.file.close()
            raise UnreadableFileError(
                f"is no complete zip (the directory at its end is missing or damaged; {self.file.size} bytes); fetch it again"
            ) from error

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    @property
    def members(self) -> list[str]:
        """Names of the members that are files, sorted; of several with one name each has a number (``IM0 (2).dcm``)."""
        return sorted(name for name in self._infos if not name.endswith("/"))

    def member(self, name: str) -> MemberBytes:
        """Return the bytes of a member; raises UnreadableFileError if it is not there, encrypted, or too large."""
        info = self._infos.get(name)
        if info is None:
            raise UnreadableFileError("is no longer in the zip")
        return MemberBytes(self, info)

    def inflate_other(self, info: zipfile.ZipInfo, wanted: Callable[[], int]) -> Iterator[bytes]:
        """Yield the bytes of a member that is neither stored nor deflated (bzip2, LZMA)."""
        try:
            if self._zip is None:
                self._zip = zipfile.ZipFile(self._path)
            with self._zip.open(info) as stream:
                while part := stream.read(wanted()):
                    yield part
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError) as error:
            raise UnreadableFileError("is damaged or compressed in a way that cannot be read; pack the zip again") from error


@lru_cache(maxsize=2)
def _read_directory(path: Path, state: FileState) -> dict[str, zipfile.ZipInfo]:  # noqa: ARG001  # a changed zip is read again
    """Return a zip's members by name; those of the last two are kept: subjects of UK Biobank have two."""
    with zipfile.ZipFile(path) as opened:
        return _by_own_name(opened.infolist())


def _by_own_name(infos: Sequence[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the members of a zip by a name of their own: the second ``IM0.dcm`` is called ``IM0 (2).dcm``."""
    named = {info.filename: info for info in reversed(infos)}
    if len(named) == len(infos):
        return named
    counts = Counter[str]()
    for info in infos:
        counts[info.filename] += 1
        if named[info.filename] is not info and not info.is_dir():
            stem, dot, suffix = info.filename.rpartition(".")
            stem, suffix = (stem, dot + suffix) if dot and "/" not in suffix else (info.filename, "")
            number = counts[info.filename]
            while (name := f"{stem} ({number}){suffix}") in named:
                number += 1
            named[name] = info
    return named
