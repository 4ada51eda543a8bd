"""Images a second from a catalogue to an augmented batch, on one core, beside MONAI, batchgeneratorsv2 and scipy.

    python benchmarks/loader.py CATALOGUE [--seconds 5] [--rounds 3]

All ways read the same images and position masks through ``Catalogue``, map the 1st to 99th percentile to [0, 1], bring them to
192 × 208, turn them by up to 15 degrees and scale them by up to 15 %, linearly for images and to the nearest for masks, and give
batches of 20. MONAI: ScaleIntensityRangePercentilesd, ResizeWithPadOrCropd and RandAffined on each sample, without CacheDataset.
batchgeneratorsv2, with which nnU-Net augments: SpatialTransform on each sample, after our normalisation and matrix. scipy:
``affine_transform`` on each image and mask, as ukbb_cardiac does. Ours is timed reading from disk, as the others do, and from
memory. The ways take turns; the median of the rounds is printed. CPU time of the process counts, not the clock.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from monai.transforms import Compose, RandAffined, ResizeWithPadOrCropd, ScaleIntensityRangePercentilesd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from cmr_planes import CardiacView, Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_train.choices import Head
from cmr_train.data.augment import Augmentation, draw_matrices, transform
from cmr_train.data.batches import Order
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid, fit, normalise

VIEW = CardiacView.SAX
SIZE = (192, 208)
BATCH, ROTATION_DEG, SCALING = 20, 15.0, 0.15
AUGMENTATION = Augmentation(rotation_deg=ROTATION_DEG, scaling=SCALING)

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]
Pair = tuple[NDArray[np.uint16], NDArray[np.uint8]]


def main() -> None:
    """Time each way and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with Catalogue(arguments.catalogue) as catalogue:
        index = catalogue.index(VIEW)
        index = index.select(index.has_positions)
        ways: dict[str, Callable[[], Batches]] = {
            "cmr_train, from disk": lambda: ours(catalogue, index, is_cached=False),
            "cmr_train, from memory": lambda: ours(catalogue, index, is_cached=True),
            "MONAI": lambda: monai(catalogue, index),
            "batchgeneratorsv2": lambda: batchgenerators(catalogue, index),
            "scipy": lambda: scipy(catalogue, index),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                rates[name].append(images_per_second(way(), arguments.seconds))
    table = Table("way", "images/s", "of MONAI")
    reference = statistics.median(rates["MONAI"])
    for name, found in rates.items():
        middle = statistics.median(found)
        table.add_row(name, f"{middle:,.0f}", f"{middle / reference:.1f}")
    Console().print(table)


def images_per_second(batches: Batches, seconds: float) -> float:
    """Draw batches for some seconds of CPU time, after two that do not count."""
    for _ in range(2):
        next(batches)
    start, n_images = time.process_time(), 0
    while time.process_time() - start < seconds:
        n_images += len(next(batches)[0])
    return n_images / (time.process_time() - start)


def ours(catalogue: Catalogue, index: ImageIndex, *, is_cached: bool) -> Batches:
    """Read a batch, then move it as a whole."""
    dataset = PlaneDataset(catalogue, index, Target(view=VIEW, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid(SIZE)))
    if is_cached:
        dataset.fill_cache()
    order = Order(n_images=len(dataset), batch_size=BATCH, seed=0, task=0)
    number = 0
    while True:
        images, masks = dataset.batch(order.rows(number).tolist())
        matrices = order.matrices(number, AUGMENTATION)
        yield transform(torch.from_numpy(images[:, None]), torch.from_numpy(masks), torch.from_numpy(matrices))
        number += 1


def pairs(catalogue: Catalogue, index: ImageIndex) -> Iterator[Pair]:
    """Read images and masks one at a time, in random order."""
    random = np.random.default_rng(0)
    while True:
        for row in random.permutation(len(index)):
            address = (index.subject(row), VIEW, int(index.phase_index[row]), int(index.slice_index[row]))
            yield catalogue.image(*address), catalogue.positions(*address)


def monai(catalogue: Catalogue, index: ImageIndex) -> Batches:
    """Transform each sample, then stack."""
    angle = float(np.deg2rad(ROTATION_DEG))
    keys = ("image", "mask")
    steps = Compose(
        [
            ScaleIntensityRangePercentilesd("image", 1, 99, 0, 1, clip=True),
            ResizeWithPadOrCropd(keys, SIZE),
            RandAffined(
                keys,
                prob=1,
                rotate_range=angle,
                scale_range=(SCALING, SCALING),
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
                cache_grid=True,
                spatial_size=SIZE,
            ),
        ]
    )
    source = pairs(catalogue, index)
    while True:
        samples = []
        for _ in range(BATCH):
            image, mask = next(source)
            samples.append(steps({"image": torch.from_numpy(image.astype(np.float32))[None], "mask": torch.from_numpy(mask)[None]}))
        yield torch.stack([each["image"] for each in samples]), torch.stack([each["mask"] for each in samples])[:, 0].long()


def batchgenerators(catalogue: Catalogue, index: ImageIndex) -> Batches:
    """Transform each sample with the transform of nnU-Net, then stack."""
    angle = float(np.deg2rad(ROTATION_DEG))
    move = SpatialTransform(
        SIZE,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=1,
        rotation=(-angle, angle),
        p_scaling=1,
        scaling=(1 - SCALING, 1 + SCALING),
        p_synchronize_scaling_across_axes=1,
        mode_seg="nearest",
    )
    source = pairs(catalogue, index)
    while True:
        images, masks = [], []
        for _ in range(BATCH):
            image, mask = next(source)
            fitted = (
                torch.from_numpy(fit(normalise(image), *SIZE)[0])[None],
                torch.from_numpy(fit(mask, *SIZE)[0].astype(np.int16))[None],
            )
            moved = move(image=fitted[0], segmentation=fitted[1])
            images.append(moved["image"])
            masks.append(moved["segmentation"])
        yield torch.stack(images), torch.stack(masks)[:, 0].long()


def scipy(catalogue: Catalogue, index: ImageIndex) -> Batches:
    """Transform each image and each mask with scipy, then stack."""
    random = np.random.default_rng(0)
    centre = (np.array(SIZE) - 1) / 2
    source = pairs(catalogue, index)
    while True:
        images, masks = [], []
        for matrix in draw_matrices(BATCH, random, rotation_deg=ROTATION_DEG, scaling=SCALING):
            image, mask = next(source)
            offset = centre - matrix @ centre
            images.append(ndimage.affine_transform(fit(normalise(image), *SIZE)[0], matrix, offset, order=1))
            masks.append(ndimage.affine_transform(fit(mask, *SIZE)[0], matrix, offset, order=0))
        yield torch.from_numpy(np.stack(images)[:, None]), torch.from_numpy(np.stack(masks)).long()


if __name__ == "__main__":
    main()
