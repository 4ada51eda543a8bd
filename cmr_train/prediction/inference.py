"""From images to label maps: the classes that a network finds, on each image's own pixels. Nothing here imports torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_train.data.images import Grid, prepare_image, restore_probabilities, scale, unfit
from cmr_train.data.pixel_sizes import PixelSizes, pixel_text
from cmr_train.runs.trained_network import Classifier, TrainedNetwork

IMAGES_AT_ONCE = 16
"""Images in a batch: enough for a GPU, few enough for a laptop."""
PIXELS_AT_ONCE = IMAGES_AT_ONCE << 16
"""Pixels in a batch: fewer images of more than 256 × 256 are taken at once."""


def find_classes(
    classifier: Classifier,
    images: Sequence[NDArray[Any]],
    spacing_mm: Sequence[tuple[float, float]],
    *,
    grid: Grid,
    rotate_deg: float = 0.0,
) -> list[NDArray[np.uint8]]:
    """Return the most likely output of a network at every pixel of some images, on their own pixels.

    Images of other pixels than the grid's are resampled; their probabilities are brought back by linear interpolation. Images
    that are larger than the grid are not cut: it is enlarged.

    Parameters
    ----------
    classifier
        The network.
    images
        Each of shape (rows, columns), stored intensities; sizes may differ.
    spacing_mm
        Distance between rows and between columns of each.
    grid
        The network's grid.
    rotate_deg
        Average the probabilities over images as they are and turned by this angle either way; 0 for images as they are.

    Returns
    -------
        One label map per image, of its shape.
    """
    labels: list[NDArray[np.uint8]] = []
    for batch in _prepared(images, spacing_mm, grid):
        if batch.keeps_pixels:
            found = classifier.most_likely(batch.seen, rotate_deg=rotate_deg, pixel_mm=batch.pixel_mm)
            labels.extend(unfit(each, *shape) for each, shape in zip(found, batch.shapes, strict=True))
        else:
            labels.extend(own.argmax(axis=0).astype(np.uint8) for own in batch.probabilities(classifier, rotate_deg))
    return labels


def find_probabilities(
    network: TrainedNetwork,
    images: Sequence[NDArray[Any]],
    spacing_mm: Sequence[tuple[float, float]],
    *,
    rotate_deg: float = 0.0,
) -> Iterator[NDArray[np.float32]]:
    """Yield the probability of every class at every pixel of each image, on its own pixels: shape (classes, rows, columns).

    Arguments as of :func:`find_classes`. Only one batch is held at a time.
    """
    for batch in _prepared(images, spacing_mm, network.grid):
        yield from batch.probabilities(network.classifier, rotate_deg)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Prepared:
    """Images of one batch as the network sees them."""

    seen: NDArray[np.float32]
    """Shape (n, rows, columns)."""
    grid: Grid
    """Their grid."""
    shapes: Sequence[tuple[int, int]]
    """(rows, columns) of each image."""
    spacing_mm: Sequence[tuple[float, float]]
    """Distance between rows and between columns of each image."""

    @property
    def keeps_pixels(self) -> bool:
        """Whether the images keep their own pixels; a batch has no others beside such."""
        return self.grid.keeps(self.spacing_mm[0])

    @property
    def pixel_mm(self) -> NDArray[np.float64]:
        """Distance between rows and between columns on the grid, shape (n, 2)."""
        return np.array([self.grid.pixel_mm or spacing for spacing in self.spacing_mm])

    def probabilities(self, classifier: Classifier, rotate_deg: float) -> Iterator[NDArray[np.float32]]:
        """Yield the probabilities of each image on its own pixels."""
        found = classifier.probabilities(self.seen, rotate_deg=rotate_deg, pixel_mm=self.pixel_mm)
        for each, shape, spacing in zip(found, self.shapes, self.spacing_mm, strict=True):
            yield restore_probabilities(each, shape, spacing, self.grid)


def _prepared(images: Sequence[NDArray[Any]], spacing_mm: Sequence[tuple[float, float]], grid: Grid) -> Iterator[_Prepared]:
    """Yield some images, batch by batch, as the network sees them."""
    grids = [grid.holding(_shape(image), spacing) for image, spacing in zip(images, spacing_mm, strict=True)]
    for part in _batches(grids, [grid.keeps(spacing) for spacing in spacing_mm]):
        own = grids[part.start]
        prepared = [prepare_image(image, spacing, own) for image, spacing in zip(images[part], spacing_mm[part], strict=True)]
        pixels, windows = (np.stack(column) for column in zip(*prepared, strict=True))
        shapes = [_shape(image) for image in images[part]]
        yield _Prepared(seen=scale(pixels, windows, own), grid=own, shapes=shapes, spacing_mm=spacing_mm[part])


def label_images(
    network: TrainedNetwork, images: Sequence[NDArray[Any]], spacing_mm: Sequence[tuple[float, float]], *, rotate_deg: float = 0.0
) -> list[NDArray[np.uint8]]:
    """Classify every pixel of some images with a trained network: :func:`find_classes` on its grid."""
    numbers = np.array(network.class_numbers, dtype=np.uint8)
    found = find_classes(network.classifier, images, spacing_mm, grid=network.grid, rotate_deg=rotate_deg)
    return [numbers[outputs] for outputs in found]


def pixels_sentence(network: TrainedNetwork, spacings_mm: NDArray[np.float64]) -> str | None:
    """Return what becomes of the pixels of some images, None where the network uses them as they are.

    Parameters
    ----------
    network
        A trained network.
    spacings_mm
        Shape (n, 2), distances between rows and between columns of the images.
    """
    pixel_mm = network.grid.pixel_mm
    if pixel_mm is None:
        return (
            f"run {network.name!r} does not say at which pixel size it was trained, as those of earlier releases; images are used "
            "at their own pixels, which gives wrong labels if these are of other size"
        )
    if all(network.grid.keeps((rows, columns)) for rows, columns in spacings_mm.tolist()):
        return None
    return (
        f"images with pixels of {PixelSizes.of(spacings_mm)} are resampled to those of the network, {pixel_text(pixel_mm)}, "
        "and its probabilities back"
    )


def _batches(grids: Sequence[Grid], keep_pixels: Sequence[bool]) -> Iterator[slice]:
    """Cut images into batches of neighbours with one grid, all resampled or none."""
    start = 0
    for (grid, _), group in groupby(zip(grids, keep_pixels, strict=True)):
        stop = start + len(list(group))
        at_once = max(1, min(IMAGES_AT_ONCE, PIXELS_AT_ONCE // (grid.size[0] * grid.size[1])))
        for first in range(start, stop, at_once):
            yield slice(first, min(first + at_once, stop))
        start = stop


def _shape(image: NDArray[Any]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
