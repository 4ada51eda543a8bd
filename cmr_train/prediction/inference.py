"""From images to label maps: what the network says, on each image's own pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_train.data.datasets import scale
from cmr_train.data.images import fit, intensity_window, resample, resampled_shape, unfit, unresample
from cmr_train.runs.run import Run

IMAGES_AT_ONCE = 16
"""Images in a batch: enough for a GPU, few enough for a laptop."""


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
        One label map an image, of its shape: the most likely class; background where the image is larger than the network's
        matrix.
    """
    labels: list[NDArray[np.uint8]] = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        part = range(start, min(start + IMAGES_AT_ONCE, len(images)))
        raw = [_to_matrix(run, images[number], spacing_mm[number]) for number in part]
        classes = _classify(run, scale(*(np.stack(column) for column in zip(*raw, strict=True))))
        labels.extend(_from_matrix(run, classes[place], images[number], spacing_mm[number]) for place, number in enumerate(part))
    return labels


def _classify(run: Run, batch: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the most likely class of every pixel, shape (N, rows, columns)."""
    device = next(run.model.parameters()).device
    run.model.eval()
    with torch.inference_mode():
        logits = run.model(torch.from_numpy(batch)[:, None].to(device), head=run.head)
        classes: NDArray[np.uint8] = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
    return classes


def _to_matrix(run: Run, image: NDArray[Any], spacing_mm: tuple[float, float]) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Bring an image to the matrix that the network was trained on; return it with the intensities that become 0 and 1."""
    target_mm = run.config.data.resample_mm
    scaled = image if target_mm is None else resample(image, spacing_mm, target_mm)
    return fit(scaled, *run.image_size)[0], np.array(intensity_window(scaled), dtype=np.float32)


def _from_matrix(run: Run, classes: NDArray[np.uint8], image: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Bring a label map back to the image's own pixels."""
    target_mm = run.config.data.resample_mm
    shape = (image.shape[0], image.shape[1])
    if target_mm is None:
        return unfit(classes, *shape)
    return unresample(unfit(classes, *resampled_shape(shape, spacing_mm, target_mm)), spacing_mm, target_mm, shape)
