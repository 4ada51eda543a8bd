"""Which participants an nnU-Net data set trains on, validates on and tests on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from cmr_planes.errors import ExportError
from cmr_planes.system.csv_text import read_csv
from cmr_planes.system.draws import share_index, unit_hash

FRACTIONS = (0.7, 0.1, 0.2)
"""Expected shares of the training, validation and test set of a random split: the defaults of cmr-train."""

N_FOLDS = 5
"""Folds of nnU-Net's cross-validation."""


class ParticipantSet(StrEnum):
    """A set of participants, as split files name them."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    PRETEXT = "pretext"
    """Learnt from for positions only."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Participants of one fold."""

    train: frozenset[str]
    """Learnt from."""
    validation: frozenset[str]
    """Scored."""


def random_sets(participants: Iterable[str], seed: int) -> dict[str, ParticipantSet]:
    """Draw the set of each participant from its key and the seed: cmr-train's split of annotated participants."""
    sets = (ParticipantSet.TRAIN, ParticipantSet.VALIDATION, ParticipantSet.TEST)
    return {key: sets[share_index(key, seed, FRACTIONS)] for key in sorted(set(participants))}


def read_sets(path: Path) -> dict[str, ParticipantSet]:
    """Read the set of each participant.

    Parameters
    ----------
    path
        A CSV table with the columns ``participant`` and ``set``, or the ``split.json`` of a training run.

    Raises
    ------
    ExportError
        It is neither, names a set that is none, or a participant in two sets.
    """
    try:
        rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ExportError(
            f"split {str(path)!r} cannot be read ({type(error).__name__}); a CSV table with the columns participant and set is "
            "expected, or the split.json of a run"
        ) from error
    sets: dict[str, ParticipantSet] = {}
    for number, (key, name) in enumerate(rows, start=1):
        if name not in list(ParticipantSet):
            raise ExportError(
                f"split {str(path)!r}, participant {number}: the set is {name!r}, one of {', '.join(ParticipantSet)} is expected"
            )
        if sets.setdefault(key, ParticipantSet(name)) != name:
            raise ExportError(f"split {str(path)!r}, participant {number}: the participant is in two sets, {sets[key]} and {name}")
    if not sets:
        raise ExportError(f"split {str(path)!r} names no participant; runs that were exported to be given away have none")
    return sets


def _csv_rows(path: Path) -> list[tuple[str, str]]:
    return [(row.cells["participant"], row.cells["set"].lower()) for row in read_csv(path.read_bytes()).rows]


def _json_rows(path: Path) -> list[tuple[str, str]]:
    value = json.loads(path.read_text(encoding="utf-8"))
    return [(str(key), name) for name in ("train", "validation", "test") for key in value[name]]


def folds(sets: Mapping[str, ParticipantSet], seed: int) -> list[Fold]:
    """Divide the participants who are not tested into folds.

    Parameters
    ----------
    sets
        The set of each participant.
    seed
        The seed of the folds beyond the first.

    Returns
    -------
        The first fold is the split itself. In the others the training participants are validated on in turn, so that every
        participant is validated on in one fold; fewer than five where there are fewer participants.

    Raises
    ------
    ExportError
        The training or the validation set is empty.
    """
    validation = frozenset(key for key, name in sets.items() if name is ParticipantSet.VALIDATION)
    train = frozenset(key for key, name in sets.items() if name in (ParticipantSet.TRAIN, ParticipantSet.PRETEXT))
    if not train or not validation:
        lacking = "training" if not train else "validation"
        raise ExportError(
            f"of {len(sets)} participants none is in the {lacking} set; state the sets in a split file, or choose another seed of "
            "the random split"
        )
    everyone = train | validation
    ranked: Sequence[str] = sorted(train, key=lambda key: (unit_hash(f"fold:{key}", seed), key))
    parts = [frozenset(ranked[int(index)] for index in part) for part in np.array_split(np.arange(len(ranked)), N_FOLDS - 1)]
    return [Fold(everyone - held_out, held_out) for held_out in (validation, *filter(None, parts))]
