"""What an annotation file says, whatever its format: contours on instances, or label maps in the patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, IntArray, LabelArray
from cmr_planes.nifti.file_names import parse_label_name
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacPhase, CardiacView, Structure


class LabelFormat(StrEnum):
    """A format of annotations; the values are those of the catalogue's ``source``."""

    CVI42 = "cvi42"
    """Contours of a cvi42 workspace."""
    NIFTI = "nifti"
    """Label maps as NIfTI volumes."""
    DICOM_SEG = "dicom-seg"
    """DICOM segmentation objects."""
    SUNNYBROOK = "sunnybrook"
    """Contour files of the Sunnybrook Cardiac Data."""


class Outline(StrEnum):
    """What a contour goes around."""

    LV_ENDO = "lv endocardium"
    """The left ventricle's blood pool."""
    LV_EPI = "lv epicardium"
    """The left ventricle with its muscle."""
    RV_ENDO = "rv endocardium"
    """The right ventricle's blood pool."""
    LA = "left atrium"
    """The left atrium."""
    RA = "right atrium"
    """The right atrium."""


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour on one image."""

    outline: Outline
    """What it goes around."""
    points_px: FloatArray
    """Shape (n, 2): (column, row), integers at pixel centres, (0, 0) the first; closed from the last point to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePoint:
    """When in the cycle an annotation is of; both None if the file does not say."""

    phase: CardiacPhase | None = None
    """End-diastole or end-systole."""
    frame_number: int | None = None
    """Place of the frame in its slice's cycle, by time, from 1."""

    @classmethod
    def from_name(cls, stem: str) -> Self:
        """Read the time point from the name of an annotation file, without suffix.

        Examples
        --------
        >>> TimePoint.from_name("label_sa_ES").phase
        <CardiacPhase.ES: 'es'>
        """
        name = parse_label_name(stem)
        return cls(phase=name.phase, frame_number=name.frame_number)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContourImage:
    """The contours of one image. One of the ways to find the image is given."""

    contours: tuple[Contour, ...]
    """At least one."""
    sop_instance_uid: str = field(default="", repr=False)
    """SOPInstanceUID, or empty."""
    instance_number: int = 0
    """InstanceNumber among the short-axis images, or 0."""
    is_scale_assumed: bool = False
    """Whether the file does not say how many steps of its coordinates make a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelVolume:
    """A label map in the patient: a stack of slices at one time point."""

    labels: LabelArray
    """Shape (i, j, k), values of :class:`cmr_planes.views.Structure`."""
    affine_lps_mm: FloatArray
    """Shape (4, 4): (i, j, k, 1) to LPS coordinates in mm."""
    structures: frozenset[Structure]
    """Structures that the file's classes can say."""
    time_point: TimePoint
    """When in the cycle."""
    view: CardiacView | None = None
    """The view in the file's name, None if it names none."""
    sop_instance_uid: str = field(default="", repr=False)
    """The instance that the label map was drawn on, or empty."""
    frame_number: int = 0
    """The frame in that instance, from 1; 0 if it has one only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotation:
    """What one file says."""

    source: LabelFormat
    """Its format."""
    contour_images: tuple[ContourImage, ...] = ()
    """Images with contours."""
    volumes: tuple[LabelVolume, ...] = ()
    """Label maps."""
    name: str = ""
    """What sentences call the file: its number and format."""
    remarks: tuple[str, ...] = ()
    """What is to be said of the file, whatever image it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetView:
    """The images of one view that annotations may belong to."""

    view: CardiacView
    """Which view."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice."""
    phases: tuple[str, ...]
    """Name of each phase."""
    frame_numbers: IntArray
    """Shape (phase, slice): place of the frame in its slice's cycle, from 1."""
    instance_keys: tuple[tuple[str, ...], ...] | None
    """By phase and slice, what stands for the image's instance; None if nothing is known of instances."""
    instance_numbers: IntArray | None
    """Shape (phase, slice): InstanceNumber, 0 where not known."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Phases, slices, rows, columns."""
        return (len(self.phases), len(self.planes), self.planes[0].rows, self.planes[0].columns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """What became of a subject's annotations."""

    views: Mapping[CardiacView, ViewLabels]
    """Labels by view; only views on which something was placed."""
    remarks: tuple[str, ...]
    """One sentence for each thing that was not placed or is incomplete."""
