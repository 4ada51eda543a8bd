"""What is written as DICOM: an examination, its cine series, and the UIDs that follow from their names."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmr_planes.geometry import ImagePlane

Override: TypeAlias = object | Callable[[int], object | None] | None
"""A value for an attribute, None to delete it, or a function of the frame's index that returns one of the two."""


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
class DicomStudy:
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
    """SeriesNumber; series are acquired in its order, one per minute."""
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

    def uid_in(self, study: DicomStudy) -> str:
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


def as_repeat(series: CineSeries, *, number: int) -> CineSeries:
    """Return a series as if it had been acquired once more, later, under another number."""
    return replace(series, number=number, series_uid="", key=f"{series.key} repeat")


def concatenate(parts: Sequence[CineSeries]) -> list[CineSeries]:
    """Make one series of several planes: one SeriesInstanceUID, and instance numbers that continue from part to part."""
    lead = parts[0]
    first = 1
    result = []
    for part in parts:
        result.append(replace(part, number=lead.number, description=lead.description, key=lead.key, first_instance_number=first))
        first += len(part.frames)
    return result
