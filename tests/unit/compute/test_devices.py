"""How a device computes follows from the precision of a run, and leaves the process as it was."""

from contextlib import nullcontext

import pytest
import torch

from cmr_train.choices import DeviceKind, Precision
from cmr_train.compute.devices import Compute, choose_device, compute_on, lack_of_mps


@pytest.mark.parametrize(
    ("precision", "dtype", "is_tf32"),
    [
        (Precision.AUTO, torch.float32, True),
        (Precision.FLOAT32, torch.float32, False),
        (Precision.BFLOAT16, torch.bfloat16, True),
        (Precision.FLOAT16, torch.float16, True),
    ],
)
def test_the_cpu_computes_in_half_precision_only_where_that_was_asked_for(precision, dtype, is_tf32):
    compute = compute_on(torch.device("cpu"), precision)
    assert (compute.dtype, compute.is_tf32) == (dtype, is_tf32)
    assert compute.scaler().is_enabled() == (dtype is torch.float16)
    with compute.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is dtype


@pytest.mark.parametrize(("has_bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float16(monkeypatch, has_bfloat16, dtype):
    def is_supported(including_emulation: bool = True) -> bool:
        return including_emulation or has_bfloat16

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    assert compute_on(torch.device("cuda"), Precision.AUTO).dtype is dtype


def test_networks_and_images_have_channels_last():
    compute = Compute(torch.device("cpu"))
    model = torch.nn.Conv2d(3, 4, 3)
    compute.place(model)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    assert Compute(torch.device("cuda")).memory_format is torch.channels_last


@pytest.mark.parametrize("is_tf32", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_a_network_in_single_precision_is_not_rounded_on_cuda_whatever_the_process_does(monkeypatch, is_tf32, before):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
    with Compute(torch.device("cuda"), is_tf32=is_tf32).autocast():
        assert torch.backends.cudnn.allow_tf32 is is_tf32
    assert torch.backends.cudnn.allow_tf32 is before


@pytest.mark.parametrize(("has_cuda", "has_mps", "kind"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch, has_cuda, has_mps, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert choose_device(DeviceKind.AUTO).type == kind


def test_mps_computes_in_single_precision_without_channels_last():
    compute = compute_on(torch.device("mps"), Precision.AUTO)
    assert (compute.dtype, compute.memory_format) == (torch.float32, torch.contiguous_format)
    assert not compute.scaler().is_enabled()


def test_an_error_that_is_not_of_mps_lacks_nothing_there():
    assert lack_of_mps(NotImplementedError("subclasses write this")) is None
