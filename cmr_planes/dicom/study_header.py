"""Whose an instance is, for a result that goes back to the same study: its patient and study, as its header states them.

These values identify a person. They are held in memory, for files that are meant to have them, and go nowhere else.
"""

import io
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from cmr_planes.dicom.archive import Archive, ByteSource, FileBytes
from cmr_planes.dicom.elements import HEADER_LIMIT
from cmr_planes.dicom.frames import FileRef
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.errors import UnreadableFileError

UNICODE = "ISO_IR 192"
"""SpecificCharacterSet of UTF-8."""

PATIENT_KEYWORDS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
STUDY_KEYWORDS = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
COMPRESSION_KEYWORDS = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
"""Whether values of the images were lost, which holds for everything that is made of them too."""

_KEYWORDS = (*PATIENT_KEYWORDS, *STUDY_KEYWORDS, *COMPRESSION_KEYWORDS)
_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in ("SpecificCharacterSet", *_KEYWORDS)]


def read_study_header(ref: FileRef) -> Dataset:
    """Read patient and study of an instance.

    Parameters
    ----------
    ref
        Where it lies.

    Returns
    -------
        The elements of :data:`PATIENT_KEYWORDS`, :data:`STUDY_KEYWORDS` and :data:`COMPRESSION_KEYWORDS` that the header has, as it
        states them, whether or not the standard allows the values; text in :data:`UNICODE`.

    Raises
    ------
    UnreadableFileError
        The file cannot be read.
    """
    if not ref.member:
        with FileBytes(ref.path) as file:
            return _read(file)
    with Archive(ref.path) as archive:
        return _read(archive.member(ref.member))


def _read(source: ByteSource) -> Dataset:
    header = Dataset()
    with quiet_pydicom():
        try:
            stream = io.BytesIO(source.head(HEADER_LIMIT))
            found = read_partial(stream, lambda tag, _vr, _length: tag > max(_TAGS), force=True, specific_tags=_TAGS)
            for keyword in _KEYWORDS:
                if keyword in found and (element := _element(keyword, found)) is not None:
                    header.add(element)
        except PARSE_ERRORS as error:
            raise UnreadableFileError("has a header that cannot be read; export it again") from error
    return header


def _element(keyword: str, found: Dataset) -> DataElement | None:
    """Return an element of a header; None for a number that is none, which pydicom cannot hold."""
    try:
        return verbatim(keyword, _plain(found[keyword].value))
    except ValueError:
        if dictionary_VR(keyword) != "DS":
            raise
        return None


def verbatim(keyword: str, value: object) -> DataElement:
    """Return an element with a value as another file states it: a reference to what breaks the standard must break it too."""
    return DataElement(tag_for_keyword(keyword) or 0, dictionary_VR(keyword), value, validation_mode=config.IGNORE)


def _plain(value: Any) -> object:  # noqa: ANN401  # whatever pydicom makes of an element
    """Return a value as text, so that it no longer depends on the character set of its file."""
    if value is None:
        return None
    return [str(item) for item in value] if isinstance(value, MultiValue) else str(value)
