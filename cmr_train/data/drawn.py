"""Which structures were drawn on an image. Where one was not, background says nothing of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.views import CardiacView, Structure


def drawn_structures(catalogue: Catalogue, index: ImageIndex, view: CardiacView) -> NDArray[np.bool_]:
    """Return which structures were drawn, or checked and absent, on annotated images of a view.

    Returns
    -------
        Shape (images, 6), in the order of :class:`cmr_planes.views.Structure`.
    """
    drawn = np.zeros((len(index), len(Structure)), dtype=np.bool_)
    for subject, rows in index.rows_by_subject().items():
        drawn[rows] = catalogue.labelled_structures(subject, view)[index.phase_index[rows], index.slice_index[rows]]
    return drawn


def has_all(drawn: NDArray[np.bool_], structures: Sequence[Structure]) -> NDArray[np.bool_]:
    """Return on which images all of some structures were drawn, shape (images,), from :func:`drawn_structures`."""
    return np.asarray(drawn[:, list(structures)].all(axis=1))


def has_any(drawn: NDArray[np.bool_], structures: Sequence[Structure]) -> NDArray[np.bool_]:
    """Return on which images any of some structures was drawn, shape (images,), from :func:`drawn_structures`."""
    return np.asarray(drawn[:, list(structures)].any(axis=1))


def drawn_sentence(drawn: NDArray[np.bool_]) -> str:
    """Return on how many images each structure was drawn, as ``LV 36, Myo 18``, from :func:`drawn_structures`."""
    counts = {structure: int(n) for structure, n in zip(Structure, drawn.sum(axis=0), strict=True) if structure and n}
    return ", ".join(f"{structure.title} {n:,}" for structure, n in counts.items()) or "none"


def keep_drawn(labels: NDArray[np.uint8], is_drawn: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Make background of the classes that were not drawn on an image.

    Parameters
    ----------
    labels
        Shape (images, rows, columns).
    is_drawn
        Shape (images, classes).
    """
    images = np.arange(len(labels))[:, np.newaxis, np.newaxis]
    return np.where(is_drawn[images, labels], labels, np.uint8(0))


def unwanted_pixels(catalogue: Catalogue, index: ImageIndex, view: CardiacView, wanted: Sequence[Structure]) -> dict[str, int]:
    """Count the pixels of each structure that was drawn on a view of an index's subjects and is not wanted, by its name."""
    table, subjects = catalogue.annotations(), {*index.keys()}
    rows = [row for row in range(len(table)) if table.view[row] == view.value and table.subject[row] in subjects]
    pixels = table.label_pixels[rows].sum(axis=0)
    return {
        structure.title: int(pixels[structure])
        for structure in Structure
        if structure and structure not in wanted and pixels[structure]
    }
