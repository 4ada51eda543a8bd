"""How an instance stores its pixels, and from stored bits to values (Image Pixel module, PS3.3 C.7.6.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.dicom import tags
from cmr_planes.dicom.elements import Elements
from cmr_planes.dicom.values import integer, text
from cmr_planes.errors import UnreadablePixelsError

PIXEL_TAGS = (
    tags.SAMPLES_PER_PIXEL,
    tags.PHOTOMETRIC_INTERPRETATION,
    tags.NUMBER_OF_FRAMES,
    tags.ROWS,
    tags.COLUMNS,
    tags.BITS_ALLOCATED,
    tags.BITS_STORED,
    tags.HIGH_BIT,
    tags.PIXEL_REPRESENTATION,
)
"""The elements that say how pixels are stored; PixelRepresentation is the last."""

_NATIVE = frozenset({"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"})
_UINT16_MAX = 65_535
MAX_FRAME_SIZE = 16 << 20
"""Bytes of one frame; more are not decoded, whatever the header says."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How an instance stores its pixels (Image Pixel module, PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    n_frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    is_inverted: bool
    """PhotometricInterpretation is MONOCHROME1: low values are bright."""
    is_native: bool
    """Uncompressed, little-endian, 8 or 16 bits."""

    @property
    def frame_size(self) -> int:
        """Bytes of one frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def read_pixel_format(elements: Elements) -> PixelFormat:
    """Gather how pixels are stored; raises UnreadablePixelsError for what is not supported."""
    rows, columns, allocated = (elements.unsigned(tag) for tag in (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED))
    if not (rows and columns and allocated):
        raise UnreadablePixelsError("has no Rows (0028,0010), Columns (0028,0011) or BitsAllocated (0028,0100): it is no image")
    samples = elements.unsigned(tags.SAMPLES_PER_PIXEL) or 1
    if samples != 1:
        raise UnreadablePixelsError(f"has SamplesPerPixel (0028,0002) {samples}: colour images are not supported, 1 is expected")
    stored = elements.unsigned(tags.BITS_STORED) or allocated
    high_bit = elements.unsigned(tags.HIGH_BIT)
    if high_bit is None:
        high_bit = stored - 1
    if not stored - 1 <= high_bit < allocated:
        raise UnreadablePixelsError(
            f"has BitsAllocated {allocated}, BitsStored {stored} and HighBit {high_bit} (0028,0100 to 0028,0102), which contradict "
            "each other"
        )
    if rows * columns * allocated > 8 * MAX_FRAME_SIZE:
        raise UnreadablePixelsError(f"has {rows} rows and {columns} columns of {allocated} bits: that is no cine image")
    encoding = elements.encoding
    return PixelFormat(
        rows=rows,
        columns=columns,
        n_frames=max(1, integer(elements.values.get(tags.NUMBER_OF_FRAMES, b"")) or 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        is_signed=elements.unsigned(tags.PIXEL_REPRESENTATION) == 1,
        is_inverted=text(elements.values.get(tags.PHOTOMETRIC_INTERPRETATION, b"")) == "MONOCHROME1",
        is_native=encoding.transfer_syntax in _NATIVE and encoding.is_little and allocated in (8, 16),
    )


def take_stored_bits(stored: NDArray[np.uint16], form: PixelFormat) -> NDArray[np.uint16] | NDArray[np.int32]:
    """Take the stored bits of native values, and their sign."""
    shift = form.high_bit + 1 - form.bits_stored
    if shift:
        stored = stored >> np.uint16(shift)
    if form.bits_stored < 16:  # bits of the array
        stored = stored & np.uint16((1 << form.bits_stored) - 1)
    sign_bit = 1 << (form.bits_stored - 1)
    if form.is_signed and (stored & np.uint16(sign_bit)).any():
        return (stored.astype(np.int32) ^ sign_bit) - sign_bit
    return stored


def to_unsigned(values: NDArray[np.integer], form: PixelFormat) -> NDArray[np.uint16]:
    """Return values as unsigned 16-bit numbers, inverted if need be; raises UnreadablePixelsError if they do not fit."""
    if not np.issubdtype(values.dtype, np.integer):
        raise UnreadablePixelsError(f"has pixels of type {values.dtype}: integers are expected")
    if form.is_inverted:
        largest = (1 << form.bits_stored) - 1
        values = (-1 if form.is_signed else largest) - values.astype(np.int64)
    if values.dtype == np.uint16:
        return values.astype(np.uint16, copy=False)
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise UnreadablePixelsError(f"holds negative values (down to {low}): magnitude images have none, choose another series")
    if high > _UINT16_MAX:
        raise UnreadablePixelsError(f"holds values up to {high}: at most {_UINT16_MAX} are expected")
    return values.astype(np.uint16)
