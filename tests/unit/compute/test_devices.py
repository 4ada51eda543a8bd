"""How a device computes follows from the precision of a run, and leaves the process as it was."""

import pytest
import torch

from cmr_train.choices import Precision
from cmr_train.compute.devices import Compute, compute_on


@pytest.mark.parametrize(
    ("precision", "is_bfloat16", "is_tf32"),
    [(Precision.AUTO, False, True), (Precision.FLOAT32, False, False), (Precision.BFLOAT16, True, True)],
)
def test_the_cpu_computes_in_bfloat16_only_where_that_was_asked_for(precision, is_bfloat16, is_tf32):
    compute = compute_on(torch.device("cpu"), precision)
    assert (compute.is_bfloat16, compute.is_tf32) == (is_bfloat16, is_tf32)
    with compute.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is (torch.bfloat16 if is_bfloat16 else torch.float32)


@pytest.mark.parametrize("is_tf32", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_a_network_in_single_precision_is_not_rounded_on_cuda_whatever_the_process_does(monkeypatch, is_tf32, before):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
    with Compute(torch.device("cuda"), is_bfloat16=False, is_tf32=is_tf32).autocast():
        assert torch.backends.cudnn.allow_tf32 is is_tf32
    assert torch.backends.cudnn.allow_tf32 is before
