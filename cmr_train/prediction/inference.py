"""From images to label maps: the classes that a network finds, on each image's own pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_train.choices import Head
from cmr_train.compute.devices import Compute
from cmr_train.data.images import Grid, prepare_image, restore_mask, scale
from cmr_train.models.unet import UNet
from cmr_train.runs.run import Run

IMAGES_AT_ONCE = 16
"""Images in a batch: enough for a GPU, few enough for a laptop."""


def classify(model: UNet, images: NDArray[np.float32], head: Head, compute: Compute) -> NDArray[np.uint8]:
    """Return the most likely class of every pixel: the one way from a network to classes, while training and after.

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
        Shape (n, rows, columns).
    """
    model.eval()
    batch = torch.from_numpy(images)[:, None].to(compute.device, memory_format=compute.memory_format)
    with torch.inference_mode(), compute.autocast():
        classes: NDArray[np.uint8] = model(batch, head.value).argmax(dim=1).to(torch.uint8).cpu().numpy()
    return classes


def label_images(run: Run, images: Sequence[NDArray[Any]], spacing_mm: Sequence[tuple[float, float]]) -> list[NDArray[np.uint8]]:
    """Classify every pixel of some images.

    Parameters
    ----------
    run
        A trained network.
    images
        Each of shape (rows, columns), stored intensities; sizes may differ.
    spacing_mm
        Distance between rows and between columns of each.

    Returns
    -------
        One label map per image, of its shape: the number of the most likely class; background where the image is larger than the
        network's matrix.
    """
    grid = Grid.of(run.config)
    labels: list[NDArray[np.uint8]] = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        part = slice(start, start + IMAGES_AT_ONCE)
        prepared = [prepare_image(image, spacing, grid) for image, spacing in zip(images[part], spacing_mm[part], strict=True)]
        pixels, windows = (np.stack(column) for column in zip(*prepared, strict=True))
        found = classify(run.model, scale(pixels, windows), run.head, run.compute)
        labels.extend(
            restore_mask(classes, (image.shape[0], image.shape[1]), spacing, grid)
            for classes, image, spacing in zip(found, images[part], spacing_mm[part], strict=True)
        )
    numbers = np.array(run.config.class_numbers(run.head), dtype=np.uint8)
    return [numbers[outputs] for outputs in labels]
