"""Which doubtful acquisitions give way to others, and which are copies of others."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, share_orientation
from cmr_planes.cine.stack_runs import SAME_SLICE_SHARE
from cmr_planes.geometry.arrays import FloatArray, median
from cmr_planes.geometry.tolerances import SAME_ORIENTATION_DEG

PARALLEL_DEG = 15.0
"""Planes at smaller angles may show the same."""
REACH_MM = 8.0
"""Planes that are nearer to one another show the same, where they are no stack."""
SAME_LEVEL_MM = 4.0
"""Planes of a stack that are nearer to one another count as one level."""
MIN_STACK_LEVELS = 3
"""As many parallel planes are a stack."""
END_SHARE = 0.2
"""Planes of which so much of a level's distance is beyond the ends of a stack lie outside."""
SAME_PLANE_MM = 3.0
"""Copies of an acquisition are nearer to one another: correction of distortion may move an image a little."""


def shows_same(cine: CineSlice, others: Sequence[CineSlice]) -> bool:
    """Tell whether one of several acquisitions lies where ``cine`` lies: at its level of a stack, or near it."""
    return _is_near(*_places_mm(cine, others))


def is_displaced(cine: CineSlice, others: Sequence[CineSlice]) -> bool:
    """Tell whether better acquisitions show what a doubtful one shows.

    Parameters
    ----------
    cine
        The doubtful acquisition.
    others
        Acquisitions without doubt.

    Returns
    -------
        True where one of them is at the same place, or where they are a stack of which the doubtful one fills no hole.
    """
    own_mm, levels_mm = _places_mm(cine, others)
    is_same = _is_near(own_mm, levels_mm)
    if is_same or len(levels_mm) < MIN_STACK_LEVELS:
        return is_same
    end_mm = END_SHARE * median(np.diff(levels_mm))
    return not levels_mm[0] - end_mm <= own_mm <= levels_mm[-1] + end_mm


def n_levels(cine: CineSlice, among: Sequence[CineSlice]) -> int:
    """Count the levels of the stack that an acquisition is part of; ``among`` has the acquisition itself."""
    return len(_levels_mm([other for other in among if share_orientation(cine, other, SAME_ORIENTATION_DEG)], cine.plane.normal))


def uncorrected_copies(cines: Sequence[CineSlice]) -> frozenset[CineSlice]:
    """Return acquisitions of which the scanner stored a copy with correction of distortion too.

    Siemens marks the two by ``ND`` and ``DIS2D`` or ``DIS3D`` in ImageType; times and place are the same.
    """
    corrected: defaultdict[Hashable, list[CineSlice]] = defaultdict(list)
    for cine in cines:
        if _is_corrected(cine):
            corrected[_acquisition(cine)].append(cine)
    return frozenset(
        cine
        for cine in cines
        if not _is_corrected(cine) and any(_same_plane(cine, other) for other in corrected[_acquisition(cine)])
    )


def are_one_run(first: CineSlice, second: CineSlice) -> bool:
    """Tell whether two kinds of images were made in one run of the scanner: at one time and place, as many of both."""
    is_simultaneous = first.header.acquired_at == second.header.acquired_at != ""
    return is_simultaneous and len(first.frames) == len(second.frames) and _same_plane(first, second)


def _places_mm(cine: CineSlice, others: Sequence[CineSlice]) -> tuple[float, FloatArray]:
    """Return the places along one normal of an acquisition and of the levels of those parallel to it; no levels if none is."""
    parallel = [other for other in others if share_orientation(cine, other, PARALLEL_DEG)]
    axis = parallel[0].plane.normal if parallel else cine.plane.normal
    return float(cine.plane.centre_mm @ axis), _levels_mm(parallel, axis)


def _is_near(own_mm: float, levels_mm: FloatArray) -> bool:
    """Tell whether a place is at one of some levels: within a share of their distance if they are a stack, else within reach."""
    if not len(levels_mm):
        return False
    is_stack = len(levels_mm) >= MIN_STACK_LEVELS
    reach_mm = SAME_SLICE_SHARE * median(np.diff(levels_mm)) if is_stack else REACH_MM
    return float(np.abs(levels_mm - own_mm).min()) <= reach_mm


def _levels_mm(cines: Sequence[CineSlice], axis: FloatArray) -> FloatArray:
    """Return the distinct positions of planes along an axis, growing."""
    positions_mm = np.sort([float(cine.plane.centre_mm @ axis) for cine in cines])
    levels_mm = positions_mm[:1].tolist()
    for position_mm in positions_mm[1:]:
        if position_mm - levels_mm[-1] >= SAME_LEVEL_MM:
            levels_mm.append(float(position_mm))
    return np.array(levels_mm)


def _is_corrected(cine: CineSlice) -> bool:
    """Tell whether ImageType names a correction of distortion."""
    return any(kind.upper().startswith("DIS") for kind in cine.header.image_type)


def _acquisition(cine: CineSlice) -> Hashable:
    """Return what copies of one acquisition share."""
    return cine.header.acquired_at, len(cine.frames), cine.header.series_description


def _same_plane(first: CineSlice, second: CineSlice) -> bool:
    """Tell whether two acquisitions are at one place."""
    apart_mm = float(np.linalg.norm(first.plane.centre_mm - second.plane.centre_mm))
    return apart_mm <= SAME_PLANE_MM and share_orientation(first, second, SAME_ORIENTATION_DEG)
