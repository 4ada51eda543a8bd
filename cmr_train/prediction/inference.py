"""From images to label maps: the classes that a network finds, on each image's own pixels."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_train.choices import Head
from cmr_train.compute.devices import Compute
from cmr_train.data.images import Grid, prepare_image, restore_probabilities, scale, unfit
from cmr_train.data.pixel_sizes import PixelSizes, pixel_text
from cmr_train.models.network import Network
from cmr_train.prediction.rotations import turn
from cmr_train.runs.run import Run

IMAGES_AT_ONCE = 16
"""Images in a batch: enough for a GPU, few enough for a laptop."""
PIXELS_AT_ONCE = IMAGES_AT_ONCE << 16
"""Pixels in a batch: fewer images of more than 256 × 256 are taken at once."""


def probabilities(model: Network, images: NDArray[np.float32], head: Head, compute: Compute) -> torch.Tensor:
    """Return the probability of every class at every pixel: the one way from a network to classes, while training and after.

    Parameters
    ----------
    model
        The network, on the device of ``compute``; put into evaluation mode.
    images
        Shape (n, rows, columns), 0 to 1, on the network's grid.
    head
        The head that answers.
    compute
        The device and the number format.

    Returns
    -------
        Shape (n, classes, rows, columns), on the device, in single precision.
    """
    return _answer(model, torch.from_numpy(images)[:, None].to(compute.device), head, compute)


def rotated_probabilities(
    model: Network, images: NDArray[np.float32], head: Head, compute: Compute, *, rotate_deg: float, pixel_mm: NDArray[np.float64]
) -> torch.Tensor:
    """Return the mean of :func:`probabilities` on images as they are and turned by an angle either way, brought back.

    Parameters
    ----------
    model, images, head, compute
        As of :func:`probabilities`.
    rotate_deg
        The angle.
    pixel_mm
        Shape (n, 2): distance between rows and between columns of each image.

    Returns
    -------
        As :func:`probabilities` does. Where a turned image does not reach, the others count.
    """
    upright = torch.from_numpy(images)[:, None].to(compute.device)
    total = _answer(model, upright, head, compute)
    weight = torch.ones_like(upright)
    for degrees in (-rotate_deg, rotate_deg):
        total = total + turn(_answer(model, turn(upright, degrees, pixel_mm), head, compute), -degrees, pixel_mm)
        weight = weight + turn(torch.ones_like(upright), -degrees, pixel_mm)
    return total / weight


def _answer(model: Network, batch: torch.Tensor, head: Head, compute: Compute) -> torch.Tensor:
    """Return the probabilities of a batch that is on the device, shape (n, 1, rows, columns)."""
    model.eval()
    with torch.inference_mode(), compute.autocast():
        logits: torch.Tensor = model(batch.contiguous(memory_format=compute.memory_format), head.value)
        return logits.float().softmax(dim=1)


def find_classes(
    model: Network,
    images: Sequence[NDArray[Any]],
    spacing_mm: Sequence[tuple[float, float]],
    *,
    grid: Grid,
    head: Head,
    compute: Compute,
    rotate_deg: float = 0.0,
) -> list[NDArray[np.uint8]]:
    """Return the most likely class of every pixel of some images, on their own pixels.

    Images of other pixels than the grid's are resampled; their probabilities are brought back by linear interpolation. Images
    that are larger than the grid are not cut: it is enlarged.

    Parameters
    ----------
    model, head, compute
        As of :func:`probabilities`.
    images
        Each of shape (rows, columns), stored intensities; sizes may differ.
    spacing_mm
        Distance between rows and between columns of each.
    grid
        The network's grid.
    rotate_deg
        The angle of :func:`rotated_probabilities`; 0 for images as they are.

    Returns
    -------
        One label map per image, of its shape.
    """
    labels: list[NDArray[np.uint8]] = []
    for part, own, found in _answers(model, images, spacing_mm, grid=grid, head=head, compute=compute, rotate_deg=rotate_deg):
        if own.keeps(spacing_mm[part.start]):
            classes = found.argmax(dim=1).to(torch.uint8).cpu().numpy()
            labels.extend(unfit(each, *_shape(image)) for each, image in zip(classes, images[part], strict=True))
        else:
            labels.extend(
                restore_probabilities(each, _shape(image), spacing, own).argmax(axis=0).astype(np.uint8)
                for each, image, spacing in zip(found.cpu().numpy(), images[part], spacing_mm[part], strict=True)
            )
    return labels


def find_probabilities(
    model: Network,
    images: Sequence[NDArray[Any]],
    spacing_mm: Sequence[tuple[float, float]],
    *,
    grid: Grid,
    head: Head,
    compute: Compute,
    rotate_deg: float = 0.0,
) -> Iterator[NDArray[np.float32]]:
    """Yield the probability of every class at every pixel of each image, on its own pixels: shape (classes, rows, columns).

    Arguments as of :func:`find_classes`. Only one batch is held at a time.
    """
    for part, own, found in _answers(model, images, spacing_mm, grid=grid, head=head, compute=compute, rotate_deg=rotate_deg):
        for each, image, spacing in zip(found.cpu().numpy(), images[part], spacing_mm[part], strict=True):
            yield restore_probabilities(each, _shape(image), spacing, own)


def _answers(
    model: Network,
    images: Sequence[NDArray[Any]],
    spacing_mm: Sequence[tuple[float, float]],
    *,
    grid: Grid,
    head: Head,
    compute: Compute,
    rotate_deg: float = 0.0,
) -> Iterator[tuple[slice, Grid, torch.Tensor]]:
    """Yield, batch by batch, which images, on which grid, and the probabilities there; arguments as of :func:`find_classes`."""
    grids = [grid.holding(_shape(image), spacing) for image, spacing in zip(images, spacing_mm, strict=True)]
    for part in _batches(grids, [grid.keeps(spacing) for spacing in spacing_mm]):
        own = grids[part.start]
        prepared = [prepare_image(image, spacing, own) for image, spacing in zip(images[part], spacing_mm[part], strict=True)]
        pixels, windows = (np.stack(column) for column in zip(*prepared, strict=True))
        seen = scale(pixels, windows, own)
        if rotate_deg:
            pixel_mm = np.array([spacing if own.pixel_mm is None else own.pixel_mm for spacing in spacing_mm[part]])
            yield part, own, rotated_probabilities(model, seen, head, compute, rotate_deg=rotate_deg, pixel_mm=pixel_mm)
        else:
            yield part, own, probabilities(model, seen, head, compute)


def label_images(
    run: Run, images: Sequence[NDArray[Any]], spacing_mm: Sequence[tuple[float, float]], *, rotate_deg: float = 0.0
) -> list[NDArray[np.uint8]]:
    """Classify every pixel of some images with a trained network: :func:`find_classes` on the grid of its run."""
    numbers = np.array(run.config.class_numbers(run.head), dtype=np.uint8)
    found = find_classes(run.model, images, spacing_mm, grid=run.grid, head=run.head, compute=run.compute, rotate_deg=rotate_deg)
    return [numbers[outputs] for outputs in found]


def pixels_sentence(run: Run, spacings_mm: NDArray[np.float64]) -> str | None:
    """Return what becomes of the pixels of some images, None where the network uses them as they are.

    Parameters
    ----------
    run
        A trained network.
    spacings_mm
        Shape (n, 2), distances between rows and between columns of the images.
    """
    if run.pixel_mm is None:
        return (
            f"run {run.name!r} does not say at which pixel size it was trained, as those of earlier releases; images are used at "
            "their own pixels, which gives wrong labels if these are of other size"
        )
    if all(run.grid.keeps((rows, columns)) for rows, columns in spacings_mm.tolist()):
        return None
    return (
        f"images with pixels of {PixelSizes.of(spacings_mm)} are resampled to those of the network, {pixel_text(run.pixel_mm)}, "
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
