"""Annotations laid on a subject's images: contours by instance, label maps by where they lie."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cmr_planes.annotations.model import (
    Annotation,
    Contour,
    ContourImage,
    LabelVolume,
    Matched,
    TargetView,
    TimePoint,
)
from cmr_planes.annotations.placing import MAX_OFFSET_PX, SlicePlacement, place_on_plane
from cmr_planes.annotations.rasterise import drawn_structures, fill_contours
from cmr_planes.annotations.sentences import KEEP_FRAMES, gap_sentences, misfit_sentence, missed_slices_sentence, no_image_sentence
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, LabelArray
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure

InstanceKey = Callable[[str, int], str]
"""From a SOPInstanceUID and a frame (from 1; 0 in instances of one frame) to what :attr:`TargetView.instance_keys` has for it."""

Place = Callable[[LabelVolume, ImagePlane], SlicePlacement]
"""Lays a label map on a plane: :func:`cmr_planes.annotations.placing.place_on_plane`, or a function that keeps its results."""

_ATRIA = (Structure.LA, Structure.RA)

_MAY_BE_ABSENT = (Structure.RV, *_ATRIA)
"""Structures that a slice may lack: where one is drawn on any slice of a phase, the annotator checked all slices of it."""


@dataclass(slots=True)
class _Canvas:
    """Labels of a view while they are drawn."""

    target: TargetView
    labels: LabelArray = field(init=False)
    structures: BoolArray = field(init=False)
    sources: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        shape = self.target.shape
        self.labels = np.zeros(shape, dtype=np.uint8)
        self.structures = np.zeros((*shape[:2], len(Structure)), dtype=np.bool_)

    def put(self, phase: int, slice_index: int, labels: LabelArray, drawn: Iterable[Structure], source: str) -> None:
        """Lay labels on an image; what other files said of other structures there is kept."""
        is_new = labels != 0
        self.labels[phase, slice_index][is_new] = labels[is_new]
        self.structures[phase, slice_index, [0, *drawn]] = True
        self.sources.add(source)


@dataclass(frozen=True, slots=True)
class _Sentences:
    """What there is to say about the annotations of one file."""

    remarks: Sequence[str] = ()
    """What is incomplete."""
    problems: Sequence[str] = ()
    """Why something lies on no image."""


def match(
    annotations: Sequence[Annotation], targets: Sequence[TargetView], instance_key: InstanceKey, place: Place = place_on_plane
) -> Matched:
    """Lay a subject's annotations on its images.

    Parameters
    ----------
    annotations
        What the subject's files say.
    targets
        The subject's views.
    instance_key
        How instances are named in ``targets``.
    place
        Lays a label map on a plane.

    Returns
    -------
        Labels by view, and what could not be placed or is incomplete.

    Raises
    ------
    AnnotationError
        Nothing of the annotations belongs to the images; the sentence says how far the nearest are apart.
    """
    canvases = {target.view: _Canvas(target) for target in targets}
    said: list[_Sentences] = []
    for annotation in annotations:
        said.append(_place_contours(annotation, canvases, instance_key))
        said.append(_place_volumes(annotation, canvases, instance_key, place))
    problems = [sentence for sentences in said for sentence in sentences.problems]
    views = {view: _finished(canvas) for view, canvas in canvases.items() if canvas.structures.any()}
    if not views:
        raise AnnotationError("; ".join(dict.fromkeys(problems)) or "holds no labels")
    remarks = [sentence for sentences in said for sentence in sentences.remarks] + problems
    for view, placed in views.items():
        remarks += gap_sentences(view, placed, canvases[view].target.phases)
    return Matched(views=views, remarks=tuple(dict.fromkeys(remarks)))


def annotated_frames(
    annotations: Sequence[Annotation], target: TargetView, instance_key: InstanceKey, place: Place = place_on_plane
) -> Mapping[int, frozenset[int]]:
    """Find the frames that annotations are of.

    Parameters
    ----------
    annotations
        What the subject's files say.
    target
        A view with all frames: its phases are the frames of the cycle.
    instance_key
        How instances are named in ``target``.
    place
        Lays a label map on a plane.

    Returns
    -------
        By slice, the indices of the phases; slices without annotation are left out. Label maps that name a phase only, not a frame,
        add nothing.
    """
    found: defaultdict[int, set[int]] = defaultdict(set)
    for annotation in annotations:
        for image in annotation.contour_images:
            for phase, slice_index in _images_of(image, target, instance_key):
                found[slice_index].add(phase)
        for volume in annotation.volumes:
            if volume.sop_instance_uid or volume.time_point.frame_number is not None:
                for slice_index in _labelled_slices(volume, target, place):
                    found[slice_index].update(_phases_of(volume, target, slice_index, instance_key) or ())
    return {slice_index: frozenset(phases) for slice_index, phases in found.items() if phases}


def belongs(
    annotations: Sequence[Annotation], target: TargetView, instance_key: InstanceKey, place: Place = place_on_plane
) -> bool:
    """Return whether any annotation is of a view, at any time point; parameters as in :func:`annotated_frames`."""
    return any(_images_of(image, target, instance_key) for annotation in annotations for image in annotation.contour_images) or any(
        _labelled_slices(volume, target, place) for annotation in annotations for volume in annotation.volumes
    )


def _place_contours(annotation: Annotation, canvases: Mapping[CardiacView, _Canvas], instance_key: InstanceKey) -> _Sentences:
    """Draw contours on the images that they name."""
    problems: list[str] = []
    n_missing = 0
    for image in annotation.contour_images:
        images = [(canvas, *found) for canvas in canvases.values() for found in _images_of(image, canvas.target, instance_key)]
        if len(images) > 1 and not image.sop_instance_uid:
            raise AnnotationError(
                f"names its images by InstanceNumber, and {len(images)} images have the number {image.instance_number}; the series "
                "must be one"
            )
        n_missing += not images
        for canvas, phase, slice_index in images:
            _, _, rows, columns = canvas.target.shape
            if _is_far_outside(image.contours, rows, columns):
                problems.append(f"contours lie outside the {canvas.target.view.title} image of {rows} × {columns} pixels")
                continue
            labels = fill_contours(image.contours, rows, columns)
            canvas.put(phase, slice_index, labels, drawn_structures(image.contours), annotation.source.value)
    if not n_missing:
        return _Sentences(problems=problems)
    sentence = f"{n_missing} of {len(annotation.contour_images)} images with contours are not in the catalogue; {KEEP_FRAMES}"
    if n_missing == len(annotation.contour_images):
        return _Sentences(problems=[*problems, sentence])
    return _Sentences([sentence], problems)


def _images_of(image: ContourImage, target: TargetView, instance_key: InstanceKey) -> list[tuple[int, int]]:
    """Return phase and slice of the images that a contour image is."""
    if image.sop_instance_uid:
        if target.instance_keys is None:
            return []
        key = instance_key(image.sop_instance_uid, 0)
        return [
            (phase, slice_index)
            for phase, row in enumerate(target.instance_keys)
            for slice_index, other in enumerate(row)
            if other == key
        ]
    if target.instance_numbers is None or target.view is not CardiacView.SAX:
        return []
    return [(int(phase), int(slice_index)) for phase, slice_index in np.argwhere(target.instance_numbers == image.instance_number)]


def _is_far_outside(contours: Iterable[Contour], rows: int, columns: int) -> bool:
    """Tell whether a contour's middle lies outside the image."""
    middles = np.array([contour.points_px.mean(axis=0) for contour in contours])
    return bool((middles < -MAX_OFFSET_PX).any() or (middles > np.array([columns, rows]) - MAX_OFFSET_PX).any())


def _place_volumes(
    annotation: Annotation, canvases: Mapping[CardiacView, _Canvas], instance_key: InstanceKey, place: Place
) -> _Sentences:
    """Lay label maps on the images by where they lie and when."""
    misfits: list[str] = []
    lost: Counter[str] = Counter()
    beside: defaultdict[CardiacView, dict[int, float]] = defaultdict(dict)
    n_placed = 0
    for volume in annotation.volumes:
        of_views = {view: _placements(volume, canvas.target, place) for view, canvas in canvases.items()}
        if not any(placement.labels is not None for placements in of_views.values() for placement in placements):
            misfits.append(misfit_sentence(volume, of_views))
            continue
        for view, placements in of_views.items():
            for slice_index, placement in enumerate(placements):
                if placement.labels is None and placement.is_covered:
                    beside[view][slice_index] = max(placement.offset_mm, beside[view].get(slice_index, 0.0))
            placed = {index: placement.labels for index, placement in enumerate(placements) if placement.labels is not None}
            for slice_index in _annotated_slices(placed):
                phases = _phases_of(volume, canvases[view].target, slice_index, instance_key)
                lost[no_image_sentence(volume)] += not phases
                for phase in phases or ():
                    canvases[view].put(phase, slice_index, placed[slice_index], volume.structures, annotation.source.value)
                    n_placed += 1
    if not n_placed:
        return _Sentences(problems=[*misfits, *(sentence for sentence, count in lost.items() if count)])
    left_out = [f"{count} slices of label maps were left out: {sentence}" for sentence, count in lost.items() if count]
    return _Sentences([*left_out, *(missed_slices_sentence(view, offsets_mm) for view, offsets_mm in beside.items())], misfits)


def _placements(volume: LabelVolume, target: TargetView, place: Place) -> list[SlicePlacement]:
    """Lay a label map on every slice of a view; none where it names another view."""
    return [place(volume, plane) for plane in target.planes] if volume.view in (None, target.view) else []


def _labelled_slices(volume: LabelVolume, target: TargetView, place: Place) -> list[int]:
    """Return the slices that a label map fits and is not empty on."""
    placements = enumerate(_placements(volume, target, place))
    return [index for index, placement in placements if placement.labels is not None and placement.labels.any()]


def _annotated_slices(placed: Mapping[int, LabelArray]) -> list[int]:
    """Return the slices that were annotated: all of the label map, but for empty ones between labelled ones, and empty maps."""
    labelled = [slice_index for slice_index, labels in placed.items() if labels.any()]
    if not labelled:
        return []
    return [
        slice_index for slice_index, labels in placed.items() if labels.any() or not min(labelled) < slice_index < max(labelled)
    ]


def _phases_of(volume: LabelVolume, target: TargetView, slice_index: int, instance_key: InstanceKey) -> list[int] | None:
    """Return the phases that a label map is of at one slice; None if it does not say when it is."""
    if volume.sop_instance_uid and target.instance_keys is not None:
        numbers = {volume.frame_number, 0} if volume.frame_number == 1 else {volume.frame_number}
        keys = {instance_key(volume.sop_instance_uid, number) for number in numbers}  # some writers count the only frame as 1
        found = [phase for phase, row in enumerate(target.instance_keys) if row[slice_index] in keys]
        if found or volume.time_point == TimePoint():
            return found
    time_point = volume.time_point
    if time_point.phase is not None and time_point.phase.value in target.phases:
        return [target.phases.index(time_point.phase.value)]
    if time_point.frame_number is not None:
        return [int(phase) for phase in np.flatnonzero(target.frame_numbers[:, slice_index] == time_point.frame_number)]
    if time_point == TimePoint() and len(target.phases) == 1:
        return [0]
    return None if time_point == TimePoint() else []


def _finished(canvas: _Canvas) -> ViewLabels:
    """Mark the structures that were checked: a chamber drawn on one slice of a phase was checked on all annotated ones."""
    annotated = canvas.structures[..., 0]
    for structure in _MAY_BE_ABSENT:
        drawn: BoolArray = np.any(canvas.structures[..., structure], axis=1)
        if canvas.target.view is CardiacView.SAX and structure in _ATRIA:  # conventions name them for all views
            drawn = np.any(canvas.labels == structure, axis=(1, 2, 3))
        canvas.structures[..., structure] = drawn[:, None] & annotated
    return ViewLabels(labels=canvas.labels, structures=canvas.structures, source=", ".join(sorted(canvas.sources)))
