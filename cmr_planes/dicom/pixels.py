"""Images of chosen frames, decoded without loss.

Native pixel data of 8 or 16 bits are taken straight from the bytes; everything else goes through imagecodecs (JPEG) or pydicom's
decoders. Returned are stored values (before RescaleSlope) as unsigned 16-bit numbers. MONOCHROME1 and images with a negative
RescaleSlope are inverted within BitsStored, so that bright is always high. Colour, floating point, values above 65,535, black
images and those with many negative values are refused: magnitude images of cine MR have none of them. A few negative values, as
interpolation leaves them, are set to 0 and counted.
"""

import io
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import Archive, ByteSource, FileBytes
from cmr_planes.dicom.elements import Elements, dataset_stream, read_elements
from cmr_planes.dicom.frames import FileRef, FrameHeader
from cmr_planes.dicom.inflation import IMAGE_LIMIT
from cmr_planes.dicom.jpeg import JPEG_SYNTAXES, decode_jpeg
from cmr_planes.dicom.pixel_format import (
    PIXEL_TAGS,
    PixelFormat,
    StoredImage,
    count_cut,
    read_pixel_format,
    store,
    take_stored_bits,
)
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.errors import CmrPlanesError, SourceChangedError, UnreadablePixelsError
from cmr_planes.system.text import counted

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_HEADER_SIZE = 12
"""Bytes before the value of an explicit OW or OB element; those of an implicit one are 8."""
_ONCE_MORE = "extract the subject once more when nothing writes to its files"
_WHOLE_READ = 4 << 20
"""Zip members up to this size are inflated once and kept while their frames are taken."""


class PixelReader:
    """Reads frames and keeps the zips that it met open; close it, or use it in a ``with`` statement.

    Examples
    --------
    >>> with PixelReader() as reader:
    ...     reader.read([])
    []
    """

    def __init__(self) -> None:
        self._archives: dict[Path, Archive] = {}

    def close(self) -> None:
        """Close all zips."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, frames: Sequence[FrameHeader]) -> list[StoredImage]:
        """Read the images of frames.

        Parameters
        ----------
        frames
            Any frames of any files; each file is read once.

        Returns
        -------
            Stored values in the order of ``frames``, each of shape (rows, columns), with their rescaling.

        Raises
        ------
        UnreadablePixelsError
            A frame's pixel data are missing, cut off, damaged, in colour, or hold values that do not fit (see the module).
        """
        images: dict[int, StoredImage] = {}
        order = sorted(range(len(frames)), key=lambda index: _key(frames[index].file))
        for ref, group in groupby(order, key=lambda index: frames[index].file):
            wanted = list(group)
            try:
                decoded = self._decode(ref, [frames[index] for index in wanted])
            except SourceChangedError as error:
                raise SourceChangedError(f"{_name(frames[wanted[0]])} {error}") from error
            except CmrPlanesError as error:
                raise UnreadablePixelsError(f"{_name(frames[wanted[0]])} {error}") from error
            images.update(zip(wanted, decoded, strict=True))
        return [images[index] for index in range(len(frames))]

    def _decode(self, ref: FileRef, frames: Sequence[FrameHeader]) -> list[StoredImage]:
        """Return frames of one instance."""
        try:
            images = self._decode_as_found(ref, frames)
        except CmrPlanesError:
            _check_unchanged(ref)  # explains it better
            raise
        _check_unchanged(ref)
        return images

    def _decode_as_found(self, ref: FileRef, frames: Sequence[FrameHeader]) -> list[StoredImage]:
        if not ref.member:
            with FileBytes(ref.path) as file:
                return decode(file, frames)
        if ref.path not in self._archives:
            self._archives[ref.path] = Archive(ref.path)
        member: ByteSource = self._archives[ref.path].member(ref.member)
        if member.size <= _WHOLE_READ:
            member = _Loaded(member.read())
        return decode(member, frames)


def _check_unchanged(ref: FileRef) -> None:
    """Raise SourceChangedError unless a file is still what it was when its header was read."""
    if ref.state is None:
        return
    try:
        status = ref.path.stat()
    except OSError as error:
        raise SourceChangedError(f"vanished while the subject was read; {_ONCE_MORE}") from error
    if ref.state != (status.st_size, status.st_mtime_ns):
        raise SourceChangedError(f"changed while the subject was read; {_ONCE_MORE}")


def decode(source: ByteSource, frames: Sequence[FrameHeader]) -> list[StoredImage]:
    """Decode frames of one instance.

    Parameters
    ----------
    source
        The instance's bytes.
    frames
        Frames of this instance.

    Returns
    -------
        Stored values, each of shape (rows, columns).

    Raises
    ------
    UnreadablePixelsError, UnreadableFileError
        As in :meth:`PixelReader.read`.
    """
    elements = read_elements(source, PIXEL_TAGS, last=tags.PIXEL_REPRESENTATION)
    if elements.encoding.is_deflated:
        source = _inflated(source, elements)
        elements = read_elements(source, PIXEL_TAGS, last=tags.PIXEL_REPRESENTATION)
    form = read_pixel_format(elements)
    indices = [frame.frame_index for frame in frames]
    beyond = [index for index in indices if not 0 <= index < form.n_frames]
    if beyond:
        raise UnreadablePixelsError(f"has {counted(form.n_frames, 'frame')}: there is no frame {beyond[0] + 1}")
    native = _native_frames(source, form, indices, is_implicit=elements.encoding.is_implicit)
    if native is None:
        return _decode_with_pydicom(source, form, frames)
    dtype = np.dtype("<u2" if form.bits_allocated == 16 else "u1")  # bits
    stored = [np.frombuffer(raw, dtype).reshape(form.rows, form.columns).astype(np.uint16, copy=False) for raw in native]
    return [_store_native(values, form, frame) for values, frame in zip(stored, frames, strict=True)]


def _store_native(stored: NDArray[np.uint16], form: PixelFormat, frame: FrameHeader) -> StoredImage:
    """Keep the image of native values."""
    return store(take_stored_bits(stored, form), form, frame.rescale, n_cut=count_cut(stored, form))


class _Loaded:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def head(self, count: int) -> bytes:  # noqa: ARG002  # all of it is there
        return self._data

    def read(self) -> bytes:
        return self._data

    def spans(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self._data[start:stop] for start, stop in ranges]


def _key(ref: FileRef) -> tuple[str, str]:
    return str(ref.path), ref.member


def _name(frame: FrameHeader) -> str:
    """Name a frame without identifiers."""
    parts = (("image", frame.instance_number), ("of series", frame.series_number))
    return " ".join(f"{word} {number}" for word, number in parts if number is not None) or "an image"


def _inflated(source: ByteSource, elements: Elements) -> ByteSource:
    """Return a deflated dataset as an explicit little-endian one, without file meta information."""
    data = source.read()
    limit = IMAGE_LIMIT.of(len(data))
    inflated = dataset_stream(data, elements.encoding, limit + 1).read()
    if len(inflated) > limit:
        raise UnreadablePixelsError(f"inflates to more than {limit >> 20} MiB, as a bomb does, and was not read")
    return _Loaded(inflated)


def _native_frames(source: ByteSource, form: PixelFormat, indices: Sequence[int], *, is_implicit: bool) -> list[bytes] | None:
    """Return frames of native pixel data that are the file's last element, as they nearly always are; else None.

    The element's header is searched for where it must stand, so that the pixel data of an icon cannot be mistaken for the image's.
    """
    exact = form.n_frames * form.frame_size
    padding = exact % 2
    start = source.size - exact - padding
    if not form.is_native or start < _HEADER_SIZE:
        return None
    begins = [start + index * form.frame_size for index in indices]
    header, *frames = source.spans([(start - _HEADER_SIZE, start), *((begin, begin + form.frame_size) for begin in begins)])
    lengths = [length.to_bytes(4, "little") for length in {exact, exact + padding}]
    openings = (_PIXEL_DATA,) if is_implicit else (_PIXEL_DATA + b"OW\x00\x00", _PIXEL_DATA + b"OB\x00\x00")
    is_there = header.endswith(tuple(opening + length for opening in openings for length in lengths))
    return frames if is_there and all(len(frame) == form.frame_size for frame in frames) else None


def _decode_with_pydicom(source: ByteSource, form: PixelFormat, frames: Sequence[FrameHeader]) -> list[StoredImage]:
    """Decode whatever is not plain native data."""
    from pydicom.filereader import read_partial
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    data = source.read()
    with quiet_pydicom():
        try:
            dataset = read_partial(io.BytesIO(data), stop_when=_until_pixel_data(), force=True)
            meta = dataset.file_meta
            if "TransferSyntaxUID" not in meta:
                meta.TransferSyntaxUID = ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian
            is_compressed = meta.TransferSyntaxUID.is_compressed
            _check_length(len(dataset.get("PixelData") or b""), form, is_compressed=is_compressed)
            if meta.TransferSyntaxUID in JPEG_SYNTAXES:
                return [_decode_jpeg_frame(dataset, form, frame) for frame in frames]
            arrays = [pixel_array(dataset, index=frame.frame_index, raw=True) for frame in frames]
        except UnreadablePixelsError:
            raise
        except Exception as error:  # each decoder raises what it likes
            kind = type(error).__name__
            raise UnreadablePixelsError(f"has pixel data that cannot be decoded ({kind}); fetch or export it again") from error
    if any(array.shape != (form.rows, form.columns) for array in arrays):
        raise UnreadablePixelsError(f"decodes to another matrix than its header's {form.rows} rows and {form.columns} columns")
    if not is_compressed and form.bits_allocated in (8, 16):  # decoders of compressed data take the stored bits themselves
        stored = [array.astype(f"u{array.itemsize}").astype(np.uint16) for array in arrays]
        return [_store_native(values, form, frame) for values, frame in zip(stored, frames, strict=True)]
    return [store(array, form, frame.rescale) for array, frame in zip(arrays, frames, strict=True)]


def _decode_jpeg_frame(dataset: "Dataset", form: PixelFormat, frame: FrameHeader) -> StoredImage:
    """Decode one frame of JPEG or JPEG-LS."""
    from pydicom.encaps import get_frame

    offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    stream = get_frame(
        dataset.PixelData,
        frame.frame_index,
        extended_offsets=None if None in offsets else offsets,
        number_of_frames=form.n_frames,
    )
    return _store_native(decode_jpeg(stream, form.rows, form.columns), form, frame)


def _until_pixel_data() -> Callable[[int, str | None, int], bool]:
    """Return a condition for pydicom's reader that stops it after the pixel data, whatever comes then."""
    reached: list[int] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001  # pydicom's signature
        if reached:
            return True
        if int.__ge__(tag, tags.FLOAT_PIXEL_DATA):  # the first of the elements that hold pixels
            reached.append(tag)
        return False

    return stop


def _check_length(length: int, form: PixelFormat, *, is_compressed: bool) -> None:
    """Raise UnreadablePixelsError if there are too few pixel data, or none."""
    expected = form.n_frames * form.frame_size
    if not length:
        raise UnreadablePixelsError("has no PixelData (7FE0,0010), or the file ends before them; fetch it again")
    if not is_compressed and length < expected:
        raise UnreadablePixelsError(f"has {length} of {expected} bytes of pixel data: it is cut off; fetch it again")
