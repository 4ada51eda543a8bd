"""The one display of progress: a bar on a terminal, a line per minute elsewhere, nothing with ``--quiet``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.system.text import clock, duration
from cmr_planes.terminal.console import is_quiet, say, stderr

SECONDS_BETWEEN_LINES = 60.0
"""Least time between two lines where stderr is no terminal."""

_WORDS_WIDTH = 84
"""Characters of a line that are left to the words beside the bar."""


class _Pace:
    """How far a job is and how long it takes, in words.

    Parameters
    ----------
    unit
        One of its steps, in the plural.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._start = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._latest = Progress(0)
        self._now = self._start

    def update(self, progress: Progress) -> None:
        """Take note of a step."""
        self._now, self._latest = time.monotonic(), progress
        if self._first is None:
            self._first = self._now, progress.done

    @property
    def count(self) -> str:
        """Steps done: "9 of 36"."""
        total = self._latest.total
        return f"{self._latest.done:,}" if total is None else f"{self._latest.done:,} of {total:,}"

    @property
    def seconds_each(self) -> float | None:
        """Mean length of a step, None before there are two."""
        if self._first is None or self._latest.done <= self._first[1]:
            return None
        return (self._now - self._first[0]) / (self._latest.done - self._first[1])

    def times(self) -> list[str]:
        """Return the time so far and, where it can be known, the time to go: ``["2:14 so far", "5:48 to go"]``."""
        now, each, latest = time.monotonic(), self.seconds_each, self._latest
        words = [f"{clock(now - self._start)} so far"]
        if each is not None and latest.total is not None and latest.done < latest.total:
            left = each * (latest.total - latest.done) - (now - self._now)
            words.append(f"{clock(max(left, 0))} to go")
        return words

    def rate(self) -> str:
        """Return the steps per second, or the length of a slow one; nothing before there are two."""
        each = self.seconds_each
        if not each:
            return ""
        return f"{duration(each)} each" if each > 1 else f"{1 / each:,.1f} {self._unit}/s"


class _PaceColumn(ProgressColumn):
    """Counts, times, and the last step or else the rate."""

    def __init__(self, pace: _Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        """Show the state of the job."""
        last = task.fields["item"] or self._pace.rate()
        words = [self._pace.count, *self._pace.times(), *([last] if last else [])]
        return Text(" · ".join(words), no_wrap=True, overflow="ellipsis")


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
    """Draw a bar with the time so far and to go, and the name of the last step or else the rate.

    Bars of jobs that follow each other may be opened together: only one is drawn at a time.
    """
    console, pace = stderr(), _Pace(unit)
    columns = TextColumn("{task.description}", markup=False), BarColumn(_bar_width(console)), _PaceColumn(pace)
    bar = Bar(*columns, console=console)
    task = bar.add_task(description, total=None, item="")

    def on_progress(progress: Progress) -> None:
        was_finished = bar.finished
        pace.update(progress)
        bar.update(task, total=progress.total, completed=progress.done, item=progress.item)
        if not was_finished:
            bar.start()
        if bar.finished:
            bar.stop()

    try:
        yield on_progress
    finally:
        if bar.live.is_started:
            bar.stop()


def _bar_width(console: Console) -> int:
    """Return a width that leaves room for the words."""
    return max(6, min(40, console.width - _WORDS_WIDTH))


def _lines(description: str, unit: str) -> OnProgress:
    """Print a line from time to time."""
    printed, pace = time.monotonic(), _Pace(unit)

    def on_progress(progress: Progress) -> None:
        nonlocal printed
        pace.update(progress)
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            last = [progress.item] if progress.item else []
            say(f"{description}: {', '.join([f'{pace.count} {unit}', *last, *pace.times()])}")

    return on_progress
