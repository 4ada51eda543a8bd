"""What computes, and in which number format."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from cmr_train.choices import DeviceKind, Precision
from cmr_train.compute.random_numbers import use_deterministic_kernels
from cmr_train.config import RuntimeConfig
from cmr_train.errors import TrainError


@dataclass(frozen=True, slots=True)
class Compute:
    """A device and how it is used."""

    device: torch.device
    """Where tensors live."""
    is_bfloat16: bool
    """Whether the network runs in bfloat16 (autocast)."""

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last on CUDA, whose convolutions are made for it."""
        return torch.channels_last if self.device.type == "cuda" else torch.contiguous_format

    @property
    def description(self) -> str:
        """The device in words: the GPU's name, or how many threads of the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{self.device.type} ({torch.get_num_threads()} threads)" if self.device.type == "cpu" else self.device.type

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the network runs."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.is_bfloat16 else nullcontext()


def choose_device(kind: DeviceKind, local_rank: int = 0) -> torch.device:
    """Return a device.

    Parameters
    ----------
    kind
        What was asked for.
    local_rank
        Number of this process on this machine; with several GPUs each has its own.

    Raises
    ------
    TrainError
        The machine has no such device.
    """
    has = {DeviceKind.CUDA: torch.cuda.is_available(), DeviceKind.MPS: torch.backends.mps.is_available(), DeviceKind.CPU: True}
    if kind is DeviceKind.AUTO:
        kind = next(each for each, is_there in has.items() if is_there)
    if not has[kind]:
        raise TrainError(
            f"--device {kind.value}: torch {torch.__version__} finds no such device on this machine; try --device auto"
        )
    if kind is DeviceKind.CUDA:
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device(kind.value)


def prepare(runtime: RuntimeConfig, local_rank: int = 0) -> Compute:
    """Choose the device and set what torch keeps for the whole process: threads, TF32, deterministic kernels.

    Raises
    ------
    TrainError
        The machine has no such device.
    """
    device = choose_device(runtime.device, local_rank)
    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    is_bfloat16 = runtime.precision is Precision.BFLOAT16
    if device.type == "cuda":
        torch.cuda.set_device(device)
        is_bfloat16 |= runtime.precision is Precision.AUTO and torch.cuda.is_bf16_supported()
        uses_tf32 = runtime.precision is not Precision.FLOAT32
        torch.set_float32_matmul_precision("high" if uses_tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = uses_tf32
        torch.backends.cudnn.benchmark = not runtime.deterministic
    if runtime.deterministic:
        use_deterministic_kernels()
    return Compute(device, is_bfloat16)
