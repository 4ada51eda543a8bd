"""The one DICOM writer: cine images in, bytes of MR Image Storage files out.

It serves the tests' fixtures and the synthetic cohort alike. In short::

    study = DicomStudy(name="SYN-0001")                           # who, where, which scanner; UIDs follow from the name
    series = CineSeries(plane=plane, frames=frames,               # frames: (T, rows, columns) uint16
                        trigger_times_ms=times, description="CINE_segmented_LAX_4Ch", number=3)
    files = write_cine(study, series)                             # one DicomFile (uid, bytes) a frame
    files = write_cine(study, series, transfer_syntax=TransferSyntax.JPEG_2000)
    write_files(directory, files)                                 # <SOPInstanceUID>.dcm each

A series of several planes (GE, Philips, mixed series) is written as several ``CineSeries`` with the same ``series_uid`` (or the
same number and description, from which it is derived) and rising ``first_instance_number``.
:mod:`cmr_planes.phantom.enhanced_writer` writes the same ``CineSeries`` as one Enhanced MR instance, and
:func:`cmr_planes.phantom.small_study.simple_study` makes a whole cheap study for tests.

``overrides`` of a study, then those of a series, are applied last: keyword to value, None to delete the element, or a function
from the frame's index to such a value. They may break the standard; that is what they are for.

Every byte follows from the arguments: no clock, no random numbers, no host name.
"""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cmr_planes.dicom.tags import MR_IMAGE_STORAGE
from cmr_planes.phantom.dicom_model import (
    CineSeries,
    DicomFile,
    DicomStudy,
    Override,
    TransferSyntax,
    Vendor,
    make_uid,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_cine(
    study: DicomStudy, series: CineSeries, *, transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE
) -> list[DicomFile]:
    """Encode a cine series as single-frame MR Image Storage instances.

    Parameters
    ----------
    study, series
        What to write.
    transfer_syntax
        How to encode it.

    Returns
    -------
        One file a frame, in the order of the frames.
    """
    dataset = _series_dataset(study, series)
    overrides = {**study.overrides, **series.overrides}
    series_uid = series.uid_in(study)
    files = []
    for index, time_ms in enumerate(series.times_ms):
        number = series.first_instance_number + index
        uid = make_uid(study.name, "instance", series_uid, str(number), series.key)
        dataset.SOPInstanceUID = uid
        dataset.InstanceNumber = str(number)
        dataset.TriggerTime = decimal(time_ms)
        if study.vendor is Vendor.PHILIPS:
            dataset.TemporalPositionIdentifier = str(index + 1)
        pixels = series.frames[index]
        dataset.SmallestImagePixelValue = int(pixels.min())
        dataset.LargestImagePixelValue = int(pixels.max())
        dataset.PixelData = pixels.astype("<u2").tobytes()
        written = apply_overrides(dataset, overrides, index) if overrides else dataset
        files.append(DicomFile(uid, number, encode(written, transfer_syntax), series_uid, series.description))
    return files


def write_files(directory: Path, files: Iterable[DicomFile], *, suffix: str = ".dcm") -> list[Path]:
    """Write each file as ``<SOPInstanceUID><suffix>`` to a directory, which is made if need be; return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in files:
        path = directory / f"{file.sop_instance_uid}{suffix}"
        path.write_bytes(file.data)
        paths.append(path)
    return paths


def decimal(value: float) -> str:
    """Format a number as a DICOM decimal string of at most 16 characters."""
    text = f"{value:.10g}"
    return text if len(text) <= 16 else f"{value:.8g}"


def decimals(values: ArrayLike) -> list[str]:
    """Format numbers as DICOM decimal strings."""
    return [decimal(float(value)) for value in np.ravel(values)]


def clock(minute: int) -> str:
    """Format a minute of the day as a DICOM time."""
    return f"{minute // 60 % 24:02d}{minute % 60:02d}00.00"


def apply_overrides(dataset: "Dataset", overrides: Mapping[str, Override], index: int) -> "Dataset":
    """Return a copy of ``dataset`` with attributes set or deleted; ``index`` is the frame's."""
    result = copy.copy(dataset)
    for keyword, override in overrides.items():
        value = override(index) if callable(override) else override
        if value is None:
            if keyword in result:
                delattr(result, keyword)
        else:
            setattr(result, keyword, value)
    return result


def encode(dataset: "Dataset", transfer_syntax: TransferSyntax) -> bytes:
    """Encode a dataset with native pixel data as a DICOM file in memory."""
    from pydicom import dcmwrite

    dataset = _with_file_meta(dataset, transfer_syntax)
    if transfer_syntax.is_compressed:
        dataset.compress(str(transfer_syntax), generate_instance_uid=False)
    elif transfer_syntax is TransferSyntax.EXPLICIT_BIG:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def general_dataset(study: DicomStudy, series: CineSeries) -> "Dataset":
    """Return the patient, study, series, equipment and frame of reference modules of a series."""
    from pydicom.dataset import Dataset

    minute = study.start_minute + series.number
    profile = study.vendor.value
    dataset = Dataset()
    values: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "StudyDate": study.date,
        "SeriesDate": study.date,
        "AcquisitionDate": study.date,
        "ContentDate": study.date,
        "StudyTime": clock(study.start_minute),
        "SeriesTime": clock(minute),
        "AcquisitionTime": clock(minute),
        "ContentTime": clock(minute),
        "AccessionNumber": "",
        "Modality": "MR",
        "Manufacturer": profile.manufacturer,
        "ReferringPhysicianName": "",
        "StudyDescription": "Synthetic cardiac MR",
        "SeriesDescription": series.description,
        "ManufacturerModelName": profile.model,
        "PatientName": f"Synthetic^{study.patient_id}",
        "PatientID": study.patient_id,
        "PatientBirthDate": "",
        "PatientSex": "",
        "BodyPartExamined": "HEART",
        "DeviceSerialNumber": "0",
        "SoftwareVersions": "cmr-planes phantom",
        "ProtocolName": series.description,
        "PatientPosition": "HFS",
        "StudyInstanceUID": study.study_uid,
        "SeriesInstanceUID": series.uid_in(study),
        "StudyID": "1",
        "SeriesNumber": str(series.number),
        "AcquisitionNumber": "1",
        "FrameOfReferenceUID": study.frame_of_reference_uid,
        "PositionReferenceIndicator": "",
    }
    _set_all(dataset, values)
    return dataset


def _series_dataset(study: DicomStudy, series: CineSeries) -> "Dataset":
    """Return all that the frames of a series have in common."""
    profile = study.vendor.value
    plane = series.plane
    dataset = general_dataset(study, series)
    values: dict[str, object] = {
        "ImageType": list(series.image_type or profile.image_type),
        "SOPClassUID": MR_IMAGE_STORAGE,
        "ScanningSequence": "GR",
        "SequenceVariant": ["SK", "SS"],
        "ScanOptions": list(profile.scan_options),
        "MRAcquisitionType": "2D",
        "SequenceName": profile.sequence_name,
        "SliceThickness": decimal(series.slice_thickness_mm),
        "RepetitionTime": decimal(profile.repetition_time_ms),
        "EchoTime": decimal(profile.echo_time_ms),
        "NumberOfAverages": "1",
        "ImagedNucleus": "1H",
        "MagneticFieldStrength": decimal(study.field_strength_t),
        "SpacingBetweenSlices": None if series.spacing_between_slices_mm is None else decimal(series.spacing_between_slices_mm),
        "EchoTrainLength": "1",
        "NominalInterval": str(round(series.interval_ms)),
        "CardiacNumberOfImages": str(len(series.frames)) if len(series.frames) > 1 else None,
        "FlipAngle": decimal(profile.flip_angle_deg),
        "NumberOfTemporalPositions": str(len(series.frames)) if study.vendor is Vendor.PHILIPS else None,
        "ImagePositionPatient": decimals(plane.position_mm),
        "ImageOrientationPatient": decimals([plane.row_cosine, plane.column_cosine]),
        "SliceLocation": decimal(round(float(plane.position_mm @ plane.normal), 6)),
        "PixelSpacing": decimals([plane.row_spacing_mm, plane.column_spacing_mm]),
        **pixel_values(series),
    }
    _set_all(dataset, {keyword: value for keyword, value in values.items() if value is not None})
    if study.private_bytes:
        _add_private_block(dataset, study)
    return dataset


def pixel_values(series: CineSeries) -> dict[str, object]:
    """Return the image pixel and VOI LUT attributes of a series, without the pixel data."""
    low, high = np.percentile(series.frames[0], [1, 99.5]) if series.frames.size else (0, 1)
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": series.plane.rows,
        "Columns": series.plane.columns,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": decimal(round(float(low + high) / 2)),
        "WindowWidth": decimal(max(1, round(float(high - low)))),
    }


def _set_all(dataset: "Dataset", values: Mapping[str, object]) -> None:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


def _with_file_meta(dataset: "Dataset", transfer_syntax: TransferSyntax) -> "Dataset":
    """Return a shallow copy of a dataset with file meta information."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    meta: FileMetaDataset = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(str(dataset.get("SOPClassUID") or MR_IMAGE_STORAGE))
    meta.MediaStorageSOPInstanceUID = UID(str(dataset.get("SOPInstanceUID") or make_uid("instance without a UID")))
    native = TransferSyntax.EXPLICIT_LITTLE if transfer_syntax.is_compressed else transfer_syntax
    meta.TransferSyntaxUID = UID(str(native))
    meta.ImplementationClassUID = UID(make_uid("cmr-planes phantom writer"))
    meta.ImplementationVersionName = "CMR_PLANES"
    result = copy.copy(dataset)
    result.file_meta = meta
    return result


def _add_private_block(dataset: "Dataset", study: DicomStudy) -> None:
    """Add a private group 0029 of the study's size: protocol-like text, a third of which a zip cannot squeeze."""
    seed = int.from_bytes(hashlib.sha256(study.name.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    noise = rng.bytes(study.private_bytes // 3)
    lines = b"".join(
        b"sSliceArray.asSlice[%d].dThickness = %d\n" % (line % 64, line % 7) for line in range(study.private_bytes // 32)
    )
    content = (noise + lines)[: study.private_bytes]
    block = dataset.private_block(0x0029, "CMR PLANES PHANTOM", create=True)
    half = len(content) // 4 * 2
    block.add_new(0x10, "OB", content[:half])
    block.add_new(0x20, "OB", content[half : half + half])
