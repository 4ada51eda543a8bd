"""JPEG and JPEG-LS streams (ITU-T T.81 and T.87), decoded with imagecodecs (BSD licence).

A JPEG stream holds no checksum, and libraries pass over much damage in silence. So its header must have the matrix that the DICOM
header gives, before any of it is decoded; its end must be there; and of lossless streams two decoders must find the same pixels,
since they continue differently behind a code that does not exist.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import UnreadablePixelsError

JPEG_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.50",  # baseline
        "1.2.840.10008.1.2.4.51",  # extended, 8 or 12 bits
        "1.2.840.10008.1.2.4.57",  # lossless
        "1.2.840.10008.1.2.4.70",  # lossless, predictor 1
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    }
)
"""Transfer syntaxes that :func:`decode_jpeg` decodes."""

_END, _SCAN = b"\xff\xd9", 0xDA
_BASELINE, _EXTENDED, _LOSSLESS, _LS = 0xC0, 0xC1, 0xC3, 0xF7
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def decode_jpeg(stream: bytes, rows: int, columns: int) -> NDArray[np.uint16]:
    """Decode one grey image.

    Parameters
    ----------
    stream
        A whole stream; zero bytes may follow.
    rows, columns
        The matrix that is expected.

    Returns
    -------
        Shape (rows, columns): the values without sign, as many bits as the stream has.

    Raises
    ------
    UnreadablePixelsError
        The stream is cut off or damaged, has another matrix or several colours, or is of another kind.
    """
    kind, found_rows, found_columns, components = _frame_header(stream)
    if (found_rows, found_columns) != (rows, columns):
        raise UnreadablePixelsError(
            f"holds a JPEG image of {found_rows} rows and {found_columns} columns where its header has {rows} and {columns}"
        )
    if components != 1:
        raise UnreadablePixelsError(f"holds a JPEG image of {components} colours: 1 is expected")
    if not stream.rstrip(b"\0").endswith(_END):
        raise UnreadablePixelsError("holds a JPEG image that is cut off; fetch or export it again")
    images = [_decoded(decoder, stream) for decoder in _decoders(kind)]
    if any(image.shape != (rows, columns) or not np.array_equal(image, images[0]) for image in images):
        raise UnreadablePixelsError("holds a damaged JPEG image; fetch or export it again")
    return images[0].astype(np.uint16)


def _decoders(kind: int) -> tuple[Callable[[bytes], Any], ...]:
    """Return the decoders for a kind of frame."""
    import imagecodecs

    if kind == _LOSSLESS:
        return imagecodecs.jpegsof3_decode, imagecodecs.jpeg8_decode
    if kind == _LS:
        return (imagecodecs.jpegls_decode,)
    if kind in (_BASELINE, _EXTENDED):
        return (imagecodecs.jpeg8_decode,)
    raise UnreadablePixelsError(f"holds a JPEG image of a kind that is not supported (marker FF{kind:02X})")


def _decoded(decoder: Callable[[bytes], Any], stream: bytes) -> NDArray[np.unsignedinteger]:
    try:
        return np.asarray(decoder(stream))
    except Exception as error:  # each decoder raises what it likes
        raise UnreadablePixelsError("holds a damaged JPEG image; fetch or export it again") from error


def _frame_header(stream: bytes) -> tuple[int, int, int, int]:
    """Return the kind of frame (the second byte of its marker), rows, columns and colours (T.81, B.2.2)."""
    place = 0
    while place + 10 <= len(stream) and stream[place] == 0xFF:
        marker = stream[place + 1]
        is_frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
        if is_frame or marker == _LS:
            _, rows, columns, components = struct.unpack_from(">BHHB", stream, place + 4)
            return marker, rows, columns, components
        if marker == _SCAN:
            break
        if marker == 0xFF:  # fill bytes
            place += 1
        else:
            place += 2 if marker in _WITHOUT_LENGTH else 2 + struct.unpack_from(">H", stream, place + 2)[0]
    raise UnreadablePixelsError("holds no JPEG image where one is expected; fetch or export it again")
