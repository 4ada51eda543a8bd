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
MAX_NEGATIVE_SHARE = 0.01
"""Negative pixels are taken as ringing if they are at most this share of an image, ..."""
MAX_NEGATIVE_DEPTH = 0.05
"""... or at most this share of its largest value below 0."""
MIN_IMAGE_SHARE = 0.01
"""An image in which fewer pixels than this share are above the least is black."""
MAX_FRAME_SIZE = 16 << 20
"""Bytes of one frame; more are not decoded, whatever the header says."""


@dataclass(frozen=True, slots=True)
class PixelRepair:
    """What was changed in an image because its header and its values contradict each other."""

    n_negative: int = 0
    """Negative pixels that were set to 0."""
    n_cut: int = 0
    """Pixels of which bits beyond BitsStored were cut off."""
    has_zero_slope: bool = False
    """Whether RescaleSlope is 0, and was taken as 1."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """An image as it is kept: unsigned, and bright is high."""

    pixels: NDArray[np.uint16]
    """Shape (rows, columns)."""
    rescale: tuple[float, float]
    """Slope and intercept: ``pixels`` × slope + intercept are the scanner's values. The slope is negative where those were dark for
    bright tissue."""
    repair: PixelRepair
    """What was changed."""


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


def count_cut(stored: NDArray[np.uint16], form: PixelFormat) -> int:
    """Count the native values with bits beyond the stored ones; a sign may be spread over those."""
    largest = 1 << form.bits_stored
    if form.high_bit != form.bits_stored - 1 or stored.max() < largest:
        return 0
    is_cut = stored >= largest
    if form.is_signed:
        is_cut &= stored.astype(np.int16) < -(largest // 2)
    return int(is_cut.sum())


def store(values: NDArray[np.integer], form: PixelFormat, rescale: tuple[float, float], *, n_cut: int = 0) -> StoredImage:
    """Keep values as unsigned 16-bit numbers, bright tissue high.

    Parameters
    ----------
    values
        Shape (rows, columns), with sign.
    form
        How they were stored.
    rescale
        RescaleSlope and RescaleIntercept.
    n_cut
        Values that lost bits.

    Returns
    -------
        The image. It is inverted where MONOCHROME1 or a negative slope makes bright tissue low, and its rescaling follows.

    Raises
    ------
    UnreadablePixelsError
        The values do not fit, are negative as those of no magnitude image are, or are black.
    """
    if not np.issubdtype(values.dtype, np.integer):
        raise UnreadablePixelsError(f"has pixels of type {values.dtype}: integers are expected")
    slope, intercept = rescale
    repair = PixelRepair(n_negative=_count_negative(values), n_cut=n_cut, has_zero_slope=slope == 0)
    if repair.n_negative:
        values = np.maximum(values, 0)
    slope = slope or 1.0
    if form.is_inverted != (slope < 0):
        largest = (1 << (form.bits_stored - form.is_signed)) - 1
        values = largest - values.astype(np.int64)
        slope, intercept = -slope, intercept + slope * largest
    if values.dtype != np.uint16 and values.max() > _UINT16_MAX:
        raise UnreadablePixelsError(f"holds values up to {values.max()}: at most {_UINT16_MAX} are expected")
    pixels = values.astype(np.uint16, copy=False)
    if np.count_nonzero(pixels > pixels.min()) < MIN_IMAGE_SHARE * pixels.size:
        raise UnreadablePixelsError("is black: nearly all its pixels have one value; export it again, or leave it out")
    return StoredImage(pixels, (slope, intercept), repair)


def _count_negative(values: NDArray[np.integer]) -> int:
    """Count negative pixels; raises UnreadablePixelsError where they are too many and too low for an interpolation's ringing."""
    if np.issubdtype(values.dtype, np.unsignedinteger) or values.min() >= 0:
        return 0
    low, high, count = int(values.min()), int(values.max()), int((values < 0).sum())
    if count > MAX_NEGATIVE_SHARE * values.size and -low > MAX_NEGATIVE_DEPTH * high:
        raise UnreadablePixelsError(
            f"holds negative values (down to {low}, in {count / values.size:.0%} of its pixels): magnitude images have none, "
            "choose another series"
        )
    return count
