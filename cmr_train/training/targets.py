"""The targets of the pretext task: what each makes of a catalogue's images (:data:`cmr_train.config.TRAITS` has their traits)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from cmr_train.choices import PretextTarget
from cmr_train.data.batches import Order
from cmr_train.data.datasets import PlaneDataset
from cmr_train.data.lines import lines_on_grid
from cmr_train.data.places import relative_places
from cmr_train.training.objectives import LineObjective, MaskedObjective, NumberObjective, SliceObjective


def _lines(dataset: PlaneDataset, order: Order) -> NumberObjective:  # noqa: ARG001  # the others' signature
    lines, pixel_mm = lines_on_grid(dataset.catalogue, dataset.index, dataset.target.grid)
    return LineObjective(torch.from_numpy(lines), torch.from_numpy(pixel_mm))


def _slice(dataset: PlaneDataset, order: Order) -> NumberObjective:  # noqa: ARG001  # the others' signature
    return SliceObjective(torch.from_numpy(relative_places(dataset.catalogue, dataset.index)))


def _masked(dataset: PlaneDataset, order: Order) -> NumberObjective:  # noqa: ARG001  # the others' signature
    return MaskedObjective(order)


NUMBER_OBJECTIVES: Mapping[PretextTarget, Callable[[PlaneDataset, Order], NumberObjective]] = MappingProxyType(
    {PretextTarget.LINES: _lines, PretextTarget.SLICE: _slice, PretextTarget.MASKED: _masked}
)
"""Makes the objective of each target that learns numbers, from its images and their order; the others learn classes."""
