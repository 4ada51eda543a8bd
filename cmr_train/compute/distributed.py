"""Several processes that train one network, as ``torchrun`` starts them. One process is the usual case, and costs nothing.

Batch normalisation takes its statistics over the whole batch: on CUDA with torch's own module, elsewhere with one of ours, since
torch's works on CUDA only. So the loss curve is that of one process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from cmr_train.errors import ConfigError


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run."""

    rank: int = 0
    """Number of this process."""
    size: int = 1
    """How many there are."""
    local_rank: int = 0
    """Number of this process on its machine."""

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over the processes."""
        if self.size == 1:
            return value
        value = value.clone()
        distributed.all_reduce(value)
        return value / self.size

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            distributed.barrier()


def world_from_environment() -> World:
    """Return what ``torchrun`` says in the environment; one process where it says nothing."""
    rank, size, local_rank = (int(os.environ.get(name, default)) for name, default in _VARIABLES)
    return World(rank, size, local_rank)


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[None]:
    """Let the processes find each other: nccl between GPUs, gloo else."""
    if world.size == 1:
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def check_batch(world: World, batch_size: int) -> None:
    """Refuse a batch that cannot be shared equally.

    Raises
    ------
    ConfigError
        The batch is not a multiple of the number of processes.
    """
    if batch_size % world.size:
        raise ConfigError([f"a batch_size of {batch_size} cannot be shared equally by {world.size} processes"])


class _Sum(torch.autograd.Function):
    """The sum over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:  # noqa: ANN401, ARG004  # torch's context, of which nothing is needed
        """Return the sum of every process's values."""
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004  # as above
        """Return the sum of every process's gradients."""
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes together."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        """Normalise; shape (N, C, rows, columns) in and out."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        n_local = values.numel() // values.shape[1]
        sums = torch.cat([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))])
        n_pixels = n_local * distributed.get_world_size()
        mean, square = (_Sum.apply(sums) / n_pixels).chunk(2)  # type: ignore[no-untyped-call]  # torch's method has no types
        variance = (square - mean.square()).clamp_min(0)
        self._remember(mean.detach(), variance.detach() * n_pixels / max(1, n_pixels - 1))
        gain = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * gain
        result: Tensor = (values * gain[:, None, None] + shift[:, None, None]).to(input.dtype)
        return result

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics on."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None or self.momentum is None:
            raise ValueError("only batch normalisation with running statistics is supported")
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def share_statistics(module: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation in a network see the whole batch; weights and names of tensors stay."""
    if device.type == "cuda":
        # in place, below the network itself
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]  # torch's method has no types
        return
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = WholeBatchNorm2d
