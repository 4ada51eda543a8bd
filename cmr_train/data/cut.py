"""What the common matrix cuts of masks."""

import numpy as np
from numpy.typing import NDArray

from cmr_planes.system.progress import OnMessage
from cmr_planes.system.text import part
from cmr_train.data.datasets import PlaneDataset
from cmr_train.data.images import SAME_PIXELS, count_cut
from cmr_train.errors import TrainError

_SPACING_SPREAD_MM = 0.01
"""By how much the pixel sizes of a view's slices may differ."""


def cut_shares(dataset: PlaneDataset) -> dict[str, float]:
    """Return the share of each subject's labelled pixels outside the matrix, of those who lose any; none without masks."""
    grid, index = dataset.target.grid, dataset.index
    cut: dict[str, int] = {}
    labelled: dict[str, int] = {}
    for row in np.flatnonzero(_may_be_cut(dataset)).tolist() if dataset.target.has_masks else ():
        shape, spacing_mm = (int(index.rows[row]), int(index.columns[row])), dataset.spacing_to_resample_mm(row)
        if all(n <= size for n, size in zip(grid.shape_of(shape, spacing_mm), grid.size, strict=True)):
            continue  # all images of a view have one matrix, so that its other images are not cut either
        n_cut, n_labelled = count_cut(dataset.own_mask(row), spacing_mm, grid)
        subject = index.subject(row)
        cut[subject] = cut.get(subject, 0) + n_cut
        labelled[subject] = labelled.get(subject, 0) + n_labelled
    return {subject: cut[subject] / labelled[subject] for subject in cut if cut[subject]}


def _may_be_cut(dataset: PlaneDataset) -> NDArray[np.bool_]:
    """Return which images may be larger than the matrix, shape (images,), from the catalogue's tables alone."""
    grid, index = dataset.target.grid, dataset.index
    rows = index.first_rows()  # all images of a view have one matrix
    sizes = np.stack([index.rows[rows], index.columns[rows]], axis=1).astype(np.float64)
    if grid.pixel_mm is not None:
        subjects, of_view = dataset.catalogue.spacings_mm(dataset.target.view)
        spacing_of = dict(zip(subjects, of_view.tolist(), strict=True))
        spacings_mm = np.array([spacing_of.get(index.subject(row), (np.inf, np.inf)) for row in rows.tolist()]).reshape(-1, 2)
        sizes = sizes * (spacings_mm + _SPACING_SPREAD_MM) / grid.pixel_mm * (1 + 2 * SAME_PIXELS) + 1
    is_large = np.zeros(len(index.subjects), dtype=np.bool_)
    is_large[index.subject_number[rows]] = (sizes > grid.size).any(axis=1)
    return np.asarray(is_large[index.subject_number])


def check_cut(dataset: PlaneDataset, max_cut: float, on_message: OnMessage) -> None:
    """Say what the matrix cuts of the labels, or boxes, of a training set.

    Raises
    ------
    TrainError
        A subject loses more than ``max_cut`` of them.
    """
    shares = cut_shares(dataset)
    if not shares:
        return
    grid, index = dataset.target.grid, dataset.index
    rows, columns = grid.size
    n_subjects, worst = len(index.keys()), max(shares.values())
    found = (
        f"{dataset.target.head.value}: the matrix of {rows} × {columns} pixels cuts masks of "
        f"{part(len(shares), n_subjects, 'subject')}, "
        f"{worst:.1%} of the labelled pixels at worst"
    )
    if worst <= max_cut:
        on_message(found)
        return
    sizes = [
        grid.holding((int(index.rows[row]), int(index.columns[row])), dataset.spacing_to_resample_mm(row)).size
        for row in range(len(dataset))
    ]
    raise TrainError(
        f"{found}, and max_cut allows {max_cut:.1%}; {max(size[0] for size in sizes)} rows and {max(size[1] for size in sizes)} "
        "columns hold all images: give these, coarser pixels, or a larger max_cut"
    )
