"""What each file drew on which image, and how the files of a subject become one label map an image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cmr_planes.annotations.model import TargetView
from cmr_planes.geometry.arrays import BoolArray, LabelArray
from cmr_planes.shards.records import ViewLabels
from cmr_planes.system.text import counted, either
from cmr_planes.views import CardiacView, Structure

ImagePlace: TypeAlias = tuple[CardiacView, int, int]
"""View, phase and slice."""

_ATRIA = (Structure.LA, Structure.RA)

_MAY_BE_ABSENT = (Structure.RV, *_ATRIA)
"""Structures that a slice may lack: where one is drawn on any slice of a phase, the annotator checked all slices of it."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnImage:
    """Labels of one image."""

    labels: LabelArray
    """Shape (rows, columns), values of :class:`cmr_planes.views.Structure`."""
    structures: frozenset[Structure]
    """Structures that were drawn, or that the file's classes can say."""
    refused: frozenset[Structure] = frozenset()
    """Structures that were drawn and cannot be used: they count as not annotated."""

    def without(self, refused: Iterable[Structure]) -> "DrawnImage":
        """Leave out structures that cannot be used."""
        gone = frozenset(refused)
        if not gone:
            return self
        labels: LabelArray = np.where(np.isin(self.labels, list(gone)), 0, self.labels).astype(np.uint8)
        return DrawnImage(labels, self.structures - gone, self.refused | gone)

    def covered_by(self, other: "DrawnImage") -> "DrawnImage":
        """Lay other labels over these; an epicardium that was drawn without its blood pool leaves the one that is there."""
        covers = other.labels != 0
        if not (other.labels == Structure.LV).any():
            covers &= ~((other.labels == Structure.MYO) & (self.labels == Structure.LV))
        labels: LabelArray = np.where(covers, other.labels, self.labels)
        refused = (self.refused | other.refused) - self.structures - other.structures
        return DrawnImage(labels, self.structures | other.structures, refused)

    def differs_from(self, other: "DrawnImage") -> bool:
        """Tell whether both show one of the structures, and not alike."""
        shared = (set(np.unique(self.labels).tolist()) & set(np.unique(other.labels).tolist())) - {0}
        return bool(shared) and not np.array_equal(self.labels, other.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What one file drew."""

    name: str
    """What sentences call the file."""
    source: str
    """Its format."""
    images: Mapping[ImagePlace, DrawnImage]
    """By image."""


def settled(layers: Sequence[Layer]) -> tuple[list[Layer], list[str]]:
    """Let one file win where several show the same structure on an image, and not alike: the last by name.

    Parameters
    ----------
    layers
        What each file drew, in the order of their names.

    Returns
    -------
        The layers, the losers without the images that they share with a winner; and a sentence that names the winners.
    """
    kept: list[Layer] = []
    lost: set[ImagePlace] = set()
    winners: list[str] = []
    for layer in layers:
        for number, earlier in enumerate(kept):
            shared = earlier.images.keys() & layer.images.keys()
            if any(earlier.images[place].differs_from(layer.images[place]) for place in shared):
                kept[number] = Layer(
                    earlier.name, earlier.source, {place: image for place, image in earlier.images.items() if place not in shared}
                )
                lost |= shared
                winners.append(layer.name)
        kept.append(layer)
    if not lost:
        return kept, []
    names = ", ".join(dict.fromkeys(winners))
    return kept, [
        f"{counted(len(lost), 'image')} {either(len(lost), 'is', 'are')} annotated in more than one file, and not "
        f"alike; there the last file by name was used ({names}); "
        "leave the other files out, or these, to choose"
    ]


def finished(target: TargetView, layers: Sequence[Layer]) -> ViewLabels | None:
    """Join what the files drew on a view.

    Parameters
    ----------
    target
        The view.
    layers
        What each file drew, in the order in which they cover each other.

    Returns
    -------
        The labels; None where nothing was drawn. A chamber that was drawn on one slice of a phase was checked on all annotated
        ones.
    """
    images: dict[ImagePlace, DrawnImage] = {}
    sources = set()
    for layer in layers:
        for place, image in layer.images.items():
            if place[0] is target.view:
                images[place] = images[place].covered_by(image) if place in images else image
                sources.add(layer.source)
    if not any(image.structures for image in images.values()):
        return None
    labels = np.zeros(target.shape, dtype=np.uint8)
    structures = np.zeros((*target.shape[:2], len(Structure)), dtype=np.bool_)
    refused = np.zeros_like(structures)
    for (_, phase, slice_index), image in images.items():
        labels[phase, slice_index] = image.labels
        structures[phase, slice_index, list(image.structures | {Structure.BACKGROUND})] = bool(image.structures)
        refused[phase, slice_index, list(image.refused)] = True
    for structure in _MAY_BE_ABSENT:
        drawn: BoolArray = np.any(structures[..., structure], axis=1)
        if target.view is CardiacView.SAX and structure in _ATRIA:  # conventions name them for all views
            drawn = np.any(labels == structure, axis=(1, 2, 3))
        structures[..., structure] = drawn[:, None] & structures[..., 0] & ~refused[..., structure]
    return ViewLabels(labels=labels, structures=structures, source=", ".join(sorted(sources)))


def refused_muscle(target: TargetView, layers: Sequence[Layer]) -> BoolArray:
    """Return on which images of a view the muscle was drawn and not used, shape (phase, slice)."""
    refused = np.zeros(target.shape[:2], dtype=np.bool_)
    for layer in layers:
        for (view, phase, slice_index), image in layer.images.items():
            if view is target.view and Structure.MYO in image.refused:
                refused[phase, slice_index] = True
    return refused
