"""How well two images agree along their common line, for every way in which the one may lie from the other.

Where plane B lies by a vector r from where it should lie beside plane A, the tissue of their common line is elsewhere in both
images: on a parallel line in A, on a parallel line in B, and farther along. These three offsets are linear in r. A surface holds
the correlation of the two profiles on a grid of offsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.sampling import sample
from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry import ImagePlane, intersect_planes
from cmr_planes.geometry.arrays import FloatArray, IntArray, cross, freeze_fields

STEP_MM = 2.0
"""Distance of samples along a line, of parallel lines, and of offsets."""
REACH_MM = 60.0
"""Profiles reach this far to both sides of the heart's axis."""
RANGE_MM = 20.0
"""Largest offset of a grid: how far two images may lie from one another, in each direction."""
MIN_COMMON_MM = 80.0
"""With less of a line inside both images a correlation says nothing."""
MIN_SINE = 0.34
"""Sine of 20 degrees: planes that meet at less share too blurred a line."""
MIN_DEVIATION = 1e-3
"""A profile whose standard deviation is less than this part of its image's is flat."""

N_SIDE = round(RANGE_MM / STEP_MM)
"""Offsets of a grid to each side of none."""
N_OFFSETS = 2 * N_SIDE + 1
"""Offsets of a grid on each axis."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThickImage:
    """An image, and how thick the slice is that it shows."""

    plane: ImagePlane
    """Where it lies."""
    image: NDArray[np.uint16]
    """Shape (rows, columns)."""
    thickness_mm: float
    """Of the slice."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineSurfaces:
    """The correlations of some pairs of images."""

    pairs: IntArray
    """Shape (pair, 2): indices of the images."""
    offsets_from_shift: FloatArray
    """Shape (pair, 3, 3): maps the shift of the second image less that of the first, LPS, mm, to the offsets in mm: of the line in
    the first image, of the line in the second one, and along them."""
    correlation: NDArray[np.float32]
    """Shape (pair, offset, offset, offset): correlation at offsets from ``-RANGE_MM`` to ``RANGE_MM``; 0 where it is not known."""

    def __post_init__(self) -> None:
        freeze_fields(self)


def line_surfaces(images: Sequence[ThickImage], pairs: Sequence[tuple[int, int]], centres_mm: Sequence[FloatArray]) -> LineSurfaces:
    """Correlate pairs of images along their common lines.

    Parameters
    ----------
    images
        The images.
    pairs
        Which of them.
    centres_mm
        For each pair the heart's middle near the line, shape (3,), LPS.

    Returns
    -------
        The surfaces of the pairs that share a line of at least ``MIN_COMMON_MM`` with intensities that are not flat.
    """
    sources = [_Source.of(image) for image in images]
    kept, maps, surfaces = [], [], []
    for (first, second), centre_mm in zip(pairs, centres_mm, strict=True):
        found = _pair(sources[first], sources[second], centre_mm)
        if found is not None:
            kept.append((first, second))
            maps.append(found[0])
            surfaces.append(found[1])
    return LineSurfaces(
        pairs=np.array(kept, dtype=np.int64).reshape(-1, 2),
        offsets_from_shift=np.array(maps).reshape(-1, 3, 3),
        correlation=np.array(surfaces, dtype=np.float32).reshape(-1, N_OFFSETS, N_OFFSETS, N_OFFSETS),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """An image made ready to be sampled."""

    plane: ImagePlane
    values: NDArray[np.float32]
    thickness_mm: float
    row_column_from_patient: FloatArray
    """Shape (2, 3), pixels per mm."""
    least_deviation: float
    """Standard deviation below which a profile is flat."""

    @classmethod
    def of(cls, image: ThickImage) -> "_Source":
        values = image.image.astype(np.float32)
        return cls(
            plane=image.plane,
            values=values,
            thickness_mm=image.thickness_mm,
            row_column_from_patient=image.plane.pixel_from_patient[::-1],
            least_deviation=MIN_DEVIATION * max(float(values.std()), MIN_DEVIATION),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Bank:
    """Parallel profiles of an image."""

    values: NDArray[np.float32]
    """Shape (line, sample)."""
    inside: NDArray[np.bool_] | None
    """Which samples are inside the image, the same shape; None for all."""

    def middle(self) -> NDArray[np.bool_]:
        """Return which samples of the middle line are inside."""
        return np.ones(self.values.shape[1], dtype=np.bool_) if self.inside is None else self.inside[N_SIDE]

    def is_flat(self, least_deviation: float) -> bool:
        """Tell whether the middle line has no contrast."""
        known = self.values[N_SIDE, self.middle()]
        return not known.size or float(known.std()) <= least_deviation


def _pair(first: _Source, second: _Source, centre_mm: FloatArray) -> tuple[FloatArray, NDArray[np.float32]] | None:
    """Return the map from shifts to offsets and the correlations of two images, None where they cannot be compared."""
    try:
        line = intersect_planes(first.plane, second.plane)
    except ParallelPlanesError:
        return None
    along, normals = line.direction, np.stack([first.plane.normal, second.plane.normal])
    sine = float(1 - (normals[0] @ normals[1]) ** 2) ** 0.5
    if sine < MIN_SINE:
        return None
    middle_mm = line.point_mm + ((centre_mm - line.point_mm) @ along) * along
    across = cross(normals[0], along), cross(normals[1], along)
    bank = _sample(first, middle_mm, (across[0], along), REACH_MM, second.thickness_mm / sine)
    other = _sample(second, middle_mm, (across[1], along), REACH_MM + RANGE_MM, first.thickness_mm / sine)
    n_more = round(RANGE_MM / STEP_MM)
    common_mm = STEP_MM * (bank.middle() & other.middle()[n_more:-n_more]).sum()
    if common_mm < MIN_COMMON_MM or bank.is_flat(first.least_deviation) or other.is_flat(second.least_deviation):
        return None
    offsets_from_shift = np.stack([normals[1] / (across[0] @ normals[1]), -normals[0] / (across[1] @ normals[0]), along])
    return offsets_from_shift, _correlate(bank, other)


def _sample(
    source: _Source, middle_mm: FloatArray, directions: tuple[FloatArray, FloatArray], reach_mm: float, width_mm: float
) -> _Bank:
    """Sample an image on parallel lines, each averaged over the width that the other slice has there.

    Parameters
    ----------
    source
        The image.
    middle_mm
        Middle of the middle line, shape (3,), LPS.
    directions
        Across and along the lines: unit vectors in the plane, shape (3,) each.
    reach_mm
        Length of a line to each side.
    width_mm
        What is averaged across the lines.
    """
    weights = _box_weights(width_mm)
    n_more = len(weights) // 2
    n_across, n_along = N_SIDE + n_more, round(reach_mm / STEP_MM)
    start = source.row_column_from_patient @ (middle_mm - source.plane.position_mm)
    across, along = (STEP_MM * source.row_column_from_patient @ direction for direction in directions)
    lines, samples = np.arange(-n_across, n_across + 1)[:, None], np.arange(-n_along, n_along + 1)
    row_column = start[:, None, None] + across[:, None, None] * lines + along[:, None, None] * samples
    values = sample(source.values, row_column).astype(np.float32)
    thick = np.zeros((N_OFFSETS, len(samples)), dtype=np.float32)
    for index, weight in enumerate(weights):
        thick += weight * values[index : index + N_OFFSETS]
    return _Bank(thick, _inside(row_column[:, n_more : n_more + N_OFFSETS], source.plane))


def _inside(row_column: FloatArray, plane: ImagePlane) -> NDArray[np.bool_] | None:
    """Tell which points of a grid, shape (2, line, sample), are between the outermost pixels' centres; None if all are."""
    last = np.array([plane.rows - 1, plane.columns - 1])[:, None, None]
    corners = row_column[:, :: row_column.shape[1] - 1, :: row_column.shape[2] - 1]
    if ((corners >= 0) & (corners <= last)).all():
        return None
    return np.asarray(((row_column >= 0) & (row_column <= last)).all(axis=0))


def _box_weights(width_mm: float) -> NDArray[np.float32]:
    """Return the parts of a box of a width, in mm, that fall to samples around its middle; an odd number, sum 1."""
    n_side = int(np.ceil(max(width_mm / STEP_MM - 1, 0) / 2))
    places = np.arange(-n_side, n_side + 1)
    half = max(width_mm / STEP_MM, 1) / 2
    weights = np.minimum(places + 0.5, half) - np.maximum(places - 0.5, -half)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _correlate(bank: _Bank, other: _Bank) -> NDArray[np.float32]:
    """Correlate each profile of one image with each of another, at each offset along them; shape (line, line, offset)."""
    if bank.inside is None and other.inside is None:
        return _correlate_whole(bank.values, other.values)
    inside, others_inside = (
        np.ones(one.values.shape, dtype=np.bool_) if one.inside is None else one.inside for one in (bank, other)
    )
    length = bank.values.shape[1]
    mask, masks = inside.astype(np.float32), _windows(others_inside.astype(np.float32), length)
    centred = (bank.values - bank.values[inside].mean()) * mask
    windows = _windows((other.values - other.values[others_inside].mean()) * others_inside, length)
    n = np.maximum(mask @ masks, 1)
    mean_first, mean_second = centred @ masks / n, mask @ windows / n
    covariance = centred @ windows / n - mean_first * mean_second
    variance = (centred**2 @ masks / n - mean_first**2) * (mask @ windows**2 / n - mean_second**2)
    found = np.where(n * STEP_MM >= MIN_COMMON_MM, covariance / np.sqrt(np.maximum(variance, 1e-6)), 0)
    return np.asarray(found.reshape(N_OFFSETS, N_OFFSETS, N_OFFSETS).clip(-1, 1))


def _correlate_whole(values: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlate profiles all of whose samples are inside the images."""
    n = values.shape[1]
    centred = values - values.mean(axis=1, keepdims=True)
    windows = _windows(others - others.mean(), n)
    variance = (windows**2).sum(axis=0) - windows.sum(axis=0) ** 2 / n
    norms = np.sqrt(np.maximum((centred**2).sum(axis=1)[:, None] * variance, 1e-6))
    return np.asarray((centred @ windows / norms).reshape(N_OFFSETS, N_OFFSETS, N_OFFSETS).clip(-1, 1))


def _windows(lines: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return each stretch of a length of lines, shape (line, sample), as a column, the last ones first; (length, line × offset)."""
    stretches = np.lib.stride_tricks.sliding_window_view(lines, length, axis=1)[:, ::-1]
    return np.ascontiguousarray(stretches.reshape(-1, length).T)
