"""A training carried out: from its first state or a checkpoint to the files that it leaves."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cmr_planes.system.progress import Progress
from cmr_train.choices import Weights
from cmr_train.compute.distributed import share_statistics
from cmr_train.errors import CheckpointError
from cmr_train.models.network import Network
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.folder import BEST_NAME, CLASSES_FIELD, CONFIG_NAME, FINAL_NAME, LAST_NAME
from cmr_train.training.best import Best, is_better
from cmr_train.training.forecast import Forecast
from cmr_train.training.loop import Hooks, Task, train
from cmr_train.training.session import Session, ignore_record
from cmr_train.training.state import TrainState, restore, state_to_save
from cmr_train.training.tracking import VALIDATION_MEAN, Record, Tracker
from cmr_train.training.validation import Validation, validate_tasks


def carry_out(
    session: Session,
    state: TrainState,
    tasks: tuple[Task, ...],
    validations: tuple[Validation, ...],
    saved: Mapping[str, Any] | None,
) -> bool:
    """Train from the beginning or from a checkpoint, and write what comes of it.

    Parameters
    ----------
    session
        The run.
    state
        Where it begins; changed in place.
    tasks
        The main task, and the other one where there are two.
    validations
        The validation of each task, the main task's first; empty where the run is not validated.
    saved
        The checkpoint to resume, None to begin.

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
    if saved is not None:
        _resume(session, state, saved)
    network = _wrap(state.model, session)

    def run(hooks: Hooks) -> bool:
        return train(state, tasks, session.config, session.compute, session.world, network, hooks)

    if not session.world.is_first:
        return run(Hooks(on_record=ignore_record, on_checkpoint=lambda state: _save(session, state)))
    with Tracker(session.out, state.iteration) as tracker:
        is_finished = run(_hooks(session, state, tracker, validations))
    if is_finished:
        _finish(session, state)
    return is_finished


def _resume(session: Session, state: TrainState, saved: Mapping[str, Any]) -> None:
    """Continue from a checkpoint."""
    try:
        restore(state, saved)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        path = str(session.out / LAST_NAME)
        raise CheckpointError(f"{path!r} is not of the run that {CONFIG_NAME} describes: {error}") from error
    session.reporter.on_message(f"resuming after iteration {state.iteration:,}")


def _hooks(session: Session, state: TrainState, tracker: Tracker, validations: tuple[Validation, ...]) -> Hooks:
    """Return the callbacks of the process that writes."""
    forecast, n_iterations = Forecast(session.config, session.compute, state.iteration), session.config.training.iterations

    def on_record(record: Record) -> None:
        tracker.write(record)
        session.reporter.on_record(record)

    def on_iteration(done: int) -> None:
        session.reporter.on_progress(Progress(done, n_iterations))
        sentence = forecast.after(done, time.perf_counter())
        if sentence is not None:
            session.reporter.on_message(sentence)

    on_iteration(state.iteration)
    return Hooks(
        on_record=on_record,
        on_checkpoint=lambda state: _save(session, state),
        on_iteration=on_iteration,
        validate=lambda state: _validate(session, state, validations),
        on_stop=lambda: session.reporter.on_message(
            "stopping after the iteration under way, with a checkpoint; the same signal again ends the run at once, without one"
        ),
    )


def _validate(session: Session, state: TrainState, validations: tuple[Validation, ...]) -> dict[str, float]:
    """Score every task, and keep the weights if the main one has never been better."""
    found = validate_tasks(state, validations, session.compute)
    if validations:
        state.dice, n_iterations = found[VALIDATION_MEAN], session.config.training.iterations
        n_people = validations[0].n_participants
        if is_better(state.dice, state.iteration, state.best, n_iterations=n_iterations, n_participants=n_people):
            state.best = Best.of(state.model.state_dict(), state.iteration, state.dice)
    return found


def _save(session: Session, state: TrainState) -> None:
    """Write a checkpoint; every process takes part, and the first one writes."""
    values = state_to_save(state, session.world) | _classes(session)
    if session.world.is_first:
        save_checkpoint(session.out / LAST_NAME, values)


def _finish(session: Session, state: TrainState) -> None:
    """Write the best and the final weights; remove the optimiser's state, several times their size, unless it is to be kept."""
    scores = {Weights.LAST: state.dice, Weights.BEST: None if state.best is None else state.best.dice}
    dice = {weights.value: score for weights, score in scores.items() if score is not None}
    if state.best is not None:
        values = {"iteration": state.best.iteration, "model": state.best.model, "validation_dice": dice} | _classes(session)
        save_checkpoint(session.out / BEST_NAME, values)
    values = {"iteration": state.iteration, "model": state.model.state_dict(), "validation_dice": dice} | _classes(session)
    save_checkpoint(session.out / FINAL_NAME, values)
    if not session.config.runtime.keep_optimiser:
        (session.out / LAST_NAME).unlink(missing_ok=True)


def _classes(session: Session) -> dict[str, dict[int, str]]:
    """Return what weights say of the outputs of their network."""
    return {CLASSES_FIELD: session.config.class_names(session.config.head)}


def _wrap(model: Network, session: Session) -> nn.Module:
    """Let processes share their gradients, and torch compile, where that was asked for."""
    network: nn.Module = model
    if session.world.size > 1:
        share_statistics(model, session.compute.device)
        ids = [session.compute.device.index] if session.compute.device.type == "cuda" else None
        has_idle_head = len(session.config.heads) > 1
        network = DistributedDataParallel(model, device_ids=ids, find_unused_parameters=has_idle_head)
    if session.config.runtime.compile:
        network = torch.compile(network)  # type: ignore[assignment]  # it behaves as the module
    return network
