"""What the commands share on the terminal: results to stdout; progress and errors to stderr; no traceback for bad input.

Colours follow the terminal and ``NO_COLOR``. Where stderr is no terminal there is no progress bar.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cmr_planes.errors import CmrPlanesError, ExitCode, SourceError
from cmr_planes.system.run_lock import only_run

P = ParamSpec("P")

QUIET = "cmr_planes.quiet"
"""Under this name a command's context keeps whether to be quiet."""

PIPE_WIDTH = 132
"""Width of tables, in characters, where stdout is no terminal: nothing is cut to 80 columns for a file or a pager."""


TRAINING_PACKAGES = ("torch", "tensorboard", "jinja2")
"""Packages that only ``cmr-planes[train]`` installs."""


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, steps: float = 1) -> None:
        """Move on by ``steps``."""


def stdout() -> Console:
    """Return the console for results."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def stderr() -> Console:
    """Return the console for progress and errors."""
    return Console(stderr=True, highlight=False)


def say(sentence: str, *, style: str = "") -> None:
    """Print one line to stderr."""
    stderr().print(Text(" ".join(sentence.split()), style=style), soft_wrap=True)


def is_quiet() -> bool:
    """Tell whether the command was given ``--quiet``: errors and results only."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def remark(sentence: str) -> None:
    """Print one line to stderr, unless it is to be quiet there; not for errors."""
    if not is_quiet():
        say(sentence)


@contextmanager
def alone_on(out: Path) -> Iterator[None]:
    """Be the only run on an output (:func:`cmr_planes.system.run_lock.only_run`), or say that this cannot be known."""
    with only_run(out) as is_certain:
        if not is_certain:
            say(f"the file system of {out} knows no locks: see to it that no other run works on it", style="yellow")
        yield


class _RateColumn(ProgressColumn):
    """Steps a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Show the rate of late, or of the whole once it is done."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.1f} {self.unit}/s", style="progress.data.speed")


@contextmanager
def progress(description: str, total: float | None, *, unit: str) -> Iterator[Advance]:
    """Show a progress bar with rate and time left on stderr.

    Parameters
    ----------
    description
        What is being done.
    total
        Number of steps, None if not known.
    unit
        What a step is, in the plural: ``"subjects"``.

    Yields
    ------
        A function that moves the bar on; it may be called from any thread. Nothing is drawn where stderr is no terminal.
    """
    console = stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal or is_quiet()) as bar:
        task = bar.add_task(description, total=total)

        def advance(steps: float = 1) -> None:
            bar.advance(task, steps)

        yield advance


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Build a table: whatever is a number in the first row is set to the right.

    Parameters
    ----------
    title
        Its heading.
    columns
        Heads of the columns.
    rows
        Cells; integers get a thousands separator, strings stand as they are.
    """
    result = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, min_width=len(title))
    for place, name in enumerate(columns):
        is_number = bool(rows) and _looks_numeric(rows[0][place])
        result.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        result.add_row(*(Text(_cell(value)) for value in row))
    return result


def print_json(value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    """Print a value as JSON to stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def reports_errors(command: Callable[P, ExitCode | None]) -> Callable[P, None]:
    """Turn what a command returns or raises into an exit code, and an error into one sentence on stderr.

    Parameters
    ----------
    command
        The body of a click command; returns an exit code, None for :attr:`ExitCode.DONE`.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs) or ExitCode.DONE
        except KeyboardInterrupt:
            say("interrupted; what is sealed stays, and the same command goes on from there", style="yellow")
            code = ExitCode.INTERRUPTED
        except SourceError as error:
            say(f"Error: {error}", style="red")
            code = ExitCode.NOTHING_USABLE
        except CmrPlanesError as error:
            say(f"Error: {error}", style="red")
            code = ExitCode.FAILED
        except ModuleNotFoundError as error:
            if error.name not in TRAINING_PACKAGES:
                raise
            say(f"Error: training needs the package {error.name}; install it with: pip install 'cmr-planes[train]'", style="red")
            code = ExitCode.FAILED
        except BrokenPipeError:
            raise  # click ends quietly when the reader of a pipe has gone
        except OSError as error:
            where = f"{error.filename!r}: " if error.filename else ""
            say(f"Error: {where}{error.strerror or error}; check the path, its permissions and the free space", style="red")
            code = ExitCode.FAILED
        sys.exit(int(code))

    return run


def _looks_numeric(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value[:1].isdigit())


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
