"""How a long job speaks to its caller: the one form of callback for progress, and the one for sentences."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    done: int
    """Steps done so far."""
    total: int | None = None
    """Steps in all, None if not known."""
    item: str = ""
    """The name of the step just done, where it has one that may be shown; never a subject."""


OnProgress = Callable[[Progress], None]
"""Called as steps are done, from the thread that runs the job."""


def ignore_progress(progress: Progress) -> None:  # what it ignores
    """Do nothing: the default where progress is not shown."""


OnMessage = Callable[[str], None]
"""Called with a sentence that the user should read, which is no error."""


def ignore_message(sentence: str) -> None:  # what it ignores
    """Do nothing: the default where sentences are not shown."""
