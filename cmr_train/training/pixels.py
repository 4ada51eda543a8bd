"""The pixel size of a training: that of its images, and that at which the network sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cmr_planes import BoxUnits
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.progress import OnMessage
from cmr_train.choices import Head, Resampling
from cmr_train.config import RunConfig
from cmr_train.data.images import Grid
from cmr_train.data.pixel_sizes import PixelSizes, pixel_text, spacings_of
from cmr_train.runs.folder import read_pixel_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPixels:
    """Pixel sizes of the training images, and of the network."""

    sizes: Mapping[Head, PixelSizes]
    """Those of the training images of each task."""
    resampled_mm: tuple[float, float] | None
    """Those to which images are resampled; None where each keeps its own."""
    network_mm: tuple[float, float]
    """Those at which the network is used: where it learns from images as acquired, the median of its own task."""


def choose_pixels(
    config: RunConfig,
    catalogues: Mapping[Head, Catalogue],
    train: Mapping[Head, ImageIndex],
    training_set: ImageIndex,
    on_message: OnMessage,
) -> TrainingPixels:
    """Find the pixel sizes of the training images, and choose that of the network.

    Parameters
    ----------
    config
        The configuration of the run.
    catalogues
        The catalogue of each task.
    train
        The training images of each task.
    training_set
        The images of the run's own task from which those to train on are chosen: an automatic size is that of all, so that it is
        the same for every choice.
    on_message
        Called with sentences about sizes that differ, and about what becomes of them.
    """
    spacings = {head: spacings_of(catalogues[head], index) for head, index in train.items()}
    sizes = {head: PixelSizes.of(values) for head, values in spacings.items()}
    everything = PixelSizes.of(np.concatenate([*spacings.values()]))
    pretext = None if config.transfer is None else config.transfer.pretext
    pretext_mm = None if pretext is None else read_pixel_mm(pretext)
    own = sizes[config.head]
    is_all = training_set is train[config.head]
    cohort = spacings[config.head] if is_all else spacings_of(catalogues[config.head], training_set)
    others = [values for head, values in spacings.items() if head is not config.head]
    varies = PixelSizes.of(np.concatenate([cohort, *others])).varies
    median_mm = PixelSizes.of(cohort).square_mm if varies else None
    plan = config.plan
    resampled_mm = _resampled_mm(config.data.resample_mm, median_mm, pretext_mm) if plan is None else plan.spacing_mm
    if resampled_mm is None:
        if everything.varies:
            on_message(
                f"pixels of the training images measure {everything} and are used as acquired, so that hearts are of other size "
                f"in some than in others; resample_mm {Resampling.AUTO.value!r} brings all to one size"
            )
        if pretext_mm is not None and own.is_far_from(pretext_mm):
            on_message(
                f"the pretext was trained at pixels of {pixel_text(pretext_mm)}, and these images have {own}; resample_mm "
                f"{Resampling.AUTO.value!r} brings them to those of the pretext"
            )
        return TrainingPixels(sizes=sizes, resampled_mm=None, network_mm=own.median_mm)
    grid = Grid.of(config, resampled_mm)
    if not all(grid.keeps((rows, columns)) for values in spacings.values() for rows, columns in values.tolist()):
        on_message(f"images with pixels of {everything} are resampled to {pixel_text(resampled_mm)}")
        if (
            Head.POSITIONS in train
            and config.has_classes(Head.POSITIONS)
            and _has_boxes_in_pixels(catalogues[Head.POSITIONS], train[Head.POSITIONS])
        ):
            on_message(
                "the boxes of the positions were drawn at a size in pixels and are resized with their images, so that images of "
                "different pixel sizes have boxes of different size; boxes at a size in mm (units 'mm') have one size in all"
            )
    return TrainingPixels(sizes=sizes, resampled_mm=resampled_mm, network_mm=resampled_mm)


def _has_boxes_in_pixels(catalogue: Catalogue, index: ImageIndex) -> bool:
    """Return whether boxes have a size in pixels; all boxes of a catalogue have one unit."""
    boxes = catalogue.view_attributes(index.subject(0), str(index.view[0])).boxes
    return boxes is not None and boxes.layout.units is BoxUnits.PIXELS


def _resampled_mm(
    wanted: float | Resampling, median_mm: float | None, pretext_mm: tuple[float, float] | None
) -> tuple[float, float] | None:
    if not isinstance(wanted, Resampling):
        return wanted, wanted
    if wanted is Resampling.NONE:
        return None
    if pretext_mm is not None:
        return pretext_mm
    return None if median_mm is None else (median_mm, median_mm)
