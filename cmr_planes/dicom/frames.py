"""What is known of a frame from its header: the values that all later steps work on.

What identifies a person is compared in memory (:attr:`FrameHeader.identity`) and goes no further.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from cmr_planes.dicom.examinations import UNKNOWN, Identity
from cmr_planes.errors import Finding
from cmr_planes.geometry import ImagePlane


class FileState(NamedTuple):
    """What tells that a file is still the same; inode numbers are not stable on every file system."""

    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FileRef:
    """Where a DICOM instance lies: a file, or a member of a zip."""

    path: Path
    """The file or the zip."""
    member: str = ""
    """The member's name in the zip; empty for a file."""
    state: FileState | None = field(default=None, compare=False)
    """What the file or the zip was when the header was read; None if it is not asked for."""


class Repair(StrEnum):
    """A fault of a header that can be mended safely; the values are parts of a sentence."""

    OUT_OF_ORDER = "elements that are not in the order of their tags: they were read all the same"
    DECIMAL_COMMA = "decimal commas in numbers, where DICOM has points: they were read as points"
    ROUNDED_COSINES = (
        "an ImageOrientationPatient (0020,0037) of two or three decimals: the nearest perpendicular unit vectors were taken, whose "
        "directions may be wrong by up to half a degree"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """One frame of one instance. Strings are stripped and empty, numbers None, where the header has no usable value."""

    file: FileRef
    frame_index: int
    """Zero-based frame in the instance (0 for single-frame instances)."""
    n_frames: int
    """Frames in the instance."""
    sop_class_uid: str
    sop_instance_uid: str = field(default="", repr=False)
    """Annotations refer to it; stored as a digest only."""
    modality: str
    image_type: tuple[str, ...]
    identity: Identity = field(default=UNKNOWN, repr=False)
    """Whose and which examination it is of; compared in memory, never stored or shown."""
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int | None
    series_description: str
    protocol_name: str
    sequence_name: str
    manufacturer: str
    field_strength_t: float | None
    scan_options: tuple[str, ...] = ()
    samples_per_pixel: int = 1
    """SamplesPerPixel; 3 for colour."""
    complex_component: str = ""
    """ComplexImageComponent: ``MAGNITUDE``, ``PHASE``, ``REAL``, ``IMAGINARY`` or ``MIXED``."""
    echo_time_ms: float | None = None
    """EchoTime, or EffectiveEchoTime in Enhanced MR."""
    inversion_time_ms: float | None = None
    """InversionTime, or the first of InversionTimes in Enhanced MR."""
    instance_number: int | None
    acquisition_number: int | None = None
    """AcquisitionNumber, or FrameAcquisitionNumber in Enhanced MR."""
    acquired_at: str
    """Acquisition (else series) date and time as one sortable text; used to order repeats, never stored."""
    content_at: str = ""
    """Content date and time as one sortable text, or FrameReferenceDateTime in Enhanced MR; never stored."""
    trigger_time_ms: float | None
    """TriggerTime, or NominalCardiacTriggerDelayTime in Enhanced MR."""
    temporal_position: int | None
    """TemporalPositionIdentifier, or TemporalPositionIndex in Enhanced MR."""
    dimension_index: tuple[int, ...] = ()
    """DimensionIndexValues of Enhanced MR."""
    cycle_percentage: float | None = None
    """NominalPercentageOfCardiacPhase: the moment of the frame in per cent of the RR interval."""
    nominal_interval_ms: float | None
    """RR interval."""
    heart_rate_bpm: float | None = None
    """HeartRate, in beats per minute."""
    cardiac_number_of_images: int | None
    cardiac_cycle_position: str
    """CardiacCyclePosition of Enhanced MR: ``END_DIASTOLE``, ``END_SYSTOLE`` or other."""
    slice_thickness_mm: float | None
    spacing_between_slices_mm: float | None
    rescale: tuple[float, float]
    """RescaleSlope and RescaleIntercept, (1, 0) if absent."""
    plane: ImagePlane | None
    """Where the frame lies; None if ``defect`` says why not."""
    defect: Finding | None
    """Why the frame has no plane."""
    repairs: tuple[Repair, ...] = ()
    """What was mended while the header was read."""
