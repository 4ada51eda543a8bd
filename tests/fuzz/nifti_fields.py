"""The fields of a NIfTI-1 header, changed in plain and in compressed files."""

import gzip
import struct
import zlib
from random import Random

from tests.fuzz.bytewise import ANY_BYTES

_SHORTS = (*range(40, 56, 2), 68, 70, 72, 74, 252, 254)
"""dim, intent, datatype, bitpix, slice_start, qform_code, sform_code."""
_FLOATS = (*range(76, 108, 4), 108, 112, 116, *range(256, 328, 4))
"""pixdim, vox_offset, scl_slope, scl_inter, quaternion, srow."""
_SHORT_VALUES = (0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, -1, 7, 255, 32767, -32768)
_FLOAT_VALUES = (0.0, -0.0, 1.0, -1.0, 1e-20, 1e30, -1e30, float("nan"), float("inf"), float("-inf"), 351.5, 2.0**31, 352.0, 1e-45)


def mutate(data: bytes, rng: Random) -> bytes:
    """Change fields, magic or values; sometimes the compressed bytes."""
    if rng.random() < 0.12:
        return rng.choice(ANY_BYTES)(data, rng)
    is_compressed = data[:2] == b"\x1f\x8b"
    try:
        plain = bytearray(gzip.decompress(data) if is_compressed else data)
    except (OSError, EOFError, zlib.error, struct.error):
        return rng.choice(ANY_BYTES)(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        way = rng.random()
        if len(plain) < 352:
            break
        if way < 0.4:
            struct.pack_into("<h", plain, rng.choice(_SHORTS), rng.choice(_SHORT_VALUES))
        elif way < 0.8:
            struct.pack_into("<f", plain, rng.choice(_FLOATS), rng.choice((*_FLOAT_VALUES, rng.uniform(-200, 200))))
        elif way < 0.85:
            plain[344:348] = rng.choice((b"ni1\0", b"n+1\0", b"n+2\0", b"\0\0\0\0"))
        elif way < 0.9:
            struct.pack_into("<i", plain, 0, rng.choice((0, 348, 540, 0x5C010000, 1543569408, -1)))
        elif way < 0.95:
            plain[348:352] = rng.choice((b"\x01\0\0\0", b"\xff\0\0\0"))
        else:
            plain = bytearray(rng.choice(ANY_BYTES)(bytes(plain), rng))
    return gzip.compress(bytes(plain), 1, mtime=0) if is_compressed else bytes(plain)
