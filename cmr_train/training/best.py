"""The weights of the best validation: chosen while a run trains, kept beside the last ones."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from torch import Tensor

MIN_PARTICIPANTS = 3
"""Participants of a validation set from which a choice is made."""
EARLY_SHARE = Fraction(1, 3)
"""Share of a run's iterations after which the choice begins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
    """Weights, and the validation for which they were chosen."""

    iteration: int
    """Iterations that were done."""
    dice: float
    """Its score: the mean Dice of the classes, or the explained share of numbers."""
    model: dict[str, Tensor]
    """The weights, on the CPU."""

    @classmethod
    def of(cls, model: dict[str, Tensor], iteration: int, dice: float) -> Self:
        """Copy the weights of a network."""
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.items()}
        return cls(iteration=iteration, dice=dice, model=copies)

    def to_save(self) -> dict[str, Any]:
        """Return tensors and plain values, the arguments of this class."""
        return {"iteration": self.iteration, "dice": self.dice, "model": self.model}


def is_better(dice: float, iteration: int, best: Best | None, *, n_iterations: int, n_participants: int) -> bool:
    """Return whether a validation is better than those before; the first of equals is kept.

    Parameters
    ----------
    dice
        Its score: the mean Dice of the classes, or the explained share of numbers.
    iteration
        Iterations that are done.
    best
        The best so far, None if there is none.
    n_iterations
        Iterations of the run; those before :data:`EARLY_SHARE` of them are not eligible.
    n_participants
        Participants of the validation set; fewer than :data:`MIN_PARTICIPANTS` decide nothing.
    """
    is_eligible = n_participants >= MIN_PARTICIPANTS and iteration >= EARLY_SHARE * n_iterations
    return is_eligible and (best is None or dice > best.dice)
