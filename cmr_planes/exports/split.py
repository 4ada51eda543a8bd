"""Which participants an nnU-Net data set trains on, validates on and tests on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_planes.errors import ExportError
from cmr_planes.system.draws import share_index, unit_hash
from cmr_planes.system.participant_sets import ParticipantSet, read_sets
from cmr_planes.system.text import counted

FRACTIONS = (0.7, 0.1, 0.2)
"""Expected shares of the training, validation and test set of a random split: the defaults of cmr-train."""

N_FOLDS = 5
"""Folds of nnU-Net's cross-validation."""


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


def read_split(path: Path) -> dict[str, ParticipantSet]:
    """Read participants' sets as :func:`cmr_planes.system.participant_sets.read_sets`; raises ExportError where it is none."""
    try:
        return read_sets(path)
    except ValueError as error:
        raise ExportError(str(error)) from error


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
            f"of {counted(len(sets), 'participant')} none is in the {lacking} set; state the sets in a split file, or "
            "choose another seed of the random split"
        )
    everyone = train | validation
    ranked: Sequence[str] = sorted(train, key=lambda key: (unit_hash(f"fold:{key}", seed), key))
    parts = [frozenset(ranked[int(index)] for index in part) for part in np.array_split(np.arange(len(ranked)), N_FOLDS - 1)]
    return [Fold(everyone - held_out, held_out) for held_out in (validation, *filter(None, parts))]
