"""Which images come when, and how they reach the device while it computes.

Batch k of a run is a function of the seed and of k alone: where a run stands in its data is the number of its iteration.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cmr_train.data.augment import draw_matrices
from cmr_train.data.datasets import PlaneDataset, Sample
from cmr_train.reproducibility import Stream, generator

AHEAD = 3
"""Batches that are read before they are needed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one step needs, on the device, before the augmentation."""

    images: Tensor
    """Shape (N, 1, rows, columns), float32, 0 to 1."""
    masks: Tensor
    """Shape (N, rows, columns), uint8."""
    matrices: Tensor
    """Shape (N, 2, 2): the rotation and scaling of each image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of the images, and each batch's augmentation."""

    n_images: int
    """Images to choose from."""
    batch_size: int
    """Images in a batch, over all processes."""
    seed: int
    """Of the run."""
    task: int
    """Number of the task: each has its own order."""
    rank: int = 0
    """Number of this process."""
    n_ranks: int = 1
    """Processes; each takes an equal part of every batch."""

    def rows(self, number: int) -> NDArray[np.int64]:
        """Return this process's images of batch ``number``, shape (batch size / processes,).

        The batches cut a sequence of passes over all images, each in a new order, so that a batch may hold the end of one pass and
        the beginning of the next.
        """
        places = np.arange(number * self.batch_size, (number + 1) * self.batch_size)
        passes, within = np.divmod(places, self.n_images)
        orders = [_order(self.seed, self.task, int(each), self.n_images) for each in passes]
        rows = np.array([order[place] for order, place in zip(orders, within, strict=True)], dtype=np.int64)
        return self._own(rows)

    def matrices(self, number: int, *, rotation_deg: float, scaling: float) -> NDArray[np.float32]:
        """Return the rotation and scaling of this process's images of batch ``number``, shape (n, 2, 2)."""
        random = generator(self.seed, Stream.AUGMENTATION, self.task, number)
        return self._own(draw_matrices(self.batch_size, random, rotation_deg=rotation_deg, scaling=scaling))

    def _own(self, whole: NDArray[Any]) -> NDArray[Any]:
        part = self.batch_size // self.n_ranks
        return whole[self.rank * part : (self.rank + 1) * part]


@lru_cache(maxsize=8)
def _order(seed: int, task: int, number: int, n_images: int) -> NDArray[np.int64]:
    """Return the order of the images in one pass."""
    order: NDArray[np.int64] = generator(seed, Stream.ORDER, task, number).permutation(n_images)
    order.setflags(write=False)
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How batches are made."""

    rotation_deg: float
    """Images are turned by up to this."""
    scaling: float
    """Images are scaled by 1 ± up to this."""
    workers: int = 0
    """Processes that read; 0 for a thread."""


class _Rows:
    """The images of each batch from some iteration on, for torch's loader."""

    def __init__(self, order: Order, start: int, stop: int) -> None:
        self.order, self.start, self.stop = order, start, stop

    def __iter__(self) -> Iterator[list[int]]:
        return (self.order.rows(number).tolist() for number in range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def batches(
    dataset: PlaneDataset, order: Order, options: BatchOptions, device: torch.device, *, start: int, stop: int
) -> Generator[Batch, None, None]:
    """Read batches ahead of their use and send them to the device.

    Parameters
    ----------
    dataset
        The images.
    order
        Which of them come when.
    options
        How batches are made.
    device
        Where they go; on CUDA from pinned memory, without waiting.
    start, stop
        Numbers of the first batch and of the one past the last.
    """
    samples = _by_processes if options.workers and not dataset.is_cached else _by_thread
    pin = device.type == "cuda"
    for number, (images, masks) in enumerate(samples(dataset, order, options.workers, start, stop), start=start):
        matrices = order.matrices(number, rotation_deg=options.rotation_deg, scaling=options.scaling)
        tensors = [torch.from_numpy(array) for array in (images[:, None], masks, matrices)]
        if pin:
            tensors = [tensor.pin_memory() for tensor in tensors]
        on_device = [tensor.to(device, non_blocking=pin) for tensor in tensors]
        yield Batch(images=on_device[0], masks=on_device[1], matrices=on_device[2])


def _by_thread(dataset: PlaneDataset, order: Order, workers: int, start: int, stop: int) -> Iterator[Sample]:  # noqa: ARG001  # the other way's signature
    """Read in a thread of this process."""
    waiting: deque[Future[Sample]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        try:
            for number in range(start, min(start + AHEAD, stop)):
                waiting.append(pool.submit(_load, dataset, order, number))
            for number in range(start, stop):
                sample = waiting.popleft().result()
                if number + AHEAD < stop:
                    waiting.append(pool.submit(_load, dataset, order, number + AHEAD))
                yield sample
        finally:
            for future in waiting:
                future.cancel()


def _load(dataset: PlaneDataset, order: Order, number: int) -> Sample:
    return dataset.batch(order.rows(number).tolist())


def _by_processes(dataset: PlaneDataset, order: Order, workers: int, start: int, stop: int) -> Iterator[Sample]:
    """Read in processes of their own, each with its own open shards."""
    loader: DataLoader[Any] = DataLoader(
        dataset,  # type: ignore[arg-type]  # map-style by its methods, not by its base class
        batch_sampler=_Rows(order, start, stop),
        num_workers=workers,
        collate_fn=_whole,
        multiprocessing_context="spawn",
    )
    yield from loader


def _whole(sample: Any) -> Any:  # noqa: ANN401  # a Sample, which torch's types do not foresee
    """Take a batch as the dataset made it."""
    return sample
