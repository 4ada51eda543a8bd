"""Images and masks of a catalogue, ready for the network: read by chunk, brought to one size, kept in memory if they fit.

Reading is lazy: a dataset that is sent to another process opens the catalogue and its shards there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import CacheKind, Head
from cmr_train.data.images import Grid, prepare_image, prepare_mask, scale
from cmr_train.errors import TrainError

CHECKED_SUBJECTS = 256
"""Subjects of which an image is read before the training."""

Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""An image and its mask, or a batch of them: shapes (..., rows, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an image becomes."""

    view: CardiacView
    """The view."""
    head: Head
    """Which masks go with the images."""
    classes: tuple[int, ...]
    """The class that each output of the network stands for, the background first; all other structures become background. Empty
    where no masks go with the images."""
    grid: Grid
    """The pixels to which images and masks are brought."""

    @property
    def n_classes(self) -> int:
        """Outputs of the network."""
        return len(self.classes)

    @property
    def has_masks(self) -> bool:
        """Whether masks go with the images."""
        return bool(self.classes)

    @property
    def n_known(self) -> int:
        """Classes that a mask may have."""
        return len(Structure) if self.head is Head.STRUCTURES else self.n_classes

    def outputs(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the output of the network for each pixel of a mask."""
        table = np.zeros(self.n_known, dtype=np.uint8)
        table[list(self.classes)] = np.arange(self.n_classes, dtype=np.uint8)
        return table[mask]


class PlaneDataset:
    """A map-style dataset over rows of ``/index``.

    Parameters
    ----------
    catalogue
        Where the images are.
    index
        The rows, all of the target's view and with its masks.
    target
        What an image becomes.
    undrawn
        Shape (images, outputs): structures that were not drawn on an image, so that its background may hold them; None where
        all were drawn on all.
    donors
        Shape (images,): the row whose mask goes with each image; None for its own.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        index: ImageIndex,
        target: Target,
        undrawn: NDArray[np.bool_] | None = None,
        donors: NDArray[np.int64] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.index = index
        self.target = target
        self.undrawn = undrawn
        self.donors = donors
        self._images: NDArray[Any] | None = None
        self._masks: NDArray[np.uint8] | None = None
        self._windows: NDArray[np.float32] | None = None
        self._spacings: dict[str, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Sample:
        """Return one image, shape (rows, columns), 0 to 1, and its mask."""
        images, masks = self.batch([row])
        return images[0], masks[0]

    def __getitems__(self, rows: Sequence[int]) -> Sample:
        """Return a batch, as :meth:`batch`: torch's loader asks for it by this name."""
        return self.batch(rows)

    @property
    def is_cached(self) -> bool:
        """Whether all images are in memory."""
        return self._images is not None

    @property
    def n_bytes(self) -> int:
        """Memory that all images and masks need, in bytes."""
        rows, columns = self.target.grid.size
        pixel = 2 if self.target.grid.keeps_stored_values else 4
        return len(self) * rows * columns * (pixel + self.target.has_masks)

    def batch(self, rows: Sequence[int]) -> Sample:
        """Return some images and their masks.

        Parameters
        ----------
        rows
            Row numbers of the index.

        Returns
        -------
        images
            Shape (n, rows, columns), float32, as the network sees them: 0 to 1, or z-scores.
        masks
            Shape (n, rows, columns), uint8; (n, 0, 0) where the target has none.

        Raises
        ------
        TrainError
            A mask has classes that the network has not, or another shape than its image.
        ShardError
            A shard cannot be read.
        """
        if self._images is not None and self._masks is not None and self._windows is not None:
            numbers = np.asarray(rows, dtype=np.int64)
            return scale(self._images[numbers], self._windows[numbers], self.target.grid), self._masks[numbers]
        raw = [self._read(row) for row in rows]
        images, masks, windows = (np.stack(column) for column in zip(*raw, strict=True))
        return scale(images, windows, self.target.grid), masks

    def fill_cache(self) -> None:
        """Read every image once, and keep it as it is stored."""
        shape = (len(self), *self.target.grid.size)
        images = np.zeros(shape, dtype=np.uint16 if self.target.grid.keeps_stored_values else np.float32)
        masks = np.zeros(shape if self.target.has_masks else (len(self), 0, 0), dtype=np.uint8)
        windows = np.zeros((len(self), 2), dtype=np.float32)
        for row in range(len(self)):
            images[row], masks[row], windows[row] = self._read(row)
        self._images, self._masks, self._windows = images, masks, windows

    def check(self) -> None:
        """Read the first image of some subjects, so that what cannot be trained on is found before the training.

        They are all those whose shard is missing or not as large as it was sealed, and of the others :data:`CHECKED_SUBJECTS` at
        most, evenly spread. The rest is checked when it is read.

        Raises
        ------
        ShardError
            A shard cannot be read; the sentence names it.
        TrainError
            A mask does not match.
        """
        first_rows, subjects = self.index.first_rows(), self.index.subjects
        altered = self.catalogue.altered_shards()
        doubtful = [row for row in first_rows if subjects.shard[self.index.subject_number[row]] in altered] if altered else []
        spread = np.linspace(0, len(first_rows) - 1, min(CHECKED_SUBJECTS, len(first_rows))).astype(np.int64)
        for row in (*doubtful, *first_rows[np.unique(spread)]):
            self._read(int(row))

    def mask(self, row: int) -> NDArray[np.uint8]:
        """Return one mask on the common matrix, shape (rows, columns)."""
        return self._read(row)[1] if self._masks is None else self._masks[row]

    def own_image(self, row: int) -> NDArray[np.uint16]:
        """Return one image as it is stored, on its own pixels, shape (rows, columns)."""
        return self.catalogue.image(*self._address(row))

    def own_mask(self, row: int) -> NDArray[np.uint8]:
        """Return one mask on the image's own pixels, shape (rows, columns), as outputs of the network."""
        return self.target.outputs(self._stored_mask(row))

    def spacing_mm(self, row: int) -> tuple[float, float]:
        """Return the distances between rows and between columns of one image."""
        subject, view, _, slice_index = self._address(row)
        if subject not in self._spacings:
            planes = self.catalogue.view_attributes(subject, view).planes
            self._spacings[subject] = np.array([(plane.row_spacing_mm, plane.column_spacing_mm) for plane in planes])
        rows, columns = self._spacings[subject][slice_index].tolist()
        return rows, columns

    def spacing_to_resample_mm(self, row: int) -> tuple[float, float] | None:
        """Return :meth:`spacing_mm` where the grid has a pixel size, else None: the shard is not read for what is not used."""
        return None if self.target.grid.pixel_mm is None else self.spacing_mm(row)

    def _stored_mask(self, row: int) -> NDArray[np.uint8]:
        """Return one mask as it is stored, shape (rows, columns)."""
        is_positions = self.target.head is Head.POSITIONS
        mask: NDArray[np.uint8] = (self.catalogue.positions if is_positions else self.catalogue.labels)(*self._address(row))
        return mask

    def _address(self, row: int) -> tuple[str, CardiacView, int, int]:
        index = self.index
        return index.subject(row), self.target.view, int(index.phase_index[row]), int(index.slice_index[row])

    def _read(self, row: int) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.float32]]:
        """Read an image and its mask onto the network's grid, and the image's intensities that become 0 and 1."""
        pixels, window = prepare_image(self.own_image(row), self.spacing_to_resample_mm(row), self.target.grid)
        return pixels, self._read_mask(row if self.donors is None else int(self.donors[row])), window

    def _read_mask(self, row: int) -> NDArray[np.uint8]:
        """Read the mask of an image onto the network's grid, shape (rows, columns); (0, 0) where the target has none."""
        if not self.target.has_masks:
            return np.zeros((0, 0), dtype=np.uint8)
        stored = self._stored_mask(row)
        self._check(stored, row)
        return prepare_mask(self.target.outputs(stored), self.spacing_to_resample_mm(row), self.target.grid)

    def _check(self, mask: NDArray[np.uint8], row: int) -> None:
        subject, view, phase, slice_index = self._address(row)
        where = f"of subject {subject!r}, {view.title}, phase {phase}, slice {slice_index}"
        shape = int(self.index.rows[row]), int(self.index.columns[row])
        if mask.shape != shape:
            raise TrainError(f"the mask {where} is {mask.shape[0]} × {mask.shape[1]} and its image {shape[0]} × {shape[1]}")
        highest = int(mask.max(initial=0))
        if highest >= self.target.n_known:
            raise TrainError(
                f"the mask {where} has class {highest}, and the {self.target.head.value} of {view.title} are 0 to "
                f"{self.target.n_known - 1}; annotate with the classes of docs/catalogue.md"
            )


def choose_cache(datasets: Sequence[PlaneDataset], kind: CacheKind, free_bytes: int) -> bool:
    """Return whether images are to be kept in memory.

    Parameters
    ----------
    datasets
        All that a run reads from.
    kind
        What was asked for.
    free_bytes
        Free memory.
    """
    if kind is not CacheKind.AUTO:
        return kind is CacheKind.MEMORY
    return sum(dataset.n_bytes for dataset in datasets) <= free_bytes // 2


def class_frequencies(dataset: PlaneDataset, *, at_most: int = 200) -> NDArray[np.float64]:
    """Return the share of each class in the masks' pixels, without background that may hold an undrawn structure.

    Parameters
    ----------
    dataset
        The masks.
    at_most
        Maximum number of masks to read, evenly spread.

    Returns
    -------
        Shape (classes,); sums to 1.

    Raises
    ------
    TrainError
        No background is known: no mask is of an image on which all structures were drawn.
    """
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(at_most, len(dataset))).astype(np.int64))
    n_classes = dataset.target.n_classes
    counts = np.array([np.bincount(dataset.mask(int(row)).ravel(), minlength=n_classes) for row in rows], dtype=np.float64)
    is_unknown = np.zeros(len(rows), dtype=np.bool_) if dataset.undrawn is None else dataset.undrawn[rows].any(axis=1)
    if is_unknown.all():
        raise TrainError(
            "the weighted loss needs images on which all structures were drawn, to know how frequent background is, and there are "
            "none; choose another loss"
        )
    counts[is_unknown, 0] = 0
    frequencies: NDArray[np.float64] = counts.sum(axis=0) / counts.sum()
    return frequencies
