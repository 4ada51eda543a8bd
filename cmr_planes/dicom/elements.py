"""The wanted elements of a DICOM header as raw bytes, read from as few bytes as possible, and none of them twice.

What :mod:`cmr_planes.dicom.plain_elements` leaves, pydicom's low-level reader reads (:mod:`cmr_planes.dicom.other_elements`). Raw
bytes, because seven hundred headers of a study repeat the same few values: those are turned into numbers and text once
(:mod:`cmr_planes.dicom.values`). What is not asked for is skipped unread.

A damaged SpecificCharacterSet (0008,0005) refuses no file that the walk reads: it concerns names alone, whose other letters are
then taken as Latin-1. pydicom's reader gives up where the value holds a NUL, and so deflated and big-endian files are refused.
"""

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import ByteSource
from cmr_planes.dicom.plain_elements import LONG_HEADER_SIZE, DamagedElementsError, walk_plain_elements
from cmr_planes.dicom.values import unsigned_short
from cmr_planes.errors import UnreadableFileError

FIRST_READ = 2048
"""Bytes of a file that are examined first; headers up to group 0028 take 1.5 to 6 kB."""
GROWTH = 2
"""How many times as much is read when that was not enough."""

HEADER_LIMIT = 8 << 20
"""Bytes of one file or member that are read in search of the elements up to group 0028."""

DICOMDIR = "1.2.840.10008.1.3.10"
"""SOP class of a directory of files, which holds no image."""

_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG = "1.2.840.10008.1.2.2"
_FILE_META_TAGS = frozenset({tags.TRANSFER_SYNTAX_UID, tags.MEDIA_STORAGE_SOP_CLASS_UID})
_LAST_FILE_META = 0x0002_FFFF
_FIRST_GROUPS = range(0x0008, 0x0011)
"""Groups with which a dataset without file meta information may begin."""
_FIRST_LENGTH = 8192
"""Its first element is shorter than this many bytes."""
_TAG_AND_VR = 6
"""Bytes of an element that tell how a dataset is encoded."""


class NotDicomError(UnreadableFileError):
    """A file is not a DICOM file."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a dataset is encoded."""

    transfer_syntax: str
    """The UID; empty if there is no file meta information."""
    is_implicit: bool
    is_little: bool
    is_deflated: bool
    start: int
    """Where the dataset begins in the file."""


@dataclass(frozen=True, slots=True)
class Elements:
    """Raw values by tag, as an int."""

    values: dict[int, bytes]
    encoding: Encoding
    media_sop_class_uid: str

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns, 0 if missing."""
        return self.unsigned(tags.ROWS) or 0, self.unsigned(tags.COLUMNS) or 0

    def unsigned(self, tag: int) -> int | None:
        """Return an unsigned 16-bit value (VR US), None if it is missing."""
        return unsigned_short(self.values.get(tag, b""), is_little=self.encoding.is_little)


def read_elements(source: ByteSource, wanted: Iterable[int], *, last: int) -> Elements:
    """Read the wanted elements of the top level of a dataset.

    Parameters
    ----------
    source
        The file's bytes.
    wanted
        The elements' tags; those of undefined length (sequences) are skipped.
    last
        Where to stop: at the first tag above this one.

    Returns
    -------
        The elements that are there, with their raw bytes.

    Raises
    ------
    NotDicomError
        The bytes are not those of a DICOM file.
    UnreadableFileError
        The file ends inside its header, or the header is longer than allowed.
    """
    reading, wanted = _Reading(), frozenset(wanted)
    count = FIRST_READ
    while True:
        data = source.head(count)
        is_whole = len(data) >= source.size or len(data) < count
        try:
            if _read_on(reading, data, wanted, last, is_whole=is_whole) and reading.encoding is not None:
                return Elements(reading.values, reading.encoding, reading.media_sop_class_uid)
        except DamagedElementsError as error:
            if is_whole:
                raise UnreadableFileError("is damaged inside its header or cut off there; fetch it again") from error
        if is_whole:
            raise UnreadableFileError(f"ends inside its header, after {len(data)} bytes; fetch it again")
        if count >= HEADER_LIMIT:
            raise UnreadableFileError(f"has a header of more than {HEADER_LIMIT >> 20} MiB, which was not read")
        count = min(max(GROWTH * count, reading.position + FIRST_READ), HEADER_LIMIT)


@dataclass(slots=True)
class _Reading:
    """How far a header is read."""

    encoding: Encoding | None = None
    media_sop_class_uid: str = ""
    values: dict[int, bytes] = field(default_factory=dict)
    position: int = 0
    """Where the first element begins that is not read yet."""


def _read_on(reading: _Reading, data: bytes, wanted: frozenset[int], last: int, *, is_whole: bool) -> bool:
    """Read on, now that ``data`` are there of a file; return whether all is read.

    Raises
    ------
    NotDicomError, DamagedElementsError
        The bytes are not those of a DICOM file, or of its elements.
    """
    if reading.encoding is None:
        encoding, reading.media_sop_class_uid = find_encoding(data)
        if encoding.start + _TAG_AND_VR > len(data) and not is_whole:
            return False
        reading.encoding, reading.position = encoding, encoding.start
    if reading.encoding.is_little and not reading.encoding.is_deflated:
        is_through = _walk_on(reading, data, wanted, last, is_implicit=reading.encoding.is_implicit, is_whole=is_whole)
    else:
        is_through = _read_unwalked(reading, data, wanted, last, reading.encoding)
    if not is_through and is_whole and reading.media_sop_class_uid == DICOMDIR:
        reading.values = {}
        return True
    return is_through


def _walk_on(reading: _Reading, data: bytes, wanted: frozenset[int], last: int, *, is_implicit: bool, is_whole: bool) -> bool:
    """Read elements where ``reading`` stands, those that are not plain by pydicom; return whether all are read."""
    n_others = 1
    while True:
        found = walk_plain_elements(data, reading.position, wanted, last, is_implicit=is_implicit)
        reading.values = reading.values | found.values if reading.values else found.values
        reading.position = found.position
        if found.is_past_last:
            return True
        if found.position + LONG_HEADER_SIZE > len(data) and not is_whole:
            return False
        from cmr_planes.dicom.other_elements import read_other_elements

        others = read_other_elements(data, found.position, wanted, last, is_implicit=is_implicit, n_elements=n_others)
        if others is None:
            return False
        reading.values |= others.values
        reading.position = others.position
        if others.is_past_last:
            return True
        n_others *= 2  # where many are not plain, pydicom is not begun again for each


def _read_unwalked(reading: _Reading, data: bytes, wanted: frozenset[int], last: int, encoding: Encoding) -> bool:
    """Read a deflated or big-endian header from its start; return whether all is read."""
    from cmr_planes.dicom.other_elements import read_other_elements

    try:
        dataset = dataset_stream(data, encoding, HEADER_LIMIT).read() if encoding.is_deflated else data
    except zlib.error as error:
        raise DamagedElementsError from error
    start = 0 if encoding.is_deflated else encoding.start
    found = read_other_elements(
        dataset, start, wanted, last, is_implicit=encoding.is_implicit, is_little=encoding.is_little, n_elements=None
    )
    reading.values = {} if found is None else found.values
    return found is not None


def dataset_stream(data: bytes, encoding: Encoding, limit: int) -> io.BytesIO:
    """Return a stream that stands at the dataset's first element; a deflated dataset is inflated to ``limit`` bytes at most."""
    if encoding.is_deflated:
        return io.BytesIO(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[encoding.start :], limit))
    stream = io.BytesIO(data)
    stream.seek(encoding.start)
    return stream


def find_encoding(data: bytes) -> tuple[Encoding, str]:
    """Find out how a file is encoded from its first bytes.

    Parameters
    ----------
    data
        The file's beginning, at least the file meta information.

    Returns
    -------
        The encoding, and MediaStorageSOPClassUID (empty if there is none).

    Raises
    ------
    NotDicomError
        Neither file meta information nor an element with which a dataset may begin.
    """
    if data[128:132] == b"DICM":
        return _from_file_meta(data, 132)
    if data[:2] == b"\x02\x00":
        return _from_file_meta(data, 0)
    if data[:4] == b"PK\x03\x04":
        raise NotDicomError("is a zip whose name does not say so; let its name end in .zip, or unpack it")
    for is_little, form in ((True, "<HH2sI"), (False, ">HH2sI")):
        if len(data) < 10:  # bytes of the structure
            break
        group, _, vr, _ = struct.unpack_from(form, data)
        is_explicit = vr.isalpha() and vr.isupper()
        if group in _FIRST_GROUPS and (is_explicit or (is_little and struct.unpack_from("<I", data, 4)[0] < _FIRST_LENGTH)):
            return Encoding("", is_implicit=not is_explicit, is_little=is_little, is_deflated=False, start=0), ""
    raise NotDicomError("is no DICOM file" if data else "is empty")


def _from_file_meta(data: bytes, start: int) -> tuple[Encoding, str]:
    """Read the file meta information that begins at ``start``."""
    meta = walk_plain_elements(data, start, _FILE_META_TAGS, _LAST_FILE_META)
    if not meta.is_past_last:
        from cmr_planes.dicom.other_elements import read_file_meta

        meta = read_file_meta(data, start, _FILE_META_TAGS, _LAST_FILE_META)
    syntax = _uid(meta.values.get(tags.TRANSFER_SYNTAX_UID, b""))
    sop_class = _uid(meta.values.get(tags.MEDIA_STORAGE_SOP_CLASS_UID, b""))
    return _encoding(syntax, meta.position, data[meta.position : meta.position + _TAG_AND_VR]), sop_class


@lru_cache(maxsize=256)
def _uid(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\x00 ")


@lru_cache(maxsize=256)
def _encoding(uid: str, start: int, first: bytes) -> Encoding:
    """Return the encoding that a transfer syntax names, corrected where the first element contradicts it."""
    is_big = uid == _BIG
    if not uid and len(first) == _TAG_AND_VR:
        is_big = first[0] == 0 and first[1] in _FIRST_GROUPS
    is_deflated = uid == _DEFLATED
    is_explicit = first[4:6].isalpha() and first[4:6].isupper()  # the VR tells; some files say explicit and are not, and vice versa
    if is_deflated or len(first) < _TAG_AND_VR:
        is_explicit = uid not in ("", _IMPLICIT)
    return Encoding(uid, is_implicit=not is_explicit, is_little=not is_big, is_deflated=is_deflated, start=start)
