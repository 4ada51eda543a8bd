"""Which patches of images are hidden, for a network that learns to fill them in.

After de Mooij et al. (arXiv 2409.18100): square patches of 32 of 256 pixels, 75 % of them hidden. Here the matrix, whatever its
size, is cut into 8 × 8 patches, and 48 of them are hidden in every image.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmr_train.config import PATCHES

N_HIDDEN = round(0.75 * PATCHES**2)
"""Patches that are hidden in an image."""


def draw_hidden(n: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which patches of each of some images are hidden, shape (n, 8, 8)."""
    ranks = random.random((n, PATCHES**2)).argsort(axis=1)
    return (ranks < N_HIDDEN).reshape(n, PATCHES, PATCHES)


def hidden_pixels(hidden: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the pixels of hidden patches, shape (N, rows, columns), from the patches, shape (N, 8, 8)."""
    rows, columns = (torch.arange(n, device=hidden.device) * PATCHES // n for n in size)
    return hidden[:, rows][:, :, columns]
