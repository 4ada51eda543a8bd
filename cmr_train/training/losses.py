"""Loss functions.

Every loss is a mean over images or pixels with fixed weights, so that the mean of two halves of a batch is the loss of the
whole: the number of processes changes nothing.

Where structures were not drawn on an image, its background may hold them: there the loss of background is that of background and
all undrawn structures together, the marginal loss of Shi et al. (Medical Image Analysis 70, 2021).
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cmr_train.choices import LossKind


class Loss(Protocol):
    """From logits to one number."""

    def __call__(self, logits: Tensor, classes: Tensor, undrawn: Tensor | None = None) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        logits
            Shape (N, classes, rows, columns).
        classes
            Shape (N, rows, columns), int64; never one that was not drawn on its image.
        undrawn
            Shape (N, classes), bool: structures that were not drawn on each image; None where all were.
        """


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


def cross_entropy(
    logits: Tensor, classes: Tensor, undrawn: Tensor | None = None, *, weights: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of the pixels, in nats: their mean; ``weights`` and ``reduction`` are as torch takes them."""
    if undrawn is None:
        return functional.cross_entropy(logits, classes, weight=weights, reduction=reduction)
    return functional.nll_loss(_log_probabilities(logits, undrawn), classes, weight=weights, reduction=reduction)


def weighted_cross_entropy(weights: Tensor) -> Loss:
    """Return cross-entropy whose pixels count by their class.

    Parameters
    ----------
    weights
        Shape (classes,). The sum is divided by the number of pixels, not by the sum of their weights: the latter varies from
        batch to batch.
    """

    def loss(logits: Tensor, classes: Tensor, undrawn: Tensor | None = None) -> Tensor:
        return cross_entropy(logits, classes, undrawn, weights=weights, reduction="sum") / classes.numel()

    return loss


def dice_cross_entropy(logits: Tensor, classes: Tensor, undrawn: Tensor | None = None) -> Tensor:
    """Return cross-entropy plus one minus soft Dice, the mean over images and, in each, over drawn classes but the background.

    An image on which nothing was drawn has a Dice loss of 0.
    """
    probabilities = logits.float().softmax(dim=1)[:, 1:]
    truth = functional.one_hot(classes, logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    both = (probabilities * truth).sum(dim=(2, 3))
    either = probabilities.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    dice = (2 * both + SMOOTH_PIXELS) / (either + SMOOTH_PIXELS)
    if undrawn is None:
        return functional.cross_entropy(logits, classes) + 1 - dice.mean()
    drawn = (~undrawn[:, 1:]).to(dice.dtype)
    of_image = ((1 - dice) * drawn).sum(dim=1) / drawn.sum(dim=1).clamp_min(1)
    return cross_entropy(logits, classes, undrawn) + of_image.mean()


def _log_probabilities(logits: Tensor, undrawn: Tensor) -> Tensor:
    """Return logarithms of probabilities, that of background with those of the undrawn structures of its image added."""
    logarithms = logits.float().log_softmax(dim=1)
    may_be_background = undrawn.clone()
    may_be_background[:, 0] = True
    background = logarithms.masked_fill(~may_be_background[:, :, None, None], -torch.inf).logsumexp(dim=1, keepdim=True)
    return torch.cat([background, logarithms[:, 1:]], dim=1)


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
