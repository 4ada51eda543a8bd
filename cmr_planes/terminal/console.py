"""The consoles of both programs: results to stdout; progress and errors to stderr; no traceback for bad input.

Colours follow the terminal and ``NO_COLOR``.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec

import click
from rich.console import Console
from rich.text import Text

from cmr_planes.errors import CmrPlanesError, ExitCode, SourceError
from cmr_planes.system.json_text import readable_json
from cmr_planes.system.reasons import advice, reason
from cmr_planes.system.run_lock import LOCK_SUFFIX, only_run

P = ParamSpec("P")

QUIET = "cmr_planes.quiet"
"""Key of a command's context under which the value of ``--quiet`` is kept."""


TRAINING_PACKAGES = ("torch", "tensorboard", "psutil")
"""Packages that only ``cmr-planes[train]`` installs."""

PACS_PACKAGES = ("dicomweb_client", "pynetdicom", "requests", "tenacity")
"""Packages that only ``cmr-planes[pacs]`` installs."""


def stdout() -> Console:
    """Return the console for results."""
    return Console(highlight=False)


def stderr() -> Console:
    """Return the console for progress and errors."""
    return Console(stderr=True, highlight=False)


def say(sentence: str, *, style: str = "") -> None:
    """Print one line to stderr."""
    console = stderr()
    with console.capture() as printed:
        console.print(Text(" ".join(sentence.split()), style=style), soft_wrap=True)
    sys.stderr.write(printed.get())  # a progress bar takes what is written there and draws itself below


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
    with only_run(out, on_message=functools.partial(say, style="yellow")):
        yield


def print_json(value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    """Print a value as JSON to stdout; NaN becomes null."""
    click.echo(readable_json(value, sys.stdout.encoding or "utf-8"))


def reports_errors(interrupted: str) -> Callable[[Callable[P, ExitCode | None]], Callable[P, None]]:
    """Turn what a command returns or raises into an exit code, and an error into one sentence on stderr.

    Parameters
    ----------
    interrupted
        What is kept when Ctrl-C ends the command, and how to resume.

    Returns
    -------
        A decorator for the body of a click command, which returns an exit code, None for :attr:`ExitCode.DONE`.
    """

    def decorate(command: Callable[P, ExitCode | None]) -> Callable[P, None]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                code = command(*args, **kwargs) or ExitCode.DONE
            except KeyboardInterrupt:
                say(f"interrupted; {interrupted}", style="yellow")
                code = ExitCode.INTERRUPTED
            except BrokenPipeError:
                raise  # click ends quietly when the reader of a pipe has gone
            except (CmrPlanesError, ModuleNotFoundError, OSError) as error:
                sentence = _sentence(error)
                if sentence is None:
                    raise
                say(f"Error: {sentence}", style="red")
                code = ExitCode.NOTHING_USABLE if isinstance(error, SourceError) else ExitCode.FAILED
            sys.exit(int(code))

        return run

    return decorate


def _sentence(error: CmrPlanesError | ModuleNotFoundError | OSError) -> str | None:
    """Say what went wrong and what to do; None for a fault of the software."""
    if isinstance(error, CmrPlanesError):
        return str(error)
    if isinstance(error, OSError):
        where = str(error.filename).removesuffix(LOCK_SUFFIX) if error.filename else ""
        return f"{f'{where!r}: ' if where else ''}{reason(error) if error.strerror else error}; {advice(error)}"
    if error.name in TRAINING_PACKAGES:
        return f"training needs the package {error.name}; install it with: pip install 'cmr-planes[train]'"
    if error.name in PACS_PACKAGES:
        return f"a PACS needs the package {error.name}; install it with: pip install 'cmr-planes[pacs]'"
    return None
