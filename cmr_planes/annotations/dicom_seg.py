"""DICOM segmentation objects: segments as label maps, each frame with the place and the instance that it names."""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from cmr_planes.annotations.classes import ClassMap, check_anatomy
from cmr_planes.annotations.model import Annotation, LabelFormat, LabelVolume, TimePoint
from cmr_planes.annotations.rasterise import STRUCTURES
from cmr_planes.annotations.structure_names import structure_named
from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.errors import AnnotationError, CmrPlanesError
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.system.text import counted
from cmr_planes.views import Structure

MAX_BYTES = 1 << 28
"""A larger file is not read."""
MAX_PIXELS = 1 << 27
"""Frames with more pixels in all are refused before they are decoded."""

_CODES = {
    "87878005": Structure.LV,
    "T-32600": Structure.LV,
    "53085002": Structure.RV,
    "T-32500": Structure.RV,
    "82471001": Structure.LA,
    "T-32300": Structure.LA,
    "73829009": Structure.RA,
    "T-32200": Structure.RA,
    "74281007": Structure.MYO,
    "49848007": Structure.MYO,
    "T-32020": Structure.MYO,
}
"""SNOMED codes of SegmentedPropertyType."""
_PAINTED = tuple(STRUCTURES.values())
"""What is painted later covers what was painted before, as with contours."""
BACKGROUND = 0
"""The segment of a LABELMAP that stands for no structure; other segmentations count from 1."""
MAX_OVERLAP = 0.1
"""The share of the smaller of two chambers that may belong to both segments: their edges are drawn one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame: a segment on one plane."""

    mask: NDArray[np.integer | np.bool_]
    """Shape (rows, columns): non-zero where the segment is; the segments themselves in a LABELMAP."""
    segment: int
    plane: ImagePlane
    sop_instance_uid: str
    frame_number: int


def read_dicom_seg(stream: BinaryIO, stem: str = "", classes: ClassMap | None = None) -> Annotation:
    """Read a segmentation object.

    Parameters
    ----------
    stream
        The file.
    stem
        Its name without suffix, which gives ED or ES where the frames name no instances.
    classes
        Structures by segment number; None for those of the segments' names and codes.

    Returns
    -------
        One volume for each plane and instance.

    Raises
    ------
    AnnotationError
        It is no segmentation, is damaged, lacks geometry, or has a segment whose structure is not known.
    """
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise AnnotationError(f"has more than {MAX_BYTES >> 20} MiB, and no segmentation of a heart does; it was not read")
    try:
        with quiet_pydicom():
            dataset = dcmread(io.BytesIO(data))
            structures = _structures(dataset, classes)
            images = _by_image(_frames(dataset))
            volumes = tuple(_volumes(images, structures, TimePoint.from_name(stem)))
            remarks = _overlaps(images, structures)
    except CmrPlanesError as error:
        raise AnnotationError(str(error)) from error
    except InvalidDicomError as error:
        raise AnnotationError("is not a DICOM file; give the segmentation objects only") from error
    except Exception as error:  # pydicom and its decoders raise what they like on damaged files
        raise AnnotationError(f"cannot be read as a DICOM segmentation ({type(error).__name__}); export it again") from error
    return Annotation(source=LabelFormat.DICOM_SEG, volumes=volumes, remarks=remarks)


def _structures(dataset: Dataset, classes: ClassMap | None) -> Mapping[int, Structure]:
    """Return the structure of every segment."""
    if str(dataset.get("Modality", "")) != "SEG" or not dataset.get("SegmentSequence"):
        raise AnnotationError("is a DICOM file and no segmentation (Modality SEG); give the segmentation objects only")
    structures = {}
    for item in dataset.SegmentSequence:
        number = int(item.SegmentNumber)
        if number == BACKGROUND and _is_label_map(dataset):
            continue
        structure = _structure_of(item) if classes is None else classes.structures.get(number)
        if structure is None:
            raise AnnotationError(
                f"has a segment {number} whose name and code do not stand for LV, Myo, RV, LA or RA; state the classes by "
                f"segment number, for example {number}=LV"
            )
        structures[number] = structure
    if not structures:
        raise AnnotationError("is a segmentation whose only segment is its background; export it again")
    return structures


def _is_label_map(dataset: Dataset) -> bool:
    """Tell whether the values of the pixels are the numbers of the segments."""
    return str(dataset.get("SegmentationType", "")) == "LABELMAP"


def _structure_of(segment: Dataset) -> Structure | None:
    """Return what a segment is by its label, else by its code, else by the code's meaning."""
    codes = segment.get("SegmentedPropertyTypeCodeSequence", [])
    return (
        structure_named(str(segment.get("SegmentLabel", "")))
        or next((_CODES[value] for value in (str(code.get("CodeValue", "")) for code in codes) if value in _CODES), None)
        or next(filter(None, (structure_named(str(code.get("CodeMeaning", ""))) for code in codes)), None)
    )


def _frames(dataset: Dataset) -> list[_Frame]:
    """Return the frames with their planes."""
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames", 1))
    if rows * columns * count > MAX_PIXELS:
        raise AnnotationError(f"has {counted(count, 'frame')} of {rows} × {columns} pixels, more than can be read")
    pixels = np.asarray(dataset.pixel_array).reshape(count, rows, columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    is_label_map = _is_label_map(dataset)
    if str(dataset.get("SegmentationType", "")) == "FRACTIONAL":
        pixels = pixels >= float(dataset.get("MaximumFractionalValue", 255)) / 2
    frames = []
    for mask, own in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        groups = (own, shared)
        measures = _group(groups, "PixelMeasuresSequence")
        plane = ImagePlane.from_attributes(
            _group(groups, "PlanePositionSequence").ImagePositionPatient,
            _group(groups, "PlaneOrientationSequence").ImageOrientationPatient,
            measures.PixelSpacing,
            rows=rows,
            columns=columns,
        )
        uid, number = _source(own)
        segment = 0 if is_label_map else int(_group(groups, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        frames.append(_Frame(mask, segment, plane, uid, number))
    return frames


def _group(groups: Sequence[Dataset], keyword: str) -> Dataset:
    """Return a functional group, the frame's own or the shared one."""
    for item in groups:
        if item.get(keyword):
            group: Dataset = item.get(keyword)[0]
            return group
    raise AnnotationError(f"has frames without {keyword}, so their place in the patient is not known; export it with its geometry")


def _source(frame: Dataset) -> tuple[str, int]:
    """Return the SOPInstanceUID and the frame that a frame was drawn on; empty if it names none, or several."""
    references = {
        (str(source.ReferencedSOPInstanceUID), int(np.min(source.get("ReferencedFrameNumber", 0))))
        for derivation in frame.get("DerivationImageSequence", [])
        for source in derivation.get("SourceImageSequence", [])
    }
    return references.pop() if len(references) == 1 else ("", 0)


def _by_image(frames: Iterable[_Frame]) -> list[list[_Frame]]:
    """Return the frames of each plane and instance."""
    by_image: defaultdict[tuple[object, ...], list[_Frame]] = defaultdict(list)
    for frame in frames:
        plane = tuple(np.round(frame.plane.patient_from_pixel, 3).ravel().tolist())
        by_image[frame.sop_instance_uid, frame.frame_number, plane].append(frame)
    return list(by_image.values())


def _volumes(images: Iterable[Sequence[_Frame]], structures: Mapping[int, Structure], time_point: TimePoint) -> list[LabelVolume]:
    """Join the segments of each image to one label map."""
    table = np.zeros(max(structures) + 1, dtype=np.uint8)
    for number, structure in structures.items():
        table[number] = structure
    drawn = frozenset(structures.values())
    volumes = []
    for members in images:
        first = members[0]
        labels = np.zeros(first.mask.shape, dtype=np.uint8)
        for frame in sorted(members, key=lambda one: _painted_first(structures.get(one.segment))):
            if frame.segment == 0:
                labels = _labels_of_map(frame.mask, table)
            else:
                labels[frame.mask != 0] = structures[frame.segment]
        volumes.append(
            LabelVolume(
                labels=labels.T[:, :, None],
                affine_lps_mm=_affine(first.plane),
                structures=drawn,
                time_point=time_point,
                sop_instance_uid=first.sop_instance_uid,
                frame_number=first.frame_number,
            )
        )
    check_anatomy(np.concatenate([volume.labels for volume in volumes], axis=2))
    return volumes


def _painted_first(structure: Structure | None) -> int:
    """Order overlapping segments as contours are: the muscle may be drawn with the blood pool in it."""
    return -1 if structure is None else _PAINTED.index(structure)


def _overlaps(images: Iterable[Sequence[_Frame]], structures: Mapping[int, Structure]) -> tuple[str, ...]:
    """Say of which chambers segments overlap, and on how many images; muscle may lie under any of them."""
    counts: Counter[tuple[Structure, Structure]] = Counter()
    for members in images:
        chambers = [
            (structures[one.segment], one.mask != 0)
            for one in members
            if structures.get(one.segment, Structure.MYO) is not Structure.MYO
        ]
        for (first, one), (second, other) in combinations(sorted(chambers, key=lambda item: _painted_first(item[0])), 2):
            if first is not second and (one & other).sum() > MAX_OVERLAP * min(one.sum(), other.sum()):
                counts[first, second] += 1
    return tuple(
        f"segments of {first.title} and {second.title} overlap on {counted(count, 'image')}; {second.title} was drawn over "
        f"{first.title}"
        for (first, second), count in counts.items()
    )


def _labels_of_map(values: NDArray[np.integer | np.bool_], table: LabelArray) -> LabelArray:
    if values.max(initial=0) >= len(table):
        raise AnnotationError(f"holds the value {values.max()}, and its last segment is {len(table) - 1}; export it again")
    labels: LabelArray = table[values]
    return labels


def _affine(plane: ImagePlane) -> FloatArray:
    """Return the matrix from (column, row, slice) to LPS; the slice is as thick as a millimetre."""
    return np.array(plane.patient_from_pixel)
