"""The largest part of each structure, against a literal search of neighbours."""

from itertools import product

import numpy as np
import pytest

from cmr_planes.views import Structure
from cmr_train.prediction.components import keep_largest

STRUCTURES = (Structure.LV, Structure.MYO, Structure.RV)


def parts(mask):
    """Sets of connected voxels, by walking from neighbour to neighbour."""
    left, found = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        todo = [min(left)]
        part = set()
        while todo:
            at = todo.pop()
            if at in left:
                left.remove(at)
                part.add(at)
                todo += [tuple(np.add(at, step).tolist()) for step in product((-1, 0, 1), repeat=3)]
        found.append(part)
    return found


def test_random_maps_keep_what_a_walk_from_neighbour_to_neighbour_keeps():
    labels = np.random.default_rng(3).choice([0, 0, 0, 0, 0, 1, 2, 3], (2, 4, 9, 11)).astype(np.uint8)
    cleaned, removed = keep_largest(labels, STRUCTURES)
    for structure in STRUCTURES:
        n_removed = 0
        for phase in range(2):
            found = parts(labels[phase] == structure)
            assert len(found) > 2
            largest = max(found, key=len)
            assert set(map(tuple, np.argwhere(cleaned[phase] == structure).tolist())) == largest
            n_removed += sum(map(len, found)) - len(largest)
        assert removed[structure] == n_removed > 0


@pytest.mark.parametrize(
    ("n_slices", "is_removed"),
    [(1, {Structure.LV: 1, Structure.RV: 0}), (2, {Structure.LV: 2, Structure.MYO: 2, Structure.RV: 0})],
)
def test_the_myocardium_of_one_slice_may_have_two_parts(n_slices, is_removed):
    labels = np.zeros((1, n_slices, 9, 9), np.uint8)
    for structure, row in ((Structure.LV, 0), (Structure.MYO, 3)):
        labels[:, :, row, :4] = labels[:, :, row, 6] = structure
    cleaned, removed = keep_largest(labels, STRUCTURES)
    assert removed == is_removed
    assert (cleaned == Structure.MYO).sum() == (5 if n_slices == 1 else 8)
    assert labels[0, 0, 0, 6] == Structure.LV  # what was given stays as it was


def test_slices_that_do_not_touch_are_apart():
    labels = np.zeros((1, 4, 5, 5), np.uint8)
    labels[0, 0, 2, 2] = labels[0, 1, 3, 3] = 1  # a corner of the neighbouring slice
    labels[0, 3, :, :2] = 1  # a slice away
    cleaned, removed = keep_largest(labels, [Structure.LV])
    assert removed == {Structure.LV: 2}
    assert cleaned[0, 3].sum() == 10
