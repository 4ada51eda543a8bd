"""The choice of the best weights."""

import pytest
import torch

from cmr_train.training.best import Best, is_better


def chosen(dice: list[float], n_participants: int = 3) -> int | None:
    """The iteration chosen from validations after every iteration."""
    best = None
    for iteration, value in enumerate(dice, start=1):
        if is_better(value, iteration, best, n_iterations=len(dice), n_participants=n_participants):
            best = Best.of({}, iteration, value)
    return None if best is None else best.iteration


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        pytest.param([0.1, 0.2, 0.5, 0.4, 0.6, 0.3], 5, id="the highest"),
        pytest.param([0.1, 0.2, 0.6, 0.4, 0.6, 0.6], 3, id="the first of equals"),
        pytest.param([0.9, 0.2, 0.5, 0.4, 0.3, 0.3], 3, id="not in the first third"),
        pytest.param([0.0, 0.0, 0.0], 1, id="nothing found"),
    ],
)
def test_the_first_of_the_highest_after_a_third_of_the_run_is_chosen(dice, expected):
    assert chosen(dice) == expected


def test_two_participants_decide_nothing():
    assert chosen([0.1, 0.2, 0.3], n_participants=2) is None


def test_weights_are_copied():
    tensor = torch.zeros(2)
    best = Best.of({"a": tensor}, 1, 0.5)
    tensor += 1
    assert torch.equal(best.model["a"], torch.zeros(2))
    again = Best(**best.to_save())
    assert (again.iteration, again.dice) == (1, 0.5)
