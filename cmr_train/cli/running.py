"""A training on the terminal: its progress line, its messages, and how it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from cmr_planes.errors import ExitCode
from cmr_planes.system.text import counted
from cmr_planes.terminal.console import print_json, remark, say
from cmr_planes.terminal.progress import shown
from cmr_train.compute.distributed import world_from_environment
from cmr_train.config import RunConfig
from cmr_train.errors import StoppedError
from cmr_train.runs.folder import FINAL_NAME, LAST_NAME
from cmr_train.training.job import Training, run_training
from cmr_train.training.session import Reporter
from cmr_train.training.tracking import VALIDATION_MEAN, Record


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
    score = "Dice" if config.has_classes(config.head) else "score"
    with _reporter(last, score, is_shown=is_first) as reporter:
        try:
            run_training(train, config, out, resume=resume, overwrite=overwrite, reporter=reporter)
        except StoppedError:
            is_finished = False
        except KeyboardInterrupt:
            if any((out / name).exists() for name in (LAST_NAME, FINAL_NAME)):
                raise
            say(
                "stopped before the first checkpoint: nothing was kept; run the same command with --resume to start over",
                style="yellow",
            )
            return ExitCode.INTERRUPTED
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
        task_losses = ", ".join(f"{task} {loss:.4f}" for task, loss in losses.items())
        click.echo(
            f"{counted(config.training.iterations, 'iteration')} done, {seconds:,.1f} s in this run"
            + (f", last loss {task_losses}" if task_losses else "")
            + f"; weights in {weights}"
        )
    if not is_finished:
        say(f"stopped; {weights} is saved; run the same command with --resume to continue", style="yellow")


def _rate(per_second: float) -> str:
    """Write a number of images per second, of a slow device with two digits."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


@contextmanager
def _reporter(last: list[Record], score: str, *, is_shown: bool) -> Iterator[Reporter]:
    """Show progress, with the latest losses and the validation's score, and keep the last record."""
    if not is_shown:
        yield Reporter()
        return
    losses = dice = ""
    with shown("training", "iterations") as on_progress:

        def on_record(record: Record) -> None:
            nonlocal losses, dice
            last[:] = [record]
            losses = (
                f"loss {' + '.join(f'{loss:.4f}' for loss in record.losses.values())}, {_rate(record.images_per_second)} images/s"
            )
            if record.validation:
                dice = f", validation {score} {record.validation[VALIDATION_MEAN]:.3f}"

        yield Reporter(
            on_progress=lambda progress: on_progress(replace(progress, item=losses + dice)), on_record=on_record, on_message=remark
        )
