"""Losses on images on which not every structure was drawn, against formulas written out pixel by pixel and MONAI."""

import numpy as np
import pytest
import torch

from cmr_train.choices import LossKind
from cmr_train.training.losses import cross_entropy, dice_cross_entropy, make_loss

CPU = torch.device("cpu")
FREQUENCIES = np.array([0.7, 0.2, 0.1])


def batch(n: int = 4, n_classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(n, n_classes, 6, 5, generator=random), torch.randint(0, n_classes, (n, 6, 5), generator=random)


def partly_drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class 2 was not drawn on the first two images, nothing was on the last."""
    logits, classes = batch()
    undrawn = torch.tensor([[False, False, True], [False, False, True], [False, False, False], [False, True, True]])
    for image, absent in zip(classes, undrawn, strict=True):
        image[absent[image]] = 0
    return logits, classes, undrawn


def marginal(logits: torch.Tensor, classes: torch.Tensor, undrawn: torch.Tensor, weights: np.ndarray) -> float:
    """Minus the logarithm of what a pixel may be, pixel by pixel."""
    total = 0.0
    for values, image, absent in zip(logits.double().numpy(), classes.numpy(), undrawn.numpy(), strict=True):
        for place in np.ndindex(image.shape):
            odds = np.exp(values[(slice(None), *place)])
            allowed = [0, *np.flatnonzero(absent)] if image[place] == 0 else [image[place]]
            total -= weights[image[place]] * np.log(odds[allowed].sum() / odds.sum())
    return total / classes.numel()


def test_background_is_that_of_the_undrawn_structures_too():
    logits, classes, undrawn = partly_drawn()
    assert cross_entropy(logits, classes, undrawn).item() == pytest.approx(marginal(logits, classes, undrawn, np.ones(3)), rel=1e-5)
    weights = 1 / np.sqrt(FREQUENCIES)
    weights /= (weights * FREQUENCIES).sum()
    weighted = make_loss(LossKind.WEIGHTED, FREQUENCIES, CPU)(logits, classes, undrawn)
    assert weighted.item() == pytest.approx(marginal(logits, classes, undrawn, weights), rel=1e-5)


@pytest.mark.parametrize("kind", [*LossKind])
def test_where_all_was_drawn_it_is_the_plain_loss(kind):
    loss, (logits, classes) = make_loss(kind, FREQUENCIES, CPU), batch()
    plain, marked = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected, found = loss(plain, classes), loss(marked, classes, torch.zeros(4, 3, dtype=torch.bool))
    torch.testing.assert_close(found, expected)
    expected.backward()
    found.backward()
    torch.testing.assert_close(marked.grad, plain.grad)


@pytest.mark.parametrize("kind", [*LossKind])
def test_the_mean_of_two_halves_is_the_whole(kind):
    loss, (logits, classes, undrawn) = make_loss(kind, FREQUENCIES, CPU), partly_drawn()
    halves = [loss(logits[part], classes[part], undrawn[part]) for part in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(sum(halves) / 2, loss(logits, classes, undrawn))


@pytest.mark.parametrize("kind", [*LossKind])
def test_an_undrawn_structure_may_be_anywhere_in_the_background_and_a_drawn_one_may_not(kind):
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 1] = -30.0  # the probabilities of background and class 2 sum to 1
    logits.requires_grad_()
    classes, undrawn = torch.zeros(1, 4, 4, dtype=torch.int64), torch.tensor([[False, False, True]])
    make_loss(kind, FREQUENCIES, CPU)(logits, classes, undrawn).backward()
    assert logits.grad[:, 2].abs().max() < 1e-6
    grown = torch.zeros(1, 3, 4, 4, requires_grad=True)
    make_loss(kind, FREQUENCIES, CPU)(grown, classes, undrawn).backward()
    assert (grown.grad[:, 1] > 0).all()  # the drawn structure shrinks


@pytest.mark.parametrize("kind", [LossKind.CROSS_ENTROPY, LossKind.DICE])
def test_a_batch_without_a_known_pixel_costs_nothing(kind):
    logits = batch()[0].requires_grad_()
    undrawn = torch.tensor([[False, True, True]]).expand(4, 3)
    loss = make_loss(kind, None, CPU)(logits, torch.zeros(4, 6, 5, dtype=torch.int64), undrawn)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6


def test_dice_is_monais_of_the_drawn_structures():
    monai = pytest.importorskip("monai.losses")
    theirs = monai.DiceLoss(include_background=False, softmax=True, to_onehot_y=True, smooth_nr=1, smooth_dr=1, reduction="none")
    logits, classes, undrawn = partly_drawn()
    by_class = theirs(logits, classes[:, None]).flatten(1)  # images, the two structures
    expected = (by_class[0, 0] + by_class[1, 0] + by_class[2].mean() + 0) / 4
    found = dice_cross_entropy(logits, classes, undrawn) - cross_entropy(logits, classes, undrawn)
    torch.testing.assert_close(found, expected)
