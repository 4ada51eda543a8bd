"""The one display of progress: a bar on a terminal, a line per minute elsewhere, nothing with ``--quiet``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.terminal.console import is_quiet, say, stderr

SECONDS_BETWEEN_LINES = 60.0
"""Least time between two lines where stderr is no terminal."""


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Show the current rate, or that of the whole job once it is done."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.1f} {self.unit}/s", style="progress.data.speed")


@contextmanager
def shown(description: str, unit: str) -> Iterator[OnProgress]:
    """Show on stderr how far a job is.

    Parameters
    ----------
    description
        The job, in a word or two.
    unit
        One of its steps, in the plural: ``"subjects"``.

    Yields
    ------
        The callback to give to the job; it may be called from any thread.
    """
    if is_quiet():
        yield ignore_progress
    elif stderr().is_terminal:
        with _bar(description, unit) as on_progress:
            yield on_progress
    else:
        yield _lines(description, unit)


@contextmanager
def _bar(description: str, unit: str) -> Iterator[OnProgress]:
    """Draw a bar with rate, time left and the name of the last step, from the first step to the last.

    Bars of jobs that follow each other may be opened together: only one is drawn at a time.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[item]}", markup=False),
    )
    bar = Bar(*columns, console=stderr())
    task = bar.add_task(description, total=None, item="")

    def on_progress(progress: Progress) -> None:
        if not bar.finished:
            bar.start()
        bar.update(task, total=progress.total, completed=progress.done, item=progress.item)
        if bar.finished:
            bar.stop()

    try:
        yield on_progress
    finally:
        if bar.live.is_started:
            bar.stop()


def _lines(description: str, unit: str) -> OnProgress:
    """Print a line from time to time."""
    printed = time.monotonic()

    def on_progress(progress: Progress) -> None:
        nonlocal printed
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            total = "" if progress.total is None else f" of {progress.total:,}"
            item = f", {progress.item}" if progress.item else ""
            say(f"{description}: {progress.done:,}{total} {unit}{item}")

    return on_progress
