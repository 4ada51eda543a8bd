"""Which frames belong together: images of one protocol at one plane, whatever the identifiers say.

SeriesInstanceUID is no criterion: exports give one series two of them, or each phase, or each file, one of its own. What frames of
one series do share is SeriesNumber, names, ImageType and the plane; what lies there twice is split by :mod:`cmr_planes.cine.takes`.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray

JITTER_MM = 0.7
"""Frames whose image corners differ by less lie on one plane, in mm: headers of some scanners shift each frame by up to 0.3 mm
along the normal. Slices lie farther apart."""


def unique_frames(frames: Iterable[FrameHeader]) -> tuple[list[FrameHeader], int]:
    """Drop further copies of an image.

    Parameters
    ----------
    frames
        Frames in the order of the files.

    Returns
    -------
        The first copy of each image, and the number of copies that were dropped. Frames of one SOPInstanceUID that differ in place
        or time are no copies: some anonymisers give one identifier to many images.
    """
    kept: dict[Hashable, FrameHeader] = {}
    frames = list(frames)
    for index, frame in enumerate(frames):
        kept.setdefault(_identity(frame) if frame.sop_instance_uid else index, frame)
    return list(kept.values()), len(frames) - len(kept)


def group_by_plane(frames: Iterable[FrameHeader], *, by_number: bool = True, by_protocol: bool = True) -> list[list[FrameHeader]]:
    """Group frames by protocol and plane.

    Parameters
    ----------
    frames
        Frames of a study, in any order; those without a plane are left out.
    by_number
        Whether SeriesNumber tells groups apart.
    by_protocol
        Whether names and kinds of images do.

    Returns
    -------
        Groups of frames that agree in number, names, kind of image and place.
    """
    series: defaultdict[Hashable, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        if frame.plane is not None:
            key = (frame.series_number if by_number else None, _protocol(frame) if by_protocol else None)
            series[key].append(frame)
    return [group for members in series.values() for group in _by_plane(members)]


def _protocol(frame: FrameHeader) -> Hashable:
    """Return what all frames of one series share, its number apart."""
    return (
        frame.series_description,
        frame.protocol_name,
        frame.sequence_name,
        frame.modality,
        frame.image_type,
        frame.complex_component,
        frame.samples_per_pixel,
    )


def common_plane(frames: Sequence[FrameHeader]) -> ImagePlane:
    """Return the plane of frames, one of which has one: where they jitter, that of the frame nearest to their mean."""
    planes = [frame.plane for frame in frames if frame.plane is not None]
    mean_mm = np.mean([plane.position_mm for plane in planes], axis=0)
    return min(planes, key=lambda plane: (float(np.linalg.norm(plane.position_mm - mean_mm)), plane.position_mm.tolist()))


def _identity(frame: FrameHeader) -> Hashable:
    """Return what copies of an image have in common."""
    place = None if frame.plane is None else tuple(frame.plane.position_mm.tolist())
    moment = (frame.instance_number, frame.trigger_time_ms, frame.temporal_position, frame.content_at, frame.acquired_at)
    return frame.sop_instance_uid, frame.frame_index, frame.image_type, place, moment


def _by_plane(frames: Sequence[FrameHeader]) -> list[list[FrameHeader]]:
    """Group frames by plane, joining planes that differ by jitter only."""
    by_identity: defaultdict[int, list[FrameHeader]] = defaultdict(list)
    planes: dict[int, ImagePlane] = {}
    for frame in frames:
        if frame.plane is not None:
            planes.setdefault(id(frame.plane), frame.plane)
            by_identity[id(frame.plane)].append(frame)
    if len(planes) == 1:
        return [list(frames)]
    keys = sorted(planes, key=lambda key: planes[key].position_mm.tolist())
    corners_mm = np.array([_corners_mm(planes[key]) for key in keys])
    matrices = np.array([(planes[key].rows, planes[key].columns) for key in keys])
    left = np.ones(len(keys), dtype=bool)
    groups = []
    while left.any():
        first = int(np.argmax(left))
        near = np.abs(corners_mm - corners_mm[first]).max(axis=(1, 2)) <= JITTER_MM
        same = left & near & (matrices == matrices[first]).all(axis=1)
        left &= ~same
        groups.append([frame for index in np.flatnonzero(same) for frame in by_identity[keys[index]]])
    return groups


def _corners_mm(plane: ImagePlane) -> FloatArray:
    """Return three corners of an image, shape (3, 3), LPS, mm."""
    return plane.pixel_to_patient([[0, 0], [plane.columns - 1, 0], [0, plane.rows - 1]])
