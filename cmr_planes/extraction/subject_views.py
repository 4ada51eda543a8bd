"""What a reader finds in one subject's files: the slices of each view, with access to their images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cmr_planes.annotations.model import Annotation
from cmr_planes.cine.slices import Slice
from cmr_planes.dicom.pixel_format import PixelRepair
from cmr_planes.errors import Finding
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import LPS_AXES, PatientAxes, UnboundedPlane
from cmr_planes.shards.records import InstanceRef
from cmr_planes.views import CardiacPhase, CardiacView


class ReadSlice(Slice, Protocol):
    """A slice and what a record stores of it. Frames are numbered from 0."""

    @property
    def label(self) -> str:
        """How messages name the slice: never by anything that could identify a person."""

    @property
    def manufacturer(self) -> str:
        """The vendor in lower case, or empty."""

    @property
    def field_strength_t(self) -> float:
        """MagneticFieldStrength in tesla, NaN if not known."""

    @property
    def slice_thickness_mm(self) -> float:
        """SliceThickness in mm, NaN if not known."""

    @property
    def frames_of_reference(self) -> frozenset[str]:
        """FrameOfReferenceUID of its frames, empty ones left out."""

    @property
    def has_directions(self) -> bool:
        """Whether the source says where anterior, left and head are; if not, the plane's directions stand in for unknown ones."""

    @property
    def source_index(self) -> int | None:
        """Index of the slice in the source's own order where the source is one volume, else None."""

    def rescale(self, frame: int) -> tuple[float, float]:
        """Return slope and intercept that turn a frame's stored intensities into the scanner's values."""

    def repair(self, frame: int) -> PixelRepair:
        """Return what was changed in a frame's values when it was read."""

    def frame_number(self, frame: int) -> int:
        """Return a frame's place in the cycle as the source counts it, from 1."""

    def trigger_time_ms(self, frame: int) -> float:
        """Return the time of a frame after the R wave, NaN if not known."""

    def instance(self, frame: int) -> InstanceRef | None:
        """Return the DICOM instance that a frame is of, None where the images are not DICOM."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubjectViews:
    """The views of one subject."""

    views: Mapping[CardiacView, tuple[ReadSlice, ...]] = field(default_factory=dict)
    """Slices of each view that was found: of SAX from base to apex, of a long-axis view one."""
    missing: Mapping[CardiacView, Finding] = field(default_factory=dict)
    """Why each other view was not found."""
    findings: tuple[Finding, ...] = ()
    """About the subject and its files."""
    view_findings: Mapping[CardiacView, tuple[Finding, ...]] = field(default_factory=dict)
    """About a view, worth knowing if it is used."""
    named_phases: Mapping[CardiacView, tuple[CardiacPhase, ...]] = field(default_factory=dict)
    """Of views whose source has one image per phase, not a cine: the phase of each frame."""
    source_headers: Mapping[CardiacView, bytes] = field(default_factory=dict)
    """Of views whose source is one NIfTI volume, or one per phase: where its voxels lie, as its header has it."""
    stated_planes: Mapping[CardiacView, UnboundedPlane] = field(default_factory=dict)
    """Planes that a table states; they take the place of the views' own."""
    unsized: frozenset[CardiacView] = frozenset()
    """Views whose pixels' sizes in mm are not known: no plane of another view can be intersected with them."""
    axes: PatientAxes = LPS_AXES
    """The patient's directions in the planes' coordinates."""
    planes: tuple[PlaneFate, ...] = ()
    """What became of each plane of the study."""
    annotations: tuple[Annotation, ...] | None = None
    """The subject's annotations where the source corrects when or where they are; None to take them as they were read."""
    keeps_images: bool = False
    """Whether images are kept where no positions can be placed on them, whatever the options say."""
