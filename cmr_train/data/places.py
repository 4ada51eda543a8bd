"""The relative place of images in their stacks."""

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex


def relative_places(catalogue: Catalogue, index: ImageIndex) -> NDArray[np.float32]:
    """Return where each image of a view lies in its stack, shape (images,): 0 at the base, 1 at the apex, NaN in a stack of one."""
    views = catalogue.views()
    n_slices = dict(zip(zip(views.subject, views.view, strict=True), views.n_slices.tolist(), strict=True))
    steps = np.zeros(len(index))
    for subject, rows in index.rows_by_subject().items():
        steps[rows] = [n_slices[subject, str(index.view[row])] - 1 for row in rows]
    places = np.divide(index.slice_index, steps, out=np.full(len(index), np.nan), where=steps > 0)
    return np.asarray(places, dtype=np.float32)
