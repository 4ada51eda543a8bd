"""The training loop: functions over a state that can be saved and taken up again between any two iterations."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import torch
from torch import nn

from cmr_planes.errors import ShardError
from cmr_train.choices import Head, Schedule
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.config import RunConfig, TrainingConfig
from cmr_train.data.augment import Augmentation
from cmr_train.data.batches import Batch, BatchOptions, Order, batches
from cmr_train.data.datasets import PlaneDataset
from cmr_train.errors import DivergedError, TrainError
from cmr_train.training.objectives import Objective
from cmr_train.training.state import TrainState, enter
from cmr_train.training.tracking import Record

WARM_UP = 0.3
"""Share of a one-cycle schedule in which the learning rate rises."""
FIRST, LAST = 1 / 25, 1e-4
"""Learning rate at the beginning of a one-cycle schedule, and at the end of it or of a cosine, of the highest."""

_STOPPING = tuple(number for number in signal.Signals if number.name in {"SIGTERM", "SIGINT", "SIGBREAK"})
"""SIGBREAK is Ctrl-Break, which stands for SIGTERM on Windows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """One of the things that are learnt."""

    head: Head
    """Which head answers."""
    name: str
    """In records."""
    dataset: PlaneDataset
    """Images and masks."""
    order: Order
    """When which of them comes."""
    objective: Objective
    """What is learnt of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Callbacks of the training loop."""

    on_record: Callable[[Record], None]
    """Called with every record of losses and scores."""
    on_checkpoint: Callable[[TrainState], None]
    """Called with the state where a checkpoint is due."""
    on_iteration: Callable[[int], None] = lambda iteration: None  # noqa: ARG005  # the default does nothing
    """Called after each iteration with the number of iterations done."""
    validate: Callable[[TrainState], dict[str, float]] = lambda state: {}  # noqa: ARG005  # the default does nothing
    """Scores the network on the validation set."""
    on_stop: Callable[[], None] = lambda: None
    """Called at once when a signal asks to stop, which happens after the iteration under way."""


def learning_rate(training: TrainingConfig, iteration: int) -> float:
    """Return the learning rate of an iteration, counted from 0; it depends on nothing else."""
    if training.schedule is Schedule.CONSTANT:
        return training.learning_rate
    if training.schedule is Schedule.COSINE:
        return training.learning_rate * _fall(1.0, LAST, iteration / max(1, training.iterations - 1))
    peak = WARM_UP * training.iterations
    is_rising = iteration < peak
    start, end = (FIRST, 1.0) if is_rising else (1.0, LAST)
    share = iteration / peak if is_rising else (iteration - peak) / max(1.0, training.iterations - 1 - peak)
    return training.learning_rate * _fall(start, end, share)


def _fall(start: float, end: float, share: float) -> float:
    """Return the value after a share of the way from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def augmentation(training: TrainingConfig) -> Augmentation:
    """Return how a run changes its images."""
    return Augmentation(
        rotation_deg=training.rotation_deg,
        scaling=training.scaling,
        gamma=training.gamma,
        noise=training.noise,
        blur=training.blur,
    )


def step(state: TrainState, task: Task, batch: Batch, network: nn.Module, compute: Compute, rate: float) -> None:
    """Move the weights once.

    Parameters
    ----------
    state
        Changed in place.
    task
        What is learnt.
    batch
        From what.
    network
        The state's model, or what wraps it.
    compute
        Where and how.
    rate
        The learning rate.
    """
    optimiser = state.optimisers[task.head]
    for group in optimiser.param_groups:
        group["lr"] = rate
    images, truth = task.objective.pose(batch)
    optimiser.zero_grad(set_to_none=True)
    with compute.autocast():
        outputs = network(images.contiguous(memory_format=compute.memory_format), task.head.value)
        loss = task.objective.loss(outputs, truth)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's method has no types
    state.scaler.step(optimiser)
    state.scaler.update()
    state.loss_sums[task.head] += loss.detach()
    state.n_losses[task.head] += 1


def train(
    state: TrainState, tasks: tuple[Task, ...], config: RunConfig, compute: Compute, world: World, network: nn.Module, hooks: Hooks
) -> bool:
    """Train until the iterations are done, or until SIGTERM or SIGINT.

    Parameters
    ----------
    state
        Where to begin; changed in place.
    tasks
        The main task, whose steps are counted; then, or not, the one that has a step before every ``beta`` of them.
    config
        The run's configuration.
    compute
        Where and how.
    world
        The processes that train together.
    network
        The state's model, or what wraps it.
    hooks
        The callbacks.

    Returns
    -------
        Whether the iterations are done; if not, the state was handed to ``on_checkpoint``.

    Raises
    ------
    DivergedError
        A loss or a weight is not finite; nothing was handed to ``on_checkpoint`` since it happened.
    ShardError
        Images cannot be read. If this is the only process, the state before them was handed to ``on_checkpoint``.
    TrainError
        A mask does not match; as above.
    """
    main, *others = tasks
    n_iterations, runtime = config.training.iterations, config.runtime
    beta = 1 if config.transfer is None else config.transfer.beta
    options = BatchOptions(augmentation=augmentation(config.training), workers=runtime.workers)

    def stream(stack: ExitStack, task: Task, every: int) -> Iterator[Batch]:
        first, last = -(-state.iteration // every), -(-n_iterations // every)
        return stack.enter_context(closing(batches(task.dataset, task.order, options, compute.device, start=first, stop=last)))

    with ExitStack() as stack, stop_signal(hooks.on_stop) as is_stopping:
        main_batches = stream(stack, main, 1)
        other_batches = [(task, stream(stack, task, beta)) for task in others]
        clock = _Clock(state, {task.head: task.name for task in tasks}, config, world)
        while state.iteration < n_iterations:
            rate = learning_rate(config.training, state.iteration)
            due = [*(other_batches if state.iteration % beta == 0 else ()), (main, main_batches)]
            with _kept_if_unreadable(state, world, hooks):
                ready = [
                    (task, next(waiting)) for task, waiting in due
                ]  # all before any step, so that the state is one between two
            for task, batch in ready:
                enter(state, task.head)
                step(state, task, batch, network, compute, rate)
            state.iteration += 1
            is_last = state.iteration == n_iterations
            is_look_due = runtime.validate_every > 0 and (is_last or state.iteration % runtime.validate_every == 0)
            is_record_due = is_last or is_look_due or state.iteration % runtime.log_every == 0
            is_stopped = _is_any_stopping(is_stopping(), world, compute, is_asked=is_record_due)
            is_saving_due = is_last or is_stopped or state.iteration % runtime.checkpoint_every == 0
            if is_saving_due:
                _check_finite(state, world)
            if is_record_due:
                record = clock.record(rate)
                looked = hooks.validate(state) if is_look_due else {}
                hooks.on_record(replace(record, validation=looked))
                clock.restart()
            if is_saving_due:
                hooks.on_checkpoint(state)
            hooks.on_iteration(state.iteration)
            if is_stopped and not is_last:
                return False
    return True


@contextmanager
def _kept_if_unreadable(state: TrainState, world: World, hooks: Hooks) -> Iterator[None]:
    """Hand the state to ``on_checkpoint`` where images cannot be read; of several processes one alone cannot do that."""
    try:
        yield
    except (ShardError, TrainError) as error:
        if not state.iteration or world.size > 1:
            raise
        _check_finite(state, world)
        hooks.on_checkpoint(state)
        raise type(error)(f"{error}; the run resumes from the checkpoint after iteration {state.iteration:,}") from error


class _Clock:
    """Means of the losses, and images per second, since the last record."""

    def __init__(self, state: TrainState, names: Mapping[Head, str], config: RunConfig, world: World) -> None:
        self.state, self.names, self.batch_size, self.world = state, names, config.training.batch_size, world
        self.restart()

    def restart(self) -> None:
        """Begin a new record."""
        self.start, self.n_steps_before = time.perf_counter(), sum(self.state.n_losses.values())

    def record(self, rate: float) -> Record:
        """Return a record, and set the sums back."""
        state = self.state
        means = {head: self.world.mean(state.loss_sums[head]).item() / n for head, n in state.n_losses.items() if n}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise _diverged(state)
        now = time.perf_counter()
        n_images = (sum(state.n_losses.values()) - self.n_steps_before) * self.batch_size
        record = Record(
            iteration=state.iteration,
            losses={self.names[head]: mean for head, mean in means.items()},
            learning_rate=rate,
            images_per_second=n_images / (now - self.start),
        )
        for head, total in state.loss_sums.items():
            total.zero_()
            state.n_losses[head] = 0
        return record


def _check_finite(state: TrainState, world: World) -> None:
    """Refuse to save weights that are of no use."""
    tensors = [*state.model.parameters(), *state.model.buffers(), *(world.mean(total) for total in state.loss_sums.values())]
    if not torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all():
        raise _diverged(state)


def _diverged(state: TrainState) -> DivergedError:
    return DivergedError(
        f"the loss or a weight is no longer finite after iteration {state.iteration}; the last checkpoint before stays; "
        "try a lower learning_rate"
    )


def _is_any_stopping(is_stopping: bool, world: World, compute: Compute, *, is_asked: bool) -> bool:
    """Return whether a process was asked to stop; several processes compare only where they synchronise anyway."""
    if world.size == 1:
        return is_stopping
    return is_asked and world.mean(torch.tensor(float(is_stopping), device=compute.device)).item() > 0


@contextmanager
def stop_signal(on_stop: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Note the signals that ask to stop, and say so, instead of dying of them; the second one kills."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # signal's signature
        caught.append(number)
        signal.signal(number, before[signal.Signals(number)])
        on_stop()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    for number in _STOPPING:
        signal.signal(number, note)
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
