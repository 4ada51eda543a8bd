"""Array types and the freezing of arrays in value classes."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeAlias

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


def freeze_fields(value: Any) -> None:  # noqa: ANN401  # any dataclass
    """Replace the array fields of a frozen dataclass by read-only copies; numpy forgets the flag when it unpickles."""
    for item in fields(value):
        array = getattr(value, item.name)
        if isinstance(array, np.ndarray):
            copy = array.copy()
            copy.setflags(write=False)
            object.__setattr__(value, item.name, copy)


def unit(vector: FloatArray) -> FloatArray:
    """Return ``vector`` (shape (n,)) scaled to length 1."""
    return vector / np.linalg.norm(vector)


def cross(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the cross product of two vectors, shape (3,): NumPy's, for any shapes, takes many times as long."""
    (a, b, c), (d, e, f) = first.tolist(), second.tolist()
    return np.array([b * f - c * e, c * d - a * f, a * e - b * d])


def distinct(values: ArrayLike) -> FloatArray:
    """Return the different ones among finite numbers, shape (n,), ascending; NumPy's ``unique`` loads its masked arrays first."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    is_first = np.concatenate([np.ones(min(1, len(ordered)), dtype=np.bool_), ordered[1:] != ordered[:-1]])
    return np.asarray(ordered[is_first])


def percentiles(values: NDArray[np.floating], percents: Sequence[float]) -> list[float]:
    """Return percentiles of numbers of any shape, one at least, all finite, between two of them as ``np.percentile`` does.

    That one loads NumPy's masked arrays first.
    """
    ordered = np.partition(values, sorted({index for pair, _ in _around(values.size, percents) for index in pair}), axis=None)
    return percentiles_of_sorted(ordered, percents)


def percentiles_of_sorted(ordered: NDArray[np.floating], percents: Sequence[float]) -> list[float]:
    """Return percentiles, as :func:`percentiles` does, of ascending numbers, shape (n,)."""
    found = []
    for (first, last), share in _around(ordered.size, percents):
        low, high = float(ordered[first]), float(ordered[last])
        found.append(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))
    return found


def _around(size: int, percents: Sequence[float]) -> list[tuple[tuple[int, int], float]]:
    """Return the two places in a sorted array between which each percentile lies, and how far it is from the first."""
    places = [(size - 1) * (percent / 100) for percent in percents]
    return [((int(place), min(int(place) + 1, size - 1)), place - int(place)) for place in places]


def median(values: NDArray[np.floating]) -> float:
    """Return the median of floats of any shape, NaN if there is none or one is NaN; NumPy's loads its masked arrays first."""
    ordered = np.sort(values, axis=None)
    if not ordered.size or np.isnan(ordered[-1]):
        return float("nan")
    return float((ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2)
