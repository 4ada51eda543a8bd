"""Training, validation and test sets of participants.

Without a file that names the sets, a participant's set depends on the key and the seed alone, so it is the same on every machine
and stays when others join.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cmr_planes.system.csv_text import read_csv
from cmr_planes.system.draws import unit_hash
from cmr_train.config import DEFAULT_FRACTIONS, are_shares
from cmr_train.errors import TrainError


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


SETS = ("train", "validation", "test", "pretext")
"""Sets that a split file may name. Those of ``pretext`` have their positions learnt from, never their labels."""


def read_split_file(path: Path) -> dict[str, str]:
    """Read a split: a CSV file in UTF-8 with the columns ``participant`` and ``set``.

    Returns
    -------
        The set of each participant, one of :data:`SETS`.

    Raises
    ------
    TrainError
        The file cannot be read or is no such table, names a set that is none, or a participant twice.
    """
    try:
        table = read_csv(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainError(f"split file {str(path)!r} cannot be read: {error}") from error
    if not table.rows or not {"participant", "set"} <= set(table.columns):
        raise TrainError(f"split file {str(path)!r} is no table with the columns participant and set")
    sets: dict[str, str] = {}
    for row in table.rows:
        key, name = row.cells["participant"], row.cells["set"].lower()
        if name not in SETS:
            raise TrainError(
                f"split file {str(path)!r}, row {row.number}: the set is {name!r}, one of {', '.join(SETS)} is expected"
            )
        if sets.setdefault(key, name) != name:
            raise TrainError(f"split file {str(path)!r}, row {row.number}: the participant is in two sets, {sets[key]} and {name}")
    return sets


def split_by_file(participants: Iterable[str], sets: Mapping[str, str], *, with_positions: bool) -> Split:
    """Assign participants to the sets that a file names; those whom it does not name are in none.

    Parameters
    ----------
    participants
        Keys of persons, in any order, repeated or not.
    sets
        As :func:`read_split_file` returns them.
    with_positions
        Whether the task is that of positions, which the set ``pretext`` is for too.
    """
    train = {"train", "pretext"} if with_positions else {"train"}
    known = sorted({key for key in participants if key in sets})
    return Split(
        train=tuple(key for key in known if sets[key] in train),
        validation=tuple(key for key in known if sets[key] == "validation"),
        test=tuple(key for key in known if sets[key] == "test"),
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
