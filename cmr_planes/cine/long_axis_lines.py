"""Planes that stand on a short-axis plane, as lines on it: at which angle they run, and where they meet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray, unit
from cmr_planes.geometry.stack import apex_direction

MAX_LEAN_DEG = 30.0
"""Largest angle between a long-axis plane and the short-axis normal."""
MAX_FIELD_DISTANCE_MM = 150.0
"""A plane farther from the middle of the short-axis field of view misses the heart."""
PATIENT_AXIS_DEG = 5.0
"""A plane within this of axial, coronal or sagittal is no long-axis view, unless named so while no oblique plane is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongAxisLines:
    """Planes that stand on a short-axis plane, as lines on it. Row k of each array is slice k."""

    slices: tuple[CineSlice, ...]
    angles_deg: FloatArray
    """From superior towards the patient's left, 0 to 180."""
    normals: FloatArray
    """Unit normals, shape (n, 3)."""
    across: FloatArray
    """Unit normals of the lines on the short-axis plane, shape (n, 2)."""
    offsets_mm: FloatArray
    """Signed distance of the lines from the middle of the short-axis image, along ``across``."""
    is_patient_axis: BoolArray
    """Whether a plane is axial, coronal or sagittal."""
    axis: FloatArray
    """The short-axis normal, from base to apex."""
    basis: FloatArray
    """Superior and left on the short-axis plane, shape (2, 3)."""
    origin_mm: FloatArray
    """The middle of the short-axis image, LPS."""

    def __len__(self) -> int:
        return len(self.slices)

    def meeting_mm(self, first: int, second: int) -> FloatArray:
        """Return where two lines meet, shape (2,), from the middle of the short-axis image."""
        return np.asarray(np.linalg.solve(self.across[[first, second]], self.offsets_mm[[first, second]]), dtype=np.float64)

    def on_short_axis(self, point_mm: FloatArray) -> FloatArray:
        """Project a point, shape (3,), LPS, along the axis on the short-axis plane; shape (2,), from the middle of its image."""
        return self.basis @ (point_mm - self.origin_mm)

    def distance_mm(self, plane: int, point_mm: FloatArray) -> float:
        """Return the distance of a line from a point on the short-axis plane."""
        return float(abs(self.across[plane] @ point_mm - self.offsets_mm[plane]))


def lines_on(slices: Sequence[CineSlice], short_axis: ImagePlane, flip: FloatArray) -> LongAxisLines:
    """Return the planes that stand on a short-axis plane, as lines on it."""
    axis = apex_direction(short_axis.normal * flip)
    towards_head = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 1 - 1e-6 else np.array([0.0, -1.0, 0.0])
    superior = unit(towards_head - (towards_head @ axis) * axis)
    basis = np.stack([superior, np.cross(superior, axis)])
    normals = np.array([cine.plane.normal for cine in slices]).reshape(-1, 3) * flip
    leans_deg = np.degrees(np.arcsin(np.abs(normals @ axis).clip(max=1.0)))
    on_plane = normals @ basis.T
    lengths = np.linalg.norm(on_plane, axis=1).clip(min=1e-9)
    distances_mm = np.array([float(cine.plane.signed_distance_mm(short_axis.centre_mm)) for cine in slices])
    offsets_mm = -distances_mm / lengths
    kept = np.flatnonzero((leans_deg <= MAX_LEAN_DEG) & (np.abs(offsets_mm) <= MAX_FIELD_DISTANCE_MM))
    across = (on_plane / lengths[:, None])[kept]
    from_patient_axis_deg = np.degrees(np.arccos(np.abs(normals[kept]).max(axis=1, initial=0.0).clip(max=1.0)))
    return LongAxisLines(
        slices=tuple(slices[index] for index in kept.tolist()),
        angles_deg=np.degrees(np.arctan2(-across[:, 0], across[:, 1])) % 180.0,
        normals=normals[kept],
        across=across,
        offsets_mm=offsets_mm[kept],
        is_patient_axis=from_patient_axis_deg <= PATIENT_AXIS_DEG,
        axis=axis,
        basis=basis,
        origin_mm=short_axis.centre_mm,
    )


def signed_deg(angle_deg: FloatArray) -> FloatArray:
    """Return the angle between undirected lines, -90 to 90 degrees."""
    return np.asarray((angle_deg + 90.0) % 180.0 - 90.0)


def angle_between_lines_deg(first_deg: float, second_deg: float) -> float:
    """Return the angle between undirected lines, 0 to 90 degrees."""
    return float(abs(signed_deg(np.asarray(first_deg - second_deg))))
