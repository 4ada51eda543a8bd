"""What segmentation needs of a trained network, whatever runs it. Nothing here imports torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Head, People, Weights
from cmr_train.data.images import Grid
from cmr_train.errors import TrainError
from cmr_train.runs.identity import Seen


class Classifier(Protocol):
    """From images on a network's grid to classes.

    ``images`` are of shape (n, rows, columns), as the network sees them. With an angle ``rotate_deg``, probabilities are the mean
    of those of the images as they are and turned by it either way, brought back. Then ``pixel_mm``, shape (n, 2), the distance
    between rows and between columns of each image, is needed.
    """

    @property
    def turns_images(self) -> bool:
        """Whether it takes an angle."""
        ...

    def probabilities(
        self, images: NDArray[np.float32], *, rotate_deg: float = 0.0, pixel_mm: NDArray[np.float64] | None = None
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel, shape (n, classes, rows, columns)."""
        ...

    def most_likely(
        self, images: NDArray[np.float32], *, rotate_deg: float = 0.0, pixel_mm: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        """Return the most likely output at every pixel, shape (n, rows, columns)."""
        ...


class WithPeople(Protocol):
    """What is known of the people that a network was trained on."""

    @property
    def name(self) -> str:
        """The network's name."""
        ...

    @property
    def has_people(self) -> bool:
        """Whether the participants that it was trained on are known."""
        ...

    @property
    def learnt_from(self) -> Seen:
        """The participants whose masks of its own task were trained on."""
        ...

    @property
    def seen_by_pretext(self) -> tuple[Seen, ...]:
        """Participants whose positions the weights were trained on."""
        ...

    @property
    def people(self) -> People | None:
        """Whether equal keys were said to be the same persons when it was trained."""
        ...


class TrainedNetwork(WithPeople, Protocol):
    """A trained network that can be used: a run, or one that was exported."""

    @property
    def folder(self) -> Path:
        """Its folder or file."""
        ...

    @property
    def view(self) -> CardiacView:
        """The view that it knows."""
        ...

    @property
    def head(self) -> Head:
        """Its task."""
        ...

    @property
    def classes(self) -> dict[int, str]:
        """The classes that it finds, without the background, and their names."""
        ...

    @property
    def class_numbers(self) -> tuple[int, ...]:
        """The class of each output, the background first."""
        ...

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that it finds, where its task is to find structures."""
        ...

    @property
    def grid(self) -> Grid:
        """The pixels on which it is used."""
        ...

    @property
    def weights(self) -> Weights:
        """Whether these are the last or the best weights of its run."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Checksum of the file of its weights; raises CheckpointError if that is gone."""
        ...

    @property
    def tensors_sha256(self) -> str:
        """Checksum of the weights themselves: the same for a run and for what was exported from it, in any form."""
        ...

    @property
    def validation_dice(self) -> Mapping[str, float]:
        """Mean Dice on the validation set of the last and of the best weights; empty where that is not known."""
        ...

    @property
    def weights_sentence(self) -> str:
        """The choice of the weights, and what each choice had on the validation set."""
        ...

    @property
    def rotation_deg(self) -> float:
        """The angle by which the images that it has learnt from were turned at most."""
        ...

    @property
    def classifier(self) -> Classifier:
        """What answers."""
        ...


def check_has_classes(network: TrainedNetwork, verb: str) -> None:
    """Refuse a network that gives pixels no class.

    Parameters
    ----------
    network
        A trained network.
    verb
        What its label maps are wanted for.

    Raises
    ------
    TrainError
        It makes no label maps.
    """
    if not network.classes:
        raise TrainError(
            f"{network.name!r} has learnt a target of the pretext that gives pixels no class, so that it makes no label maps to "
            f"{verb}; validate_every scores it while it trains, and 'cmr-train finetune' makes a network of it that segments"
        )
