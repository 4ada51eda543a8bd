"""Strings that are found again wherever they come out: planted in DICOM attributes, names of files and tables."""

import io
import re
import struct
from itertools import count
from typing import Any

import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.helpers.confidentiality_profile import IDENTIFYING, RANGES

MARK = "ZQLEAK"
DIGITS = "424242"
AGE = "997W"
"""Weeks: a digest in hexadecimal digits may hold 997D by chance."""
_NUMBERS = count(1)

_UNIQUE = re.compile(
    rb"zqleak[^\0\"]{0,8}|z\0q\0l\0e\0a\0k|[0-9.]*424242[0-9.]*|1907(?:0[1-9]|1[0-2])[0-3][0-9]|997w|"
    + re.escape(struct.pack("<d", 7.424242))
    + b"|"
    + re.escape(struct.pack("<f", 7.424242))
)
"""Every planted value, in any of its spellings, in lower case."""

ESSENTIAL = {0x0008_103E, 0x0018_1030}
"""Names that tell the view: the mark is added to what they say."""
CONSISTENT = {0x0008_0018, 0x0020_000D, 0x0020_000E, 0x0020_0052}
"""Identifiers by which the files of a study hang together."""
NOT_IN_IMAGES = {0x0000_1000, 0x0000_1001, 0x0004_1511}
"""Attributes of messages and of DICOMDIR, which no image file may hold."""
META = {0x0002_0003}
TRANSFER_SYNTAX_UID = 0x0002_0010


def mark() -> str:
    """Return a string that is planted once."""
    return f"{MARK}{next(_NUMBERS):04d}"


def finds(data: bytes) -> set[bytes]:
    """Return what was planted and came out."""
    return set(_UNIQUE.findall(data.lower()))


def planted_value(vr: str) -> Any:
    """Return a value that the standard allows for a VR, and that is found again."""
    number = next(_NUMBERS)
    text = f"{MARK}{number:04d}"
    date = f"1907{number % 12 + 1:02d}{number % 28 + 1:02d}"
    special: dict[str, Any] = {
        "UI": f"1.2.{DIGITS}.{number}",
        "DA": date,
        "TM": f"0102{number % 60:02d}.{DIGITS}",
        "DT": f"{date}010203.{DIGITS}",
        "AS": AGE,
        "DS": f"{number}.{DIGITS}",
        "IS": f"{DIGITS}{number % 1000:03d}",
        "FD": float(f"7.{DIGITS}"),
        "FL": float(f"7.{DIGITS}"),
        **dict.fromkeys(("OB", "OW", "UN", "OV", "OD", "OF"), f"{text}00".encode()),
    }
    if vr != "SQ":
        return special.get(vr, text)
    item = Dataset()
    item.PatientName = f"{text}^In^Sequence"
    item.add_new(0x0009_0010, "LO", MARK)
    item.add_new(0x0009_1001, "UN", f"{text}00".encode())
    return [item]


def plants() -> Dataset:
    """Return a planted value in every identifying attribute, in private ones and in sequences, encoded as a file has them."""
    dataset = Dataset()
    for tag in (*IDENTIFYING, *RANGES):
        if tag in ESSENTIAL | CONSISTENT | NOT_IN_IMAGES | META:
            continue
        vr = dictionary_VR(tag).split(" ")[0] if dictionary_has_tag(tag) else "LO"  # newer than pydicom
        if vr not in ("US", "UL", "SS"):
            dataset.add_new(tag, vr, planted_value(vr))
    for group in (0x0009, 0x0019, 0x0021, 0x0029, 0x2001, 0x7FE1):
        dataset.add_new((group << 16) + 0x10, "LO", f"{MARK} {group:04X}")
        dataset.add_new((group << 16) + 0x1001, "LO", planted_value("LO"))
        dataset.add_new((group << 16) + 0x1002, "OB", planted_value("OB"))
        dataset.add_new((group << 16) + 0x1003, "SQ", planted_value("SQ"))
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, dataset)
    return read_dataset(io.BytesIO(stream.getvalue()), is_implicit_VR=False, is_little_endian=True)


def plant(data: bytes, planted: Dataset) -> bytes:
    """Return a DICOM file with planted values; its identifiers keep telling studies, series and instances apart."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for tag in planted.keys():  # noqa: SIM118  # a dataset iterates over elements
        dataset[tag] = planted.get_item(tag)
    for tag in ESSENTIAL & {int(key) for key in dataset.keys()}:  # noqa: SIM118  # a dataset iterates over elements
        dataset[tag].value = f"{dataset[tag].value} {MARK}0000"
    for tag in CONSISTENT & {int(key) for key in dataset.keys()}:  # noqa: SIM118
        dataset[tag].value = planted_uid(dataset[tag].value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return saved(dataset)


def planted_uid(uid: str) -> str:
    """Return what :func:`plant` makes of a UID."""
    return f"{uid[:40].rstrip('.')}.{DIGITS}.{uid[-12:].strip('.').lstrip('0') or 0}"


def spoil(data: bytes, tag: int) -> bytes:
    """Return a DICOM file in which the value of one attribute is a planted string, whatever is expected there."""
    if tag == TRANSFER_SYNTAX_UID:
        return data.replace(b"1.2.840.10008.1.2.1\0", mark().encode().ljust(20, b"X"), 1)
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset[tag] = DataElement(tag, "LO", mark())
    return saved(dataset)


def saved(dataset: pydicom.FileDataset) -> bytes:
    """Encode a dataset as explicit little endian, whatever its transfer syntax says."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return stream.getvalue()
