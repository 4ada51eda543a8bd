"""Public sets without DICOM: NIfTI images of a subject, and the label maps beside them.

Understood are the layouts of ACDC (``patient001_frame01.nii.gz`` and ``_gt``, ``Info.cfg``), M&Ms (``ID_sa.nii.gz`` and ``_sa_gt``,
whole cines), M&Ms-2 (``001_SA_ED.nii.gz``, ``001_LA_ES_gt.nii.gz``) and ukbb_cardiac (``sa_ED.nii.gz``, ``label_sa_ED.nii.gz``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import AnnotationError, GeometryError, InvalidOrientationError, RejectionCode, StudyError
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.volumes import LPS_FROM_RAS, read_volume

MAX_INTENSITY = 1e12
"""Larger values are no intensities of a scanner."""
MAX_SKEW = 0.02
"""Cosines of a NIfTI matrix that are farther from perpendicular unit vectors are refused; nearer ones are straightened."""


@dataclass(frozen=True, slots=True, eq=False)
class VolumeFrames:
    """Images of one view."""

    images: NDArray[np.uint16]
    """Shape (frame, slice, row, column)."""
    rescale: tuple[float, float]
    """Slope and intercept back to the file's values."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice."""


def read_nifti_frames(path: Path, name: str) -> VolumeFrames:
    """Read the images of a volume.

    Parameters
    ----------
    path
        The file.
    name
        How messages call it.

    Returns
    -------
        Its frames. Whole numbers up to 65,535 are kept as they are, others brought to that range.

    Raises
    ------
    StudyError
        It cannot be read, or its matrix is not that of an image.
    """
    try:
        values, affine_ras = read_volume(path)
        stored, rescale = to_uint16(values)
        planes = volume_planes(LPS_FROM_RAS @ affine_ras, values.shape[:3])
    except AnnotationError as error:
        raise StudyError(RejectionCode.UNREADABLE_SOURCE, f"{name} {error}") from error
    except GeometryError as error:
        raise StudyError(error.code, f"{name}: {error}") from error
    return VolumeFrames(np.ascontiguousarray(stored.transpose(3, 2, 1, 0)), rescale, planes)


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
        The axes are too far from perpendicular.
    """
    steps = affine_lps_mm[:3, :3]
    sizes = np.linalg.norm(steps, axis=0)
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
    """Return values as unsigned 16-bit numbers, and the slope and intercept that lead back.

    Examples
    --------
    >>> to_uint16(np.array([0, 700]))[1], to_uint16(np.array([-1.0, 0.5]))[0].tolist()
    ((1.0, 0.0), [0, 65535])
    """
    if values.dtype.kind not in "uif":
        raise AnnotationError("holds values that are no intensities (colours)")
    low, high = float(values.min()), float(values.max())
    if not -MAX_INTENSITY < low <= high < MAX_INTENSITY:  # NaN is not
        raise AnnotationError("holds values that are no intensities (huge, or not finite)")
    frames = np.moveaxis(values, -1, 0)  # one at a time, for their copies are large
    if low >= 0 and high <= np.iinfo(np.uint16).max and all(bool((frame == np.rint(frame)).all()) for frame in frames):
        return values.astype(np.uint16), (1.0, 0.0)
    slope = (high - low) / np.iinfo(np.uint16).max or 1.0
    stored = np.empty(values.shape, dtype=np.uint16)
    for index, frame in enumerate(frames):
        stored[..., index] = np.rint((frame.astype(np.float64) - low) / slope)
    return stored, (slope, low)
