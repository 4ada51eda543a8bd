"""The device that computes, and its number format."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from cmr_planes.system.text import counted
from cmr_train.choices import DeviceKind, Precision
from cmr_train.compute.random_numbers import use_deterministic_kernels
from cmr_train.config import RuntimeConfig
from cmr_train.errors import ConfigError, TrainError


@dataclass(frozen=True, slots=True)
class Compute:
    """A device and how it is used."""

    device: torch.device
    """Where tensors live."""
    dtype: torch.dtype = torch.float32
    """Number format of the network (autocast)."""
    is_tf32: bool = True
    """Whether convolutions on CUDA may round their inputs to TF32."""

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last, for which convolutions on CUDA and on the CPU are made; not on MPS."""
        return torch.contiguous_format if self.device.type == "mps" else torch.channels_last

    @property
    def description(self) -> str:
        """The device in words: the GPU's name, or how many threads of the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return (
            f"{self.device.type} ({counted(torch.get_num_threads(), 'thread')})" if self.device.type == "cpu" else self.device.type
        )

    def place(self, model: nn.Module) -> None:
        """Move a network to the device, in its memory format."""
        model.to(device=self.device, memory_format=self.memory_format)  # type: ignore[call-overload]  # torch's overloads lack the pair

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Return the context in which the network runs: its number format, whatever the process used before."""
        with ExitStack() as stack:
            if self.device.type == "cuda":
                stack.enter_context(_convolutions(is_tf32=self.is_tf32))
            if self.dtype is not torch.float32:
                stack.enter_context(torch.autocast(self.device.type, self.dtype))
            yield

    def scaler(self) -> torch.amp.GradScaler:
        """Return what scales the loss in float16; in other formats it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)


def lack_of_mps(error: NotImplementedError) -> str | None:
    """Say which operation of torch MPS lacks; None for another error.

    Examples
    --------
    >>> lack_of_mps(NotImplementedError("The operator 'aten::histc' is not currently implemented for the MPS device."))
    'torch has no aten::histc on MPS'
    """
    if "MPS" not in str(error):
        return None
    operation = re.search(r"aten::\w+(\.\w+)?", str(error))
    return f"torch has no {'such operation' if operation is None else operation[0]} on MPS"


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
        kind = next(device_kind for device_kind, is_there in has.items() if is_there)
    if not has[kind]:
        raise TrainError(f"device {kind.value}: torch {torch.__version__} finds no such device on this machine; try auto")
    if kind is DeviceKind.CUDA:
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device(kind.value)


def find_device(device: object) -> torch.device:
    """Return a device of torch; a :class:`DeviceKind` is looked up on this machine.

    Raises
    ------
    ConfigError
        There is no such device.
    TrainError
        The machine has no such device.
    """
    if isinstance(device, torch.device):
        return device
    if device in [*DeviceKind]:
        return choose_device(DeviceKind(str(device)))
    try:
        return torch.device(str(device))
    except RuntimeError as error:
        raise ConfigError([f"there is no device {device!r}; give one of {', '.join(DeviceKind)}"]) from error


def compute_on(device: torch.device, precision: Precision) -> Compute:
    """Return how a device computes in a precision; nothing of the process changes."""
    return Compute(device, _number_format(device, precision), is_tf32=precision is not Precision.FLOAT32)


def choose_compute(runtime: RuntimeConfig, local_rank: int = 0) -> Compute:
    """Choose the device and set what torch keeps for the whole process: threads, TF32, deterministic kernels.

    Raises
    ------
    TrainError
        The machine has no such device.
    """
    device = choose_device(runtime.device, local_rank)
    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    compute = compute_on(device, runtime.precision)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high" if compute.is_tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = compute.is_tf32
        torch.backends.cudnn.benchmark = not runtime.deterministic
    if runtime.deterministic:
        use_deterministic_kernels()
    return compute


def _number_format(device: torch.device, precision: Precision) -> torch.dtype:
    formats = {Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16, Precision.FLOAT32: torch.float32}
    if precision is not Precision.AUTO:
        return formats[precision]
    if device.type != "cuda":
        return torch.float32
    with torch.cuda.device(device):
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16


@contextmanager
def _convolutions(*, is_tf32: bool) -> Iterator[None]:
    """Let cuDNN round to TF32, or not, and leave its setting as it was."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = is_tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
