"""Which images come when, and how they reach the device while it computes.

Batch k of a run is a function of the seed and of k alone: where a run stands in its data is the number of its iteration.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from cmr_planes.errors import CmrPlanesError
from cmr_planes.system.pool import leave_stopping_to_parent, starting_workers
from cmr_train.compute.random_numbers import Stream, generator
from cmr_train.data.augment import Augmentation, draw_blurs, draw_matrices, draw_noise, draw_powers
from cmr_train.data.datasets import PlaneDataset, Sample
from cmr_train.data.hiding import draw_hidden

AHEAD = 3
"""Batches that are made before they are needed."""

_FAVOURED, _POWERS, _NOISE, _BLURS = 1, 1, 2, 3
"""Random numbers of their own, within the stream of the order and of the augmentation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What one step needs, on the device, before the augmentation."""

    number: int
    """Number of the batch in its task."""
    rows: NDArray[np.int64]
    """Shape (N,): the images, as rows of the dataset."""
    images: Tensor
    """Shape (N, 1, rows, columns), float32, 0 to 1."""
    masks: Tensor
    """Shape (N, rows, columns), uint8; (N, 0, 0) where the dataset has none."""
    matrices: Tensor
    """Shape (N, 2, 2): the rotation and scaling of each image."""
    undrawn: Tensor | None = None
    """Shape (N, classes): structures that were not drawn on each image, None where all were."""
    powers: Tensor | None = None
    """Shape (N,): the power of each image's intensities, None to leave them."""
    blurs: Tensor | None = None
    """Shape (N,): the standard deviation of each image's blur in pixels, None for no blur."""
    noise: Tensor | None = None
    """Shape (N, rows, columns): what is added afterwards, None for nothing."""

    def pinned(self) -> Self:
        """Return the batch in memory from which a GPU copies by itself."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device; a copy from pinned memory continues while the CPU does other things."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=tensor.is_pinned()))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Change every tensor."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return type(self)(**values)


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
    favoured: tuple[int, ...] = ()
    """Images that come more often."""
    n_favoured: int = 0
    """How many of each batch are drawn from :attr:`favoured`, the others from all."""

    def rows(self, number: int) -> NDArray[np.int64]:
        """Return this process's images of batch ``number``, shape (batch size / processes,).

        The batches cut a sequence of passes over all images, each in a new order, so that a batch may hold the end of one pass and
        the beginning of the next; the favoured images have passes of their own.
        """
        common = self._cut(number, self.batch_size - self.n_favoured, self.n_images)
        if not self.n_favoured:
            return self._own(common)
        favoured = np.array(self.favoured, dtype=np.int64)[self._cut(number, self.n_favoured, len(self.favoured), _FAVOURED)]
        return self._own(np.concatenate([favoured, common]))

    def matrices(self, number: int, augmentation: Augmentation) -> NDArray[np.float32]:
        """Return the rotation and scaling of this process's images of batch ``number``, shape (n, 2, 2)."""
        random = generator(self.seed, Stream.AUGMENTATION, self.task, number)
        scaling = augmentation.scaling
        return self._own(draw_matrices(self.batch_size, random, rotation_deg=augmentation.rotation_deg, scaling=scaling))

    def powers(self, number: int, augmentation: Augmentation) -> NDArray[np.float32] | None:
        """Return the powers of this process's images of batch ``number``, shape (n,); None if there are none."""
        random = generator(self.seed, Stream.AUGMENTATION, self.task, number, _POWERS)
        return self._own(draw_powers(self.batch_size, random, gamma=augmentation.gamma)) if augmentation.gamma else None

    def blurs(self, number: int, augmentation: Augmentation) -> NDArray[np.float32] | None:
        """Return the blurs of this process's images of batch ``number``, shape (n,), in pixels; None if there are none."""
        random = generator(self.seed, Stream.AUGMENTATION, self.task, number, _BLURS)
        return self._own(draw_blurs(self.batch_size, random, blur=augmentation.blur)) if augmentation.blur else None

    def noise(self, number: int, size: tuple[int, int], augmentation: Augmentation) -> NDArray[np.float32] | None:
        """Return what is added to this process's images of batch ``number``, shape (n, rows, columns); None if nothing is."""
        random = generator(self.seed, Stream.AUGMENTATION, self.task, number, _NOISE)
        return self._own(draw_noise((self.batch_size, *size), random, noise=augmentation.noise)) if augmentation.noise else None

    def hidden(self, number: int) -> NDArray[np.bool_]:
        """Return the hidden patches of this process's images of batch ``number``, shape (n, 8, 8)."""
        return self._own(draw_hidden(self.batch_size, generator(self.seed, Stream.HIDING, self.task, number)))

    def _cut(self, number: int, n: int, n_images: int, *stream: int) -> NDArray[np.int64]:
        """Return the ``number``-th piece of ``n`` images of the passes over ``n_images``."""
        passes, within = np.divmod(np.arange(number * n, (number + 1) * n), n_images)
        orders = [_order(self.seed, self.task, n_images, int(pass_number), *stream) for pass_number in passes]
        return np.array([order[index] for order, index in zip(orders, within, strict=True)], dtype=np.int64)

    def _own(self, whole: NDArray[Any]) -> NDArray[Any]:
        part = self.batch_size // self.n_ranks
        return whole[self.rank * part : (self.rank + 1) * part]


@lru_cache(maxsize=8)
def _order(seed: int, task: int, n_images: int, number: int, *stream: int) -> NDArray[np.int64]:
    """Return the order of the images in one pass."""
    order: NDArray[np.int64] = generator(seed, Stream.ORDER, task, number, *stream).permutation(n_images)
    order.setflags(write=False)
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How batches are made."""

    augmentation: Augmentation = field(default_factory=Augmentation)
    """How images are changed."""
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
    """Make batches ahead of their use, in a thread, and send them to the device.

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

    Raises
    ------
    ShardError
        A shard cannot be read; raised where the batch would come, after all batches before it.
    TrainError
        A mask does not match; as above.
    """
    is_cuda, workers = device.type == "cuda", 0 if dataset.is_cached else options.workers
    source = _from_processes(dataset, order, workers, start, stop) if workers else _from_here(dataset, order, start, stop)

    def make(number: int) -> Batch:
        batch = _make(dataset, order, options.augmentation, number, next(samples))
        return batch.pinned() if is_cuda else batch

    waiting: deque[Future[Batch]] = deque()
    with closing(source) as samples, _reader(device) as thread:
        try:
            for number in range(start, min(start + AHEAD, stop)):
                waiting.append(thread.submit(make, number))
            for number in range(start, stop):
                batch = waiting.popleft().result()
                if number + AHEAD < stop:
                    waiting.append(thread.submit(make, number + AHEAD))
                yield batch.to(device)
        finally:
            for future in waiting:
                future.cancel()


def _reader(device: torch.device) -> ThreadPoolExecutor:
    """Return one thread; it pins memory for the GPU of this process, not for the first one."""
    if device.type == "cuda" and device.index is not None:
        return ThreadPoolExecutor(1, thread_name_prefix="reader", initializer=torch.cuda.set_device, initargs=(device,))
    return ThreadPoolExecutor(1, thread_name_prefix="reader")


def _make(dataset: PlaneDataset, order: Order, augmentation: Augmentation, number: int, sample: Sample) -> Batch:
    """Put a batch together from its images."""
    images, masks = sample
    rows = order.rows(number)
    powers, blurs = order.powers(number, augmentation), order.blurs(number, augmentation)
    noise = order.noise(number, dataset.target.grid.size, augmentation)
    return Batch(
        number=number,
        rows=rows,
        images=torch.from_numpy(images[:, None]),
        masks=torch.from_numpy(masks),
        matrices=torch.from_numpy(order.matrices(number, augmentation)),
        undrawn=None if dataset.undrawn is None else torch.from_numpy(dataset.undrawn[rows]),
        powers=None if powers is None else torch.from_numpy(powers),
        blurs=None if blurs is None else torch.from_numpy(blurs),
        noise=None if noise is None else torch.from_numpy(noise),
    )


def _from_here(dataset: PlaneDataset, order: Order, start: int, stop: int) -> Generator[Sample, None, None]:
    """Read in the thread that asks."""
    for number in range(start, stop):
        yield dataset.batch(order.rows(number).tolist())


def _from_processes(dataset: PlaneDataset, order: Order, workers: int, start: int, stop: int) -> Generator[Sample, None, None]:
    """Read in processes of their own, which start now, each with its own open shards."""
    loader: DataLoader[Any] = DataLoader(
        _Answers(dataset),  # type: ignore[arg-type]  # map-style by its methods, not by its base class
        batch_sampler=_Rows(order, start, stop),
        num_workers=workers,
        collate_fn=_whole,
        multiprocessing_context="spawn",
        worker_init_fn=leave_stopping_to_parent,
    )
    with starting_workers():
        answers = iter(loader)

    def samples() -> Generator[Sample, None, None]:
        for answer in answers:
            if isinstance(answer, CmrPlanesError):
                raise answer
            yield answer

    return samples()


class _Answers:
    """A dataset whose errors are answers, since torch's loader adds a traceback to the sentence of one that is raised."""

    def __init__(self, dataset: PlaneDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, rows: Sequence[int]) -> Sample | CmrPlanesError:
        try:
            return self.dataset.batch(rows)
        except CmrPlanesError as error:
            return error


def _whole(sample: Any) -> Any:  # noqa: ANN401  # a Sample, which torch's types do not foresee
    """Take a batch as the dataset made it."""
    return sample
