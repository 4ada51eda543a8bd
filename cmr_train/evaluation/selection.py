"""Whose images are scored."""

import numpy as np

from cmr_planes.shards.catalogue import Catalogue, ImageIndex
from cmr_train.choices import Head, Subset
from cmr_train.config import RunConfig
from cmr_train.data.splits import split_participants
from cmr_train.errors import TrainError


def choose_subjects(config: RunConfig, catalogue: Catalogue, subset: Subset) -> ImageIndex:
    """Return the images to evaluate: of the run's view, with a truth, of the subset's subjects.

    Parameters
    ----------
    config
        Of a run.
    catalogue
        Where images and truth are.
    subset
        Whom to take; a person's set follows from the key and the run's seed, so it is that of the run, in another catalogue too.

    Raises
    ------
    TrainError
        There are none; the sentence says what is missing.
    """
    everything = catalogue.index(config.data.view)
    where = f"{str(catalogue.path)!r}"
    if not len(everything):
        raise TrainError(
            f"{where} holds no images of view {config.data.view.title}, on which the run was trained; give another --data"
        )
    has_truth = everything.is_annotated if config.head is Head.STRUCTURES else everything.has_positions
    index = everything.select(has_truth)
    if not len(index):
        wanted = "annotated subjects" if config.head is Head.STRUCTURES else "position masks"
        hint = "'cmr-planes annotate' adds labels" if config.head is Head.STRUCTURES else "'cmr-planes extract' makes them"
        raise TrainError(f"{where} has no {wanted} of view {config.data.view.title}; {hint}")
    if config.data.phases:
        index = index.select(np.isin(index.phase, config.data.phases))
    participants = [index.participant(row) for row in range(len(index))]
    if subset is not Subset.ALL:
        settings = config.data
        split = split_participants(participants, seed=settings.split_seed, fractions=settings.fractions)
        chosen = set(getattr(split, subset.value))
        index = index.select(np.array([participant in chosen for participant in participants], dtype=np.bool_))
    if not len(index):
        raise TrainError(
            f"none of the subjects with a truth in {where} belongs to the {subset.value} set; --subset all takes everybody"
        )
    return index
