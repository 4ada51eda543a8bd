"""Training, validation and test sets of participants.

Without a file that names the sets, the set of an annotated participant depends on the key and the seed alone, so it is the same on
every machine and stays when others join. Of participants without annotations a small share is held back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cmr_planes.system.draws import share_of, unit_hash
from cmr_planes.system.participant_sets import ParticipantSet, read_sets
from cmr_train.config import DEFAULT_FRACTIONS, DEFAULT_HELD_BACK, are_shares
from cmr_train.errors import TrainError

HOLD_BACK_MORE = "'cmr-train pretext --unlabelled-held-back 1', or 'cmr-train study --set unlabelled_held_back=1'"
"""How a user holds back those without annotations by the shares of annotated ones."""


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


def read_split_file(path: Path) -> dict[str, ParticipantSet]:
    """Read participants' sets as :func:`cmr_planes.system.participant_sets.read_sets`; raises TrainError if it is none."""
    try:
        return read_sets(path)
    except ValueError as error:
        raise TrainError(str(error)) from error


def split_by_file(participants: Iterable[str], sets: Mapping[str, ParticipantSet], *, with_positions: bool) -> Split:
    """Assign participants to the sets that a file names; those that it does not name are in none.

    Parameters
    ----------
    participants
        Keys of persons, in any order, repeated or not.
    sets
        As :func:`read_split_file` returns them.
    with_positions
        Whether the task is that of positions, which the set ``pretext`` is for too.
    """
    train = {ParticipantSet.TRAIN, *((ParticipantSet.PRETEXT,) if with_positions else ())}
    known = sorted({key for key in participants if key in sets})
    return Split(
        train=tuple(key for key in known if sets[key] in train),
        validation=tuple(key for key in known if sets[key] is ParticipantSet.VALIDATION),
        test=tuple(key for key in known if sets[key] is ParticipantSet.TEST),
    )


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
    return _split_of(_draws(participants, seed), fractions)


def _draws(participants: Iterable[str], seed: int) -> dict[str, float]:
    """Return the number that decides about each participant."""
    return {key: unit_hash(key, seed) for key in sorted(set(participants))}


def _split_of(draws: Mapping[str, float], fractions: tuple[float, float, float]) -> Split:
    """Assign participants to sets by their numbers; raises ValueError for fractions that are none."""
    if not are_shares(fractions):
        raise ValueError(f"fractions must be 0 or more and sum to 1, got {fractions}")
    sets: tuple[list[str], list[str], list[str]] = ([], [], [])
    for key, draw in draws.items():
        sets[share_of(draw, fractions)].append(key)
    return Split(*(tuple(keys) for keys in sets))


MIN_HELD_BACK = 2
"""Least number of participants without annotations who are held back, one for validation and one for the test; of fewer than four,
half of them."""


def split_unlabelled(
    participants: Iterable[str],
    *,
    seed: int,
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS,
    share: float = DEFAULT_HELD_BACK,
) -> Split:
    """Hold back a share of the participants without annotations; the others are the training set.

    Those held back have the set that :func:`split_participants` gives them, so that it stays when they are annotated. Each is drawn
    independently. Only where too few are drawn, those who come next are held back too.

    Parameters
    ----------
    participants
        Keys of persons, in any order, repeated or not.
    seed, fractions
        As of :func:`split_participants`. The validation and the test set share those who are held back in the ratio of their
        fractions.
    share
        Expected share that is held back, at least :data:`MIN_HELD_BACK` participants and at most the validation and test set of
        :func:`split_participants`; 0 for none, 1 for these very sets.
    """
    draws = _draws(participants, seed)
    full = _split_of(draws, fractions)
    first, of_validation, of_test = fractions
    if share == 1 or of_validation + of_test == 0:
        return full
    drawn_share = min(1.0, share / (of_validation + of_test))
    by_default = frozenset(full.train)
    n_least = min(MIN_HELD_BACK, len(draws) // 2) if share else 0
    n_least_of_test = 0 if not of_test else n_least if not of_validation else (n_least + 1) // 2

    def held_back(own: frozenset[str], end: float, n_least: int, taken: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return those of a set who are drawn, or come next: others of the set, then of the training set."""
        drawn = [key for key in own if draws[key] < end]
        if len(drawn) >= n_least and own.isdisjoint(taken):
            return tuple(sorted(drawn))
        ranked = sorted(draws.keys() - {*taken}, key=lambda key: (key not in own, key not in by_default, draws[key]))
        return tuple(sorted(ranked[: max(n_least, len(drawn))]))

    test = held_back(frozenset(full.test), 1 - of_test * (1 - drawn_share), n_least_of_test)
    n_least_of_validation, end = n_least - n_least_of_test, first + of_validation * drawn_share
    validation = held_back(frozenset(full.validation), end, n_least_of_validation, test)
    return Split(tuple(sorted(draws.keys() - {*test, *validation})), validation, test)


def joined(*splits: Split) -> Split:
    """Return the sets of several splits of different participants as one."""
    return Split(
        train=tuple(sorted(key for split in splits for key in split.train)),
        validation=tuple(sorted(key for split in splits for key in split.validation)),
        test=tuple(sorted(key for split in splits for key in split.test)),
    )


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
