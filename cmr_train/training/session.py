"""The folder and the resuming of a run, as both training recipes need them."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.whole_file import file_sha256, remove_leftovers
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World, share_statistics
from cmr_train.config import RunConfig
from cmr_train.data.splits import Split
from cmr_train.errors import CheckpointError, ConfigError, TrainError
from cmr_train.models.unet import UNet
from cmr_train.presets import differences
from cmr_train.runs.checkpoint import load_checkpoint, save_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME, LAST_NAME, SPLIT_NAME, read_config, read_json
from cmr_train.runs.versions import versions
from cmr_train.training.loop import Hooks, Task, train
from cmr_train.training.state import TrainState, restore, state_to_save
from cmr_train.training.tracking import EVENTS_NAME, METRICS_NAME, Record, Tracker
from cmr_train.training.validation import Validation, validate_tasks

WEIGHTS_NAME = "weights.json"
"""Which pretrained tensors were taken over."""
RUN_FILES = (CONFIG_NAME, SPLIT_NAME, WEIGHTS_NAME, METRICS_NAME, LAST_NAME, FINAL_NAME)
"""The files of a run."""

OnRecord = Callable[[Record], None]
"""Called with each line of ``metrics.jsonl``."""


def ignore_record(record: Record) -> None:  # what it ignores
    """Do nothing: the default where records are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """The callbacks of a training, called from the thread that trains; each does nothing if it is not given."""

    on_progress: OnProgress = ignore_progress
    """Called with the iterations done: before the first, and after each."""
    on_record: OnRecord = ignore_record
    """Called with each line of ``metrics.jsonl``."""
    on_message: OnMessage = ignore_message
    """Called with a sentence about the data or the weights that are used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """Configuration, catalogue and device of a run."""

    config: RunConfig
    """Its configuration."""
    out: Path
    """Its folder."""
    catalogue: Catalogue
    """Where the images are."""
    compute: Compute
    """Where and how it computes."""
    world: World
    """The processes that train together."""
    reporter: Reporter
    """Callbacks for what happens."""


def config_to_resume(out: Path, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration of a run that was begun, with the runtime settings that were given.

    Parameters
    ----------
    out
        The run's folder.
    given
        Settings by name, as :func:`cmr_train.presets.parse_settings` returns them.

    Raises
    ------
    ConfigError
        A setting other than those of the runtime differs from that of the run.
    CheckpointError
        The folder is not a run's.
    """
    saved = read_config(out)
    found = differences(saved, given)
    if found:
        raise ConfigError(found)
    names = {field.name for field in dataclasses.fields(saved.runtime)}
    changes = {name: value for name, value in given.items() if name in names}
    return dataclasses.replace(saved, runtime=dataclasses.replace(saved.runtime, **changes))


def is_begun(out: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (out / CONFIG_NAME).exists()


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
                f"{str(session.catalogue.path)!r} has changed since run {str(out)!r} began, so that resuming would not give the "
                "same weights; overwrite the run to start over"
            )
        return load_checkpoint(out / LAST_NAME) if (out / LAST_NAME).exists() else None
    if is_begun(out) and not overwrite:
        raise ConfigError([f"{str(out)!r} holds a run already; resume it, overwrite it, or choose another folder"])
    session.world.wait()
    if session.world.is_first:
        for name in RUN_FILES:
            (out / name).unlink(missing_ok=True)
            remove_leftovers(out / name)
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
    validations: tuple[Validation, ...],
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
        session.reporter.on_message(f"resuming after iteration {state.iteration:,}")
    network = _wrap(state.model, session)

    def on_iteration(done: int) -> None:
        session.reporter.on_progress(Progress(done, config.training.iterations))

    on_iteration(state.iteration)

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
            session.reporter.on_record(record)

        def validate(state: TrainState) -> dict[str, float]:
            return validate_tasks(state, validations, session.compute)

        hooks = Hooks(on_record=on_record, on_checkpoint=on_checkpoint, on_iteration=on_iteration, validate=validate)
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
