"""The wanted elements of a DICOM header as raw bytes, read from as few bytes as possible.

What :mod:`cmr_planes.dicom.plain_elements` leaves, pydicom's low-level reader reads. Raw bytes, because seven hundred headers of a
study repeat the same few values: those are turned into numbers and text once (:mod:`cmr_planes.dicom.values`). What is not asked
for is skipped unread.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import ByteSource
from cmr_planes.dicom.plain_elements import walk_plain_elements
from cmr_planes.dicom.values import unsigned_short
from cmr_planes.errors import UnreadableFileError

FIRST_READ = 8192
"""Bytes of a file that are looked at first; vendors' headers up to group 0028 take 3 to 6 kB."""
GROWTH = 8
"""By how much more is looked at when that was not enough."""

HEADER_LIMIT = 8 << 20
"""Bytes of one file or member that are read in search of the elements up to group 0028."""

DICOMDIR = "1.2.840.10008.1.3.10"
"""SOP class of a directory of files, which holds no image."""

_IMPLICIT = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG = "1.2.840.10008.1.2.2"
_FILE_META_TAGS = (tags.TRANSFER_SYNTAX_UID, tags.MEDIA_STORAGE_SOP_CLASS_UID)
_LAST_FILE_META = 0x0002_FFFF
_FIRST_GROUPS = range(0x0008, 0x0011)
"""Groups with which a dataset without file meta information may begin."""


PARSE_ERRORS = (
    EOFError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    zlib.error,
)
"""What pydicom's reader raises on bytes that are not what they claim to be."""


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


def read_elements(source: ByteSource, tags: Sequence[int], *, last: int) -> Elements:
    """Read the wanted elements of the top level of a dataset.

    Parameters
    ----------
    source
        The file's bytes.
    tags
        Which elements, as ints; elements of undefined length (sequences) are skipped.
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
    count = FIRST_READ
    while True:
        data = source.head(count)
        is_whole = len(data) >= source.size or len(data) < count
        try:
            encoding, media_sop_class_uid = find_encoding(data)
            values = _scan(data, encoding, tags, last)
            if values is None and is_whole and media_sop_class_uid == DICOMDIR:
                values = {}
            if values is not None:
                return Elements(values, encoding, media_sop_class_uid)
        except PARSE_ERRORS as error:
            if is_whole:
                raise UnreadableFileError("is damaged inside its header or cut off there; fetch it again") from error
        if is_whole:
            raise UnreadableFileError(f"ends inside its header, after {len(data)} bytes; fetch it again")
        if count >= HEADER_LIMIT:
            raise UnreadableFileError(f"has a header of more than {HEADER_LIMIT >> 20} MiB, which was not read")
        count = min(count * GROWTH, HEADER_LIMIT)


def _scan(data: bytes, encoding: Encoding, tags: Sequence[int], last: int) -> dict[int, bytes] | None:
    """Return the wanted elements in ``data``, or None if the data end before ``last``."""
    stopped = False

    def stop(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
        nonlocal stopped
        stopped = int.__gt__(tag, last)  # the operator of pydicom's tags is many times slower
        return stopped

    stream = dataset_stream(data, encoding, HEADER_LIMIT)
    values: dict[int, bytes] = {}
    if encoding.is_little and not (encoding.is_implicit or encoding.is_deflated):
        values, position, is_past_last = walk_plain_elements(data, encoding.start, tags, last)
        if is_past_last:
            return values
        stream.seek(position)
    element: RawDataElement | DataElement
    for element in data_element_generator(
        stream,
        encoding.is_implicit,
        encoding.is_little,
        stop,
        specific_tags=tags,  # type: ignore[arg-type]  # ints, tags or not
    ):
        if isinstance(element, RawDataElement):
            raw = element.value or b""
            if len(raw) < element.length:
                return None
            values[int(element.tag)] = raw
    return values if stopped else None


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
        if group in _FIRST_GROUPS and (is_explicit or (is_little and struct.unpack_from("<I", data, 4)[0] < FIRST_READ)):
            return Encoding("", is_implicit=not is_explicit, is_little=is_little, is_deflated=False, start=0), ""
    raise NotDicomError("is no DICOM file" if data else "is empty")


def _from_file_meta(data: bytes, start: int) -> tuple[Encoding, str]:
    """Read the file meta information that begins at ``start``."""
    plain = walk_plain_elements(data, start, _FILE_META_TAGS, _LAST_FILE_META)
    if plain.is_past_last:
        syntax, sop_class = (_uid(plain.values.get(tag, b"")) for tag in _FILE_META_TAGS)
        return _encoding(syntax, plain.position, data[plain.position : plain.position + 6]), sop_class
    stream = io.BytesIO(data)
    stream.seek(start)
    texts = dict.fromkeys(_FILE_META_TAGS, "")
    for element in data_element_generator(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=_after_file_meta,
        specific_tags=[*_FILE_META_TAGS],
    ):
        if isinstance(element, RawDataElement) and int(element.tag) in texts:
            texts[int(element.tag)] = _uid(element.value or b"")
    begin = stream.tell()
    return _encoding(texts[tags.TRANSFER_SYNTAX_UID], begin, data[begin : begin + 6]), texts[tags.MEDIA_STORAGE_SOP_CLASS_UID]


def _after_file_meta(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
    return int.__gt__(tag, _LAST_FILE_META)


@lru_cache(maxsize=256)
def _uid(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\x00 ")


def _encoding(uid: str, start: int, first: bytes) -> Encoding:
    """Return the encoding that a transfer syntax names, corrected where the first element contradicts it."""
    is_big = uid == _BIG
    if not uid and len(first) == 6:  # bytes of a tag and a VR
        is_big = first[0] == 0 and first[1] in _FIRST_GROUPS
    is_deflated = uid == _DEFLATED
    is_explicit = first[4:6].isalpha() and first[4:6].isupper()  # the VR tells; some files say explicit and are not, and vice versa
    if is_deflated or len(first) < 6:
        is_explicit = uid not in ("", _IMPLICIT)
    return Encoding(uid, is_implicit=not is_explicit, is_little=not is_big, is_deflated=is_deflated, start=start)
