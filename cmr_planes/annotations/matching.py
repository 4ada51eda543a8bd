"""Annotations laid on a subject's images: contours by instance, label maps by where they lie."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from cmr_planes.annotations.drawing import Drawing, draw_contours, draw_volumes
from cmr_planes.annotations.layers import finished, refused_muscle, settled
from cmr_planes.annotations.lookup import InstanceKey, Place, images_of, labelled_slices, phases_of, referenced_images
from cmr_planes.annotations.model import Annotation, Matched, TargetView
from cmr_planes.annotations.placing import place_on_plane
from cmr_planes.annotations.sentences import gap_sentences
from cmr_planes.errors import AnnotationError


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
    drawings = [drawing for annotation in annotations for drawing in _drawings(annotation, targets, instance_key, place)]
    layers, conflicts = settled([drawing.layer for drawing in drawings])
    problems = [sentence for drawing in drawings for sentence in drawing.problems]
    placed = {target.view: (target, finished(target, layers)) for target in targets}
    views = {view: labels for view, (_, labels) in placed.items() if labels is not None}
    if not views:
        raise AnnotationError("; ".join(dict.fromkeys(problems)) or "holds no labels")
    remarks = [sentence for drawing in drawings for sentence in drawing.remarks] + conflicts + problems
    for view, labels in views.items():
        target, _ = placed[view]
        remarks += gap_sentences(view, labels, target.phases, refused_muscle(target, layers))
    return Matched(views=views, remarks=tuple(dict.fromkeys(remarks)))


def _drawings(annotation: Annotation, targets: Sequence[TargetView], instance_key: InstanceKey, place: Place) -> Iterator[Drawing]:
    """Draw what a file has, contours or label maps."""
    if annotation.contour_images:
        yield draw_contours(annotation, targets, instance_key)
    if annotation.volumes:
        yield draw_volumes(annotation, targets, instance_key, place)


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
            for phase, slice_index in images_of(image, target, instance_key):
                found[slice_index].add(phase)
        for volume in annotation.volumes:
            for phase, slice_index in referenced_images(volume, target, instance_key):
                found[slice_index].add(phase)
            if volume.sop_instance_uid or volume.time_point.frame_number is not None:
                for slice_index in labelled_slices(volume, target, place):
                    found[slice_index].update(phases_of(volume, target, slice_index, instance_key) or ())
    return {slice_index: frozenset(phases) for slice_index, phases in found.items() if phases}


def belongs(
    annotations: Sequence[Annotation], target: TargetView, instance_key: InstanceKey, place: Place = place_on_plane
) -> bool:
    """Return whether any annotation is of a view, at any time point; parameters as in :func:`annotated_frames`."""
    return any(images_of(image, target, instance_key) for annotation in annotations for image in annotation.contour_images) or any(
        labelled_slices(volume, target, place) for annotation in annotations for volume in annotation.volumes
    )
