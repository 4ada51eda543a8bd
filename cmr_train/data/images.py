"""The way of an image to the network and back: pixel size, matrix and intensities.

:func:`prepare_image` and :func:`scale` are the only preprocessing: training, validation and prediction use them. Arrays are
(..., rows, columns). Nothing here knows of files or of torch.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cmr_train.config import RunConfig

Scalar = TypeVar("Scalar", bound=np.generic)

LOW_PERCENT, HIGH_PERCENT = 1.0, 99.0
"""The percentiles of an image that become 0 and 1."""
SAME_PIXELS = 0.01
"""Pixels that differ from the network's by at most this share are left as they are."""
MIN_DEVIATION = 1e-8
"""Least standard deviation by which intensities are divided, as in nnU-Net."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixels on which a network works."""

    size: tuple[int, int]
    """(rows, columns)."""
    pixel_mm: tuple[float, float] | None = None
    """Distance between rows and between columns in mm; None where each image keeps its own pixels."""
    multiples: tuple[int, int] = (1, 1)
    """What rows and columns must be multiples of."""
    is_z_scored: bool = False
    """Whether an image's mean becomes 0 and its standard deviation 1, as in nnU-Net; else its percentiles become 0 and 1."""

    @classmethod
    def of(cls, config: "RunConfig", pixel_mm: tuple[float, float] | None) -> Self:
        """Return the grid of a run's network, with pixels of a size."""
        return cls(config.image_size, pixel_mm, config.multiples, config.plan is not None)

    @property
    def keeps_stored_values(self) -> bool:
        """Whether :func:`prepare_image` returns the stored intensities, in their own type."""
        return self.pixel_mm is None and not self.is_z_scored

    def keeps(self, spacing_mm: tuple[float, float] | None) -> bool:
        """Return whether an image of this spacing keeps its own pixels."""
        if self.pixel_mm is None:
            return True
        own = _known(spacing_mm)
        return all(abs(edge - wanted) <= SAME_PIXELS * wanted for edge, wanted in zip(own, self.pixel_mm, strict=True))

    def shape_of(self, shape: tuple[int, int], spacing_mm: tuple[float, float] | None) -> tuple[int, int]:
        """Return the (rows, columns) of an image once it has the grid's pixels, before it is padded or cut."""
        if self.pixel_mm is None or self.keeps(spacing_mm):
            return shape
        return resampled_shape(shape, _known(spacing_mm), self.pixel_mm)

    def holding(self, shape: tuple[int, int], spacing_mm: tuple[float, float] | None) -> "Grid":
        """Return this grid, enlarged where an image would be cut: a convolutional network takes any size."""
        sizes = (
            max(own, -(-n // multiple) * multiple)
            for own, n, multiple in zip(self.size, self.shape_of(shape, spacing_mm), self.multiples, strict=True)
        )
        rows, columns = sizes
        return replace(self, size=(rows, columns))


def prepare_image(
    image: NDArray[Any], spacing_mm: tuple[float, float] | None, grid: Grid
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Bring an image to the grid of a network.

    Parameters
    ----------
    image
        Shape (rows, columns), stored intensities.
    spacing_mm
        Distance between rows and between columns; may be None where the grid keeps the image's own pixels.
    grid
        The network's grid.

    Returns
    -------
    pixels
        Shape ``grid.size``, stored intensities; z-scores where the grid has these.
    window
        Shape (2,), the intensities that :func:`scale` maps to 0 and 1: those of the image alone, not of what is padded or cut.
    """
    if grid.is_z_scored:
        return fit(_resampled(z_scored(image), spacing_mm, grid, is_mask=False), *grid.size)[0], np.array((0, 1), dtype=np.float32)
    resampled = _resampled(image, spacing_mm, grid, is_mask=False)
    return fit(resampled, *grid.size)[0], np.array(intensity_window(resampled), dtype=np.float32)


def prepare_mask(mask: NDArray[np.uint8], spacing_mm: tuple[float, float] | None, grid: Grid) -> NDArray[np.uint8]:
    """Bring a mask to the grid of a network, as :func:`prepare_image` brings its image; shape ``grid.size``."""
    return fit(_resampled(mask, spacing_mm, grid, is_mask=True), *grid.size)[0]


def restore_probabilities(
    probabilities: NDArray[np.float32], shape: tuple[int, int], spacing_mm: tuple[float, float], grid: Grid
) -> NDArray[np.float32]:
    """Bring probabilities from a grid to the pixels of an image, by linear interpolation where these are of other size.

    Parameters
    ----------
    probabilities
        Shape (classes, rows, columns), on the grid.
    shape
        (rows, columns) of the image.
    spacing_mm
        Distance between its rows and between its columns.
    grid
        The network's grid; it holds the image.

    Returns
    -------
        Shape (classes, *shape).
    """
    if grid.pixel_mm is None or grid.keeps(spacing_mm):
        return unfit(probabilities, *shape)
    own = unfit(probabilities, *resampled_shape(shape, spacing_mm, grid.pixel_mm))
    steps = (spacing_mm[0] / grid.pixel_mm[0], spacing_mm[1] / grid.pixel_mm[1])
    return np.stack([to_shape(each, shape, steps, is_mask=False) for each in own]).astype(np.float32, copy=False)


def count_cut(mask: NDArray[np.uint8], spacing_mm: tuple[float, float] | None, grid: Grid) -> tuple[int, int]:
    """Return how many labelled pixels of a mask lie outside the grid, and how many there are, both at the grid's pixel size."""
    resampled = _resampled(mask, spacing_mm, grid, is_mask=True)
    n_labelled = int(np.count_nonzero(resampled))
    return n_labelled - int(np.count_nonzero(fit(resampled, *grid.size)[0])), n_labelled


def scale(images: NDArray[Any], windows: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """Return what a network sees of images that were brought to its grid by :func:`prepare_image`.

    Parameters
    ----------
    images
        Shape (n, rows, columns).
    windows
        Shape (n, 2).
    grid
        The network's grid.
    """
    return images.astype(np.float32, copy=False) if grid.is_z_scored else _to_windows(images, windows)


def z_scored(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return an image less its mean, over its standard deviation; both are of the box around its pixels that are not 0.

    As nnU-Net's ``ZScoreNormalization`` after its cropping, but over one image where nnU-Net takes a volume. An instance
    normalisation after the first convolution, as nnU-Net's plans have it, takes that difference away.

    Parameters
    ----------
    image
        Shape (rows, columns).
    """
    rows, columns = (np.flatnonzero((image != 0).any(axis=axis)) for axis in (1, 0))
    inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else image
    values = inside.astype(np.float64)
    scores: NDArray[np.float32] = ((image - values.mean()) / max(float(values.std()), MIN_DEVIATION)).astype(np.float32)
    return scores


def _to_windows(images: NDArray[Any], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map each image's window to 0 to 1, and cut what lies outside; an image whose two are equal becomes 0."""
    low, width = windows[:, 0, None, None], (windows[:, 1] - windows[:, 0])[:, None, None]
    values = images.astype(np.float32)
    values -= low
    values *= np.divide(np.float32(1), width, out=np.zeros_like(width), where=width > 0)
    return values.clip(0, 1, out=values)


def normalise(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return images as the network sees them, on their own pixels, for pictures: the same shape (..., rows, columns), 0 to 1."""
    flat = image.reshape(-1, *image.shape[-2:])
    windows = np.array([intensity_window(single) for single in flat], dtype=np.float32)
    return _to_windows(flat, windows).reshape(image.shape)


def intensity_window(image: NDArray[Any]) -> tuple[float, float]:
    """Return the intensities that become 0 and 1: the 1st and the 99th percentile.

    Parameters
    ----------
    image
        Shape (rows, columns). Unsigned integers are counted instead of sorted, which is several times as fast.

    Returns
    -------
        As ``numpy.percentile`` with linear interpolation.

    Examples
    --------
    >>> intensity_window(np.arange(101, dtype=np.uint16).reshape(1, 101))
    (1.0, 99.0)
    """
    if image.dtype.kind != "u":
        low, high = np.percentile(image, (LOW_PERCENT, HIGH_PERCENT))
        return float(low), float(high)
    pixels_up_to = np.cumsum(np.bincount(image.ravel()))
    ranks = np.array([LOW_PERCENT, HIGH_PERCENT]) / 100 * (image.size - 1)
    below = np.floor(ranks)
    lower = np.searchsorted(pixels_up_to, below, side="right")
    upper = np.searchsorted(pixels_up_to, np.minimum(below + 1, image.size - 1), side="right")
    low, high = lower + (ranks - below) * (upper - lower)
    return float(low), float(high)


def fit(image: NDArray[Scalar], rows: int, columns: int) -> tuple[NDArray[Scalar], tuple[int, int]]:
    """Pad with zeros, or cut, about the centre.

    Parameters
    ----------
    image
        Shape (..., any rows, any columns).
    rows, columns
        The size that is wanted.

    Returns
    -------
    array
        Shape (..., rows, columns), a new array.
    offset
        (row, column) of the image's first pixel in the new array; negative where something was cut.
    """
    offset = fitted_offset((image.shape[-2], image.shape[-1]), (rows, columns))
    return _copy_into(image, (rows, columns), offset), offset


def fitted_offset(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return where :func:`fit` puts the first pixel of an image, (row, column)."""
    return (size[0] - shape[0]) // 2, (size[1] - shape[1]) // 2


def unfit(array: NDArray[Scalar], rows: int, columns: int) -> NDArray[Scalar]:
    """Undo :func:`fit`: bring an array back to the matrix of the image.

    Parameters
    ----------
    array
        Shape (..., any rows, any columns), on the common matrix.
    rows, columns
        The image's own size.

    Returns
    -------
        Shape (..., rows, columns); zero where :func:`fit` had cut.
    """
    offset = (-((array.shape[-2] - rows) // 2), -((array.shape[-1] - columns) // 2))
    return _copy_into(array, (rows, columns), offset)


def resample(
    image: NDArray[Any], spacing_mm: tuple[float, float], target_mm: tuple[float, float], *, is_mask: bool = False
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Bring an image or a mask to pixels of a given size.

    Parameters
    ----------
    image
        Shape (rows, columns).
    spacing_mm
        Distance between rows, distance between columns.
    target_mm
        Those that are wanted.
    is_mask
        Take the nearest class instead of interpolating.

    Returns
    -------
        Shape (rows × spacing / target, columns × spacing / target), rounded; float32, or uint8 for a mask. The centre of the field
        of view stays the centre.
    """
    shape = resampled_shape((image.shape[0], image.shape[1]), spacing_mm, target_mm)
    return to_shape(image, shape, (target_mm[0] / spacing_mm[0], target_mm[1] / spacing_mm[1]), is_mask=is_mask)


def resampled_shape(shape: tuple[int, int], spacing_mm: tuple[float, float], target_mm: tuple[float, float]) -> tuple[int, int]:
    """Return the (rows, columns) that :func:`resample` gives."""
    rows, columns = (max(1, round(n * edge / wanted)) for n, edge, wanted in zip(shape, spacing_mm, target_mm, strict=True))
    return rows, columns


def to_shape(
    array: NDArray[Any], shape: tuple[int, int], steps: tuple[float, float], *, is_mask: bool
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Sample an array about its centre, with a step given in its pixels.

    Parameters
    ----------
    array
        Shape (any rows, any columns).
    shape
        (rows, columns) of the result.
    steps
        Pixels of the array between neighbouring rows, and columns, of the result.
    is_mask
        Take the nearest class instead of interpolating.
    """
    from scipy import ndimage  # 0.3 s and 30 MB, which a training whose images keep their pixels does not need

    offset = [(old - 1) / 2 - step * (new - 1) / 2 for old, new, step in zip(array.shape, shape, steps, strict=True)]
    kind = np.uint8 if is_mask else np.float32
    sampled = ndimage.affine_transform(
        array.astype(kind, copy=False), steps, offset, output_shape=shape, order=0 if is_mask else 1, mode="nearest"
    )
    return sampled.astype(np.uint8, copy=False) if is_mask else sampled.astype(np.float32, copy=False)


def _resampled(array: NDArray[Scalar], spacing_mm: tuple[float, float] | None, grid: Grid, *, is_mask: bool) -> NDArray[Any]:
    """Bring an image or a mask to the grid's pixel size, unless it has it."""
    if grid.pixel_mm is None or grid.keeps(spacing_mm):
        return array
    return resample(array, _known(spacing_mm), grid.pixel_mm, is_mask=is_mask)


def _known(spacing_mm: tuple[float, float] | None) -> tuple[float, float]:
    if spacing_mm is None:
        raise ValueError("the grid has a pixel size, so the spacing of the image is needed")
    return spacing_mm


def _copy_into(image: NDArray[Scalar], shape: tuple[int, int], offset: tuple[int, int]) -> NDArray[Scalar]:
    """Copy what fits into a new array of zeros, the first pixel at ``offset``."""
    result = np.zeros((*image.shape[:-2], *shape), dtype=image.dtype)
    old, new = [], []
    for size, wanted, shift in zip(image.shape[-2:], shape, offset, strict=True):
        start, stop = max(0, shift), min(wanted, size + shift)
        new.append(slice(start, max(start, stop)))
        old.append(slice(start - shift, max(start, stop) - shift))
    result[..., new[0], new[1]] = image[..., old[0], old[1]]
    return result
