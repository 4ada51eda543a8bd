"""A training run on the terminal: the progress line, what is said, and how it ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cmr_planes.errors import ExitCode
from cmr_planes.terminal.console import alone_on, print_json, say, stderr
from cmr_train.compute.distributed import world_from_environment
from cmr_train.config import RunConfig
from cmr_train.errors import ConfigError
from cmr_train.runs.folder import FINAL_NAME, LAST_NAME
from cmr_train.training.session import Reporter, config_to_resume, is_begun
from cmr_train.training.tracking import VALIDATION_MEAN, Record

QUIET_SECONDS = 60.0
"""Where stderr is no terminal, a line is printed at most so often."""


class TrainingRecipe(Protocol):
    """A recipe that trains."""

    def __call__(self, config: RunConfig, out: Path, *, resume: bool, overwrite: bool, reporter: Reporter) -> bool:
        """Train; return whether it is finished."""


def run_training(
    recipe: TrainingRecipe,
    configure: Callable[[dict[str, Any]], RunConfig],
    given: dict[str, Any],
    out: Path,
    *,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Resolve the configuration, train, and say how it ended.

    Parameters
    ----------
    recipe
        What to do.
    configure
        Makes a configuration of what was given.
    given
        Fields of any group, by name; None means not given.
    out
        The run's folder.
    resume, overwrite
        What to do with a run that is there.
    dry_run
        Print the configuration instead.
    as_json
        Print the result as JSON.
    """
    if resume and overwrite:
        raise ConfigError(["--resume and --overwrite exclude each other; choose one"])
    config = config_to_resume(out, given) if resume and is_begun(out) else configure(given)
    if dry_run:
        print_json(config.to_json())
        return ExitCode.DONE
    start, is_first = time.perf_counter(), world_from_environment().is_first
    last: list[Record] = []
    with alone_on(out) if is_first else nullcontext(), _reporter(last, is_first=is_first) as reporter:
        is_finished = recipe(config, out, resume=resume, overwrite=overwrite, reporter=reporter)
    if is_first:
        _say_end(config, out, last, time.perf_counter() - start, is_finished=is_finished, as_json=as_json)
    return ExitCode.DONE if is_finished else ExitCode.INTERRUPTED


def _say_end(config: RunConfig, out: Path, last: list[Record], seconds: float, *, is_finished: bool, as_json: bool) -> None:
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
        say(f"stopped; {weights} is saved, and the same command with --resume goes on from there", style="yellow")


@contextmanager
def _reporter(last: list[Record], *, is_first: bool) -> Iterator[Reporter]:
    """Show a progress line, in the first process; keep the last record."""
    if not is_first:
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
        dice, spoken = "", time.monotonic()

        def record(record: Record) -> None:
            nonlocal dice, spoken
            last[:] = [record]
            loss = " + ".join(f"{each:.4f}" for each in record.losses.values())
            if record.validation:
                dice = f"  validation Dice {record.validation[VALIDATION_MEAN]:.3f}"
            bar.update(line, dice=dice, loss=loss, rate=f"{record.images_per_second:,.0f}")
            if not console.is_terminal and time.monotonic() - spoken > QUIET_SECONDS:
                spoken = time.monotonic()
                say(f"iteration {record.iteration:,}: loss {loss}, {record.images_per_second:,.0f} images/s{dice}")

        yield Reporter(
            say=lambda sentence: bar.console.print(sentence, soft_wrap=True, markup=False),
            begin=lambda total, done: bar.update(line, total=total, completed=done),
            iteration=lambda done: bar.update(line, completed=done),
            record=record,
        )
