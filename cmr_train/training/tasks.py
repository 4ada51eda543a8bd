"""Training and validation images of a run, and the tasks made of them."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import NoteCode
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.text import counted, either, part
from cmr_planes.views import Structure
from cmr_train.choices import Head, LossKind, Subset
from cmr_train.config import PretextConfig, RunConfig
from cmr_train.data.batches import Order
from cmr_train.data.cut import check_cut
from cmr_train.data.datasets import PlaneDataset, Target, choose_cache, class_frequencies
from cmr_train.data.donors import donor_rows
from cmr_train.data.drawn import drawn_sentence, drawn_structures, has_all, unwanted_pixels
from cmr_train.data.images import Grid
from cmr_train.data.memory import free_bytes
from cmr_train.data.selection import annotated_participants, of_participants, participants, select_images, split_of
from cmr_train.data.splits import HOLD_BACK_MORE, Split, choose_participants
from cmr_train.errors import TrainError
from cmr_train.prediction.inference import IMAGES_AT_ONCE
from cmr_train.runs.identity import CatalogueIdentity, are_same_people
from cmr_train.training.best import MIN_PARTICIPANTS
from cmr_train.training.loop import Task
from cmr_train.training.losses import make_loss
from cmr_train.training.objectives import ClassObjective, NumberObjective, Objective
from cmr_train.training.pixels import TrainingPixels
from cmr_train.training.session import Session
from cmr_train.training.targets import NUMBER_OBJECTIVES
from cmr_train.training.validation import ClassScore, NumberScore, Validation

VALIDATION_SEED = 0
"""Seed of the patches that are hidden in validation images: the same in every run, so that scores can be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskImages:
    """The images of a task."""

    train: ImageIndex
    """Training images."""
    training_set: ImageIndex
    """Those of the whole training set: of all participants from which those to train on are chosen."""
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
        index = _usable(session, index)
    annotated = _annotated(session, head, participants(index))
    split, n_people = split_of(config, index, head, annotated), len(participants(index))
    n_without_set = n_people - len({*split.train, *split.validation, *split.test})
    if n_without_set:
        session.reporter.on_message(
            f"{config.task_name(head)}: {counted(n_without_set, 'participant')} left out, in no set of this task in "
            f"{str(data.split)!r}"
        )
    if head is Head.POSITIONS and data.split is None:
        sentence = _held_back_sentence(split, annotated, data.unlabelled_held_back)
        session.reporter.on_message(f"{config.task_name(head)}: {sentence}")
    train = training_set = of_participants(index, split.train)
    if head is config.head and data.subjects is not None:
        if data.subjects > len(split.train):
            raise TrainError(
                f"{counted(data.subjects, 'participant')} {either(data.subjects, 'was', 'were')} asked for, and the "
                f"training set of {where} has {len(split.train)} for the "
                f"{config.task_name(head)} of {data.view.title}"
            )
        split = dataclasses.replace(split, train=choose_participants(split.train, data.subjects, seed=data.subjects_seed))
        train = of_participants(index, split.train)
    validation = of_participants(index, split.validation)
    _check_training_set(session, head, split, n_people)
    if head is Head.STRUCTURES:
        _check_drawn(session, train)
    if head is config.head and config.runtime.validate_every and not len(validation):
        raise TrainError(
            f"the run is to be validated, and none of the {counted(n_people, 'participant')} with "
            f"{config.material(head)} in {where} "
            "falls into the validation set; use another split seed, more subjects or other fractions"
        )
    return TaskImages(train=train, training_set=training_set, validation=validation, split=split)


def _annotated(session: Session, head: Head, people: Collection[str]) -> frozenset[str]:
    """Return the participants with annotations: in any catalogue of the run, unless equal keys in two are of other persons.

    Raises
    ------
    TrainError
        It cannot be determined whether they are.
    """
    own = session.catalogues[head]
    annotated = annotated_participants(own)
    for other in (each for each in session.catalogues.values() if each.path != own.path):
        annotated |= _same_people(session, own, other, frozenset(people) & annotated_participants(other))
    return annotated


def _same_people(session: Session, first: Catalogue, second: Catalogue, common: frozenset[str]) -> frozenset[str]:
    """Return the keys that two catalogues have in common, or none where they are of other persons; raises TrainError if unclear."""
    if first.path == second.path or not common:
        return common
    transfer = session.config.transfer
    people = None if transfer is None else transfer.people
    return common if are_same_people(CatalogueIdentity.of(first), CatalogueIdentity.of(second), common, people) else frozenset()


def _held_back_sentence(split: Split, annotated: frozenset[str], share: float) -> str:
    """Say how many participants of the pretext task are held back, and why."""
    everyone = frozenset({*split.train, *split.validation, *split.test})
    held_back, unlabelled = everyone.difference(split.train), everyone - annotated
    counts = [
        f"{part(len(held_back & group), len(group), 'participant')} {which} "
        f"{either(len(held_back & group), 'is', 'are')} held back {purpose}"
        for group, which, purpose in (
            (everyone & annotated, "with annotations", "for the segmentation"),
            (unlabelled, "without annotations", "to score the pretext task"),
        )
        if group
    ]
    advice = ""
    if unlabelled == everyone and share < 1:
        advice = (
            f"; if you annotate them later, this pretext will have seen test participants; to hold back more, use {HOLD_BACK_MORE}"
        )
    return f"{', and '.join(counts)}{advice}"


def _check_training_set(session: Session, head: Head, split: Split, n_people: int) -> None:
    """Refuse a task whose training set is empty, or too small for its target.

    Raises
    ------
    TrainError
        It is; the sentence says of how many participants it was drawn.
    """
    config, where = session.config, f"{str(session.catalogues[head].path)!r}"
    people = f"{counted(n_people, 'participant')} with {config.material(head)}"
    if not split.train and config.data.split is not None:
        raise TrainError(
            f"{str(config.data.split)!r} has none of the {people} in {where} in the training set; it is to name those of every "
            "catalogue of the run, people who are for the pretext alone with the set 'pretext'"
        )
    if not split.train:
        raise TrainError(f"none of the {people} in {where} falls into the training set; use another split seed or more subjects")
    if head is Head.POSITIONS and len(split.train) < config.traits.min_participants:
        raise TrainError(
            f"the training set of {where} has {len(split.train)} participant, and {config.traits.min_participants} are needed, "
            "each of which is given the boxes of another"
        )


def _usable(session: Session, index: ImageIndex) -> ImageIndex:
    """Keep the images on which every structure was drawn, or checked and absent: elsewhere background may be anything.

    With ``ignore_undrawn`` the others stay too.

    Raises
    ------
    TrainError
        There are none.
    """
    config, catalogue = session.config, session.catalogues[Head.STRUCTURES]
    view, names = config.data.view, _titles(config.structures)
    drawn = drawn_structures(catalogue, index, view)
    is_used = is_whole = has_all(drawn, config.structures)
    lack = part(int((~is_whole).sum()), len(index), "annotated image")
    if _does_ignore_undrawn(config):
        is_used = np.ones_like(is_whole)
        sentence = f"on {lack} not all of {names} were drawn: the loss allows for the others in their background"
    elif is_whole.any():
        sentence = f"left out: {lack}, on which not all of {names} were drawn"
    else:
        raise TrainError(
            f"on none of the {counted(len(index), 'annotated image')} of view {view.title} were all of {names} drawn; drawn are: "
            f"{drawn_sentence(drawn)}; choose structures that were drawn"
            f"{', or ignore_undrawn' if drawn[:, list(config.structures)].any(axis=0).all() else ''}"
        )
    if not is_whole.all():
        session.reporter.on_message(sentence)
    used = index.select(is_used)
    for name, n_pixels in unwanted_pixels(catalogue, used, view, config.structures).items():
        session.reporter.on_message(f"{name} was drawn ({n_pixels:,} pixels) and is background in this run")
    return used


def _check_drawn(session: Session, train: ImageIndex) -> None:
    """Refuse to train on a structure that no training image shows; such an output would learn nothing.

    Raises
    ------
    TrainError
        There is such.
    """
    drawn = drawn_structures(session.catalogues[Head.STRUCTURES], train, session.config.data.view)
    missing = [structure for structure in session.config.structures if not drawn[:, structure].any()]
    if missing:
        raise TrainError(
            f"on none of the {counted(len(train), 'training image')} was {_titles(missing)} drawn; drawn are: "
            f"{drawn_sentence(drawn)}; "
            "leave it out of the structures"
        )


def _does_ignore_undrawn(config: RunConfig) -> bool:
    return config.transfer is not None and config.transfer.ignore_undrawn


def _dataset(session: Session, head: Head, index: ImageIndex, grid: Grid, *, is_for_training: bool) -> PlaneDataset:
    """Return the images and masks of a task on a grid; those of another person are for training alone."""
    config, catalogue = session.config, session.catalogues[head]
    undrawn = _undrawn(catalogue, index, config) if head is Head.STRUCTURES and _does_ignore_undrawn(config) else None
    target = Target(view=config.data.view, head=head, classes=config.class_numbers(head), grid=grid)
    is_shuffled = is_for_training and head is Head.POSITIONS and config.traits.is_control
    seed = 0 if config.pretext is None else config.pretext.shuffle_seed
    donors = donor_rows(catalogue, index, seed) if is_shuffled else None
    return PlaneDataset(catalogue, index, target, undrawn, donors)


def _undrawn(catalogue: Catalogue, index: ImageIndex, config: RunConfig) -> NDArray[np.bool_] | None:
    """Return the outputs whose structures were not drawn, shape (images, outputs); None where all were drawn on all images."""
    undrawn = ~drawn_structures(catalogue, index, config.data.view)[:, list(config.class_numbers(Head.STRUCTURES))]
    undrawn[:, 0] = False
    return undrawn if undrawn.any() else None


def _scored(config: RunConfig, dataset: PlaneDataset) -> dict[int, str]:
    """Return the outputs that a validation scores, with their names: those that were drawn on an image of it."""
    numbers, names = dataset.target.classes, config.class_names(dataset.target.head)
    unknown = () if dataset.undrawn is None else np.flatnonzero(dataset.undrawn.all(axis=0))
    return {output: names[number] for output, number in enumerate(numbers) if number in names and output not in unknown}


def _titles(structures: Iterable[Structure]) -> str:
    return ", ".join(structure.title for structure in structures)


def make_tasks(
    session: Session, images: Mapping[Head, TaskImages], pixels: TrainingPixels
) -> tuple[tuple[Task, ...], tuple[Validation, ...]]:
    """Make the tasks of a run: read or check its images, and weight the classes where the loss needs it.

    The second result is the validation of each task that has validation images; empty where the run is not validated or this
    process is not the first.

    Parameters
    ----------
    session
        The run.
    images
        The images of each task, the main task first.
    pixels
        Their pixel sizes, and those of the network.

    Raises
    ------
    ShardError
        A shard cannot be read.
    TrainError
        A mask does not match, or the matrix cuts too much of a subject's.
    """
    config, world = session.config, session.world
    trained = Grid.of(config, pixels.resampled_mm)
    datasets = {head: _dataset(session, head, chosen.train, trained, is_for_training=True) for head, chosen in images.items()}
    validations = _validations(session, images, pixels) if config.runtime.validate_every and world.is_first else ()
    for dataset in datasets.values():
        check_cut(dataset, config.data.max_cut, session.reporter.on_message)
    is_cached = choose_cache([*datasets.values()], config.runtime.cache, free_bytes() // world.size)
    for dataset in datasets.values():
        if is_cached:
            dataset.fill_cache()
        else:
            dataset.check()
    annotated_share = 0.0 if config.transfer is None else config.transfer.annotated_share
    tasks = []
    for head, dataset in datasets.items():
        favoured = _favoured(session, images) if annotated_share and head is not config.head else ()
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
        objective = _objective(session, dataset, order)
        if head is Head.POSITIONS and config.traits.needs_stack:
            _say_uncertain_order(session, dataset)
        tasks.append(Task(head=head, name=config.task_name(head), dataset=dataset, order=order, objective=objective))
        session.reporter.on_message(f"{tasks[-1].name}: {_images_sentence(dataset, images[head].split, is_cached=is_cached)}")
    return tuple(tasks), validations


def _images_sentence(dataset: PlaneDataset, split: Split, *, is_cached: bool) -> str:
    """Say how many images and participants a task trains on, how many are in other sets, and the sizes of images and matrix."""
    index, (rows, columns) = dataset.index, dataset.target.grid.size
    others = [f"{len(keys):,} to {what}" for keys, what in ((split.validation, "validate"), (split.test, "test")) if keys]
    people = counted(len(participants(index)), "participant") + (f" to train on ({', '.join(others)})" if others else "")
    sides = (index.rows, index.columns)
    are_equal = all(side.min() == side.max() for side in sides)
    return (
        f"{counted(len(dataset), 'image')} of {people}, {'in memory' if is_cached else 'read from disk'}; images of "
        f"{'' if are_equal else 'up to '}{' × '.join(str(side.max()) for side in sides)} pixels in a matrix of {rows} × {columns}"
    )


def _validations(session: Session, images: Mapping[Head, TaskImages], pixels: TrainingPixels) -> tuple[Validation, ...]:
    """Return the validation of each task that has validation images, once each subject of it was found to be readable."""
    config, on_message = session.config, session.reporter.on_message
    validations = []
    for head, chosen in images.items():
        if not len(chosen.validation):
            on_message(f"{config.task_name(head)}: not validated, since no participant with them is in the validation set")
            continue
        dataset = _dataset(session, head, chosen.validation, Grid.of(config, pixels.network_mm), is_for_training=False)
        validations.append(Validation(name=config.task_name(head), dataset=dataset, score=_score(config, dataset)))
    n_people = len(participants(images[config.head].validation))
    if n_people < MIN_PARTICIPANTS:
        on_message(
            f"the validation set has {counted(n_people, 'participant')}, and {MIN_PARTICIPANTS} are needed to choose the best "
            "weights: only the last ones are kept"
        )
    for validation in validations:
        validation.dataset.check()
    return tuple(validations)


def _objective(session: Session, dataset: PlaneDataset, order: Order) -> Objective:
    """Return what a task makes of its images."""
    config, head = session.config, dataset.target.head
    if not config.has_classes(head):
        return _number_objective(config, dataset, order)
    kind = config.loss(head)
    frequencies = class_frequencies(dataset) if kind is LossKind.WEIGHTED else None
    return ClassObjective(make_loss(kind, frequencies, session.compute.device))


def _say_uncertain_order(session: Session, dataset: PlaneDataset) -> None:
    """Say of how many subjects the order of the slices may be a guess."""
    index, view = dataset.index, dataset.target.view.value
    subjects = {*index.keys()}
    found = {note.subject for note in dataset.catalogue.notes() if note.code == NoteCode.NO_DIRECTIONS and note.view == view}
    if subjects & found:
        session.reporter.on_message(
            f"{session.config.traits.task}: files of {part(len(subjects & found), len(subjects), 'subject')} have no directions, "
            "so that which end of their stacks is the base may be a guess"
        )


def _number_objective(config: RunConfig, dataset: PlaneDataset, order: Order) -> NumberObjective:
    return NUMBER_OBJECTIVES[(config.pretext or PretextConfig()).target](dataset, order)


def _score(config: RunConfig, dataset: PlaneDataset) -> ClassScore | NumberScore:
    """Return how a network is scored on a validation set."""
    if config.has_classes(dataset.target.head):
        return ClassScore(dataset=dataset, names=_scored(config, dataset))
    order = Order(n_images=len(dataset), batch_size=IMAGES_AT_ONCE, seed=VALIDATION_SEED, task=0)
    return NumberScore(dataset=dataset, objective=_number_objective(config, dataset, order))


def _favoured(session: Session, images: Mapping[Head, TaskImages]) -> tuple[int, ...]:
    """Return the rows of the pretext's images whose participants' annotations are learnt from.

    Raises
    ------
    TrainError
        A share of each batch is to be drawn from them, and there are none.
    """
    index = images[Head.POSITIONS].train
    common = frozenset(images[Head.STRUCTURES].split.train).intersection(participants(index))
    annotated = _same_people(session, session.catalogues[Head.POSITIONS], session.catalogues[Head.STRUCTURES], common)
    is_annotated = np.array([person in annotated for person in index.subjects.participant], dtype=np.bool_)
    rows = tuple(np.flatnonzero(is_annotated[index.subject_number]).tolist())
    if not rows:
        raise TrainError(
            "annotated_share needs images with positions of the annotated participants, and none of these has positions; "
            "leave it out"
        )
    return rows
