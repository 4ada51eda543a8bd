"""A training on the terminal: its progress line, its messages, and how it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import print_json, say, stderr
from cmr_train.compute.distributed import world_from_environment
from cmr_train.config import RunConfig
from cmr_train.errors import StoppedError
from cmr_train.runs.folder import FINAL_NAME, LAST_NAME
from cmr_train.training.job import Training, run_training
from cmr_train.training.session import Reporter
from cmr_train.training.tracking import VALIDATION_MEAN, Record

QUIET_SECONDS = 60.0
"""Least time between two lines where stderr is no terminal."""


def train_and_print(train: Training, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, as_json: bool) -> ExitCode:
    """Train, and print how it ended.

    Parameters
    ----------
    train
        The training.
    config
        The resolved configuration.
    out
        The run's folder.
    resume, overwrite
        Resume or delete a run that is in the folder.
    as_json
        Print the result as JSON.
    """
    start, is_first = time.perf_counter(), world_from_environment().is_first
    last: list[Record] = []
    is_finished = True
    with _reporter(last, is_shown=is_first) as reporter:
        try:
            run_training(train, config, out, resume=resume, overwrite=overwrite, reporter=reporter)
        except StoppedError:
            is_finished = False
    if is_first:
        _print_end(config, out, last, time.perf_counter() - start, is_finished=is_finished, as_json=as_json)
    return ExitCode.DONE if is_finished else ExitCode.INTERRUPTED


def _print_end(config: RunConfig, out: Path, last: list[Record], seconds: float, *, is_finished: bool, as_json: bool) -> None:
    """Print the result."""
    weights = out / (FINAL_NAME if is_finished else LAST_NAME)
    losses = {} if not last else last[-1].losses
    if as_json:
        value = {"run": out.as_posix(), "weights": weights.as_posix(), "is_finished": is_finished, "seconds": round(seconds, 3)}
        print_json({**value, "iterations": config.training.iterations, "losses": losses})
    elif is_finished:
        shown = ", ".join(f"{task} {loss:.4f}" for task, loss in losses.items())
        click.echo(
            f"{config.training.iterations:,} iterations done, {seconds:,.1f} s in this run"
            + (f", last loss {shown}" if shown else "")
            + f"; weights in {weights}"
        )
    if not is_finished:
        say(f"stopped; {weights} is saved; run the same command with --resume to continue", style="yellow")


@contextmanager
def _reporter(last: list[Record], *, is_shown: bool) -> Iterator[Reporter]:
    """Show a progress line, and keep the last record."""
    if not is_shown:
        yield Reporter()
        return
    console = stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}  {task.fields[rate]} images/s{task.fields[dice]}  left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task("training", total=None, loss="–", rate="–", dice="")
        dice, printed = "", time.monotonic()

        def record(record: Record) -> None:
            nonlocal dice, printed
            last[:] = [record]
            loss = " + ".join(f"{value:.4f}" for value in record.losses.values())
            if record.validation:
                dice = f"  validation Dice {record.validation[VALIDATION_MEAN]:.3f}"
            bar.update(line, dice=dice, loss=loss, rate=f"{record.images_per_second:,.0f}")
            if not console.is_terminal and time.monotonic() - printed > QUIET_SECONDS:
                printed = time.monotonic()
                say(f"iteration {record.iteration:,}: loss {loss}, {record.images_per_second:,.0f} images/s{dice}")

        yield Reporter(
            on_progress=lambda progress: bar.update(line, total=progress.total, completed=progress.done),
            on_record=record,
            on_message=lambda sentence: bar.console.print(sentence, soft_wrap=True, markup=False),
        )
