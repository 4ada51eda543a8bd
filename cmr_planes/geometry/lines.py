"""Where planes meet: two planes in a line, three in a point."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry.arrays import FloatArray, cross, freeze_fields, unit
from cmr_planes.geometry.plane import ImagePlane
from cmr_planes.geometry.tolerances import MAX_CONDITION_NUMBER, PARALLEL_ANGLE_DEG


class Plane(Protocol):
    """A plane in the patient: of an image, or stated without one."""

    @property
    def normal(self) -> FloatArray:
        """The unit normal, shape (3,)."""

    @property
    def centre_mm(self) -> FloatArray:
        """A point of the plane near the heart, shape (3,), mm."""

    def signed_distance_mm(self, point_mm: ArrayLike) -> FloatArray:
        """Distance of points, shape (..., 3), from the plane, shape (...), mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line in the patient."""

    point_mm: FloatArray
    """A point on the line, shape (3,), LPS, mm."""
    direction: FloatArray
    """Unit vector along the line, shape (3,); its sign carries no meaning."""

    def __post_init__(self) -> None:
        freeze_fields(self)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneIntersection:
    """The common point of three planes."""

    point_mm: FloatArray
    """Shape (3,), LPS, mm."""
    condition_number: float
    """Condition number of the three unit normals: 1 for perpendicular planes; errors in the headers grow by at most this."""

    def __post_init__(self) -> None:
        freeze_fields(self)


def intersect_planes(first: Plane, second: Plane) -> Line:
    """Intersect two planes (not only their images: the planes are unbounded).

    Parameters
    ----------
    first, second
        The planes, in any order.

    Returns
    -------
        The line; its point is the one nearest to the middle between the two images' centres.

    Raises
    ------
    ParallelPlanesError
        The planes meet at less than ``PARALLEL_ANGLE_DEG``: they are parallel, or one and the same.
    """
    across = cross(first.normal, second.normal)
    sine = float(np.linalg.norm(across))
    if sine < np.sin(np.radians(PARALLEL_ANGLE_DEG)):
        distance_mm = float(abs(first.signed_distance_mm(second.centre_mm)))
        raise ParallelPlanesError(
            f"two planes are parallel (angle {np.degrees(np.arcsin(sine)):.2f} degrees, distance {distance_mm:.1f} mm), and at "
            f"least {PARALLEL_ANGLE_DEG} degrees are needed; check that the two series are different views"
        )
    middle = (first.centre_mm + second.centre_mm) / 2
    normals = np.stack([first.normal, second.normal])
    offsets = np.array([-first.signed_distance_mm(middle), -second.signed_distance_mm(middle)])
    foot = middle + normals.T @ np.linalg.solve(normals @ normals.T, offsets)
    return Line(point_mm=foot, direction=across / sine)


def intersect_three_planes(first: Plane, second: Plane, third: Plane) -> PlaneIntersection:
    """Find the common point of three planes.

    Parameters
    ----------
    first, second, third
        The planes, in any order.

    Returns
    -------
        The point and the condition number of the system.

    Raises
    ------
    ParallelPlanesError
        Two planes are parallel, or the three share one direction: the condition number is above ``MAX_CONDITION_NUMBER``.
    """
    planes = (first, second, third)
    normals = np.stack([plane.normal for plane in planes])
    condition_number = float(np.linalg.cond(normals))
    if not condition_number <= MAX_CONDITION_NUMBER:
        raise ParallelPlanesError(
            f"three planes have no well-defined common point (condition number {condition_number:.3g}, allowed "
            f"{MAX_CONDITION_NUMBER:g}); check that the three series are different views"
        )
    middle = np.mean([plane.centre_mm for plane in planes], axis=0)
    offsets = np.array([-plane.signed_distance_mm(middle) for plane in planes])
    return PlaneIntersection(point_mm=middle + np.linalg.solve(normals, offsets), condition_number=condition_number)


def line_in_image(line: Line, image: ImagePlane) -> tuple[FloatArray, FloatArray]:
    """Project a line on an image.

    Parameters
    ----------
    line
        A line in the patient, not perpendicular to the image.
    image
        The image.

    Returns
    -------
        A point, shape (2,), and the unit direction, shape (2,), both as (column, row) in pixels.
    """
    return image.patient_to_pixel(line.point_mm), unit(image.direction_to_pixel(line.direction))
