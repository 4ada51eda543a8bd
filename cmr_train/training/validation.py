"""Scores on the validation set during training. They change nothing in the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cmr_train.choices import Head
from cmr_train.compute.devices import Compute
from cmr_train.data.batches import Batch
from cmr_train.data.datasets import PlaneDataset
from cmr_train.data.drawn import keep_drawn
from cmr_train.data.selection import participants
from cmr_train.models.network import Network
from cmr_train.prediction.inference import IMAGES_AT_ONCE, find_classes
from cmr_train.runs.torch_classifier import TorchClassifier
from cmr_train.training.objectives import NumberObjective
from cmr_train.training.state import TrainState, enter
from cmr_train.training.tracking import VALIDATION_MEAN
from cmr_train.training.transfer import set_training

ERROR = "error"
"""Stands for the root of the mean squared error among the values of a validation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validation:
    """The validation set of a task."""

    name: str
    """The task's name in records."""
    dataset: PlaneDataset
    """Images of participants outside the training set; its grid is that on which the network is used."""
    score: Callable[[Network, Compute], dict[str, float]]
    """Scores a network, which is left in training mode; one of the values is that by which validations are compared."""

    @property
    def n_participants(self) -> int:
        """Participants of the validation set."""
        return len(participants(self.dataset.index))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberScore:
    """Scores a network that learns numbers (:class:`cmr_train.training.objectives.NumberObjective`)."""

    dataset: PlaneDataset
    """The images."""
    objective: NumberObjective
    """What is learnt of them."""

    def __call__(self, model: Network, compute: Compute) -> dict[str, float]:
        """Return the root of the mean squared error, and the share of the numbers' variance that is explained.

        That is one minus the squared error over that of the numbers' own mean: 1 is perfect, 0 as good as always the same number.
        The images are those of the network's matrix, without augmentation.
        """
        sums = np.zeros(4)
        model.eval()
        for number, start in enumerate(range(0, len(self.dataset), IMAGES_AT_ONCE)):
            rows = np.arange(start, min(start + IMAGES_AT_ONCE, len(self.dataset)))
            images, truth = self.objective.pose(_batch(self.dataset, rows, number, compute))
            with torch.inference_mode(), compute.autocast():
                outputs = model(images.contiguous(memory_format=compute.memory_format), self.dataset.target.head.value)
            predicted, true = (values.cpu().double() for values in self.objective.pairs(outputs, truth))  # MPS has no float64
            parts = (torch.ones_like(true), true, true.square(), (predicted - true).square())
            sums += [part.sum().item() for part in parts]
        set_training(model)
        n, total, squares, errors = sums.tolist()
        spread = squares - total**2 / n
        return {ERROR: (errors / n) ** 0.5, VALIDATION_MEAN: 1 - errors / spread if spread > 0 else 0.0}


def _batch(dataset: PlaneDataset, rows: NDArray[np.int64], number: int, compute: Compute) -> Batch:
    """Return images as they are, as a batch."""
    images, masks = dataset.batch(rows.tolist())
    return Batch(
        number=number,
        rows=rows,
        images=torch.from_numpy(images[:, None]).to(compute.device),
        masks=torch.from_numpy(masks).to(compute.device),
        matrices=torch.eye(2, device=compute.device).expand(len(rows), 2, 2),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassScore:
    """Scores a network that gives each pixel a class."""

    dataset: PlaneDataset
    """Images and masks."""
    names: dict[int, str]
    """The outputs of the network that are scored, and what they stand for."""

    def __call__(self, model: Network, compute: Compute) -> dict[str, float]:
        """Return the Dice of each class, and their mean.

        A structure that no participant has, in truth or prediction, counts 0 in the mean; such a position is left out, since
        it may lie outside every image.

        A participant's Dice is over the acquired pixels of all its images; the value is the mean over the participants who have
        the class, in truth or prediction. ``evaluate`` scores each phase instead.
        """
        keys = np.array([self.dataset.index.participant(row) for row in range(len(self.dataset))])
        people, person_of = np.unique(keys, return_inverse=True)
        n_classes = self.dataset.target.n_classes
        counts = np.zeros((len(people), n_classes, n_classes), dtype=np.int64)
        for start in range(0, len(self.dataset), IMAGES_AT_ONCE):
            rows = range(start, min(start + IMAGES_AT_ONCE, len(self.dataset)))
            for row, classes in zip(rows, self._find(model, rows, compute), strict=True):
                mask = self.dataset.own_mask(row).astype(np.int64)
                pairs = np.bincount((mask * n_classes + classes).ravel(), minlength=n_classes**2)
                counts[person_of[row]] += pairs.reshape(n_classes, n_classes)
        set_training(model)
        dice = mean_dice(counts)
        values = {name: float(dice[number]) for number, name in self.names.items() if not np.isnan(dice[number])}
        n_counted = len(self.names) if self.dataset.target.head is Head.STRUCTURES else max(1, len(values))
        return {**values, VALIDATION_MEAN: sum(values.values()) / n_counted}

    def _find(self, model: Network, rows: Sequence[int], compute: Compute) -> list[NDArray[np.uint8]]:
        """Return what the network finds on some images, on their own pixels; without what was not drawn on them."""
        dataset, target = self.dataset, self.dataset.target
        images = [dataset.own_image(row) for row in rows]
        spacing_mm = [dataset.spacing_mm(row) for row in rows]
        found = find_classes(TorchClassifier(model, target.head, compute), images, spacing_mm, grid=target.grid)
        if dataset.undrawn is None:
            return found
        known = ~dataset.undrawn[list(rows)]
        return [keep_drawn(outputs[np.newaxis], each[np.newaxis])[0] for outputs, each in zip(found, known, strict=True)]


def validate_tasks(state: TrainState, validations: Sequence[Validation], compute: Compute) -> dict[str, float]:
    """Score every task of a run, each with its own running statistics.

    Parameters
    ----------
    state
        The training; it is left as it was, in the main task.
    validations
        The validation sets, the main task's first; none where the run has none.
    compute
        The device and the number format.

    Returns
    -------
        The scores of each; names of other tasks than the main one begin with the task (``positions_mean``).
    """
    found: dict[str, float] = {}
    for number, validation in enumerate(validations):
        head = validation.dataset.target.head
        enter(state, head)
        prefix = f"{validation.name}_" if number else ""
        found |= {f"{prefix}{name}": score for name, score in validation.score(state.model, compute).items()}
    if validations:
        enter(state, validations[0].dataset.target.head)
    return found


def mean_dice(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean Dice of each class over participants.

    Parameters
    ----------
    counts
        Shape (participants, classes, classes): pixels of each true class (rows) that were given each class (columns).

    Returns
    -------
        Shape (classes,); NaN for a class that no participant has.
    """
    both = np.diagonal(counts, axis1=1, axis2=2)
    either = counts.sum(axis=1) + counts.sum(axis=2)
    dice = np.divide(2.0 * both, either, out=np.zeros(both.shape), where=either > 0)
    n_people = (either > 0).sum(axis=0)
    means: NDArray[np.float64] = np.divide(dice.sum(axis=0), n_people, out=np.full(len(n_people), np.nan), where=n_people > 0)
    return means
