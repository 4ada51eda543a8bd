"""Smoothing of images, and sampling of them between pixels: the two operations that every extraction needs.

The numbers are those of SciPy's ``gaussian_filter`` and ``map_coordinates``, to the last bit; loading ``scipy.ndimage`` takes
longer than reading a subject.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import FloatArray

_REACH = 4.0
"""Standard deviations at which a Gaussian is cut off."""


def smooth(images: FloatArray, deviation_px: Sequence[float] | FloatArray) -> FloatArray:
    """Smooth images with a Gaussian.

    Parameters
    ----------
    images
        Shape (..., rows, columns). Beyond its border an image is mirrored.
    deviation_px
        Standard deviation along rows' and columns' indices, in pixels, above 0.

    Returns
    -------
        Shape (..., rows, columns).
    """
    for axis, deviation in zip((-2, -1), deviation_px, strict=True):
        images = np.moveaxis(_smooth_first(np.moveaxis(images, axis, 0), deviation), 0, axis)
    return images


def _smooth_first(values: FloatArray, deviation: float) -> FloatArray:
    """Smooth along the first axis."""
    radius = int(_REACH * deviation + 0.5)
    weights = np.exp(-0.5 / (deviation * deviation) * np.arange(-radius, radius + 1) ** 2)
    weights /= weights.sum()
    count = len(values)
    index = np.arange(-radius, count + radius) % (2 * count)
    padded = values[np.where(index < count, index, 2 * count - 1 - index)]
    total: FloatArray = padded[radius : radius + count] * weights[radius]
    for distance in range(radius, 0, -1):
        pair = padded[radius - distance : radius - distance + count] + padded[radius + distance : radius + distance + count]
        pair *= weights[radius - distance]
        total += pair
    return total


def sample(values: NDArray[np.floating], place: NDArray[np.float64] | Sequence[FloatArray]) -> FloatArray:
    """Interpolate linearly on a grid, of an image most often.

    Parameters
    ----------
    values
        Of the grid's points, any number of axes.
    place
        Where, shape (axis, ...): indices with fractions, of an image the row and the column. Beyond the border of the grid is the
        value on it.

    Returns
    -------
        Values, shape (...).
    """
    corners = []
    for coordinate, size in zip(place, values.shape, strict=True):
        below = np.floor(coordinate)
        near = 1.0 - (coordinate - below)
        index, after = (np.clip(one, 0, size - 1).astype(np.intp) for one in (below, below + 1.0))
        corners.append(((index, near), (after, 1.0 - near)))
    total = np.zeros(np.shape(place)[1:])
    for corner in product(*corners):
        part = values[tuple(index for index, _ in corner)].astype(np.float64)
        for _, weight in corner:
            part *= weight
        total += part
    return total
