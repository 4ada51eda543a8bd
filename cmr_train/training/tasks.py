"""Training and validation images of a run, and the tasks made of them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.columns import ImageIndex
from cmr_train.choices import Head, LossKind, Subset
from cmr_train.config import VIEW_STRUCTURES, class_names
from cmr_train.data.batches import Order
from cmr_train.data.datasets import PlaneDataset, Target, choose_cache, class_frequencies
from cmr_train.data.images import Grid
from cmr_train.data.memory import free_bytes
from cmr_train.data.selection import of_participants, participants, select_images, split_of
from cmr_train.data.splits import Split, choose_participants
from cmr_train.errors import TrainError
from cmr_train.training.best import MIN_PARTICIPANTS
from cmr_train.training.loop import Task
from cmr_train.training.losses import make_loss
from cmr_train.training.session import Session
from cmr_train.training.validation import Validation


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskImages:
    """The images of a task."""

    train: ImageIndex
    """Training images."""
    validation: ImageIndex
    """Validation images; may be empty."""
    split: Split
    """The sets of all participants with such images; the training set has the chosen ones only."""


def choose_images(session: Session, head: Head) -> TaskImages:
    """Return the images of a task.

    Raises
    ------
    TrainError
        There are none, or fewer participants than were asked for; the sentence says what is missing.
    """
    config, data, catalogue = session.config, session.config.data, session.catalogues[head]
    where = f"{str(catalogue.path)!r}"
    index = select_images(config, catalogue, head, Subset.ALL)
    if head is Head.STRUCTURES:
        index = _wholly_drawn(session, index)
    split, n_people = split_of(config, index, head), len(participants(index))
    n_without_set = n_people - len({*split.train, *split.validation, *split.test})
    if n_without_set:
        session.reporter.on_message(
            f"{head.value}: {n_without_set} participants are left out, for whom {str(data.split)!r} has no set"
        )
    if head is config.head and data.subjects is not None:
        if data.subjects > len(split.train):
            raise TrainError(
                f"{data.subjects} participants were asked for, and the training set of {where} has {len(split.train)} for the "
                f"{head.value} of {data.view.title}"
            )
        split = dataclasses.replace(split, train=choose_participants(split.train, data.subjects, seed=data.subjects_seed))
    train, validation = of_participants(index, split.train), of_participants(index, split.validation)
    if not len(train):
        raise TrainError(
            f"none of the {n_people} participants with {head.value} in {where} falls into the training set; "
            "use another split seed or more subjects"
        )
    if head is config.head and config.runtime.validate_every and not len(validation):
        raise TrainError(
            f"the run is to be validated, and none of the {n_people} participants with {head.value} in {where} falls into the "
            "validation set; use another split seed, more subjects or other fractions"
        )
    return TaskImages(train=train, validation=validation, split=split)


def _wholly_drawn(session: Session, index: ImageIndex) -> ImageIndex:
    """Keep the images on which every structure of the view was annotated, present or absent: elsewhere, background may be anything.

    Raises
    ------
    TrainError
        There are none.
    """
    view = session.config.data.view
    wanted = list(VIEW_STRUCTURES[view])
    drawn: dict[str, NDArray[np.bool_]] = {}
    is_whole = np.zeros(len(index), dtype=np.bool_)
    for row in range(len(index)):
        subject = index.subject(row)
        if subject not in drawn:
            drawn[subject] = np.logical_and.reduce(
                session.catalogues[Head.STRUCTURES].labelled_structures(subject, view)[..., wanted], axis=-1
            )
        is_whole[row] = drawn[subject][index.phase_index[row], index.slice_index[row]]
    names = ", ".join(structure.title for structure in VIEW_STRUCTURES[view])
    if not is_whole.any():
        raise TrainError(f"on none of the {len(index)} annotated images of view {view.title} were all of {names} drawn")
    if not is_whole.all():
        session.reporter.on_message(f"{(~is_whole).sum():,} annotated images are left out: not all of {names} were drawn on them")
    return index.select(is_whole)


def make_tasks(session: Session, images: Mapping[Head, TaskImages]) -> tuple[tuple[Task, ...], tuple[Validation, ...]]:
    """Make the tasks of a run: read or check its images, and weight the classes where the loss needs it.

    The second result is the validation of each task that has validation images; empty where the run is not validated or this
    process is not the first.

    Parameters
    ----------
    session
        The run.
    images
        The images of each task, the main task first.

    Raises
    ------
    ShardError
        A shard cannot be read.
    TrainError
        A mask does not match.
    """
    config, world = session.config, session.world
    targets = {
        head: Target(
            view=config.data.view,
            head=head,
            n_classes=config.heads[head],
            grid=Grid.of(config),
        )
        for head in images
    }
    datasets = {head: PlaneDataset(session.catalogues[head], chosen.train, targets[head]) for head, chosen in images.items()}
    validated: dict[Head, PlaneDataset] = {}
    if config.runtime.validate_every and world.is_first:
        validated = {
            head: PlaneDataset(session.catalogues[head], chosen.validation, targets[head])
            for head, chosen in images.items()
            if len(chosen.validation)
        }
        for head in images.keys() - validated:
            session.reporter.on_message(f"{head.value}: not validated, since no participant with them is in the validation set")
        n_people = len(participants(images[config.head].validation))
        if n_people < MIN_PARTICIPANTS:
            session.reporter.on_message(
                f"the validation set has {n_people} participants, and {MIN_PARTICIPANTS} are needed to choose the best weights: "
                "only the last ones are kept"
            )
    everything = [*datasets.values(), *validated.values()]
    free = free_bytes()
    is_cached = choose_cache(everything, config.runtime.cache, None if free is None else free // world.size)
    for dataset in everything:
        if is_cached:
            dataset.fill_cache()
        else:
            dataset.check()
    annotated_share = 0.0 if config.transfer is None else config.transfer.annotated_share
    tasks = []
    for head, dataset in datasets.items():
        favoured = _favoured(images) if annotated_share and head is not config.head else ()
        kind = config.loss(head)
        frequencies = class_frequencies(dataset) if kind is LossKind.WEIGHTED else None
        order = Order(
            n_images=len(dataset),
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            task=[*Head].index(head),
            rank=world.rank,
            n_ranks=world.size,
            favoured=favoured,
            n_favoured=round(annotated_share * config.training.batch_size) if favoured else 0,
        )
        loss = make_loss(kind, frequencies, session.compute.device)
        tasks.append(Task(head=head, dataset=dataset, order=order, loss=loss))
        people = len(participants(dataset.index))
        session.reporter.on_message(
            f"{head.value}: {len(dataset):,} images of {people:,} participants, {'in memory' if is_cached else 'read from disk'}"
        )
    validations = (Validation(dataset=dataset, names=class_names(config.data.view, head)) for head, dataset in validated.items())
    return tuple(tasks), tuple(validations)


def _favoured(images: Mapping[Head, TaskImages]) -> tuple[int, ...]:
    """Return the rows of the pretext's images whose participants' annotations are learnt from.

    Raises
    ------
    TrainError
        A share of each batch is to be drawn from them, and there are none.
    """
    annotated = set(images[Head.STRUCTURES].split.train)
    index = images[Head.POSITIONS].train
    rows = tuple(row for row in range(len(index)) if index.participant(row) in annotated)
    if not rows:
        raise TrainError(
            "annotated_share needs images with positions of the annotated participants, and none of these has positions; "
            "leave it out"
        )
    return rows
