"""Several networks of one task as one: the mean of their probabilities on an image's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Head
from cmr_train.errors import TrainError
from cmr_train.prediction.inference import find_probabilities, label_images
from cmr_train.runs.trained_network import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What some networks find on some images."""

    labels: list[NDArray[np.uint8]]
    """The most likely class of every pixel of each image, by the mean of the networks."""
    by_run: list[list[NDArray[np.uint8]]]
    """The same by each network alone; empty for a single one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble:
    """Trained networks of one view, task and set of classes; they may differ in matrix, pixel size and size of the network."""

    runs: tuple[TrainedNetwork, ...]
    """In the order of their weights' checksums, so that the order in which they are named, and their form, change no result."""
    weights_sha256: tuple[str, ...]
    """The checksum of each one's file of weights."""

    @classmethod
    def of(cls, runs: Sequence[TrainedNetwork]) -> Self:
        """Put networks together.

        Parameters
        ----------
        runs
            At least one.

        Raises
        ------
        TrainError
            Two of them are of other views, tasks or classes, or have the same weights, in whatever form.
        CheckpointError
            The weights of one are not there.
        """
        ordered = sorted(((run.tensors_sha256, run) for run in runs), key=itemgetter(0))
        for run in runs[1:]:
            _check_pair(runs[0], run)
        for (digest, run), (next_digest, other) in pairwise(ordered):
            if digest == next_digest:
                raise TrainError(
                    f"{str(run.folder)!r} and {str(other.folder)!r} have the same weights, which would count twice; give each "
                    "network once"
                )
        return cls(runs=tuple(run for _, run in ordered), weights_sha256=tuple(run.weights_sha256 for _, run in ordered))

    @property
    def view(self) -> CardiacView:
        """The view that the networks know."""
        return self.runs[0].view

    @property
    def head(self) -> Head:
        """The task."""
        return self.runs[0].head

    @property
    def classes(self) -> dict[int, str]:
        """The classes that the networks find, without the background, and their names."""
        return self.runs[0].classes

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures that the networks find, where their task is to find structures."""
        return self.runs[0].structures

    @cached_property
    def _numbers(self) -> NDArray[np.uint8]:
        """The class of each output of any network; one of an earlier release has outputs for classes without a name."""
        return np.unique([number for run in self.runs for number in run.class_numbers]).astype(np.uint8)

    def find(self, images: Sequence[NDArray[Any]], spacing_mm: Sequence[tuple[float, float]], *, rotate_deg: float = 0.0) -> Found:
        """Classify every pixel of some images.

        Parameters
        ----------
        images
            Each of shape (rows, columns), stored intensities; sizes may differ.
        spacing_mm
            Distance between rows and between columns of each.
        rotate_deg
            As of :func:`cmr_train.prediction.inference.find_classes`.
        """
        if len(self.runs) == 1:
            return Found(labels=label_images(self.runs[0], images, spacing_mm, rotate_deg=rotate_deg), by_run=[])
        outputs = [np.array(run.class_numbers, dtype=np.uint8) for run in self.runs]
        places = [np.searchsorted(self._numbers, numbers) for numbers in outputs]
        answers = [find_probabilities(run, images, spacing_mm, rotate_deg=rotate_deg) for run in self.runs]
        found = Found(labels=[], by_run=[[] for _ in self.runs])
        for of_image in zip(*answers, strict=True):
            total = np.zeros((len(self._numbers), *of_image[0].shape[1:]), dtype=np.float32)
            for own, numbers, place, labels in zip(of_image, outputs, places, found.by_run, strict=True):
                total[place] += own
                labels.append(numbers[own.argmax(axis=0)])
            found.labels.append(self._numbers[total.argmax(axis=0)])
        return found


def _check_pair(first: TrainedNetwork, other: TrainedNetwork) -> None:
    """Refuse two runs whose probabilities cannot be averaged."""
    names = f"runs {str(first.folder)!r} and {str(other.folder)!r}"
    if (first.view, first.head) != (other.view, other.head):
        raise TrainError(
            f"{names} cannot be averaged: one finds {first.head} on {first.view.title}, the other {other.head} on "
            f"{other.view.title}"
        )
    if first.classes != other.classes:
        raise TrainError(
            f"{names} cannot be averaged: one finds {', '.join(first.classes.values())}, the other "
            f"{', '.join(other.classes.values())}"
        )
