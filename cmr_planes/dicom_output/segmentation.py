"""Label maps as DICOM segmentations, one for each phase and series.

Viewers show a segmentation that refers to one series, but not one that refers to several, as of a stack whose slices are a series
each; and of a series of segmentations OHIF shows one instance, which it takes for the latest version. So a phase of such a stack
becomes several segmentations, each in a series of its own.

References
----------
DICOM PS3.3 A.51 (Segmentation IOD), C.8.20.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.study_header import verbatim
from cmr_planes.dicom.tags import MR_IMAGE_STORAGE
from cmr_planes.dicom_output import codes
from cmr_planes.dicom_output.envelope import (
    MODEL,
    compression_of,
    empty_study,
    equipment,
    finish,
    image_reference,
    series_references,
)
from cmr_planes.dicom_output.identifiers import derived_uid
from cmr_planes.dicom_output.model import DicomObject, Network, SourceImages, references_of
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import LabelArray
from cmr_planes.pictures.palette import structure_colour
from cmr_planes.views import CardiacView, Structure

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

SAME_PLANE_MM = 0.1
"""Planes whose directions or pixel sizes move no pixel by more than this share one segmentation, which states them once."""

FIRST_SERIES_NUMBER = {
    CardiacView.SAX: 10_000,
    CardiacView.TWO_CHAMBER: 20_000,
    CardiacView.THREE_CHAMBER: 30_000,
    CardiacView.FOUR_CHAMBER: 40_000,
}
"""SeriesNumber of the segmentation of a view's first phase; later phases add 100 each, parts of a phase 1 to 99."""


def make_segmentations(
    images: SourceImages, labels: LabelArray, structures: Sequence[Structure], network: Network, *, anonymous: bool = False
) -> list[DicomObject]:
    """Make the segmentations of one view.

    Parameters
    ----------
    images
        What the label maps lie on.
    labels
        Shape (phases, slices, rows, columns): values of :class:`cmr_planes.views.Structure`.
    structures
        What the network finds: one segment each, in this order, whether it was found here or not.
    network
        What made the labels.
    anonymous
        Whether the objects say nothing of patient, study and source.

    Returns
    -------
        For each phase one object, or one for each series of its slices. Slices without labels have frames too: that nothing was
        found on them is a result. The same arguments give the same bytes.
    """
    objects = []
    for phase, name in enumerate(images.phases):
        frames = images.frames[phase]
        parts = _parts(frames)
        for number, slices in enumerate(parts, start=1):
            is_part = len(parts) > 1
            title = f"{images.view.title} {name.upper()}" + (f" {number} of {len(parts)}" if is_part else "")
            part = _Part(title, [frames[index] for index in slices], labels[phase][slices], tuple(structures))
            dataset = _segmentation(images, part, network, anonymous=anonymous)
            dataset.SeriesNumber = FIRST_SERIES_NUMBER[images.view] + 100 * phase + (number if is_part else 0)
            dataset.SeriesDescription, dataset.ContentDescription = f"{title}, {MODEL}", title
            objects.append(DicomObject(f"{images.view.value}_{name}" + (f"_{number:02d}" if is_part else ""), dataset))
    return objects


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one segmentation holds: slices of one phase that share a series and an orientation."""

    title: str
    frames: Sequence[FrameHeader]
    labels: LabelArray
    """Shape (slices, rows, columns)."""
    structures: tuple[Structure, ...]
    """One segment each."""

    def uid(self, network: Network, whose: str) -> str:
        """Return the SOPInstanceUID: a function of all that the segmentation holds, ``whose`` of patient and study."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels).tobytes()).hexdigest()
        structures = " ".join(structure.title for structure in self.structures)
        return derived_uid("segmentation", self.title, structures, whose, digest, *network.names, *references_of(self.frames))


def _parts(frames: Sequence[FrameHeader]) -> list[list[int]]:
    """Return the slices of each segmentation: of one series, orientation and pixel size, each at a place of its own."""
    parts: list[list[int]] = []
    for index, frame in enumerate(frames):
        for part in parts:
            first = frames[part[0]]
            is_free = all(_distance(_plane(frames[other]), _plane(frame)) > SAME_PLANE_MM for other in part)
            if is_free and first.series_uid == frame.series_uid and _are_alike(_plane(first), _plane(frame)):
                part.append(index)
                break
        else:
            parts.append([index])
    return parts


def _are_alike(first: ImagePlane, second: ImagePlane) -> bool:
    """Tell whether two planes differ in position only, as far as a pixel's place shows it."""
    if (first.rows, first.columns) != (second.rows, second.columns):
        return False
    across = (first.columns - 1) * (first.row_cosine * first.column_spacing_mm - second.row_cosine * second.column_spacing_mm)
    down = (first.rows - 1) * (first.column_cosine * first.row_spacing_mm - second.column_cosine * second.row_spacing_mm)
    return float(np.linalg.norm(across) + np.linalg.norm(down)) <= SAME_PLANE_MM


def _distance(first: ImagePlane, second: ImagePlane) -> float:
    return float(np.linalg.norm(first.position_mm - second.position_mm))


def _plane(frame: FrameHeader) -> ImagePlane:
    if frame.plane is None:
        raise ValueError("a frame without a plane has no place in the patient")
    return frame.plane


def _segmentation(images: SourceImages, part: _Part, network: Network, *, anonymous: bool) -> Dataset:
    """Make one segmentation."""
    from highdicom.seg import Segmentation

    frames, structures = part.frames, part.structures
    numbers = np.zeros(max(Structure) + 1, dtype=np.uint8)
    numbers[list(structures)] = np.arange(1, len(structures) + 1)
    stand_ins = _stand_ins(images, frames)
    uid = part.uid(network, "nobody's" if anonymous else images.header_digest)  # words: off
    with quiet_pydicom():
        dataset = Segmentation(
            source_images=stand_ins,
            pixel_array=numbers[part.labels],
            segmentation_type="BINARY",
            segment_descriptions=[_segment(number, one, network) for number, one in enumerate(structures, start=1)],
            series_instance_uid=derived_uid("series", uid),
            series_number=1,
            sop_instance_uid=uid,
            instance_number=1,
            omit_empty_frames=False,
            content_label="SEGMENTATION",
            **equipment(network),
        )
        _refer(dataset, dict(zip([str(one.SOPInstanceUID) for one in stand_ins], frames, strict=True)), anonymous=anonymous)
        frame_of_reference = images.frame_of_reference_uid
        dataset.add(
            verbatim(
                "FrameOfReferenceUID",
                derived_uid("frame of reference", frame_of_reference) if anonymous else frame_of_reference,
            )
        )
        _mend_groups(dataset, frames, uid)
        finish(dataset, images, anonymous=anonymous)
        dataset.update(compression_of(images))
    return dataset


def _stand_ins(images: SourceImages, frames: Sequence[FrameHeader]) -> list[Dataset]:
    """Return an image of one frame for each source image, at its place, all of one series, as highdicom wants them."""
    first = _plane(frames[0])
    thickness_mm, distance_mm = _thickness_mm(frames), _distance_mm(frames)
    stand_ins = []
    for index, frame in enumerate(frames):
        image = empty_study(images)
        image.SOPClassUID, image.Modality = MR_IMAGE_STORAGE, "MR"
        image.SOPInstanceUID = derived_uid("stand-in", str(index))
        image.SeriesInstanceUID = derived_uid("stand-in")
        image.FrameOfReferenceUID = derived_uid("stand-in", "frame of reference")
        image.Rows, image.Columns = first.rows, first.columns
        image.PixelSpacing = _decimals([first.row_spacing_mm, first.column_spacing_mm])
        image.SliceThickness, image.SpacingBetweenSlices = thickness_mm, distance_mm
        image.ImageOrientationPatient = _decimals([*first.row_cosine.tolist(), *first.column_cosine.tolist()])
        image.ImagePositionPatient = _decimals(_plane(frame).position_mm.tolist())
        stand_ins.append(image)
    return stand_ins


def _decimals(values: Sequence[float]) -> list[DSfloat]:
    """Return numbers with as many digits as DICOM's decimal strings can have."""
    return [DSfloat(value, auto_format=True) for value in values]


def _thickness_mm(frames: Sequence[FrameHeader]) -> float | None:
    """Return how thick slices are, None where they do not say so, or differ."""
    first, *others = {frame.slice_thickness_mm for frame in frames}
    return first if first is not None and first > 0 and not others else None


def _distance_mm(frames: Sequence[FrameHeader]) -> float | None:
    """Return the distance of the middles of neighbouring slices, None where there is none, or several."""
    gaps_mm = np.abs(np.diff(np.sort([_plane(frame).position_mm @ _plane(frames[0]).normal for frame in frames])))
    return float(gaps_mm.mean()) if gaps_mm.size and np.ptp(gaps_mm) <= SAME_PLANE_MM else None


def _segment(number: int, structure: Structure, network: Network) -> "SegmentDescription":
    """Return the description of a segment."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    return SegmentDescription(
        segment_number=number,
        segment_label=codes.SEGMENT_LABELS[structure],
        segmented_property_category=codes.ANATOMICAL_STRUCTURE,
        segmented_property_type=codes.SEGMENT_TYPES[structure],
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=MODEL,
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=network.version,
            parameters=network.parameters,
        ),
        display_color=CIELabColor.from_string(structure_colour(structure)),
    )


def _mend_groups(dataset: Dataset, frames: Sequence[FrameHeader], uid: str) -> None:
    """Replace what highdicom puts in by itself: a random UID of the dimensions, and a distance for a single slice."""
    organization = derived_uid("dimensions", uid)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if _distance_mm(frames) is None and "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices


def _refer(dataset: Dataset, sources: Mapping[str, FrameHeader], *, anonymous: bool) -> None:
    """Refer to the source images in the place of their stand-ins; or to nothing.

    Parameters
    ----------
    dataset
        A segmentation of stand-ins; changed in place.
    sources
        The source image of each stand-in, by the stand-in's SOPInstanceUID.
    anonymous
        Whether nothing is referred to.
    """
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    items = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
    frames = [sources[str(item.ReferencedSOPInstanceUID)] for item in items]  # first, since segments share items
    for group, item, frame in zip(groups, items, frames, strict=True):
        if anonymous:
            del group.DerivationImageSequence
        else:
            item.update(image_reference(frame))
    if not anonymous:
        dataset.ReferencedSeriesSequence = series_references(list(sources.values()))
