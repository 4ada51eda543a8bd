"""Numbers and text from the raw bytes of header values.

Vendors pad with spaces and NULs, write ``1.0`` where the standard wants an integer, and leave values empty: what is usable is
used, what is not is None or an empty text. Results are cached, because the headers of a study repeat the same few values.
"""

import math
import re
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cmr_planes.dicom.frames import Repair
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.errors import CmrPlanesError, Finding, InvalidAttributeError, MissingAttributeError
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.geometry.tolerances import PERPENDICULAR_TOLERANCE, UNIT_LENGTH_TOLERANCE
from cmr_planes.system.text import counted

_PADDING = b" \x00\t\r\n"
_DECIMAL_COMMA = re.compile(rb"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
_ROUNDED_COSINE = re.compile(r"[+-]?\d*\.?(\d*)")
_ROUNDED_DECIMALS = (2, 3)
"""Cosines of this many decimals are mended if rounding explains their errors; those of more are wrong, of fewer too coarse."""
_INTEGER_LIMIT = (1 << 31) - 1
"""Integer strings (VR IS) lie within this."""
_LARGEST = 1e12
"""No measure in a header is larger, in its unit; arithmetic with such numbers cannot overflow."""


@lru_cache(maxsize=4096)
def text(raw: bytes, character_set: bytes = b"") -> str:
    """Decode a text value.

    Parameters
    ----------
    raw
        The value.
    character_set
        The raw value of SpecificCharacterSet (0008,0005).

    Returns
    -------
        The text without padding; what cannot be decoded is replaced.
    """
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip(" \x00\t\r\n")
    from pydicom.charset import convert_encodings, decode_bytes
    from pydicom.valuerep import TEXT_VR_DELIMS

    names = [name.strip(_PADDING).decode("ascii", "replace") for name in character_set.split(b"\\")]
    with quiet_pydicom():
        try:
            decoded = decode_bytes(raw, convert_encodings(names), TEXT_VR_DELIMS)
        except (LookupError, ValueError):
            decoded = raw.decode("latin-1")
    return decoded.strip(" \x00\t\r\n")


@lru_cache(maxsize=1024)
def code_strings(raw: bytes) -> tuple[str, ...]:
    """Split a value of several code strings; empty for an empty value."""
    return tuple(part.strip(" \x00\t\r\n") for part in raw.decode("ascii", "replace").split("\\")) if raw.strip(_PADDING) else ()


@lru_cache(maxsize=4096)
def decimal_number(raw: bytes) -> float | None:
    """Return a decimal string (VR DS) as a number; None if it is empty, junk, not a number, or larger than any measure is.

    A decimal comma is read as a point.
    """
    return _number(raw.replace(b",", b".") if _DECIMAL_COMMA.fullmatch(raw) else raw)


def _number(raw: bytes) -> float | None:
    try:
        value = float(raw.strip(_PADDING))
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


@lru_cache(maxsize=4096)
def integer(raw: bytes) -> int | None:
    """Return an integer string (VR IS) as an int; None if it is empty, junk, fractional or out of range."""
    value = _number(raw)
    return int(value) if value is not None and value.is_integer() and abs(value) <= _INTEGER_LIMIT else None


def double(raw: bytes, *, is_little: bool) -> float | None:
    """Return a binary double (VR FD); None if it is missing, not a number, or larger than any measure is."""
    if len(raw) < 8:  # bytes of a double
        return None
    value = float(struct.unpack_from("<d" if is_little else ">d", raw)[0])
    return value if abs(value) <= _LARGEST else None


def single(raw: bytes, *, is_little: bool) -> float | None:
    """Return a binary single (VR FL); None if it is missing, not a number, or larger than any measure is."""
    if len(raw) < 4:  # bytes of a single
        return None
    value = float(struct.unpack_from("<f" if is_little else ">f", raw)[0])
    return value if abs(value) <= _LARGEST else None


def unsigned_longs(raw: bytes, *, is_little: bool) -> tuple[int, ...]:
    """Return the unsigned 32-bit values (VR UL) that ``raw`` holds."""
    count = len(raw) // 4  # bytes of each
    return tuple(int(value) for value in struct.unpack_from(f"{'<' if is_little else '>'}{count}L", raw))


def unsigned_short(raw: bytes, *, is_little: bool) -> int | None:
    """Return an unsigned 16-bit value (VR US); None if it is missing."""
    return int(struct.unpack_from("<H" if is_little else ">H", raw)[0]) if len(raw) >= 2 else None  # its bytes


def unsigned_long(raw: bytes, *, is_little: bool) -> int | None:
    """Return an unsigned 32-bit value (VR UL); None if it is missing."""
    return int(struct.unpack_from("<L" if is_little else ">L", raw)[0]) if len(raw) >= 4 else None  # its bytes


def point_in_time(date_time: str, date: str, time: str) -> str:
    """Return a sortable text of a point in time: a DateTime (VR DT) if there is one, else a date and a time."""
    return date_time or (date.replace(".", "") + time.replace(":", ""))


class PlaneReading(NamedTuple):
    """What the attributes of an image's plane give."""

    plane: ImagePlane | None
    """Where the image lies, None if that is not known."""
    defect: Finding | None
    """Why it is not known."""
    repairs: tuple[Repair, ...] = ()
    """What was mended."""


@lru_cache(maxsize=4096)
def read_plane(position: bytes, orientation: bytes, spacing: bytes, rows: int, columns: int) -> PlaneReading:
    """Return the plane that the raw attributes describe, or why there is none.

    Parameters
    ----------
    position, orientation, spacing
        Raw ImagePositionPatient, ImageOrientationPatient and PixelSpacing; empty if missing.
    rows, columns
        The matrix size.

    Returns
    -------
        The plane, or the finding. Decimal commas are read, and cosines that were rounded to two or three decimals are made
        perpendicular unit vectors.
    """
    raw = {
        "ImagePositionPatient (0020,0032)": position,
        "ImageOrientationPatient (0020,0037)": orientation,
        "PixelSpacing (0028,0030)": spacing,
    }
    parts = {keyword: value.split(b"\\") for keyword, value in raw.items()}
    mended = {keyword: _without_commas(values) for keyword, values in parts.items()}
    repairs: tuple[Repair, ...] = (Repair.DECIMAL_COMMA,) if mended != parts else ()
    try:
        position_mm, cosines, spacing_mm = (
            _decimals(values, count, keyword) for (keyword, values), count in zip(mended.items(), (3, 6, 2), strict=True)
        )
        unrounded = _unrounded_cosines(cosines, mended["ImageOrientationPatient (0020,0037)"])
        if unrounded is not None:
            repairs = (*repairs, Repair.ROUNDED_COSINES)
        plane = ImagePlane.from_attributes(
            position_mm, cosines if unrounded is None else unrounded, spacing_mm, rows=rows, columns=columns
        )
    except CmrPlanesError as error:
        return PlaneReading(None, Finding("", error.code, str(error)))
    return PlaneReading(plane, None, repairs)


def _without_commas(parts: Sequence[bytes]) -> list[bytes]:
    """Return decimal strings with points for decimal commas; unchanged where one has a point already."""
    if b"." in b"".join(parts):
        return list(parts)
    return [part.replace(b",", b".") if _DECIMAL_COMMA.fullmatch(part) else part for part in parts]


def _decimals(parts: Sequence[bytes], count: int, keyword: str) -> list[float]:
    """Return ``count`` decimal strings as numbers (NaN and infinity too: the plane refuses them)."""
    if not b"".join(parts).strip(_PADDING):
        raise MissingAttributeError(f"{keyword} is missing or empty: without it the image has no place in the patient")
    if len(parts) != count:
        raise InvalidAttributeError(f"{keyword} has {counted(len(parts), 'value')}: {count} are expected")
    try:
        return [float(part.strip(_PADDING)) for part in parts]
    except ValueError:
        raise InvalidAttributeError(f"{keyword} is not numeric: {count} numbers are expected") from None


def _unrounded_cosines(cosines: Sequence[float], parts: Sequence[bytes]) -> FloatArray | None:
    """Return the perpendicular unit vectors nearest to rounded ones, shape (6,).

    None if the cosines are within the plane's tolerance as they are, or if rounding does not explain their errors.
    """
    digits = [_ROUNDED_COSINE.fullmatch(part.strip(_PADDING).decode("ascii", "replace")) for part in parts]
    n_decimals = max((len(match.group(1)) if match else 0) for match in digits)
    if None in digits or n_decimals not in _ROUNDED_DECIMALS or not (np.abs(cosines) <= 1 + UNIT_LENGTH_TOLERANCE).all():
        return None
    vectors = np.reshape(cosines, (2, 3))
    error = math.sqrt(3) * 0.5 * 10.0**-n_decimals  # of a vector whose three components are rounded
    length_error, dot = np.abs(np.linalg.norm(vectors, axis=1) - 1).max(), abs(float(vectors[0] @ vectors[1]))
    if length_error > error or dot > 2 * error or (length_error <= UNIT_LENGTH_TOLERANCE and dot <= PERPENDICULAR_TOLERANCE):
        return None
    left, _, right = np.linalg.svd(vectors, full_matrices=False)
    return np.ravel(left @ right)
