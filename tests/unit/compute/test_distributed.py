"""Batch normalisation over all processes, tried with one."""

import pytest
import torch
from torch import distributed

from cmr_train.compute.distributed import WholeBatchNorm2d, share_statistics
from cmr_train.models.unet import UNet


@pytest.fixture
def _alone(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_alone")
def test_shared_statistics_of_one_process_are_those_of_torch():
    torch.manual_seed(0)
    images, answers = torch.rand(3, 1, 8, 8), []
    for is_shared in (False, True):
        torch.manual_seed(1)
        model = UNet(1, 4, 1, heads={"a": 2})
        names = [*model.state_dict()]
        if is_shared:
            share_statistics(model, torch.device("cpu"))
            assert isinstance(model.encoder[0][1], WholeBatchNorm2d)
        assert [*model.state_dict()] == names
        logits = model(images, "a")
        logits.square().sum().backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        answers.append((logits, gradients, dict(model.named_buffers())))
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-5)
