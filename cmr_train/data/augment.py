"""Augmentation of a whole batch on the device that trains. Images are never mirrored: the positions have sides.

The matrices map pixels of the result to pixels of the source, about the centre of the image, as ``scipy.ndimage.affine_transform``
takes them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cmr_train.config import MOST_BLUR

BLUR_RADIUS = round(3 * MOST_BLUR)
"""Pixels to either side that a blur takes in: three times its largest standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """By how much images are changed at random."""

    rotation_deg: float = 0.0
    """They are turned by up to this, either way, uniformly."""
    scaling: float = 0.0
    """They are scaled by a factor from 1 / (1 + this) to 1 + this, uniform in its logarithm."""
    gamma: float = 0.0
    """Intensities are raised to a power from 1 / (1 + this) to 1 + this, uniform in its logarithm."""
    noise: float = 0.0
    """Normal noise is added; each image's standard deviation is from 0 up to this, uniformly."""
    blur: float = 0.0
    """Images are convolved with a Gaussian; each one's standard deviation in pixels is from 0 up to this, uniformly."""


def draw_matrices(n: int, random: np.random.Generator, *, rotation_deg: float, scaling: float) -> NDArray[np.float32]:
    """Draw the rotation and the scaling of some images.

    Parameters
    ----------
    n
        How many images.
    random
        Where the numbers come from.
    rotation_deg, scaling
        As in :class:`Augmentation`.

    Returns
    -------
        Shape (n, 2, 2), from (row, column) of the result to (row, column) of the source, both from the centre, in pixels.
    """
    angles = np.deg2rad(random.uniform(-rotation_deg, rotation_deg, n))
    zoom = _factors(n, random, scaling)
    cosine, sine = np.cos(angles) / zoom, np.sin(angles) / zoom
    return np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2).astype(np.float32)


def draw_powers(n: int, random: np.random.Generator, *, gamma: float) -> NDArray[np.float32]:
    """Draw the power to which the intensities of each of some images are raised, shape (n,)."""
    return _factors(n, random, gamma).astype(np.float32)


def draw_noise(shape: tuple[int, int, int], random: np.random.Generator, *, noise: float) -> NDArray[np.float32]:
    """Draw what is added to some images, shape (n, rows, columns)."""
    deviations = random.uniform(0, noise, shape[0]).astype(np.float32)
    return random.standard_normal(shape, dtype=np.float32) * deviations[:, None, None]


def draw_blurs(n: int, random: np.random.Generator, *, blur: float) -> NDArray[np.float32]:
    """Draw the standard deviation of the Gaussian with which each of some images is blurred, shape (n,), in pixels."""
    return random.uniform(0, blur, n).astype(np.float32)


def _factors(n: int, random: np.random.Generator, beyond_one: float) -> NDArray[np.float64]:
    """Draw factors from 1 / (1 + beyond_one) to 1 + beyond_one, uniform in their logarithm."""
    most = np.log1p(beyond_one)
    return np.exp(random.uniform(-most, most, n))


def sampling_grid(matrices: Tensor, rows: int, columns: int) -> Tensor:
    """Return where each pixel of the result is taken from, as ``grid_sample`` takes it.

    The same as ``torch.nn.functional.affine_grid`` without corners aligned, as sums of one row and one column: on a CPU
    a tenth of its time.

    Parameters
    ----------
    matrices
        Shape (N, 2, 2), as :func:`draw_matrices` gives them.
    rows, columns
        Size of the images.

    Returns
    -------
        Shape (N, rows, columns, 2): (column, row), -1 to 1 from edge to edge of the image.
    """
    half = rows / 2, columns / 2  # numbers, not a tensor: a tensor made here would be copied, for which CUDA waits in every step
    row = (2 * torch.arange(rows, device=matrices.device) + 1) / rows - 1
    column = (2 * torch.arange(columns, device=matrices.device) + 1) / columns - 1
    grid = matrices.new_empty(len(matrices), rows, columns, 2)
    for coordinate, axis in enumerate((1, 0)):
        along_rows = (matrices[:, axis, 0] * half[0] / half[axis])[:, None] * row
        along_columns = (matrices[:, axis, 1] * half[1] / half[axis])[:, None] * column
        grid[..., coordinate] = along_rows[:, :, None] + along_columns[:, None, :]
    return grid


def transform(images: Tensor, masks: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Move images and their masks together.

    Parameters
    ----------
    images
        Shape (N, 1, rows, columns), float32; interpolated linearly, 0 outside.
    masks
        Shape (N, rows, columns), uint8; the nearest pixel's class, background outside.
    matrices
        Shape (N, 2, 2), as :func:`draw_matrices` gives them, on the same device.

    Returns
    -------
    images
        The same shape and type.
    masks
        The same shape, int64, as the losses take it.
    """
    grid = sampling_grid(matrices, images.shape[-2], images.shape[-1])
    moved = _interpolated(images, grid)
    classes = functional.grid_sample(masks[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, classes[:, 0].long()


def move(images: Tensor, matrices: Tensor) -> Tensor:
    """Move images alone, as :func:`transform` moves them with their masks."""
    return _interpolated(images, sampling_grid(matrices, images.shape[-2], images.shape[-1]))


def _interpolated(images: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def adjust(images: Tensor, powers: Tensor | None, blurs: Tensor | None, noise: Tensor | None) -> Tensor:
    """Change the intensities of images: contrast, then blur, then noise.

    Parameters
    ----------
    images
        Shape (N, 1, rows, columns), 0 to 1.
    powers
        Shape (N,), as :func:`draw_powers` gives them; None leaves contrast as it is.
    blurs
        Shape (N,), as :func:`draw_blurs` gives them; None blurs nothing.
    noise
        Shape (N, rows, columns), as :func:`draw_noise` gives it; None adds none.
    """
    if powers is not None:
        images = images.clamp(min=0) ** powers[:, None, None, None]
    if blurs is not None:
        images = blurred(images, blurs)
    return images if noise is None else images + noise[:, None]


def blurred(images: Tensor, deviations: Tensor) -> Tensor:
    """Convolve images with Gaussians; the nearest pixel continues beyond the border.

    Parameters
    ----------
    images
        Shape (N, 1, rows, columns).
    deviations
        Shape (N,), the standard deviation of each image's Gaussian in pixels; at most :data:`cmr_train.config.MOST_BLUR`.
    """
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=images.device)
    weights = torch.exp(-((offsets / deviations[:, None].clamp_min(1e-3)) ** 2) / 2)  # 1e-3 pixels: only the pixel itself
    kernels = (weights / weights.sum(dim=1, keepdim=True))[:, None]
    n, edge = len(images), (BLUR_RADIUS, BLUR_RADIUS)
    row = functional.pad(images.movedim(1, 0), (*edge, *edge), mode="replicate")  # images as channels: each has its own kernel
    across = functional.conv2d(row, kernels[:, :, None, :], groups=n)
    return functional.conv2d(across, kernels[:, :, :, None], groups=n).movedim(0, 1)
