"""DICOM files without pixels, made from what a server tells of its instances.

They let the choice of views read them as it reads any file. Only elements that :mod:`cmr_planes.dicom.headers` reads are kept.
"""

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from cmr_planes.dicom import tags
from cmr_planes.dicom.headers import HEADER_TAGS
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.dicom.study_header import UNICODE

JsonInstance = Mapping[str, Mapping[str, Any]]
"""An instance in the DICOM JSON model (PS3.18, annex F): elements by tag."""

_KEPT = (
    *(tag for tag in HEADER_TAGS if tag != tags.SPECIFIC_CHARACTER_SET),
    tags.PULSE_SEQUENCE_NAME,
    tags.PHOTOMETRIC_INTERPRETATION,
    tags.BITS_ALLOCATED,
    tags.BITS_STORED,
    tags.HIGH_BIT,
    tags.PIXEL_REPRESENTATION,
    tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
)


def text_value(instance: JsonInstance, tag: int) -> str:
    """Return the first value of an element as text; empty if there is none."""
    return next(iter(text_values(instance, tag)), "")


def text_values(instance: JsonInstance, tag: int) -> tuple[str, ...]:
    """Return the values of an element as text."""
    element = instance.get(f"{tag:08X}")
    values = element.get("Value") if isinstance(element, Mapping) else None
    return tuple(str(value).strip() for value in values if value is not None) if isinstance(values, list) else ()


def header_file(instance: JsonInstance) -> bytes:
    """Return a DICOM file with the kept elements of an instance; an element that cannot be read is left out."""
    parts = [_beginning()]
    for tag in _KEPT:
        element = instance.get(f"{tag:08X}")
        if isinstance(element, Mapping) and isinstance(element.get("Value"), list):
            vr, value = str(element.get("vr", "UN")), json.dumps(element["Value"])
            parts.append(_encoded(tag, vr, value) if vr == "SQ" else _repeated(tag, vr, value))
    return b"".join((*parts, _end()))


@lru_cache(maxsize=4096)
def _repeated(tag: int, vr: str, value: str) -> bytes:
    """Return an element as :func:`_encoded` does: the headers of a study repeat most of them."""
    return _encoded(tag, vr, value)


def _encoded(tag: int, vr: str, value: str) -> bytes:
    """Return an element, its value in JSON, as explicit little endian; nothing if it cannot be read."""
    dataset = Dataset()
    try:
        dataset.add(DataElement.from_json(Dataset, f"{tag:08X}", vr, json.loads(value), "Value"))
        return _elements(dataset)
    except PARSE_ERRORS:
        return b""


def _elements(dataset: Dataset) -> bytes:
    """Return the elements of a dataset as explicit little endian."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset, parent_encoding="utf-8")
    return stream.getvalue()


@lru_cache(maxsize=1)
def _beginning() -> bytes:
    """Return what all the files begin with: preamble, file meta information, character set."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = UNICODE
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.preamble = bytes(128)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=False)
    return stream.getvalue()


@lru_cache(maxsize=1)
def _end() -> bytes:
    """Return what all the files end with: DataSetTrailingPadding, by which a reader sees that the header is not cut off."""
    dataset = Dataset()
    dataset.add_new(0xFFFC_FFFC, "OB", bytes(16))
    return _elements(dataset)


def n_pixel_bytes(instance: JsonInstance) -> int:
    """Return the size of an instance's pixels if they are not compressed; 0 if the header does not say."""
    total = 1
    for tag, default in (
        (tags.ROWS, 0),
        (tags.COLUMNS, 0),
        (tags.BITS_ALLOCATED, 0),
        (tags.NUMBER_OF_FRAMES, 1),
        (tags.SAMPLES_PER_PIXEL, 1),
    ):
        try:
            total *= max(0, int(float(text_value(instance, tag) or default)))
        except (ValueError, OverflowError):
            return 0
    return total // 8
