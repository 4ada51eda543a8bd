"""What one file says, drawn on a subject's images, and what of it lies on none or cannot be right."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.annotations.layers import DrawnImage, ImagePlace, Layer
from cmr_planes.annotations.lookup import InstanceKey, Place, annotated_slices, images_of, phases_of, placements, referenced_images
from cmr_planes.annotations.model import Annotation, ContourImage, LabelVolume, Outline, TargetView
from cmr_planes.annotations.nesting import Misnested, misnested_contours, misnested_labels
from cmr_planes.annotations.placing import MAX_OFFSET_PX, SlicePlacement
from cmr_planes.annotations.rasterise import STRUCTURES, drawn_structures, fill_contours, paint_regions
from cmr_planes.annotations.sentences import (
    KEEP_FRAMES,
    contradicting_sentence,
    misfit_sentence,
    misnesting_sentences,
    missed_slices_sentence,
    no_image_sentence,
)
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import CardiacView


@dataclass(frozen=True, slots=True)
class Drawing:
    """What became of one file."""

    layer: Layer
    """What was drawn."""
    remarks: Sequence[str] = ()
    """What is incomplete."""
    problems: Sequence[str] = ()
    """Why something lies on no image, or was not used."""


def draw_contours(annotation: Annotation, targets: Sequence[TargetView], instance_key: InstanceKey) -> Drawing:
    """Draw a file's contours on the images that they name; raises AnnotationError where several images bear one number.

    Parameters
    ----------
    annotation
        What the file says.
    targets, instance_key
        As in :func:`cmr_planes.annotations.matching.match`.

    Returns
    -------
        Labels by image, and sentences.
    """
    problems: list[str] = []
    faults: defaultdict[CardiacView, list[Misnested]] = defaultdict(list)
    drawn: dict[ImagePlace, DrawnImage] = {}
    n_missing = 0
    for image in annotation.contour_images:
        images = [(target, *found) for target in targets for found in images_of(image, target, instance_key)]
        if len(images) > 1 and not image.sop_instance_uid:
            raise AnnotationError(
                f"names its images by InstanceNumber, and {counted(len(images), 'image')} have the number "
                f"{image.instance_number}; the series "
                "must be one"
            )
        n_missing += not images
        for target, phase, slice_index in images:
            _, _, rows, columns = target.shape
            if sentence := _outside_sentence(image, target):
                problems.append(sentence)
                continue
            regions = fill_contours(image.contours, rows, columns)
            found = misnested_contours(regions)
            faults[target.view] += found
            drawn[target.view, phase, slice_index] = _drawn_regions(regions, found, rows, columns)
    problems += [sentence for view, of_view in faults.items() for sentence in misnesting_sentences(view, of_view, "the epicardium")]
    sentence = (
        f"{part(n_missing, len(annotation.contour_images), 'image')} with contours "
        f"{either(n_missing, 'is', 'are')} not in the catalogue; {KEEP_FRAMES}"
    )
    is_none_found = n_missing == len(annotation.contour_images)
    remarks = [*annotation.remarks, *([sentence] if n_missing and not is_none_found else [])]
    problems += [sentence] if is_none_found else []
    return Drawing(Layer(annotation.name, annotation.source.value, drawn), remarks, problems)


def _drawn_regions(regions: Mapping[Outline, BoolArray], faults: Iterable[Misnested], rows: int, columns: int) -> DrawnImage:
    """Draw what lies inside the contours of one image, without those that cannot be used."""
    refused = frozenset(structure for one in faults for structure in one.fault.refused)
    usable = {outline: region for outline, region in regions.items() if STRUCTURES[outline] not in refused}
    structures = (drawn_structures(usable) if usable else frozenset()) - refused
    return DrawnImage(paint_regions(usable, rows, columns), structures, refused)


def _outside_sentence(image: ContourImage, target: TargetView) -> str | None:
    """Say that contours lie outside their image: the middle of one, or any point where their scale is not known."""
    _, _, rows, columns = target.shape
    where = f"the {target.view.title} image of {rows} × {columns} pixels"
    edges = np.array([columns, rows]) - MAX_OFFSET_PX
    middles = np.array([contour.points_px.mean(axis=0) for contour in image.contours])
    if (middles < -MAX_OFFSET_PX).any() or (middles > edges).any():
        return f"contours lie outside {where}"
    points = np.concatenate([contour.points_px for contour in image.contours])
    if image.is_scale_assumed and ((points < -MAX_OFFSET_PX).any() or (points > edges).any()):
        return f"contours reach beyond {where} at the usual steps a pixel, and do not say their own; export the workspace again"
    return None


def draw_volumes(annotation: Annotation, targets: Sequence[TargetView], instance_key: InstanceKey, place: Place) -> Drawing:
    """Lay a file's label maps on the images by where they lie and when; parameters and result as in :func:`draw_contours`."""
    misfits: list[str] = []
    lost: Counter[str] = Counter()
    beside: defaultdict[CardiacView, dict[int, float]] = defaultdict(dict)
    drawn: dict[ImagePlace, DrawnImage] = {}
    for volume in annotation.volumes:
        of_views = {target.view: placements(volume, target, place) for target in targets}
        if not any(placement.labels is not None for of_view in of_views.values() for placement in of_view):
            misfits.append(misfit_sentence(volume, of_views))
            continue
        references = {
            (target.view, slice_index): place(volume, target.planes[slice_index]).offset_mm
            for target in targets
            for _, slice_index in referenced_images(volume, target, instance_key)
        }
        for target in targets:
            on_slices = of_views[target.view]
            for slice_index, placement in enumerate(on_slices):
                if placement.labels is None and placement.is_covered:
                    beside[target.view][slice_index] = max(placement.offset_mm, beside[target.view].get(slice_index, 0.0))
            images, reasons = _images_of_volume(volume, target, on_slices, references, instance_key)
            lost.update(reasons)
            for where, image in images.items():
                drawn[where] = drawn[where].covered_by(image) if where in drawn else image
    drawn, nesting = _nested(drawn)
    layer = Layer(annotation.name, annotation.source.value, drawn)
    if not drawn:
        return Drawing(layer, annotation.remarks, [*misfits, *lost])
    touched = {view for view, _, _ in drawn}
    missed = [missed_slices_sentence(view, offsets_mm) for view, offsets_mm in beside.items() if view in touched]
    left_out = [
        f"{counted(count, 'slice')} of label maps {either(count, 'was', 'were')} left out: {sentence}"
        for sentence, count in lost.items()
    ]
    return Drawing(layer, [*annotation.remarks, *left_out, *missed], [*misfits, *nesting])


def _images_of_volume(
    volume: LabelVolume,
    target: TargetView,
    on_slices: Sequence[SlicePlacement],
    references: Mapping[tuple[CardiacView, int], float],
    instance_key: InstanceKey,
) -> tuple[dict[ImagePlace, DrawnImage], list[str]]:
    """Return the images of a view that a label map is of, and a sentence for each slice that it lies on and cannot be used for."""
    placed = {index: placement.labels for index, placement in enumerate(on_slices) if placement.labels is not None}
    images: dict[ImagePlace, DrawnImage] = {}
    reasons = []
    for slice_index in annotated_slices(placed):
        if references and (target.view, slice_index) not in references:
            reasons.append(contradicting_sentence(min(references.values())))
            continue
        phases = phases_of(volume, target, slice_index, instance_key) or ()
        reasons += [] if phases else [no_image_sentence(volume, target.phases)]
        images |= {(target.view, phase, slice_index): DrawnImage(placed[slice_index], volume.structures) for phase in phases}
    return images, reasons


def _nested(drawn: Mapping[ImagePlace, DrawnImage]) -> tuple[dict[ImagePlace, DrawnImage], list[str]]:
    """Leave out what does not lie as it should in label maps, and say so."""
    faults: defaultdict[CardiacView, list[Misnested]] = defaultdict(list)
    kept = {}
    for where, image in drawn.items():
        found = misnested_labels(image.labels)
        faults[where[0]] += found
        kept[where] = image.without(structure for one in found for structure in one.fault.refused)
    return kept, [sentence for view, of_view in faults.items() for sentence in misnesting_sentences(view, of_view, "Myo")]
