"""Where the runs of a study go: side by side on this machine, to Slurm, or to a Dask cluster. All have ``submit`` and results."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from cmr_planes.errors import ClusterError
from cmr_planes.system.dask_client import connected
from cmr_train.study.job import Job, Outcome, run_job


class Engine(StrEnum):
    """What carries runs out."""

    LOCAL = "local"
    """Processes of this machine."""
    SLURM = "slurm"
    """Jobs of a Slurm cluster, through submitit."""
    DASK = "dask"
    """Tasks of a Dask cluster."""


class Handle(Protocol):
    """A job that was handed over."""

    def done(self) -> bool:
        """Return whether it has ended."""

    def result(self) -> Outcome:
        """Return how it ended, or raise what the engine has to say."""

    def cancel(self) -> object:
        """Take it back if it waits."""


Submit = Callable[[Job], Handle]
"""Hands a job over."""


@contextmanager
def local_executor(n_jobs: int, gpus: Sequence[str] = ()) -> Iterator[Submit]:
    """Run so many jobs side by side, each on a GPU of its own where there are several.

    Parameters
    ----------
    n_jobs
        How many at a time.
    gpus
        Names of the GPUs, as CUDA knows them.
    """
    places: SimpleQueue[str | None] = SimpleQueue()
    for place in range(n_jobs):
        places.put(gpus[place % len(gpus)] if gpus else None)

    def run_at_place(job: Job) -> Outcome:
        place = places.get()
        try:
            return run_job(dataclasses.replace(job, gpu=place))
        finally:
            places.put(place)

    with ThreadPoolExecutor(n_jobs) as pool:  # each thread watches a process
        yield lambda job: pool.submit(run_at_place, job)


class _Requeued:
    """A job that Slurm may stop at its time limit and start again."""

    def __call__(self, job: Job) -> Outcome:
        """Carry it out."""
        return run_job(job)

    def checkpoint(self, job: Job) -> Any:  # noqa: ANN401  # submitit's type
        """Return what is to be started again: the run goes on after its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


@contextmanager
def slurm_executor(folder: Path, parameters: Mapping[str, str], cluster: str = "slurm") -> Iterator[Submit]:
    """Run each job as one of Slurm.

    Parameters
    ----------
    folder
        For submitit's scripts and logs; all machines see it.
    parameters
        Options of ``sbatch`` by name.
    cluster
        Another of submitit's engines, for trials.

    Raises
    ------
    ClusterError
        There is no submitit or no Slurm, or it does not take the parameters.
    """
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise ClusterError("Slurm needs the package submitit; install it with: pip install 'cmr-planes[cluster]'") from error
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        executor.update_parameters(name="cmr-study", **{f"slurm_{name}": _number(value) for name, value in parameters.items()})
    except (RuntimeError, NameError, ValueError, TypeError) as error:
        raise ClusterError(f"Slurm cannot be used: {error}") from error
    yield lambda job: _SlurmHandle(executor.submit(_Requeued(), job))


class _SlurmHandle:
    """Gives a job of submitit the names of Python's own futures."""

    def __init__(self, job: Any) -> None:  # noqa: ANN401  # submitit's type
        self._job = job

    def done(self) -> bool:
        """Return whether it has ended."""
        return bool(self._job.done())

    def result(self) -> Outcome:
        """Return how it ended."""
        outcome: Outcome = self._job.result()
        return outcome

    def cancel(self) -> None:
        """Take it back if it waits for its turn."""
        if self._job.state.upper() == "PENDING":
            self._job.cancel()


@contextmanager
def dask_executor(scheduler: str | Path) -> Iterator[Submit]:
    """Run each job as a task of a Dask cluster whose workers see the study's folder; one job a thread of a worker.

    Raises
    ------
    ClusterError
        There is no such scheduler.
    """
    with connected(scheduler) as client:
        executor = client.get_executor(pure=False)
        yield lambda job: executor.submit(run_job, job)


def _number(text: str) -> str | int:
    return int(text) if text.isdecimal() else text
