"""The images of a task: of the run's view and phases, with masks, of one set of participants."""

from collections.abc import Collection

import numpy as np

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.text import counted
from cmr_train.choices import Head, Subset
from cmr_train.config import RunConfig
from cmr_train.data.drawn import drawn_sentence, drawn_structures, has_any
from cmr_train.data.places import relative_places
from cmr_train.data.splits import Split, joined, read_split_file, split_by_file, split_participants, split_unlabelled
from cmr_train.errors import TrainError


def select_images(config: RunConfig, catalogue: Catalogue, head: Head, subset: Subset) -> ImageIndex:
    """Return the images of a task that a run trains on, is validated on, or is evaluated on.

    Parameters
    ----------
    config
        The run's configuration: view, phases and split.
    catalogue
        The images and masks.
    head
        The task: annotated images, or those that the target of the pretext needs.
    subset
        The set of participants. It follows from a participant's key, the run's seed or split file and, for positions, whether the
        participant is annotated.

    Raises
    ------
    TrainError
        There are no such images; the sentence says what is missing.
    """
    where, title = f"{str(catalogue.path)!r}", config.data.view.title
    index = catalogue.index(config.data.view)
    if not len(index):
        raise TrainError(f"{where} holds no images of view {title}; 'cmr-planes inspect' lists what it holds")
    index = _of_use(config, catalogue, index, head)
    if config.data.phases:
        phases = np.unique(index.phase).tolist()
        index = index.select(np.isin(index.phase, config.data.phases))
        if not len(index):
            raise TrainError(f"{where} has no phase {', '.join(config.data.phases)} of view {title}; it has {_in_short(phases)}")
    if subset is Subset.ALL:
        return index
    split = split_of(config, index, head, annotated_participants(catalogue))
    chosen = of_participants(index, getattr(split, subset.value))
    if not len(chosen):
        raise TrainError(
            f"none of the {counted(len(participants(index)), 'participant')} with {config.material(head)} in {where} "
            "belongs to the "
            f"{subset.value} set of the run; use all subjects, or another set"
        )
    return chosen


def _of_use(config: RunConfig, catalogue: Catalogue, index: ImageIndex, head: Head) -> ImageIndex:
    """Return the images of a view that have what a task needs; raises TrainError if there are none."""
    where, title = f"{str(catalogue.path)!r}", config.data.view.title
    if config.material(head) != "images":
        index = index.select(index.has_positions if head is Head.POSITIONS else index.is_annotated)
    if not len(index):
        missing = ("position masks", "extract") if head is Head.POSITIONS else ("annotated subjects", "annotate")
        raise TrainError(f"{where} has no {missing[0]} of view {title}; 'cmr-planes {missing[1]}' adds them")
    if head is Head.POSITIONS and config.traits.needs_stack:
        index = index.select(~np.isnan(relative_places(catalogue, index)))
        if not len(index):
            raise TrainError(f"{where} has no stack of two slices or more of view {title}, so that no place in one can be learnt")
    if head is Head.STRUCTURES:
        drawn = drawn_structures(catalogue, index, config.data.view)
        is_any = has_any(drawn, config.structures)
        if not is_any.any():
            names = ", ".join(structure.title for structure in config.structures)
            raise TrainError(
                f"on none of the {counted(len(index), 'annotated image')} of view {title} in {where} was {names} drawn; drawn are: "
                f"{drawn_sentence(drawn)}"
            )
        index = index.select(is_any)
    return index


def participants(index: ImageIndex) -> tuple[str, ...]:
    """Return the participants of some images, each once, in order of their first image."""
    numbers = index.subject_number[index.first_rows()].tolist()
    return tuple(dict.fromkeys(map(index.subjects.participant.__getitem__, numbers)))


def annotated_participants(catalogue: Catalogue) -> frozenset[str]:
    """Return the participants of which a catalogue has annotations, of whichever view."""
    table = catalogue.annotations()
    if not len(table):
        return frozenset()
    subjects = catalogue.subjects()
    participant = dict(zip(subjects.key, subjects.participant, strict=True))
    return frozenset(participant[key] for key, n in zip(table.subject, table.n_images, strict=True) if n)


def split_of(config: RunConfig, index: ImageIndex, head: Head, annotated: frozenset[str]) -> Split:
    """Return the sets of a run to which the participants of a task's images belong.

    Parameters
    ----------
    config
        The run's configuration.
    index
        The images.
    head
        The task.
    annotated
        Participants with annotations. They have the same set in both tasks; of the others, a small share is held back.

    Raises
    ------
    TrainError
        The file that names the sets cannot be used.
    """
    data, people = config.data, participants(index)
    if data.split is not None:
        return split_by_file(people, read_split_file(data.split), with_positions=head is Head.POSITIONS)
    labelled = split_participants(annotated & {*people}, seed=data.split_seed, fractions=data.fractions)
    unlabelled = split_unlabelled(
        {*people} - annotated, seed=data.split_seed, fractions=data.fractions, share=data.unlabelled_held_back
    )
    return joined(labelled, unlabelled)


def of_participants(index: ImageIndex, chosen: Collection[str]) -> ImageIndex:
    """Return the images of some participants."""
    wanted = frozenset(chosen)
    return index.of_subjects(np.array([person in wanted for person in index.subjects.participant], dtype=np.bool_))


def n_subjects_of(index: ImageIndex, chosen: Collection[str]) -> int:
    """Count the subjects whose images an index holds and who belong to some participants."""
    return sum(index.participant(row) in chosen for row in index.first_rows().tolist())


def _in_short(phases: list[str]) -> str:
    """Name some phases, of many the first and the last."""
    return ", ".join(phases) if len(phases) <= 3 else f"{phases[0]} … {phases[-1]}"
