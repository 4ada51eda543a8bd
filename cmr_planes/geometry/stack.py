"""Slices of a short-axis stack: their order from base to apex, and the middle one."""

from collections.abc import Sequence

import numpy as np

from cmr_planes.geometry.arrays import FloatArray, cross, unit
from cmr_planes.geometry.plane import ImagePlane
from cmr_planes.geometry.tolerances import MIDDLE_TIE_MM

TYPICAL_APEX_DIRECTION: FloatArray = unit(np.array([0.70, -0.56, -0.44]))
"""Where an adult's apex lies as seen from the base, LPS unit vector: left, anterior and inferior.

It only decides which end of a stack is the base, for which any heart within 90 degrees will do (a real case is 7 degrees off).
"""
TYPICAL_APEX_DIRECTION.setflags(write=False)


def angle_between_normals_deg(first: FloatArray, second: FloatArray) -> float:
    """Angle between two planes' unit normals, shape (3,) each, in degrees, 0 to 90: a normal's sign carries no meaning."""
    return float(np.degrees(np.arctan2(np.linalg.norm(cross(first, second)), abs(first @ second))))


def apex_direction(normal: FloatArray) -> FloatArray:
    """Return the short-axis normal, shape (3,), with the sign that points from base to apex."""
    return normal if normal @ TYPICAL_APEX_DIRECTION >= 0 else -normal


def slice_positions_mm(planes: Sequence[ImagePlane]) -> FloatArray:
    """Positions of parallel slices along the stack's axis, shape (slices,), mm, growing from base to apex."""
    axis = apex_direction(planes[0].normal)
    return np.array([plane.centre_mm @ axis for plane in planes])


def order_from_base(planes: Sequence[ImagePlane]) -> list[int]:
    """Order parallel slices from base to apex.

    Parameters
    ----------
    planes
        At least one plane; all nearly parallel.

    Returns
    -------
        Indices into ``planes``, most basal first.
    """
    return [int(index) for index in np.argsort(slice_positions_mm(planes), kind="stable")]


def middle_slice(planes: Sequence[ImagePlane]) -> int:
    """Find the slice nearest to the centre of the stack, the more basal one on a tie.

    Parameters
    ----------
    planes
        At least one plane; all nearly parallel, in any order.

    Returns
    -------
        Index into ``planes``.
    """
    positions_mm = slice_positions_mm(planes)
    distance_mm = np.abs(positions_mm - (positions_mm.min() + positions_mm.max()) / 2)
    nearest = np.flatnonzero(distance_mm <= distance_mm.min() + MIDDLE_TIE_MM)
    return int(nearest[np.argmin(positions_mm[nearest])])
