"""The largest connected part of each structure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cmr_planes.views import Structure

NEIGHBOURS = np.ones((3, 3, 3), dtype=np.bool_)
"""Of a voxel: the eight around it in its slice, and the nine nearest of each neighbouring slice."""


def keep_largest(labels: NDArray[np.uint8], structures: Iterable[Structure]) -> tuple[NDArray[np.uint8], dict[Structure, int]]:
    """Make all but the largest connected part of each structure background, in each phase by itself.

    Parameters
    ----------
    labels
        Shape (phases, slices, rows, columns): values of ``Structure``. Slices that follow each other are neighbours.
    structures
        Those that are cleaned. The myocardium of a single slice is left as it is: a plane along the heart may cut it twice.

    Returns
    -------
    labels
        A new array. Of two largest parts of equal size the first stays.
    removed
        Voxels that became background, of each structure that was cleaned.
    """
    cleaned = labels.copy()
    removed: dict[Structure, int] = {}
    for structure in structures:
        if structure is Structure.MYO and labels.shape[1] == 1:
            continue
        removed[structure] = 0
        for phase, volume in enumerate(labels):
            parts, n_parts = ndimage.label(volume == structure, structure=NEIGHBOURS)
            if n_parts > 1:
                sizes = np.bincount(parts.ravel())[1:]
                small = (parts > 0) & (parts != sizes.argmax() + 1)
                cleaned[phase][small] = 0
                removed[structure] += int(np.count_nonzero(small))
    return cleaned, removed
