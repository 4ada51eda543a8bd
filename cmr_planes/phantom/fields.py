"""Signed distances of simple shapes, as numpy functions of coordinates.

A *field* is an array of distances in mm, negative inside. Coordinates are three arrays of one shape, ``float32`` so that a slice
of fifty frames stays cheap; numbers are Python floats, which do not widen them. Distances are exact for tubes and first-order for
ellipsoids: right where it matters, near the surface.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
"""Distances in mm, negative inside a shape."""
Coordinates: TypeAlias = tuple[Field, Field, Field]
"""x, y and z in mm, arrays of one shape."""
Vector: TypeAlias = tuple[float, float, float]
"""A point or three lengths, mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ripple:
    """A wavy displacement along one axis that depends on the other two alone: it bends shapes and keeps every volume."""

    axis: int
    """Displaced coordinate: 0, 1 or 2."""
    amplitude_mm: float
    wave: Vector
    """Radians per mm along x, y and z; 0 along the displaced axis."""
    phase: float
    """Radians."""

    def __post_init__(self) -> None:
        if self.wave[self.axis] != 0:
            raise ValueError(f"a displacement along axis {self.axis} that depends on it changes volumes; got the wave {self.wave}")


def rippled(points: Coordinates, ripples: Sequence[Ripple]) -> Coordinates:
    """Displace coordinates, one ripple after the other."""
    moved = list(points)
    for ripple in ripples:
        moved[ripple.axis] = moved[ripple.axis] + ripple.amplitude_mm * wave_at(
            (moved[0], moved[1], moved[2]), ripple.wave, ripple.phase
        )
    x, y, z = moved
    return x, y, z


def wave_at(points: Coordinates, wave: Vector, phase: float) -> Field:
    """Return the sine of a plane wave, -1 to 1: ``wave`` in radians per mm, ``phase`` in radians."""
    x, y, z = points
    return single(np.sin(x * wave[0] + y * wave[1] + z * wave[2] + phase))


def turned(points: Coordinates, angle_deg: float) -> Coordinates:
    """Turn coordinates about the z axis: a shape measured at the result is turned by ``angle_deg`` from x to y."""
    if angle_deg == 0:
        return points
    x, y, z = points
    cosine, sine = float(np.cos(np.radians(angle_deg))), float(np.sin(np.radians(angle_deg)))
    return x * cosine + y * sine, y * cosine - x * sine, z


def ellipsoid(points: Coordinates, centre: Vector, semi_axes: Vector) -> Field:
    """Distance from an axis-aligned ellipsoid.

    Parameters
    ----------
    points
        Where to evaluate, mm.
    centre, semi_axes
        The ellipsoid, mm.

    Returns
    -------
        Distances in mm, first order near the surface.
    """
    square: Field | float = 1e-6
    slope: Field | float = 0.0
    for coordinate, middle, semi_axis in zip(points, centre, semi_axes, strict=True):
        scaled = (coordinate - middle) * (1.0 / semi_axis)
        scaled *= scaled
        square = square + scaled
        slope = slope + scaled * (1.0 / semi_axis**2)
    radius = np.sqrt(np.asarray(square, dtype=np.float32))
    steepness = np.sqrt(np.asarray(slope, dtype=np.float32)) + np.float32(1e-9)
    field: Field = radius * (radius - np.float32(1.0)) / steepness
    return field


FAR_MM = 25.0
"""Beyond this distance a tube's exact distance does not matter."""

_STRIDE = 8
"""Every this many pixels a tube is tried before its distances are computed."""


def tube(points: Coordinates, start: Vector, stop: Vector, start_radius: float, stop_radius: float) -> Field:
    """Distance from a straight tube with round ends, whose radius changes linearly, mm.

    Where all of an image, shape (sheets, rows, columns), is further off than :data:`FAR_MM`, that is the answer, shape (1, 1, 1).
    """
    x, y, z = (coordinate[:, ::_STRIDE, ::_STRIDE] for coordinate in points)
    if min(x.shape[1:]) > 1:
        cell_mm = float(sum((coordinate[0, 1, 1] - coordinate[0, 0, 0]) ** 2 for coordinate in (x, y, z)) ** 0.5)
        if _tube((x, y, z), start, stop, start_radius, stop_radius).min() > FAR_MM + cell_mm:
            return np.full((1, 1, 1), FAR_MM, dtype=np.float32)
    return _tube(points, start, stop, start_radius, stop_radius)


def _tube(points: Coordinates, start: Vector, stop: Vector, start_radius: float, stop_radius: float) -> Field:
    """As :func:`tube`, always exact."""
    axis = tuple(end - begin for begin, end in zip(start, stop, strict=True))
    length2 = sum(step * step for step in axis)
    offset = tuple(coordinate - begin for coordinate, begin in zip(points, start, strict=True))
    along = offset[0] * (axis[0] / length2) + offset[1] * (axis[1] / length2) + offset[2] * (axis[2] / length2)
    along = np.clip(along, 0.0, 1.0)
    square = (offset[0] - along * axis[0]) ** 2 + (offset[1] - along * axis[1]) ** 2 + (offset[2] - along * axis[2]) ** 2
    field: Field = np.sqrt(square) - (start_radius + (stop_radius - start_radius) * along)
    return field


def vessel(points: Coordinates, course: Sequence[tuple[Vector, float]]) -> Field:
    """Distance from a bent tube, given by points on its centre line and its radius there, mm."""
    pieces = [
        tube(points, start, stop, start_radius, stop_radius)
        for (start, start_radius), (stop, stop_radius) in itertools.pairwise(course)
    ]
    return union(*pieces)


def single(values: NDArray[np.floating]) -> Field:
    """Return values as ``float32``, whatever numpy's promotion made of them; no copy where they already are."""
    return np.asarray(values, dtype=np.float32)


def union(*fields: Field) -> Field:
    """Inside any of the shapes."""
    result = fields[0]
    for field in fields[1:]:
        result = np.minimum(result, field)
    return result


def intersection(*fields: Field) -> Field:
    """Inside all of the shapes."""
    result = fields[0]
    for field in fields[1:]:
        result = np.maximum(result, field)
    return result


def blend(first: Field, second: Field, width_mm: float) -> Field:
    """Union with the groove between two shapes filled over ``width_mm``."""
    overlap = np.clip(width_mm - np.abs(first - second), 0.0, None)
    field: Field = np.minimum(first, second) - overlap * overlap * (0.25 / width_mm)
    return field


def paint(image: Field, field: Field, value: float | Field, edge_mm: float) -> None:
    """Paint a shape on an image in place, its edge a ramp of ``edge_mm`` (the partial volume of a pixel)."""
    if field.size == 1 and field.item() > edge_mm:
        return
    cover = field * (-1.0 / edge_mm)
    cover += np.float32(0.5)
    np.clip(cover, 0.0, 1.0, out=cover)
    image += cover * (value - image)
