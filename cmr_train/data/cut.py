"""What the common matrix cuts of masks."""

from cmr_planes.system.progress import OnMessage
from cmr_train.data.datasets import PlaneDataset
from cmr_train.data.images import count_cut
from cmr_train.errors import TrainError


def cut_shares(dataset: PlaneDataset) -> dict[str, float]:
    """Return the share of each subject's labelled pixels outside the matrix, of those who lose any; none without masks."""
    grid, index = dataset.target.grid, dataset.index
    cut: dict[str, int] = {}
    labelled: dict[str, int] = {}
    for row in range(len(dataset) if dataset.target.has_masks else 0):
        shape, spacing_mm = (int(index.rows[row]), int(index.columns[row])), dataset.spacing_to_resample_mm(row)
        if all(n <= size for n, size in zip(grid.shape_of(shape, spacing_mm), grid.size, strict=True)):
            continue  # all images of a view have one matrix, so that its other images are not cut either
        n_cut, n_labelled = count_cut(dataset.own_mask(row), spacing_mm, grid)
        subject = index.subject(row)
        cut[subject] = cut.get(subject, 0) + n_cut
        labelled[subject] = labelled.get(subject, 0) + n_labelled
    return {subject: cut[subject] / labelled[subject] for subject in cut if cut[subject]}


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
    n_subjects, worst = len({index.subject(row) for row in range(len(index))}), max(shares.values())
    found = (
        f"{dataset.target.head.value}: the matrix of {rows} × {columns} pixels cuts masks of {len(shares)} of {n_subjects} "
        f"subjects, {worst:.1%} of the labelled pixels at worst"
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
