"""How well a label map agrees with the truth: Dice, mean contour distance, and the 95th percentile of Hausdorff's distance.

Definitions, for one structure in one volume (all slices of one phase of one subject):

dice
    2 |A ∩ B| / (|A| + |B|) over all slices together. Both empty: no value (NaN). One empty: 0.
bai2019
    In each slice where both masks exist, the mean of the two directed mean distances between the points of the *outer* contours,
    in mm; then the mean over those slices. A contour's points are what ``cv2.findContours`` returns with ``RETR_EXTERNAL`` and
    ``CHAIN_APPROX_NONE``, as in the published code of Bai et al.: the boundary of each 8-connected part against the background
    that surrounds everything, walked round once. Holes, and parts inside holes, have no outer contour: of the myocardium only the
    epicardium counts. Where the walk passes a pixel twice (parts one pixel thin) the pixel counts twice.
all_borders
    In each such slice, the mean over all border pixels of both masks, of the distance to the other mask's nearest border pixel;
    then the mean over slices. A border pixel has one of its four neighbours, or the image's edge, outside the mask: what MedPy
    calls ``assd`` and MONAI the symmetric average surface distance.
hausdorff95
    In each such slice, the larger of the two directed 95th percentiles (linear between ranks) of those distances; then the mean
    over slices. MONAI's definition.

Slices in which only one mask exists have no distance: how many were scored, missed and invented is part of every score, and a
volume without a scored slice is a failure, unless both masks are empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmr_train.evaluation.contour_distances import BoolArray, FloatArray, IntArray, all_borders, directed_distances, outer_contours

PERCENTILE = 95
"""Of the directed distances, for Hausdorff's distance; in percent."""


class Metric(StrEnum):
    """Measures of agreement. Their values are the columns of files, and hold the definition and the unit."""

    DICE = "dice"
    """Overlap, 0 to 1."""
    BAI2019 = "contour_distance_bai2019_mm"
    """Mean distance of the outer contours."""
    ALL_BORDERS = "contour_distance_all_borders_mm"
    """Mean distance of all borders."""
    HAUSDORFF95 = "hausdorff95_all_borders_mm"
    """95th percentile of the distance of all borders."""

    @property
    def definition(self) -> str:
        """Definition, in a sentence."""
        return _DEFINITIONS[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One structure in one volume."""

    dice: float
    """0 to 1; NaN where truth and prediction are both empty."""
    bai2019_mm: float
    """Mean contour distance ``bai2019``; NaN where no slice could be scored."""
    all_borders_mm: float
    """Mean contour distance ``all_borders``; NaN where no slice could be scored."""
    hausdorff95_mm: float
    """``hausdorff95``; NaN where no slice could be scored."""
    n_scored: int
    """Slices in which both masks exist: those with a distance."""
    n_missed: int
    """Slices in which only the truth has the structure."""
    n_invented: int
    """Slices in which only the prediction has it."""

    @property
    def is_empty(self) -> bool:
        """Whether neither truth nor prediction has the structure: there is nothing to score."""
        return self.n_scored + self.n_missed + self.n_invented == 0

    @property
    def is_failure(self) -> bool:
        """Whether there is no distance because truth and prediction share no slice."""
        return self.n_scored == 0 and not self.is_empty

    def value(self, metric: Metric) -> float:
        """Return one of the four numbers."""
        numbers = {
            Metric.DICE: self.dice,
            Metric.BAI2019: self.bai2019_mm,
            Metric.ALL_BORDERS: self.all_borders_mm,
            Metric.HAUSDORFF95: self.hausdorff95_mm,
        }
        return numbers[metric]


_DEFINITIONS = {
    Metric.DICE: "Dice of the volume: all slices of a phase together; 0 if only one mask is empty, no value if both are",
    Metric.BAI2019: (
        "mean contour distance bai2019: in each slice that has both masks, the mean of the two directed mean distances between "
        "outer contours, in mm; then the mean over slices"
    ),
    Metric.ALL_BORDERS: (
        "mean contour distance all_borders: in each slice that has both masks, the mean over all border pixels of both of the "
        "distance to the other border, in mm; then the mean over slices"
    ),
    Metric.HAUSDORFF95: (
        "Hausdorff 95 all_borders: in each slice that has both masks, the larger of the two directed 95th percentiles of the "
        "distances between all borders, in mm; then the mean over slices"
    ),
}


def score_volume(
    truth: NDArray[Any], prediction: NDArray[Any], *, classes: Sequence[int], spacing_mm: ArrayLike
) -> tuple[Score, ...]:
    """Compare two label maps.

    Parameters
    ----------
    truth, prediction
        Shape (slices, rows, columns): label maps, classes 0 to 255.
    classes
        The structures to score.
    spacing_mm
        Shape (2,) or (slices, 2): distance between rows, distance between columns.

    Returns
    -------
        One score for each class.

    Raises
    ------
    ValueError
        The shapes differ, are not three-dimensional, or a spacing is not positive.

    Examples
    --------
    >>> truth = np.zeros((1, 8, 8), np.uint8)
    >>> truth[0, 2:6, 2:6] = 1
    >>> (score,) = score_volume(truth, np.roll(truth, 1, axis=2), classes=[1], spacing_mm=(2.0, 2.0))
    >>> score.dice, score.bai2019_mm, score.n_scored
    (0.75, 1.0, 1)
    """
    if truth.ndim != 3 or truth.shape != prediction.shape:
        raise ValueError(
            f"truth and prediction must be of one shape (slices, rows, columns), and are {truth.shape}, {prediction.shape}"
        )
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (len(truth), 2))
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        raise ValueError(f"spacing_mm must be positive, and is {spacing.tolist()}")
    masks = _masks(truth, prediction, classes)
    n_pixels = np.count_nonzero(masks, axis=(3, 4))
    n_common = np.count_nonzero(masks[0] & masks[1], axis=(1, 2, 3))
    n_scored, n_missed, n_invented = (
        np.count_nonzero(is_counted, axis=1).tolist()
        for is_counted in (n_pixels.all(axis=0), (n_pixels[0] > 0) & (n_pixels[1] == 0), (n_pixels[1] > 0) & (n_pixels[0] == 0))
    )
    distances_mm = _mean_distances(masks, n_pixels.all(axis=0), spacing)
    return tuple(
        Score(
            dice=dice,
            bai2019_mm=distances_mm[0][number],
            all_borders_mm=distances_mm[1][number],
            hausdorff95_mm=distances_mm[2][number],
            n_scored=n_scored[number],
            n_missed=n_missed[number],
            n_invented=n_invented[number],
        )
        for number, dice in enumerate(_dice(n_common, n_pixels.sum(axis=2)))
    )


def _masks(truth: NDArray[Any], prediction: NDArray[Any], classes: Sequence[int]) -> BoolArray:
    """Return masks of shape (2, classes, slices, rows, columns), cut to the part of the image in which there is any."""
    both = np.stack([truth, prediction])
    is_wanted = np.zeros(256, dtype=np.bool_)
    is_wanted[list(classes)] = True
    wanted = is_wanted[both]
    rows, columns = (_extent(wanted.any(axis=axes)) for axes in ((0, 1, 3), (0, 1, 2)))
    masks: BoolArray = both[:, np.newaxis, :, rows, columns] == np.asarray(classes).reshape(1, -1, 1, 1, 1)
    return masks


def _extent(is_used: BoolArray) -> slice:
    """Return the shortest range, of shape (n,), that holds every True."""
    used = np.flatnonzero(is_used)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)


def _dice(n_common: IntArray, n_pixels: IntArray) -> list[float]:
    """Return Dice of each class from pixel counts, shapes (classes,) and (2, classes)."""
    total = n_pixels.sum(axis=0)
    values: list[float] = np.where(total > 0, 2 * n_common / np.maximum(total, 1), np.nan).tolist()
    return values


def _mean_distances(masks: BoolArray, is_scored: BoolArray, spacing_mm: FloatArray) -> list[list[float]]:
    """Return the three distances of every class, averaged over its scored slices.

    Parameters
    ----------
    masks
        Shape (2, classes, slices, rows, columns).
    is_scored
        Shape (classes, slices): whether both masks exist.
    spacing_mm
        Shape (slices, 2).

    Returns
    -------
        Three lists, by class: ``bai2019``, ``all_borders``, ``hausdorff95``; NaN where no slice is scored.
    """
    truth, prediction = masks[:, is_scored]
    class_number, slice_number = np.nonzero(is_scored)
    spacing = spacing_mm[slice_number]
    there, back = directed_distances(outer_contours(truth), outer_contours(prediction), spacing)
    bai2019 = (there.mean_mm() + back.mean_mm()) / 2
    there, back = directed_distances(all_borders(truth), all_borders(prediction), spacing)
    pooled = (there.sum_mm() + back.sum_mm()) / (there.n_points() + back.n_points())
    hausdorff = np.maximum(there.percentile_mm(PERCENTILE), back.percentile_mm(PERCENTILE))
    n_scored = np.bincount(class_number, minlength=len(is_scored))
    means = (
        np.bincount(class_number, values, minlength=len(is_scored)) / np.where(n_scored > 0, n_scored, np.nan)
        for values in (bai2019, pooled, hausdorff)
    )
    return [values.tolist() for values in means]
