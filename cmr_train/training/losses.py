"""Loss functions.

Every loss is a mean over images or pixels with fixed weights, so that the mean of two halves of a batch is the loss of the
whole: the number of processes changes nothing.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cmr_train.choices import LossKind

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, classes, rows, columns) and classes (N, rows, columns), int64, to one number."""

SMOOTH_PIXELS = 1.0
"""Added to both parts of soft Dice, so that a class that neither has counts as right."""


def class_weights(frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return weights that raise rare classes: one over the square root of the frequency.

    Weighting by the frequency itself makes the nine boxes grow over their borders; the square root does not.

    Parameters
    ----------
    frequencies
        Shape (classes,), the share of each class in the pixels. A class that never occurs has the weight 0.

    Returns
    -------
        Shape (classes,), scaled so that the mean weight of a pixel is 1.

    Examples
    --------
    >>> class_weights(np.array([0.64, 0.36])).round(3).tolist()
    [0.8930000066757202, 1.190000057220459]
    """
    occurs = frequencies > 0
    weights = np.divide(1, np.sqrt(frequencies), out=np.zeros_like(frequencies), where=occurs)
    scaled: NDArray[np.float32] = (weights / (weights * frequencies).sum()).astype(np.float32)
    return scaled


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the mean cross-entropy of the pixels, in nats."""
    return functional.cross_entropy(logits, classes)


def weighted_cross_entropy(weights: Tensor) -> Loss:
    """Return cross-entropy whose pixels count by their class.

    Parameters
    ----------
    weights
        Shape (classes,). The sum is divided by the number of pixels, not by the sum of their weights: the latter varies from
        batch to batch.
    """

    def loss(logits: Tensor, classes: Tensor) -> Tensor:
        total = functional.cross_entropy(logits, classes, weight=weights, reduction="sum")
        return total / classes.numel()

    return loss


def dice_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Return cross-entropy plus one minus soft Dice, the mean over images and over classes but the background."""
    probabilities = logits.float().softmax(dim=1)[:, 1:]
    truth = functional.one_hot(classes, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    both = (probabilities * truth).sum(dim=(2, 3))
    either = probabilities.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    dice = (2 * both + SMOOTH_PIXELS) / (either + SMOOTH_PIXELS)
    return functional.cross_entropy(logits, classes) + 1 - dice.mean()


def make_loss(kind: LossKind, frequencies: NDArray[np.float64] | None, device: torch.device) -> Loss:
    """Return the loss of a kind.

    Parameters
    ----------
    kind
        Which.
    frequencies
        Shape (classes,), of the training masks; needed by :attr:`LossKind.WEIGHTED` only.
    device
        Where logits will be.
    """
    if kind is LossKind.CROSS_ENTROPY:
        return cross_entropy
    if kind is LossKind.DICE:
        return dice_cross_entropy
    if frequencies is None:
        raise ValueError("a weighted loss needs the frequencies of the classes")
    return weighted_cross_entropy(torch.from_numpy(class_weights(frequencies)).to(device))
