"""The one DICOM writer: cine images in, bytes of MR Image Storage files out.

It serves the tests' fixtures and the synthetic cohort alike. In short::

    study = Study(name="SYN-0001")                                # who, where, which scanner; UIDs follow from the name
    series = CineSeries(plane=plane, frames=frames,               # frames: (T, rows, columns) uint16
                        trigger_times_ms=times, description="CINE_segmented_LAX_4Ch", number=3)
    files = write_cine(study, series)                             # one DicomFile (uid, bytes) a frame
    files = write_cine(study, series, transfer_syntax=TransferSyntax.JPEG_2000)
    write_files(directory, files)                                 # <SOPInstanceUID>.dcm each

A series of several planes (GE, Philips, mixed series) is written as several ``CineSeries`` with the same ``series_uid`` (or the
same number and description, from which it is derived) and rising ``first_instance_number``.
:mod:`cmr_planes.phantom.enhanced_writer` writes the same ``CineSeries`` as one Enhanced MR instance, and
:func:`cmr_planes.phantom.simple.simple_study` makes a whole cheap study for tests.

``overrides`` of a study, then those of a series, are applied last: keyword to value, None to delete the element, or a function
from the frame's index to such a value. They may break the standard; that is what they are for.

Every byte follows from the arguments: no clock, no random numbers, no host name.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmr_planes.geometry import ImagePlane

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Override: TypeAlias = object | Callable[[int], object | None] | None
"""A value for an attribute, None to delete it, or a function of the frame's index that returns one of the two."""

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
"""SOP class of a single-frame MR image."""


class TransferSyntax(StrEnum):
    """How files are encoded; the values are the UIDs. All are lossless."""

    IMPLICIT_LITTLE = "1.2.840.10008.1.2"
    EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
    EXPLICIT_BIG = "1.2.840.10008.1.2.2"
    DEFLATED = "1.2.840.10008.1.2.1.99"
    RLE = "1.2.840.10008.1.2.5"
    JPEG_LS = "1.2.840.10008.1.2.4.80"
    """Needs the package pyjpegls to write."""
    JPEG_2000 = "1.2.840.10008.1.2.4.90"

    @property
    def is_compressed(self) -> bool:
        """Whether the pixel data are compressed by the frame."""
        return self in (TransferSyntax.RLE, TransferSyntax.JPEG_LS, TransferSyntax.JPEG_2000)


@dataclass(frozen=True, slots=True)
class VendorProfile:
    """What a manufacturer's cine headers look like."""

    manufacturer: str
    model: str
    image_type: tuple[str, ...]
    scan_options: tuple[str, ...]
    sequence_name: str | None
    repetition_time_ms: float
    echo_time_ms: float
    flip_angle_deg: float


class Vendor(Enum):
    """The manufacturers whose headers are imitated."""

    SIEMENS = VendorProfile(
        "SIEMENS",
        "Aera",
        image_type=("ORIGINAL", "PRIMARY", "M", "RETRO", "ND"),
        scan_options=("CG",),
        sequence_name="tfi2d1_14",
        repetition_time_ms=31.92,
        echo_time_ms=1.1,
        flip_angle_deg=80,
    )
    GE = VendorProfile(
        "GE MEDICAL SYSTEMS",
        "SIGNA EXCITE",
        image_type=("ORIGINAL", "PRIMARY", "OTHER"),
        scan_options=("FAST_GEMS", "CG"),
        sequence_name=None,
        repetition_time_ms=3.8,
        echo_time_ms=1.6,
        flip_angle_deg=45,
    )
    PHILIPS = VendorProfile(
        "Philips Medical Systems",
        "Ingenia",
        image_type=("ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"),
        scan_options=("CG",),
        sequence_name=None,
        repetition_time_ms=2.8,
        echo_time_ms=1.4,
        flip_angle_deg=60,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What the files of one examination share."""

    name: str
    """Seed of every UID of the study; nothing else is derived from it."""
    patient_id: str = "SYN-0001"
    """Written to PatientID and PatientName."""
    vendor: Vendor = Vendor.SIEMENS
    field_strength_t: float = 1.5
    date: str = "20200102"
    """StudyDate, YYYYMMDD."""
    start_minute: int = 9 * 60
    """Minute of the day at which the first series starts."""
    private_bytes: int = 0
    """Size of the private group 0029 in each file, as scanners write it (about 90,000 in UK Biobank); 0 for none."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """Attributes to set or delete in every file, applied before those of the series."""

    @property
    def study_uid(self) -> str:
        """The StudyInstanceUID."""
        return make_uid(self.name, "study")

    @property
    def frame_of_reference_uid(self) -> str:
        """The FrameOfReferenceUID."""
        return make_uid(self.name, "frame of reference")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CineSeries:
    """The frames of one plane, and what their headers say."""

    plane: ImagePlane
    """Where all frames lie."""
    frames: NDArray[np.uint16]
    """Shape (T, rows, columns), values up to 4095."""
    trigger_times_ms: ArrayLike
    """Shape (T,), ms after the R wave."""
    description: str
    """SeriesDescription; also ProtocolName."""
    number: int
    """SeriesNumber; series are acquired in its order, one a minute."""
    slice_thickness_mm: float = 8.0
    spacing_between_slices_mm: float | None = None
    """Left out of the header if None, as Siemens does for cine."""
    nominal_interval_ms: float | None = None
    """RR interval; None takes the last trigger time plus one step."""
    series_uid: str = ""
    """SeriesInstanceUID; empty derives it from the study's name, the number and the description."""
    first_instance_number: int = 1
    key: str = ""
    """Tells two series of one number and description apart: part of every UID that is derived."""
    image_type: tuple[str, ...] = ()
    """ImageType; empty takes the vendor's."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """Attributes to set or delete in this series."""

    def __post_init__(self) -> None:
        expected = (len(np.atleast_1d(self.trigger_times_ms)), self.plane.rows, self.plane.columns)
        if self.frames.shape != expected or self.frames.dtype != np.uint16:
            raise ValueError(f"frames are {self.frames.dtype} of shape {self.frames.shape}; uint16 of shape {expected} is expected")

    @property
    def times_ms(self) -> NDArray[np.float64]:
        """The trigger times, shape (T,), ms."""
        return np.atleast_1d(np.asarray(self.trigger_times_ms, dtype=np.float64))

    @property
    def interval_ms(self) -> float:
        """The RR interval in ms."""
        if self.nominal_interval_ms is not None:
            return self.nominal_interval_ms
        times_ms = self.times_ms
        return float(times_ms[-1] + (times_ms[1] - times_ms[0])) if len(times_ms) > 1 else 1000.0

    def uid_in(self, study: Study) -> str:
        """Return the SeriesInstanceUID that the series has in a study."""
        return self.series_uid or make_uid(study.name, "series", str(self.number), self.description, self.key)


@dataclass(frozen=True, slots=True)
class DicomFile:
    """One encoded instance."""

    sop_instance_uid: str
    instance_number: int
    data: bytes
    series_uid: str
    series_description: str


def make_uid(*names: str) -> str:
    """Derive a UID from names: the same names give the same UID, others another.

    Parameters
    ----------
    names
        Any texts; their order matters.

    Returns
    -------
        A UID under the root 2.25 (a number of up to 39 digits, ITU-T X.667).
    """
    digest = hashlib.sha256("\x00".join(names).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 127}"


def write_cine(
    study: Study, series: CineSeries, *, transfer_syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE
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
    import copy

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


def general_dataset(study: Study, series: CineSeries) -> "Dataset":
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


def _series_dataset(study: Study, series: CineSeries) -> "Dataset":
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
    import copy

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


def _add_private_block(dataset: "Dataset", study: Study) -> None:
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


def as_repeat(series: CineSeries, *, number: int) -> CineSeries:
    """Return a series as if it had been acquired once more, later, under another number."""
    return replace(series, number=number, series_uid="", key=f"{series.key} repeat")


def concatenate(parts: Sequence[CineSeries]) -> list[CineSeries]:
    """Make one series of several planes: one SeriesInstanceUID, and instance numbers that go on from part to part."""
    lead = parts[0]
    first = 1
    result = []
    for part in parts:
        result.append(replace(part, number=lead.number, description=lead.description, key=lead.key, first_instance_number=first))
        first += len(part.frames)
    return result
