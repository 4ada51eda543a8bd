"""What each target makes of a batch, and its loss, against formulas written out pixel by pixel."""

import numpy as np
import pytest
import torch

from cmr_train.data.batches import Batch, Order
from cmr_train.data.hiding import hidden_pixels
from cmr_train.data.lines import heat_maps
from cmr_train.training.objectives import LineObjective, MaskedObjective, SliceObjective

N, ROWS, COLUMNS = 4, 16, 24


def make_batch(rows: range = range(N), number: int = 3) -> Batch:
    images = torch.rand(20, 1, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))[list(rows)]
    still = torch.eye(2).expand(len(rows), 2, 2)
    return Batch(
        number=number, rows=np.array(rows), images=images, masks=torch.zeros(len(rows), 0, 0, dtype=torch.uint8), matrices=still
    )


def masked(**given: int) -> MaskedObjective:
    return MaskedObjective(Order(**{"n_images": 20, "batch_size": N, "seed": 0, "task": 0, **given}))


def lines() -> LineObjective:
    random = torch.Generator().manual_seed(2)
    return LineObjective(torch.rand(20, 2, 3, generator=random) - 0.5, torch.full((20, 2), 2.0))


def random_outputs(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4)).requires_grad_()


def test_hidden_patches_are_black_and_only_they_count():
    objective, batch = masked(), make_batch()
    inputs, truth = objective.pose(batch)
    hidden = hidden_pixels(torch.from_numpy(objective.order.hidden(3)), (ROWS, COLUMNS))
    assert (inputs[:, 0][hidden] == 0).all()
    torch.testing.assert_close(inputs[:, 0][~hidden], batch.images[:, 0][~hidden], atol=1e-6, rtol=0)
    outputs = random_outputs(N, 1, ROWS, COLUMNS)
    loss = objective.loss(outputs, truth)
    loss.backward()
    assert outputs.grad is not None
    assert (outputs.grad[:, 0][~hidden] == 0).all()
    assert (outputs.grad[:, 0][hidden] != 0).all()
    by_image = [((outputs[i, 0] - batch.images[i, 0])[hidden[i]] ** 2).mean().item() for i in range(N)]
    assert loss.item() == pytest.approx(np.mean(by_image), rel=1e-5)
    predicted, true = objective.pairs(outputs, truth)
    assert predicted.shape == true.shape == (int(hidden.sum()),)


def test_the_place_in_the_stack_is_that_of_the_image():
    objective = SliceObjective(torch.linspace(0, 1, 20))
    _, truth = objective.pose(make_batch(range(5, 9)))
    np.testing.assert_allclose(truth, np.arange(5, 9) / 19, atol=1e-6)
    outputs = torch.tensor([0.5, 0.5, 1.0, 0.0])[:, None, None, None]
    assert objective.loss(outputs, truth).item() == pytest.approx(np.mean((outputs.numpy().ravel() - np.arange(5, 9) / 19) ** 2))


def test_the_loss_of_lines_is_the_squared_error_of_their_maps():
    objective, batch = lines(), make_batch(range(2, 6))
    _, truth = objective.pose(batch)
    expected = heat_maps(objective.lines[2:6], objective.pixel_mm[2:6], batch.matrices, (ROWS, COLUMNS))
    torch.testing.assert_close(truth, expected)
    outputs = random_outputs(N, 2, ROWS, COLUMNS)
    error = (outputs.detach().numpy() - expected.numpy()) ** 2
    assert objective.loss(outputs.detach(), truth).item() == pytest.approx(error.mean(), rel=1e-5)


@pytest.mark.parametrize("objective", [lines(), SliceObjective(torch.rand(20)), masked()])
def test_the_mean_of_two_halves_is_the_loss_of_the_whole(objective):
    """So that the number of processes changes nothing."""
    shape = (1, 1, 1) if isinstance(objective, SliceObjective) else (2, ROWS, COLUMNS)
    outputs = random_outputs(N, *shape).detach()

    def of(part: slice, task: object) -> float:
        _, truth = task.pose(make_batch(range(part.start, part.stop)))  # type: ignore[attr-defined]
        return float(task.loss(outputs[part], truth))  # type: ignore[attr-defined]

    halves = [objective, objective]
    if isinstance(objective, MaskedObjective):
        halves = [masked(rank=rank, n_ranks=2) for rank in range(2)]
    of_halves = [of(slice(start, start + 2), half) for start, half in zip((0, 2), halves, strict=True)]
    assert np.mean(of_halves) == pytest.approx(of(slice(0, N), objective), rel=1e-5)
