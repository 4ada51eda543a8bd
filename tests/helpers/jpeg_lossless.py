"""A literal JPEG lossless encoder (ITU-T T.81, process 14, selection value 1): no library at hand writes what archives often hold."""

import struct

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate

TRANSFER_SYNTAX_UID = "1.2.840.10008.1.2.4.70"
CODE_BITS = 5
"""All 17 categories get a code of this length: valid, if not short."""


def encode(image: NDArray[np.uint16], precision: int) -> bytes:
    """Encode one image, shape (rows, columns)."""
    rows, columns = image.shape
    frame_header = struct.pack(">BHHBBBB", precision, rows, columns, 1, 1, 0x11, 0)
    counts = bytes(17 if length == CODE_BITS else 0 for length in range(1, 17))
    segments = [
        b"\xff\xd8",
        b"\xff\xc3" + struct.pack(">H", 2 + len(frame_header)) + frame_header,
        b"\xff\xc4" + struct.pack(">H", 2 + 1 + 16 + 17) + b"\x00" + counts + bytes(range(17)),
        b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0x00, 1, 0, 0),
        _entropy_coded(image.astype(int), precision),
        b"\xff\xd9",
    ]
    return b"".join(segments)


def _entropy_coded(image: NDArray[np.int_], precision: int) -> bytes:
    """Return the differences from the neighbour on the left (above in the first column), as bits."""
    bits = []
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if column:
                predicted = image[row, column - 1]
            elif row:
                predicted = image[row - 1, 0]
            else:
                predicted = 1 << (precision - 1)
            difference = int(image[row, column] - predicted)
            category = abs(difference).bit_length()
            bits.append(format(category, f"0{CODE_BITS}b"))
            if category:
                value = difference if difference > 0 else difference + (1 << category) - 1
                bits.append(format(value, f"0{category}b"))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return data.replace(b"\xff", b"\xff\x00")


def compress(dataset: pydicom.Dataset) -> None:
    """Compress the one native frame of a dataset in place."""
    dataset.PixelData = encapsulate([encode(dataset.pixel_array, dataset.BitsStored)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = TRANSFER_SYNTAX_UID
