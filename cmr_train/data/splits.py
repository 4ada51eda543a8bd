"""Training, validation and test sets of participants.

A participant's set depends on the key and the seed alone, so it is the same on every machine and stays when others join.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from cmr_train.config import DEFAULT_FRACTIONS, are_shares


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint sets of participants."""

    train: tuple[str, ...]
    """Training set."""
    validation: tuple[str, ...]
    """Validation set: scored during training."""
    test: tuple[str, ...]
    """Test set: not used before the evaluation, nor by the pretext."""

    def to_json(self) -> dict[str, list[str]]:
        """Return what JSON can hold."""
        return {"train": list(self.train), "validation": list(self.validation), "test": list(self.test)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(*(tuple(str(key) for key in value[name]) for name in ("train", "validation", "test")))


def unit_hash(key: str, seed: int) -> float:
    """Return a number from 0 up to 1 that depends on the key and the seed, and on nothing else."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def split_participants(
    participants: Iterable[str], *, seed: int, fractions: tuple[float, float, float] = DEFAULT_FRACTIONS
) -> Split:
    """Assign every participant to a set.

    Parameters
    ----------
    participants
        Keys of persons (not of visits), in any order, repeated or not.
    seed
        Another seed gives another split.
    fractions
        Expected shares of training, validation and test; they sum to 1. Each person is drawn on its own, so that the numbers
        vary about them.

    Returns
    -------
        The sets, each sorted.

    Raises
    ------
    ValueError
        The fractions are negative or do not sum to 1.
    """
    if not are_shares(fractions):
        raise ValueError(f"fractions must be 0 or more and sum to 1, got {fractions}")
    sets: tuple[list[str], list[str], list[str]] = ([], [], [])
    first, second = fractions[0], 1 - fractions[2]
    for key in sorted(set(participants)):
        draw = unit_hash(key, seed)
        sets[0 if draw < first else 1 if draw < second else 2].append(key)
    return Split(*(tuple(keys) for keys in sets))


def choose_participants(participants: Iterable[str], n: int, *, seed: int) -> tuple[str, ...]:
    """Choose some participants, so that a smaller choice is part of every larger one.

    Parameters
    ----------
    participants
        Those to choose from.
    n
        How many.
    seed
        Another seed gives another choice.

    Returns
    -------
        ``n`` keys, sorted; all where there are fewer.
    """
    ranked = sorted(set(participants), key=lambda key: (unit_hash(f"choice:{key}", seed), key))
    return tuple(sorted(ranked[:n]))
