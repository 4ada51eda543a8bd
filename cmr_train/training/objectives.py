"""What a task makes of a batch: the network's input, the truth, and the loss of its outputs.

A truth is made after the augmentation. Every loss is a mean over images with fixed weights, as in :mod:`cmr_train.training.losses`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from cmr_train.data.augment import adjust, move, transform
from cmr_train.data.batches import Batch, Order
from cmr_train.data.hiding import hidden_pixels
from cmr_train.data.lines import heat_maps
from cmr_train.training.losses import Loss


class Objective(Protocol):
    """What is learnt from a batch."""

    def pose(self, batch: Batch) -> tuple[Tensor, Any]:
        """Return the network's input, shape (N, 1, rows, columns), and the truth, as the other methods take it."""

    def loss(self, outputs: Tensor, truth: Any) -> Tensor:  # noqa: ANN401  # what pose returned
        """Return the loss of the network's outputs."""


class NumberObjective(Objective, Protocol):
    """An objective whose truth is numbers, so that an error can be given."""

    def pairs(self, outputs: Tensor, truth: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401  # what pose returned
        """Return the predicted and the true numbers that count, each of one shape."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassObjective:
    """The class of every pixel, from the masks of the batch."""

    loss_of_classes: Loss
    """The loss."""

    def pose(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
        """Return the images, and their classes with what was not drawn."""
        images, classes = transform(batch.images, batch.masks, batch.matrices)
        return adjust(images, batch.powers, batch.blurs, batch.noise), (classes, batch.undrawn)

    def loss(self, outputs: Tensor, truth: tuple[Tensor, Tensor | None]) -> Tensor:
        """Return the loss of logits."""
        return self.loss_of_classes(outputs, *truth)


@dataclass(frozen=True, slots=True, eq=False)
class LineObjective:
    """A heat map of each line (:mod:`cmr_train.data.lines`)."""

    lines: Tensor
    """Shape (images, 2, 3)."""
    pixel_mm: Tensor
    """Shape (images, 2)."""

    def pose(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the images and their heat maps, shape (N, 2, rows, columns)."""
        device = batch.images.device
        lines, pixel_mm = self.lines[batch.rows].to(device), self.pixel_mm[batch.rows].to(device)
        size = batch.images.shape[-2], batch.images.shape[-1]
        return _moved(batch), heat_maps(lines, pixel_mm, batch.matrices, size)

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean squared error of all pixels of both maps."""
        return (outputs.float() - truth).square().mean()

    def pairs(self, outputs: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return all pixels of both maps."""
        return outputs.float(), truth


@dataclass(frozen=True, slots=True, eq=False)
class SliceObjective:
    """The place in the stack."""

    places: Tensor
    """Shape (images,), 0 at the base, 1 at the apex."""

    def pose(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the images and their places, shape (N,)."""
        return _moved(batch), self.places[batch.rows].to(batch.images.device)

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean squared error of the outputs, shape (N, 1, 1, 1)."""
        return (outputs.float().flatten() - truth).square().mean()

    def pairs(self, outputs: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places."""
        return outputs.float().flatten(), truth


@dataclass(frozen=True, slots=True, eq=False)
class MaskedObjective:
    """The intensities of hidden patches (:mod:`cmr_train.data.hiding`), which are 0 in the input."""

    order: Order
    """It says which patches are hidden in a batch."""

    def pose(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the images with patches of 0; the whole ones and what is hidden of them, each of shape (N, rows, columns)."""
        images = _moved(batch)
        hidden = torch.from_numpy(self.order.hidden(batch.number)[: len(images)]).to(images.device)
        pixels = hidden_pixels(hidden, (images.shape[-2], images.shape[-1]))
        return images.masked_fill(pixels[:, None], 0.0), (images[:, 0], pixels)

    def loss(self, outputs: Tensor, truth: tuple[Tensor, Tensor]) -> Tensor:
        """Return the squared error of the hidden pixels: the mean over them, then over images."""
        images, pixels = truth
        errors = (outputs[:, 0].float() - images).square() * pixels
        return (errors.sum(dim=(1, 2)) / pixels.sum(dim=(1, 2))).mean()

    def pairs(self, outputs: Tensor, truth: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the hidden pixels."""
        images, pixels = truth
        return outputs[:, 0].float()[pixels], images[pixels]


def _moved(batch: Batch) -> Tensor:
    """Return the augmented images."""
    return adjust(move(batch.images, batch.matrices), batch.powers, batch.blurs, batch.noise)
