"""Whether two images show the same tissue along the line that they share: a check that needs no labels."""

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.sampling import sample
from cmr_planes.geometry import ImagePlane, intersect_planes
from cmr_planes.geometry.arrays import FloatArray

SAMPLE_DISTANCE_MM = 1.0
"""Distance between samples along the line."""
REACH_MM = 60.0
"""Samples reach this far to both sides of the intersection: farther out, the chest wall is still where the heart has moved."""
MIN_SAMPLES = 40
"""With fewer common samples the correlation says nothing."""


def line_agreement(
    first: ImagePlane,
    first_image: NDArray[np.number],
    second: ImagePlane,
    second_image: NDArray[np.number],
    centre_mm: FloatArray,
) -> float:
    """Correlate the intensity profiles of two images along their common line, near the heart.

    Parameters
    ----------
    first, second
        The planes.
    first_image, second_image
        Their images, shape (rows, columns), at the same cardiac phase.
    centre_mm
        Where the heart is, shape (3,), LPS: profiles reach :data:`REACH_MM` from the line's nearest point to it.

    Returns
    -------
        Pearson correlation, -1 to 1; NaN where the images share less than ``MIN_SAMPLES`` mm or one profile is flat.

    Raises
    ------
    ParallelPlanesError
        The planes share no line.
    """
    line = intersect_planes(first, second)
    middle = float((centre_mm - line.point_mm) @ line.direction)
    along = middle + np.arange(-REACH_MM, REACH_MM + SAMPLE_DISTANCE_MM / 2, SAMPLE_DISTANCE_MM)[:, None]
    points = line.point_mm + along * line.direction
    first_px, second_px = first.patient_to_pixel(points), second.patient_to_pixel(points)
    inside = _inside(first_px, first) & _inside(second_px, second)
    if inside.sum() < MIN_SAMPLES:
        return float("nan")
    profiles = np.stack([_sample(first_image, first_px[inside]), _sample(second_image, second_px[inside])])
    if (profiles.std(axis=1) == 0).any():
        return float("nan")
    return float(np.asarray(np.corrcoef(profiles))[0, 1])


def _inside(pixel: FloatArray, plane: ImagePlane) -> NDArray[np.bool_]:
    """Tell which pixel coordinates, shape (n, 2), lie between the image's outermost pixel centres; shape (n,)."""
    last = np.array([plane.columns - 1, plane.rows - 1])
    return np.asarray(((pixel >= 0) & (pixel <= last)).all(axis=1))


def _sample(image: NDArray[np.number], column_row: FloatArray) -> FloatArray:
    """Interpolate an image linearly at pixel coordinates, shape (n, 2); shape (n,)."""
    return sample(image, column_row[:, ::-1].T)
