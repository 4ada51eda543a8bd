"""Which images of a view an annotation is of: contours by instance, label maps by where they lie and when."""

from collections.abc import Callable, Mapping

import numpy as np

from cmr_planes.annotations.model import ContourImage, LabelVolume, TargetView, TimePoint
from cmr_planes.annotations.placing import SlicePlacement
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import LabelArray
from cmr_planes.views import CardiacView

InstanceKey = Callable[[str, int], str]
"""From a SOPInstanceUID and a frame (from 1; 0 in instances of one frame) to what :attr:`TargetView.instance_keys` has for it."""

Place = Callable[[LabelVolume, ImagePlane], SlicePlacement]
"""Lays a label map on a plane: :func:`cmr_planes.annotations.placing.place_on_plane`, or a function that keeps its results."""


def images_of(image: ContourImage, target: TargetView, instance_key: InstanceKey) -> list[tuple[int, int]]:
    """Return phase and slice of the images that a contour image is."""
    if image.sop_instance_uid:
        return _images_with({instance_key(image.sop_instance_uid, 0)}, target)
    if target.instance_numbers is None or target.view is not CardiacView.SAX:
        return []
    return [(int(phase), int(slice_index)) for phase, slice_index in np.argwhere(target.instance_numbers == image.instance_number)]


def referenced_images(volume: LabelVolume, target: TargetView, instance_key: InstanceKey) -> list[tuple[int, int]]:
    """Return phase and slice of the images that a label map says it was drawn on, wherever it lies."""
    if not volume.sop_instance_uid:
        return []
    numbers = {volume.frame_number, 0} if volume.frame_number == 1 else {volume.frame_number}  # some count the only frame as 1
    return _images_with({instance_key(volume.sop_instance_uid, number) for number in numbers}, target)


def _images_with(keys: set[str], target: TargetView) -> list[tuple[int, int]]:
    """Return phase and slice of the images that have one of some instance keys."""
    return [
        (phase, slice_index)
        for phase, row in enumerate(target.instance_keys or ())
        for slice_index, key in enumerate(row)
        if key in keys
    ]


def placements(volume: LabelVolume, target: TargetView, place: Place) -> list[SlicePlacement]:
    """Lay a label map on every slice of a view; none where it names another view."""
    return [place(volume, plane) for plane in target.planes] if volume.view in (None, target.view) else []


def labelled_slices(volume: LabelVolume, target: TargetView, place: Place) -> list[int]:
    """Return the slices that a label map fits and is not empty on."""
    on_slices = enumerate(placements(volume, target, place))
    return [index for index, placement in on_slices if placement.labels is not None and placement.labels.any()]


def annotated_slices(placed: Mapping[int, LabelArray]) -> list[int]:
    """Return the slices that were annotated: all of the label map, but for empty ones between labelled ones, and empty maps."""
    labelled = [slice_index for slice_index, labels in placed.items() if labels.any()]
    if not labelled:
        return []
    return [
        slice_index for slice_index, labels in placed.items() if labels.any() or not min(labelled) < slice_index < max(labelled)
    ]


def phases_of(volume: LabelVolume, target: TargetView, slice_index: int, instance_key: InstanceKey) -> list[int] | None:
    """Return the phases that a label map is of at one slice; None if it does not say when it is."""
    if volume.sop_instance_uid and target.instance_keys is not None:
        found = [phase for phase, level in referenced_images(volume, target, instance_key) if level == slice_index]
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
