"""A label map in the patient, laid on image planes: by coordinates, never by the order of slices, rows or columns."""

from dataclasses import dataclass

import numpy as np

from cmr_planes.annotations.model import LabelVolume
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray, LabelArray

MAX_OFFSET_PX = 0.5
"""Labels that lie farther from an image's pixels than this, in its pixels, are not the image's."""
SAME_SPACING = 0.01
"""Spacings that differ by less than this share are the same: the label map was drawn on the image's own pixels."""
PARALLEL_COSINE = 0.98
"""A label map whose slices stand at a larger angle (11 degrees) to an image is of another view."""
THICK_SLICES = 2.0
"""Voxels this many times longer along one axis than along the others are those of slices that are stacked along it."""
_ROUNDING_PX = 1e-3
"""Headers and NIfTI's single precision round positions by less."""


@dataclass(frozen=True, slots=True, eq=False)
class SlicePlacement:
    """How a label map lies on one image plane."""

    offset_mm: float
    """How far its pixels are from the image's: across the plane, and in it where both have one matrix."""
    is_covered: bool
    """Whether the label map has a slice at the plane; if not, ``offset_mm`` is the distance of the nearest."""
    labels: LabelArray | None
    """Shape (rows, columns), the image's; None unless the label map fits."""


def place_on_plane(volume: LabelVolume, plane: ImagePlane) -> SlicePlacement:
    """Lay a label map on an image plane.

    Parameters
    ----------
    volume
        The label map.
    plane
        The image's plane.

    Returns
    -------
        The labels of the image, each pixel's from the voxel at its centre; background where the label map does not reach. None
        where the two lie more than :data:`MAX_OFFSET_PX` apart.
    """
    voxel_from_pixel = np.linalg.inv(volume.affine_lps_mm) @ plane.patient_from_pixel
    steps = volume.affine_lps_mm[:3, :3]
    sizes_mm = np.linalg.norm(steps, axis=0)
    across = int(np.argmax(np.abs(plane.normal @ (steps / sizes_mm))))
    corners = np.array([[c, r, 0, 1] for c in (0, plane.columns - 1) for r in (0, plane.rows - 1)], dtype=np.float64)
    at_corners = corners @ voxel_from_pixel.T
    slice_axis = _slice_axis(volume.labels.shape, sizes_mm)
    if slice_axis not in (None, across):  # an image of another view, which crosses the slices
        beyond_voxel = at_corners[:, slice_axis] - np.clip(at_corners[:, slice_axis], 0, volume.labels.shape[slice_axis] - 1)
        return SlicePlacement(float(np.abs(beyond_voxel).max() * sizes_mm[slice_axis]), is_covered=False, labels=None)
    across_voxel = at_corners[:, across]
    thickness_mm = float(abs(plane.normal @ steps[:, across]))
    nearest = int(np.clip(np.floor(across_voxel.mean() + 0.5), 0, volume.labels.shape[across] - 1))
    across_mm = float(np.abs(across_voxel - nearest).max()) * thickness_mm
    tolerance_mm = (MAX_OFFSET_PX + _ROUNDING_PX) * min(plane.row_spacing_mm, plane.column_spacing_mm)
    if across_mm > tolerance_mm:
        beyond = max(-across_voxel.mean(), across_voxel.mean() - (volume.labels.shape[across] - 1))
        is_parallel = thickness_mm > PARALLEL_COSINE * sizes_mm[across]
        return SlicePlacement(across_mm, is_covered=bool(is_parallel and beyond < 0.5), labels=None)
    inside_mm = _offset_in_plane_mm(volume, plane, at_corners[:, :3], across, sizes_mm)
    offset_mm = max(across_mm, inside_mm)
    if offset_mm > tolerance_mm:
        return SlicePlacement(offset_mm, is_covered=True, labels=None)
    return SlicePlacement(offset_mm, is_covered=True, labels=_sample(volume, plane, voxel_from_pixel, across, nearest))


def _slice_axis(shape: tuple[int, ...], sizes_mm: FloatArray) -> int | None:
    """Return the axis along which a label map's slices are stacked; None where any of them may be."""
    single = [axis for axis, count in enumerate(shape) if count == 1]
    if single:
        return single[0] if len(single) == 1 else None
    longest = int(np.argmax(sizes_mm))
    return longest if sizes_mm[longest] >= THICK_SLICES * np.delete(sizes_mm, longest).max() else None


def _offset_in_plane_mm(volume: LabelVolume, plane: ImagePlane, at_corners: FloatArray, across: int, sizes_mm: FloatArray) -> float:
    """Return how far apart two equal matrices lie, or two that do not overlap; 0 for a crop or another resolution."""
    axes = [axis for axis in range(3) if axis != across]
    shape = np.array([volume.labels.shape[axis] for axis in axes])
    corners, sizes = at_corners[:, axes], sizes_mm[axes]
    low, high = corners.min(axis=0), corners.max(axis=0)
    gap = np.maximum(np.maximum(low - (shape - 0.5), -0.5 - high), 0)
    if gap.any():
        return float(np.linalg.norm((gap + MAX_OFFSET_PX + 1) * sizes))
    edges = np.array([plane.columns, plane.rows])
    is_transposed = abs(corners[2, 0] - corners[0, 0]) < abs(corners[1, 0] - corners[0, 0])
    matrix = edges[::-1] if is_transposed else edges
    spacing = np.array([plane.column_spacing_mm, plane.row_spacing_mm])
    spacing = spacing[::-1] if is_transposed else spacing
    is_same = bool(np.all(matrix == shape)) and bool(np.all(np.abs(sizes / spacing - 1) < SAME_SPACING))
    if not is_same:
        return 0.0
    return float(np.linalg.norm(np.maximum(np.abs(low), np.abs(high - (shape - 1))) * sizes))


def _sample(volume: LabelVolume, plane: ImagePlane, voxel_from_pixel: FloatArray, across: int, nearest: int) -> LabelArray:
    """Take the label at every pixel's centre, shape (rows, columns)."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    pixels = np.stack([column, row, np.zeros_like(row), np.ones_like(row)], axis=-1)
    voxel = np.floor(pixels @ voxel_from_pixel.T[:, :3] + 0.5 - _ROUNDING_PX).astype(np.int64)
    voxel[..., across] = nearest
    shape = np.array(volume.labels.shape)
    is_inside: BoolArray = np.all((voxel >= 0) & (voxel < shape), axis=-1)
    inside = np.where(is_inside[..., None], voxel, 0)
    labels: LabelArray = np.where(is_inside, volume.labels[tuple(np.moveaxis(inside, -1, 0))], 0).astype(np.uint8)
    return labels
