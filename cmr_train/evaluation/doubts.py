"""Signs that a segmentation of a short-axis stack should be examined before its numbers are used."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import Structure
from cmr_train.evaluation.volumes import Doubt, plane_distances_mm

LEAST_RUNS_DICE = 0.7
"""Two networks that agree less on a structure differ: below this Dice Robinson et al., JCMR 2019, call a segmentation poor."""
MOST_DISTANCE = 1.5
"""Neighbouring slices farther apart than this many times the median distance have a gap: one is missing between them."""
MOST_REMOVED_SHARE = 0.1
"""More than this share of a structure's voxels outside its largest part is no speckle."""


def pairwise_dice(labels: Sequence[NDArray[np.uint8]], classes: Sequence[int]) -> NDArray[np.float64]:
    """Return how well some networks agree.

    Parameters
    ----------
    labels
        Of each network, shape (phases, slices, rows, columns).
    classes
        The classes that are compared.

    Returns
    -------
        Shape (phases, classes): Dice over all slices of a phase together, the mean over all pairs of networks. NaN where no pair
        has the class, and for a single network.
    """
    n_phases = len(labels[0]) if labels else 0
    dice = np.full((len(labels) * (len(labels) - 1) // 2, n_phases, len(classes)), np.nan)
    for column, number in enumerate(classes):
        masks = [each == number for each in labels]
        sizes = [mask.sum(axis=(1, 2, 3)) for mask in masks]
        for row, (first, second) in enumerate(combinations(range(len(masks)), 2)):
            common, either = (masks[first] & masks[second]).sum(axis=(1, 2, 3)), sizes[first] + sizes[second]
            np.divide(2.0 * common, either, out=dice[row, :, column], where=either > 0)
    n_pairs = np.isfinite(dice).sum(axis=0)
    means: NDArray[np.float64] = np.divide(np.nansum(dice, axis=0), n_pairs, out=np.full(n_pairs.shape, np.nan), where=n_pairs > 0)
    return means


def stack_doubts(
    labels: NDArray[np.uint8],
    affines_lps_mm: NDArray[np.float64],
    *,
    cleaned: NDArray[np.uint8],
    runs_dice: NDArray[np.float64] | None,
) -> tuple[Doubt, ...]:
    """Look for signs of a wrong segmentation.

    Parameters
    ----------
    labels
        Shape (phases, slices, rows, columns): the phases that are measured, as the networks left them.
    affines_lps_mm
        Shape (slices, 4, 4), as of :func:`cmr_train.evaluation.volumes.voxel_volumes_ml`.
    cleaned
        The labels that are measured: the same, or with the largest part of each structure alone.
    runs_dice
        Shape (phases, classes), as :func:`pairwise_dice` returns it for these phases; None for a single network.
    """
    found = []
    if any(lacks_middle_slice(volume == Structure.LV) for volumes in (labels, cleaned) for volume in volumes):
        found.append(Doubt.LV_MISSING_MID)
    distances_mm = plane_distances_mm(affines_lps_mm)
    if len(distances_mm) and distances_mm.max() > MOST_DISTANCE * np.median(distances_mm):
        found.append(Doubt.STACK_GAP)
    if runs_dice is not None and (runs_dice < LEAST_RUNS_DICE).any():
        found.append(Doubt.RUNS_DIFFER)
    if any(_removed_share(labels == structure, cleaned) > MOST_REMOVED_SHARE for structure in Structure if structure):
        found.append(Doubt.MUCH_REMOVED)
    return tuple(found)


def _removed_share(mask: NDArray[np.bool_], cleaned: NDArray[np.uint8]) -> float:
    """Return the share of a structure, in the phase that lost most of it, that became background; arrays as of a few phases."""
    sizes = np.count_nonzero(mask, axis=(1, 2, 3))
    removed = np.count_nonzero(mask & (cleaned == 0), axis=(1, 2, 3))
    return float(np.max(removed / np.maximum(sizes, 1), initial=0.0))


def lacks_middle_slice(mask: NDArray[np.bool_]) -> bool:
    """Tell whether a structure that was found is missing on a slice of the middle third, or between two on which it was found.

    Parameters
    ----------
    mask
        Shape (slices, rows, columns).
    """
    has = np.asarray(mask.any(axis=(1, 2)))
    where = np.flatnonzero(has)
    if not len(where):
        return False
    centres = (np.arange(len(has)) + 0.5) / len(has)
    is_middle = (centres > 1 / 3) & (centres < 2 / 3)
    is_middle[where[0] : where[-1] + 1] = True
    return bool((is_middle & ~has).any())
