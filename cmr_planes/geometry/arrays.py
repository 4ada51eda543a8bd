"""Array types and the freezing of arrays in value classes."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
"""Coordinates, directions and lengths."""
IntArray: TypeAlias = NDArray[np.int64]
"""Pixel indices."""
BoolArray: TypeAlias = NDArray[np.bool_]
"""Flags."""
LabelArray: TypeAlias = NDArray[np.uint8]
"""Classes of a label map."""


def frozen(values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return a read-only float64 copy of the given shape; ``ValueError`` if the shape differs."""
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, got {array.shape}")
    array.setflags(write=False)
    return array


def unit(vector: FloatArray) -> FloatArray:
    """Return ``vector`` (shape (n,)) scaled to length 1."""
    return vector / np.linalg.norm(vector)
