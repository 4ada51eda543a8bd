"""The values that go into a shard, and what is known of it once it is written."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import Finding
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import ImagePlane, Positions, SliceShifts
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray, LabelArray
from cmr_planes.views import CardiacView, Structure


@dataclass(frozen=True, slots=True)
class SubjectOutcome:
    """What became of one subject, and when: for the log of a run, never for a shard."""

    subject: str
    """The subject's key."""
    n_images: int
    """2D images that are stored."""
    findings: tuple[Finding, ...]
    """What was left out, and what is worth knowing."""
    ended: float
    """When it was done, in seconds since 1970."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What is known of a sealed shard without opening it again."""

    name: str
    """File name."""
    sha256: str
    """Checksum of the file, 64 hexadecimal digits."""
    n_bytes: int
    """Size of the file."""
    n_subjects: int
    """Subjects that the shard accounts for, the rejected ones among them."""
    n_images: int
    """2D images."""
    outcomes: tuple[SubjectOutcome, ...] = field(default=(), compare=False, repr=False)
    """What became of the subjects, in their order; empty where that is no longer known."""


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """One frame of one DICOM instance, as annotations refer to it."""

    sop_instance_uid: str = field(repr=False)
    """Empty if not known."""
    frame_number: int
    """The frame in a multi-frame instance, from 1; 0 for the only frame of another."""
    instance_number: int
    """InstanceNumber, 0 if not known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewRecord:
    """The images of one view of one subject, and the positions on them.

    Slices of SAX run from base to apex; long-axis views have one slice.
    """

    view: CardiacView
    """Which view."""
    image: NDArray[np.uint16]
    """Shape (phase, slice, row, column), stored intensities."""
    phases: tuple[str, ...]
    """Name of each phase: ``"ed"``, ``"es"``, or with all frames kept ``"000"``, ``"001"``, … in order of time."""
    frame_numbers: IntArray
    """Shape (phase, slice): place of the frame in its slice's cycle, ordered by time, from 1."""
    trigger_time_ms: FloatArray
    """Shape (phase, slice): time after the R wave, NaN where the headers do not say."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice."""
    positions: tuple[Positions, ...] | None
    """One set of nine positions a slice, the same at each phase, or None if the view was kept without."""
    line_agreement: FloatArray | None
    """Shape (slice, 2): correlation of the two images along each line at ED, NaN where too short; None without positions."""
    rescale: FloatArray
    """Shape (phase, slice, 2): slope and intercept that turn each image's stored intensities into the scanner's values."""
    manufacturer: str
    """One of nine vendor names in lower case, such as ``siemens`` or ``united imaging``; empty for any other, or if not given."""
    field_strength_t: float
    """MagneticFieldStrength in tesla, NaN if not given."""
    n_frames: int = 0
    """Frames of the cine that the images are of, the most of any slice; 0 where the source is no cine."""
    ed_cycle: float = float("nan")
    """When end-diastole is, as a fraction of the RR interval after the R wave, 0 to below 1, NaN where not known."""
    es_cycle: float = float("nan")
    """When end-systole is, in the same form."""
    shifts: SliceShifts | None = None
    """How far each slice lies from where the subject's images agree; None where too few views have images to tell."""
    slice_thickness_mm: FloatArray | None = None
    """Shape (slice,): SliceThickness, NaN where not given; None if it is not known of any slice."""
    has_stated_planes: bool = False
    """Whether a plane that leaves a line on the images is of a table, and not of the files."""
    has_directions: bool = True
    """False where the source does not say where anterior, left and head are: the planes' directions are not the patient's."""
    source_order: tuple[int, ...] | None = None
    """By slice, its index in the source's own order where the source is one volume (NIfTI), else None."""
    source_header: bytes | None = None
    """Where the voxels of that volume lie: a NIfTI-1 header without anything else; None where the source is not one volume."""
    instances: tuple[tuple[InstanceRef, ...], ...] | None = None
    """By phase and slice: the DICOM instance of each image; None where the images are not DICOM. UIDs are stored as digests."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewLabels:
    """The labels of one view of one subject, on the images of its record."""

    labels: LabelArray
    """Shape (phase, slice, row, column), the image's; values of :class:`cmr_planes.views.Structure`."""
    structures: BoolArray
    """Shape (phase, slice, 6): which structures were drawn, or checked and absent; class 0 where any was."""
    source: str
    """The format that they came in: ``nifti``, ``cvi42``, …"""

    def __post_init__(self) -> None:
        if self.labels.ndim != 4 or self.labels.dtype != np.uint8:
            raise ValueError(
                f"expected labels of shape (phase, slice, row, column) and type uint8, got {self.labels.shape} {self.labels.dtype}"
            )
        expected = (*self.labels.shape[:2], len(Structure))
        if self.structures.shape != expected or self.structures.dtype != np.bool_:
            raise ValueError(f"expected structures of shape {expected} and type bool, got {self.structures.shape}")
        if self.labels.size and self.labels.max() >= len(Structure):
            raise ValueError(f"labels are classes 0 to {len(Structure) - 1}, got {self.labels.max()}")
        if self.labels[~self.annotated].any():
            raise ValueError("an image has labels, and no structure was drawn on it")

    @property
    def annotated(self) -> BoolArray:
        """Shape (phase, slice): which images have labels."""
        return np.asarray(self.structures.any(axis=2), dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubjectRecord:
    """What became of one subject."""

    key: str
    """The name under which the subject is stored."""
    participant: str
    """The person: the same for repeat visits, so that splits keep a person on one side."""
    views: tuple[ViewRecord, ...]
    """Views that are stored; empty if the subject was rejected."""
    findings: tuple[Finding, ...]
    """What was left out, and what is worth knowing."""
    planes: tuple[PlaneFate, ...] = ()
    """What became of each plane of the study; empty where the source has no planes to choose from."""
