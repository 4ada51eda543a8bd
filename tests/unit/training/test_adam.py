"""Adam without torch's compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from cmr_train.training.adam import Adam

WITHOUT_COMPILER = """
import sys, torch
from cmr_train.training.adam import Adam
weights = torch.nn.Parameter(torch.ones(3))
optimiser = Adam([weights], lr=0.1, fused=True)
for _ in range(2):
    optimiser.zero_grad(set_to_none=True)
    weights.sum().backward()
    optimiser.step()
optimiser.load_state_dict(optimiser.state_dict())
assert weights.max() < 0.9
assert "torch._dynamo" not in sys.modules
"""


def trained(kind: type[torch.optim.Adam], fused: bool, *, resumes: bool = False) -> tuple[nn.Module, torch.optim.Adam]:
    """A network after six steps, and its optimiser; ``resumes`` puts the state into another one after three."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    optimiser = kind(network.parameters(), lr=0.01, fused=fused)
    for number in range(6):
        if resumes and number == 3:
            saved = optimiser.state_dict()
            optimiser = kind(network.parameters(), lr=0.5, fused=fused)
            optimiser.load_state_dict(saved)
        optimiser.zero_grad(set_to_none=True)
        network(torch.randn(2, 1, 9, 9)).square().mean().backward()
        optimiser.step()
    return network, optimiser


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_weights_and_state_are_those_of_torch_to_the_bit(fused, resumes):
    (ours, our_optimiser), (theirs, their_optimiser) = trained(Adam, fused, resumes=resumes), trained(torch.optim.Adam, fused)
    assert all(torch.equal(*pair) for pair in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    found, expected = our_optimiser.state_dict(), their_optimiser.state_dict()
    assert found["param_groups"] == expected["param_groups"]
    assert all(
        torch.equal(value, found["state"][number][name])
        for number, values in expected["state"].items()
        for name, value in values.items()
    )


def test_hooks_see_its_steps_and_closures_are_called():
    weights = nn.Parameter(torch.ones(3))
    optimiser, seen = Adam([weights], lr=0.1), []
    optimiser.register_step_post_hook(lambda *_: seen.append(weights.detach().clone()))

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = weights.sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).item() == 3
    assert len(seen) == 1
    assert torch.allclose(seen[0], torch.full((3,), 0.9))


def test_a_training_step_does_not_load_the_compiler():
    subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], check=True)
