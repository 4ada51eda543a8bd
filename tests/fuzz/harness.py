"""What must hold for any input: no exception but our own, at most ten seconds, at most a gibibyte, and sentences that can be printed.

Limits are those of the operating system. The time is the processor's (``ITIMER_PROF``), so that a busy machine finds no hangs. The
memory is address space (``RLIMIT_AS``): a gibibyte more than the process had before the input; what is beyond ends in MemoryError, which
counts as a finding even where something turned it into a sentence.
"""

import contextlib
import re
import resource
import shutil
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from types import FrameType

from cmr_planes.errors import CmrPlanesError, Finding, RejectionCode
from tests.fuzz.bytewise import Mutation

SECONDS = 10
"""Processor time that one input may take."""
BYTES = 1 << 30
"""Address space that one input may take."""
_LONGEST = 6000
"""Characters of a sentence; the catalogue cuts at 2,000 bytes, the terminal shows all of it."""


class FindingError(AssertionError):
    """An input did what none may do."""


class HangError(BaseException):
    """An input took too long; no Exception, so that no boundary takes it for bad data."""


@dataclass(frozen=True)
class Target:
    """One thing that is read."""

    name: str
    make_seeds: Callable[[], Sequence[bytes]]
    mutate: Mutation
    drive: Callable[[bytes, Path], str]
    """Reads an input with a folder of its own to write to; returns a word for what came of it; raises CmrPlanesError or FindingError."""
    is_isolated: bool = False
    """Whether C code may bring the process down, so that the input must be read in another one."""

    @cached_property
    def seeds(self) -> Sequence[bytes]:
        """Whole inputs, made when first needed."""
        return self.make_seeds()

    def input(self, seed: int, number: int) -> bytes:
        """Return one input; equal numbers give equal bytes. The first ones are the whole seeds."""
        if number < len(self.seeds):
            return self.seeds[number]
        rng = Random(f"{self.name} {seed} {number}")
        return self.mutate(rng.choice(self.seeds), rng)


def check(target: Target, data: bytes) -> str:
    """Read one input within the limits; return a word for what came of it, raise whatever may not be."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, _limited(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return target.drive(data, Path(name))
        except CmrPlanesError as error:
            check_sentences([str(error)])
            return type(error).__name__
        finally:
            shutil.rmtree(name, ignore_errors=True)


def check_messages(messages: Iterable[Finding]) -> None:
    """Raise FindingError for an unforeseen error, or a sentence that cannot be shown."""
    for message in messages:
        if message.code is RejectionCode.UNEXPECTED_ERROR:
            raise FindingError(message.sentence)
        check_sentences([message.sentence])


def check_sentences(sentences: Iterable[str]) -> None:
    """Raise FindingError for a sentence that cannot be printed, is endless, or speaks of memory."""
    for sentence in sentences:
        if "MemoryError" in sentence:
            raise FindingError(f"too much memory: {sentence}")
        if not sentence.isprintable() or len(sentence) > _LONGEST or re.search(r"[\ud800-\udfff]", sentence):
            raise FindingError(f"not a printable sentence of at most {_LONGEST} characters: {sentence[:300]!r}")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError(f"more than {SECONDS} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)
