"""Many inputs of a target, in another process where C code may bring this one down."""

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.fuzz.harness import HangError, check
from tests.fuzz.targets import TARGETS

PATIENCE_S = 120
"""Time on the wall after which a process that does not answer is ended: a hang in C code, which no signal handler interrupts."""


@dataclass(slots=True)
class Campaign:
    """What came of the inputs of one target."""

    target: str
    n_inputs: int = 0
    words: Counter[str] = field(default_factory=Counter)
    """How often each outcome came."""
    findings: list[tuple[int, str]] = field(default_factory=list)
    """Number of an input, and what it did."""


def run(target: str, seed: int, numbers: Iterable[int], *, is_isolated: bool) -> Campaign:
    """Read the inputs of some numbers; equal seeds and numbers are equal inputs."""
    campaign = Campaign(target)
    for number, word, finding in _isolated(target, seed, list(numbers)) if is_isolated else _outcomes(target, seed, numbers):
        campaign.n_inputs += 1
        if finding:
            campaign.findings.append((number, finding))
        else:
            campaign.words[word] += 1
    return campaign


def _outcomes(target: str, seed: int, numbers: Iterable[int]) -> Iterator[tuple[int, str, str]]:
    """Yield each input's number, what came of it, and what is wrong with that."""
    for number in numbers:
        data = TARGETS[target].input(seed, number)
        try:
            yield number, check(TARGETS[target], data), ""
        except (Exception, HangError) as error:  # noqa: BLE001  # any of them is what is searched for
            last = traceback.extract_tb(error.__traceback__)[-1]
            yield number, "", f"{type(error).__name__}: {error!s:.200} ({last.filename.rpartition('/')[2]}, line {last.lineno})"


def _isolated(target: str, seed: int, numbers: list[int]) -> Iterator[tuple[int, str, str]]:
    """Do as :func:`_outcomes` does in another process, a new one after each crash."""
    context = multiprocessing.get_context("spawn")
    while numbers:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(target, seed, numbers, theirs))
        process.start()
        theirs.close()
        try:
            while numbers and ours.poll(PATIENCE_S):
                yield ours.recv()
                numbers = numbers[1:]
        except EOFError:
            process.join()
        if numbers:
            process.kill()
            process.join()
            yield numbers[0], "", f"the process ended with code {process.exitcode}, or did not answer for {PATIENCE_S} s"
            numbers = numbers[1:]
        process.join()


def _work(target: str, seed: int, numbers: list[int], pipe: Connection) -> None:
    for outcome in _outcomes(target, seed, numbers):
        pipe.send(outcome)
