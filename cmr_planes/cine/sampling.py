"""Smoothing of images, and sampling of them between pixels: the two operations that every extraction needs.

The numbers are those of SciPy's ``gaussian_filter``, but for rounding, and of ``map_coordinates``, to the last bit; loading
``scipy.ndimage`` takes longer than reading a subject.
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
    down, across = (_blurring(size, deviation) for size, deviation in zip(images.shape[-2:], deviation_px, strict=True))
    return np.asarray(down @ images @ across.T)


def _blurring(size: int, deviation: float) -> FloatArray:
    """Return the matrix that smooths along an axis, shape (size, size): as a product it takes half the time of a filter."""
    radius = int(_REACH * deviation + 0.5)
    weights = np.exp(-0.5 / (deviation * deviation) * np.arange(-radius, radius + 1) ** 2)
    mirrored = np.arange(-radius, size + radius) % (2 * size)
    mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
    matrix = np.zeros((size, size))
    for offset, weight in enumerate(weights / weights.sum()):
        np.add.at(matrix, (np.arange(size), mirrored[offset : offset + size]), weight)
    return matrix


def sample(values: NDArray[np.number], place: NDArray[np.float64] | Sequence[FloatArray]) -> FloatArray:
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
    stride = values.size
    for coordinate, size in zip(place, values.shape, strict=True):
        stride //= size
        below = np.floor(coordinate)
        near = 1.0 - (coordinate - below)
        index, after = (stride * np.minimum(np.maximum(one, 0), size - 1).astype(np.intp) for one in (below, below + 1.0))
        corners.append(((index, near), (after, 1.0 - near)))
    total = np.zeros(np.shape(place)[1:])
    flat = values.reshape(-1)  # taking from it takes half the time of indices on each axis
    for corner in product(*corners):
        part = flat.take(sum(index for index, _ in corner)).astype(np.float64)
        for _, weight in corner:
            part *= weight
        total += part
    return total
