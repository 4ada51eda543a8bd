"""Images of a NIfTI volume: unsigned 16-bit frames of parallel planes, whatever type and header the file has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import AnnotationError, GeometryError, InvalidOrientationError, RejectionCode, StudyError
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.grids import VolumeGrid, corner_distance_mm, is_heart_size
from cmr_planes.nifti.volumes import LPS_FROM_RAS, read_volume

MAX_INTENSITY = 1e12
"""Larger values are no intensities of a scanner."""
SAME_GRID_MM = 0.5
"""Volumes of one view whose corners lie farther apart than this, in mm, are not of one view."""
MAX_CLASSES = 9
"""A volume with no more than this many different whole values is a label map: an image has hundreds."""
MAX_ELONGATION = 3.0
"""A pixel is at most this many times as long as it is wide."""
MAX_SKEW = 0.02
"""Cosines of a NIfTI matrix that are farther from perpendicular unit vectors are refused; nearer ones are straightened."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeFrames:
    """Images of one view."""

    images: NDArray[np.uint16]
    """Shape (frame, slice, row, column)."""
    rescale: tuple[float, float]
    """Slope and intercept back to the file's values."""
    affine_lps_mm: FloatArray
    """Shape (4, 4): (i, j, k, 1) to LPS in mm."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice, in the file's order."""
    grid: VolumeGrid
    """What the header says of its place."""
    n_not_finite: int = 0
    """Voxels without a number (NaN), which became 0."""

    def placed(self, affine_lps_mm: FloatArray) -> "VolumeFrames":
        """Return the same images in another place; ``affine_lps_mm``, shape (4, 4), maps (i, j, k, 1) to LPS in mm."""
        return replace(self, affine_lps_mm=affine_lps_mm, planes=volume_planes(affine_lps_mm, self.shape))

    def turned(self, turn: FloatArray) -> "VolumeFrames":
        """Return the same images in turned coordinates; ``turn``, shape (4, 4), maps LPS to LPS."""
        return self.placed(turn @ self.affine_lps_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The sizes of i, j and k."""
        _, n_slices, rows, columns = self.images.shape
        return columns, rows, n_slices

    @property
    def has_heart_size(self) -> bool:
        """Whether a heart may have the voxel sizes that the header gives; if not, lengths in mm are not known."""
        return is_heart_size(self.grid.sizes_mm, self.shape)

    def is_on_grid(self, affine_lps_mm: FloatArray, shape: tuple[int, ...]) -> bool:
        """Tell whether another volume has the same voxels: ``affine_lps_mm`` as in :meth:`placed`, the sizes of i, j and k."""
        return shape == self.shape and corner_distance_mm(affine_lps_mm, self.affine_lps_mm, shape) <= SAME_GRID_MM

    def index_of(self, single: "VolumeFrames") -> int | None:
        """Return the frame, from 0, whose values are those of an image of one frame on the same grid; None if none is."""
        if not self.is_on_grid(single.affine_lps_mm, single.shape):
            return None
        is_whole = self.rescale == single.rescale == (1.0, 0.0)
        tolerance = 0.0 if is_whole else 0.51 * (self.rescale[0] + single.rescale[0])
        wanted = _values(single.images[0], single.rescale)
        return next(
            (index for index, image in enumerate(self.images) if np.abs(_values(image, self.rescale) - wanted).max() <= tolerance),
            None,
        )


def read_nifti_frames(path: Path, name: str, *, is_annotated: bool) -> VolumeFrames:
    """Read the images of a volume.

    Parameters
    ----------
    path
        The file.
    name
        How messages call it.
    is_annotated
        Whether label maps lie beside it; if so, an image may consist of few values as long as they are no small whole numbers.

    Returns
    -------
        Its frames. Whole numbers up to 65,535 are kept as they are, others brought to that range.

    Raises
    ------
    StudyError
        It cannot be read, its matrix is not that of an image, or it is a label map.
    """
    try:
        values, grid = read_volume(path)
        values, n_not_finite = _with_numbers(values)
        stored, rescale = to_uint16(values)
        affine_lps_mm = LPS_FROM_RAS @ grid.affine_ras
        planes = volume_planes(affine_lps_mm, values.shape[:3])
    except AnnotationError as error:
        raise StudyError(RejectionCode.UNREADABLE_SOURCE, f"{name} {error}") from error
    except GeometryError as error:
        raise StudyError(error.code, f"{name}: {error}") from error
    images = np.ascontiguousarray(stored.transpose(3, 2, 1, 0))
    if _is_label_map(images, rescale, is_annotated=is_annotated):
        raise StudyError(
            RejectionCode.NO_IMAGE,
            f"{name} holds at most {MAX_CLASSES} different values a slice, where an image has hundreds: it is a label map, not an "
            "image; give the image, and name the label map as such (gt, label, seg) or put it into a folder of labels",
        )
    return VolumeFrames(
        images=images, rescale=rescale, affine_lps_mm=affine_lps_mm, planes=planes, grid=grid, n_not_finite=n_not_finite
    )


def join_frames(volumes: Sequence[VolumeFrames]) -> VolumeFrames:
    """Return the first frame of each volume as one volume, all of one grid; values with scales of their own get a common one."""
    first = volumes[0]
    images = [volume.images[0] for volume in volumes]
    if all(volume.rescale == first.rescale for volume in volumes):
        return replace(first, images=np.stack(images))
    values = np.stack([_values(image, volume.rescale) for image, volume in zip(images, volumes, strict=True)])
    stored, rescale = to_uint16(np.moveaxis(values, 0, -1))
    return replace(first, images=np.moveaxis(stored, -1, 0), rescale=rescale)


def _values(image: NDArray[np.uint16], rescale: tuple[float, float]) -> FloatArray:
    """Return the file's values of stored ones."""
    return np.asarray(image * rescale[0] + rescale[1], dtype=np.float64)


def _with_numbers(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Return values with 0 where there is no number, and how many there were."""
    if values.dtype.kind != "f":
        return values, 0
    is_nan = np.isnan(values)
    n_not_finite = int(is_nan.sum())
    return (np.where(is_nan, values.dtype.type(0), values) if n_not_finite else values), n_not_finite


def _is_label_map(images: NDArray[np.uint16], rescale: tuple[float, float], *, is_annotated: bool) -> bool:
    """Tell whether no slice of a volume has more values than a label map has."""
    if is_annotated and (rescale != (1.0, 0.0) or images.max() > MAX_CLASSES):
        return False
    return all(len(np.unique(image)) <= MAX_CLASSES for frames in images for image in frames)


def volume_planes(affine_lps_mm: FloatArray, shape: tuple[int, ...]) -> tuple[ImagePlane, ...]:
    """Return the plane of each slice of a volume.

    Parameters
    ----------
    affine_lps_mm
        Shape (4, 4): (i, j, k, 1) to LPS in mm; i becomes the column, j the row.
    shape
        The sizes of i, j and k.

    Raises
    ------
    GeometryError
        The axes are too far from perpendicular, or pixels too long: slices along the first or second axis.
    """
    steps = affine_lps_mm[:3, :3]
    sizes = np.linalg.norm(steps, axis=0)
    if max(sizes[:2]) > MAX_ELONGATION * min(sizes[:2]):
        raise InvalidOrientationError(
            f"pixels of {sizes[0]:.2f} × {sizes[1]:.2f} mm are no cine's: the slices do not lie along the third axis; reorder the "
            "axes"
        )
    cosines = steps[:, :2] / sizes[:2]
    left, _, right = np.linalg.svd(cosines, full_matrices=False)
    straight = left @ right
    if np.abs(straight - cosines).max() > MAX_SKEW:
        raise InvalidOrientationError(
            "the matrix to patient coordinates is skewed: rows and columns meet with a dot product of "
            f"{cosines[:, 0] @ cosines[:, 1]:.3f}"
        )
    columns, rows, n_slices = (int(size) for size in shape)
    return tuple(
        ImagePlane(
            position_mm=affine_lps_mm[:3, 3] + slice_index * steps[:, 2],
            row_cosine=straight[:, 0],
            column_cosine=straight[:, 1],
            row_spacing_mm=float(sizes[1]),
            column_spacing_mm=float(sizes[0]),
            rows=rows,
            columns=columns,
        )
        for slice_index in range(n_slices)
    )


def to_uint16(values: NDArray[Any]) -> tuple[NDArray[np.uint16], tuple[float, float]]:
    """Return values as unsigned 16-bit numbers, and the slope and intercept that restore them.

    Examples
    --------
    >>> to_uint16(np.array([0, 700]))[1], to_uint16(np.array([-1.0, 0.5]))[0].tolist()
    ((1.0, 0.0), [0, 65535])
    """
    if values.dtype.kind not in "uif":
        raise AnnotationError("holds values that are no intensities (colours, or complex numbers)")
    low, high = float(values.min()), float(values.max())
    if not -MAX_INTENSITY < low <= high < MAX_INTENSITY:
        raise AnnotationError("holds values that are no intensities (huge, or infinite)")
    frames = np.moveaxis(values, -1, 0)  # one at a time, for their copies are large
    if low >= 0 and high <= np.iinfo(np.uint16).max and all(bool((frame == np.rint(frame)).all()) for frame in frames):
        return values.astype(np.uint16), (1.0, 0.0)
    slope = (high - low) / np.iinfo(np.uint16).max or 1.0
    stored = np.empty(values.shape, dtype=np.uint16)
    for index, frame in enumerate(frames):
        stored[..., index] = np.rint((frame.astype(np.float64) - low) / slope)
    return stored, (slope, low)
