"""Images and probabilities turned about their centre, for answers that are averaged over some angles."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cmr_train.data.augment import sampling_grid


def turn(images: Tensor, degrees: float, pixel_mm: NDArray[np.float64]) -> Tensor:
    """Turn images about their centre by linear interpolation; outside them is 0. Turning by the negative angle brings them back.

    Parameters
    ----------
    images
        Shape (n, channels, rows, columns).
    degrees
        The angle between the directions of an image's content before and after, in the patient: pixels may be oblong.
    pixel_mm
        Shape (n, 2): distance between rows and between columns of each image.

    Returns
    -------
        The same shape and type, on the same device.
    """
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    oblong = pixel_mm[:, 1] / pixel_mm[:, 0]
    matrices = np.empty((len(pixel_mm), 2, 2), dtype=np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = cosine
    matrices[:, 0, 1], matrices[:, 1, 0] = -sine * oblong, sine / oblong
    grid = sampling_grid(torch.from_numpy(matrices).to(images.device), images.shape[-2], images.shape[-1])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
