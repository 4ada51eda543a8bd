"""What all training has in common: the images, the run's folder, and carrying on where a run stopped."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cmr_planes.shards.read import Catalogue, ImageIndex
from cmr_train.checkpoint import (
    CONFIG_NAME,
    FINAL_NAME,
    LAST_NAME,
    SPLIT_NAME,
    load_checkpoint,
    read_config,
    read_json,
    save_checkpoint,
    write_json,
)
from cmr_train.choices import Head, LossKind
from cmr_train.config import VIEW_STRUCTURES, RunConfig, class_names
from cmr_train.data.batches import Order
from cmr_train.data.datasets import PlaneDataset, Target, choose_cache, class_frequencies
from cmr_train.data.memory import free_bytes
from cmr_train.data.splits import Split, choose_participants, split_participants
from cmr_train.devices import Compute
from cmr_train.distributed import World, share_statistics
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.loop import Hooks, Task, TrainState, restore, state_to_save, train
from cmr_train.losses import make_loss
from cmr_train.models.unet import UNet
from cmr_train.presets import differences
from cmr_train.reproducibility import file_sha256, versions
from cmr_train.tracking import EVENTS_NAME, METRICS_NAME, Record, Tracker
from cmr_train.validation import Validation

WEIGHTS_NAME = "weights.json"
"""Which pretrained tensors were taken over."""
RUN_FILES = (CONFIG_NAME, SPLIT_NAME, WEIGHTS_NAME, METRICS_NAME, LAST_NAME, FINAL_NAME)
"""The files of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Who is told how a run goes."""

    say: Callable[[str], None] = lambda sentence: None  # noqa: ARG005  # nobody listens
    """Something worth knowing, in a sentence."""
    begin: Callable[[int, int], None] = lambda total, done: None  # noqa: ARG005
    """The iterations begin: how many there are, and how many are done."""
    iteration: Callable[[int], None] = lambda done: None  # noqa: ARG005
    """So many iterations are done."""
    record: Callable[[Record], None] = lambda record: None  # noqa: ARG005
    """A line of ``metrics.jsonl``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """What a run works with."""

    config: RunConfig
    """What it was told."""
    out: Path
    """Its folder."""
    catalogue: Catalogue
    """Where the images are."""
    compute: Compute
    """Where and how it computes."""
    world: World
    """The processes that train together."""
    reporter: Reporter
    """Who is told how it goes."""


def config_to_resume(out: Path, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of a run that was begun, with what may change changed.

    Parameters
    ----------
    out
        The run's folder.
    given
        Fields of any group, by name; None means not given.

    Raises
    ------
    ConfigError
        What was given contradicts what the run was begun with.
    CheckpointError
        The folder is not a run's.
    """
    saved = read_config(out)
    found = differences(saved, given)
    if found:
        raise ConfigError([f"{each}; leave it out to go on, or use --overwrite to begin anew" for each in found])
    names = {each.name for each in dataclasses.fields(saved.runtime)}
    changes = {name: value for name, value in given.items() if name in names and value is not None}
    return dataclasses.replace(saved, runtime=dataclasses.replace(saved.runtime, **changes))


def is_begun(out: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (out / CONFIG_NAME).exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The images of a task."""

    train: ImageIndex
    """What is learnt from."""
    validation: ImageIndex
    """What the run is watched on; may be empty."""
    split: Split
    """The sets of all participants who have some; of the training set, those who were chosen."""


def choose_images(session: Session, head: Head) -> Chosen:
    """Return the images of a task.

    Raises
    ------
    TrainError
        There are none, or fewer participants than were asked for; the sentence says what is missing.
    """
    config, data = session.config, session.config.data
    where, title = f"{str(session.catalogue.path)!r}", data.view.title
    index = session.catalogue.index(data.view)
    if not len(index):
        raise TrainError(f"{where} holds no images of view {title}; 'cmr-planes inspect' says what it holds")
    index = index.select(index.has_positions if head is Head.POSITIONS else index.is_annotated)
    if not len(index):
        missing = ("position masks", "extract") if head is Head.POSITIONS else ("annotated subjects", "annotate")
        raise TrainError(f"{where} has no {missing[0]} of view {title}; 'cmr-planes {missing[1]}' adds them")
    if head is Head.STRUCTURES:
        index = _wholly_drawn(session, index)
    if data.phases:
        phases = sorted({str(phase) for phase in index.phase})
        index = index.select(np.isin(index.phase, data.phases))
        if not len(index):
            raise TrainError(f"{where} has no phase {', '.join(data.phases)} of view {title}; it has {', '.join(phases)}")
    participants = [index.participant(row) for row in range(len(index))]
    split = split_participants(participants, seed=data.split_seed, fractions=data.fractions)
    if head is config.head and data.subjects is not None:
        if data.subjects > len(split.train):
            raise TrainError(
                f"--subjects {data.subjects} was asked for, and the training set of {where} has {len(split.train)} participants "
                f"for the {head.value} of {title}"
            )
        split = dataclasses.replace(split, train=choose_participants(split.train, data.subjects, seed=data.subjects_seed))
    train, validation = (
        index.select(np.array([each in people for each in participants], dtype=np.bool_))
        for people in (set(split.train), set(split.validation))
    )
    if not len(train):
        raise TrainError(
            f"none of the {len(set(participants))} participants with {head.value} in {where} falls into the training set; "
            "give another --split-seed or more subjects"
        )
    if head is config.head and config.runtime.validate_every and not len(validation):
        raise TrainError(
            f"--validate-every was asked for, and none of the {len(set(participants))} participants with {head.value} in {where} "
            "falls into the validation set; give another --split-seed, more subjects or other --fractions"
        )
    return Chosen(train=train, validation=validation, split=split)


def _wholly_drawn(session: Session, index: ImageIndex) -> ImageIndex:
    """Keep the images on which every structure of the view was drawn or looked for: elsewhere, background may be anything.

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
            drawn[subject] = np.logical_and.reduce(session.catalogue.labelled_structures(subject, view)[..., wanted], axis=-1)
        is_whole[row] = drawn[subject][index.phase_index[row], index.slice[row]]
    names = ", ".join(each.title for each in VIEW_STRUCTURES[view])
    if not is_whole.any():
        raise TrainError(f"on none of the {len(index)} annotated images of view {view.title} were all of {names} drawn")
    if not is_whole.all():
        session.reporter.say(f"{(~is_whole).sum():,} annotated images are left out: not all of {names} were drawn on them")
    return index.select(is_whole)


def make_tasks(session: Session, images: Mapping[Head, Chosen]) -> tuple[tuple[Task, ...], Validation | None]:
    """Make the tasks of a run, read its images or look at one of each subject, and weigh the classes if the loss wants it.

    The second result is what the run is watched on, None if it is not.

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
            size=config.image_size,
            resample_mm=config.data.resample_mm,
        )
        for head in images
    }
    datasets = {head: PlaneDataset(session.catalogue, each.train, targets[head]) for head, each in images.items()}
    watched = []
    if config.runtime.validate_every and world.is_first:
        watched = [PlaneDataset(session.catalogue, images[config.head].validation, targets[config.head])]
    everything = [*datasets.values(), *watched]
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
        frequencies = class_frequencies(dataset) if config.training.loss is LossKind.WEIGHTED else None
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
        loss = make_loss(config.training.loss, frequencies, session.compute.device)
        tasks.append(Task(head=head, dataset=dataset, order=order, loss=loss))
        people = len({dataset.index.participant(row) for row in range(len(dataset))})
        session.reporter.say(
            f"{head.value}: {len(dataset):,} images of {people:,} participants, {'in memory' if is_cached else 'read from disk'}"
        )
    names = class_names(config.data.view, config.head)
    return tuple(tasks), Validation(dataset=watched[0], names=names) if watched else None


def _favoured(images: Mapping[Head, Chosen]) -> tuple[int, ...]:
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
            "--annotated-share wants images with positions of the annotated participants, and none of these has positions; "
            "leave it out"
        )
    return rows


def open_folder(session: Session, split: Split, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Make the run's folder, or find where it stopped.

    Parameters
    ----------
    session
        The run.
    split
        Who is in which set.
    resume
        Go on with what is there.
    overwrite
        Remove what is there.

    Returns
    -------
        The last checkpoint, None if the run begins.

    Raises
    ------
    ConfigError
        There is a run, and neither was asked for.
    TrainError
        The catalogue is not the one that the run was begun with.
    """
    out, sha256 = session.out, file_sha256(session.catalogue.path)
    if is_begun(out) and resume:
        if read_json(out / CONFIG_NAME).get("catalogue_sha256") != sha256:
            raise TrainError(
                f"{str(session.catalogue.path)!r} has changed since run {str(out)!r} began, so that going on would not give the "
                "same weights; begin anew with --overwrite"
            )
        return load_checkpoint(out / LAST_NAME) if (out / LAST_NAME).exists() else None
    if is_begun(out) and not overwrite:
        raise ConfigError(
            [f"{str(out)!r} holds a run; --resume goes on with it, --overwrite begins anew, --out takes another folder"]
        )
    session.world.wait()
    if session.world.is_first:
        for name in RUN_FILES:
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / EVENTS_NAME, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / SPLIT_NAME, split.to_json())
        write_json(out / CONFIG_NAME, {"config": session.config.to_json(), "versions": versions(), "catalogue_sha256": sha256})
    session.world.wait()
    return None


def carry_out(
    session: Session,
    state: TrainState,
    tasks: tuple[Task, ...],
    validation: Validation | None,
    saved: Mapping[str, Any] | None,
) -> bool:
    """Train from the beginning or from a checkpoint, and write what comes of it.

    Returns
    -------
        Whether the run is finished; if not, it was stopped by a signal and may be resumed.

    Raises
    ------
    DivergedError
        The loss is no longer finite.
    CheckpointError
        The checkpoint is not of this run.
    """
    config, out, world = session.config, session.out, session.world
    if saved is not None:
        try:
            restore(state, saved)
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(f"{str(out / LAST_NAME)!r} is not of the run that {CONFIG_NAME} describes: {error}") from error
        session.reporter.say(f"going on after iteration {state.iteration:,}")
    network = _wrap(state.model, session)
    session.reporter.begin(config.training.iterations, state.iteration)

    def on_checkpoint(state: TrainState) -> None:
        values = state_to_save(state, world)
        if world.is_first:
            save_checkpoint(out / LAST_NAME, values)

    if not world.is_first:
        hooks = Hooks(on_record=lambda record: None, on_checkpoint=on_checkpoint)  # noqa: ARG005  # the first process writes
        return train(state, tasks, config, session.compute, world, network, hooks)
    with Tracker(out, state.iteration) as tracker:

        def on_record(record: Record) -> None:
            tracker.write(record)
            session.reporter.record(record)

        def validate(model: UNet) -> dict[str, float]:
            return {} if validation is None else validation(model, session.compute)

        hooks = Hooks(on_record=on_record, on_checkpoint=on_checkpoint, on_iteration=session.reporter.iteration, validate=validate)
        is_finished = train(state, tasks, config, session.compute, world, network, hooks)
    if is_finished:
        save_checkpoint(out / FINAL_NAME, {"iteration": state.iteration, "model": state.model.state_dict()})
    return is_finished


def _wrap(model: UNet, session: Session) -> nn.Module:
    """Let processes share their gradients, and torch compile, where that was asked for."""
    network: nn.Module = model
    if session.world.size > 1:
        share_statistics(model)
        ids = [session.compute.device.index] if session.compute.device.type == "cuda" else None
        has_idle_head = len(session.config.heads) > 1
        network = DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False, find_unused_parameters=has_idle_head)
    if session.config.runtime.compile:
        network = torch.compile(network)  # type: ignore[assignment]  # it behaves as the module
    return network
