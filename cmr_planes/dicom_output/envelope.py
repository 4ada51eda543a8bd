"""What every object says besides its content: patient, study, frame of reference, equipment, dates, and the images it refers to.

Objects are made for a patient without a name, in a study of their own. The source's values are put in at the end, as they stand,
unless the object is to be anonymous. So no value of the source is checked, shown or refused on the way.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.study_header import COMPRESSION_KEYWORDS, PATIENT_KEYWORDS, STUDY_KEYWORDS, UNICODE, verbatim
from cmr_planes.dicom_output.identifiers import derived_uid
from cmr_planes.dicom_output.model import Network, SourceImages, frame_number

MANUFACTURER = "cmr-planes"
MODEL = "cmr-train"
"""What the equipment of the objects is called."""
NO_DATE, NO_TIME = "19000101", "000000"
"""ContentDate and ContentTime, which may not be empty, where the study's are not known or not to be given."""

_EMPTY_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""What the standard wants of every object, if only empty."""


def empty_study(images: SourceImages) -> Dataset:
    """Return a study without a patient, from which highdicom takes what all its objects have."""
    study = Dataset()
    study.SpecificCharacterSet = UNICODE
    study.StudyInstanceUID = derived_uid("study", images.study_uid)
    for keyword in _EMPTY_KEYWORDS:
        setattr(study, keyword, "")
    return study


class Equipment(TypedDict):
    """highdicom's arguments for the equipment."""

    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str


def equipment(network: Network) -> Equipment:
    """Return what made an object; its serial number is that of the weights."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": network.version,
        "device_serial_number": network.serial_number,
    }


def finish(dataset: Dataset, images: SourceImages, *, anonymous: bool) -> None:
    """Give an object its patient and study, and dates that do not depend on a clock.

    Parameters
    ----------
    dataset
        An object of the study of :func:`empty_study`; changed in place.
    images
        What it is about.
    anonymous
        Whether it is to say nothing of its patient, study and source.
    """
    header = Dataset() if anonymous else images.header
    for keyword in (*PATIENT_KEYWORDS, *STUDY_KEYWORDS):
        if keyword in header:
            dataset[keyword] = header[keyword]
    if anonymous:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = f"{MODEL}: patient and study empty, UIDs replaced, no references"
    elif dataset.get("PatientIdentityRemoved") == "YES" and not dataset.get("DeidentificationMethod"):
        dataset.DeidentificationMethod = "see the source images"
    dataset.SpecificCharacterSet = UNICODE
    dataset.ContentDate, dataset.ContentTime = _content_moment(header)
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for item in dataset.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in item:
            del item.ContributionDateTime


def _content_moment(header: Dataset) -> tuple[str, str]:
    """Return date and time of the study, so that the same source gives the same bytes; constants where it has none."""
    date, time = (str(header.get(keyword) or "") for keyword in ("StudyDate", "StudyTime"))
    try:
        datetime.strptime(date, "%Y%m%d")  # noqa: DTZ007  # only examined
    except ValueError:
        return NO_DATE, NO_TIME
    is_time = re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", time)
    return date, time if is_time else NO_TIME


def compression_of(images: SourceImages) -> Dataset:
    """Return whether the images had lost values by compression; what is made of them has lost them too."""
    lost = Dataset()
    for keyword in COMPRESSION_KEYWORDS:
        if keyword in images.header:
            lost[keyword] = images.header[keyword]
    return lost if lost.get("LossyImageCompression") == "01" else Dataset()


def image_reference(frame: FrameHeader) -> Dataset:
    """Return the reference to one image: class and UID of its instance, and its frame in it."""
    item = instance_reference(frame.sop_class_uid, frame.sop_instance_uid)
    if frame_number(frame):
        item.ReferencedFrameNumber = frame_number(frame)
    return item


def instance_reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Return the reference to an instance."""
    item = Dataset()
    item.add(verbatim("ReferencedSOPClassUID", sop_class_uid))
    item.add(verbatim("ReferencedSOPInstanceUID", sop_instance_uid))
    return item


def series_references(frames: Sequence[FrameHeader], keyword: str = "ReferencedInstanceSequence") -> list[Dataset]:
    """Return one item for each series, with its instances, each once, in a sequence called ``keyword``."""
    by_series: dict[str, dict[str, Dataset]] = {}
    for frame in frames:
        instances = by_series.setdefault(frame.series_uid, {})
        instances.setdefault(frame.sop_instance_uid, instance_reference(frame.sop_class_uid, frame.sop_instance_uid))
    items = []
    for series_uid, instances in by_series.items():
        item = Dataset()
        item.add(verbatim("SeriesInstanceUID", series_uid))
        item.add(verbatim(keyword, DicomSequence(instances.values())))
        items.append(item)
    return items
