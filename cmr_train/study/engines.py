"""The engines of a study: parallel processes on this machine, Slurm jobs, or tasks of a Dask cluster."""

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
    """Where the runs of a study are executed."""

    LOCAL = "local"
    """Processes of this machine."""
    SLURM = "slurm"
    """Jobs of a Slurm cluster, through submitit."""
    DASK = "dask"
    """Tasks of a Dask cluster."""


class Handle(Protocol):
    """A submitted job."""

    def done(self) -> bool:
        """Return whether it has ended."""

    def result(self) -> Outcome:
        """Return its outcome, or raise the error of the engine."""

    def cancel(self) -> object:
        """Cancel it if it has not started."""


Submit = Callable[[Job], Handle]
"""Submits a job."""


@contextmanager
def local_executor(n_jobs: int, gpus: Sequence[str] = ()) -> Iterator[Submit]:
    """Run jobs in parallel on this machine, one per GPU where there are several.

    Parameters
    ----------
    n_jobs
        Number of parallel jobs.
    gpus
        CUDA's names of the GPUs.
    """
    free_gpus: SimpleQueue[str | None] = SimpleQueue()
    for number in range(n_jobs):
        free_gpus.put(gpus[number % len(gpus)] if gpus else None)

    def run_on_free_gpu(job: Job) -> Outcome:
        gpu = free_gpus.get()
        try:
            return run_job(dataclasses.replace(job, gpu=gpu))
        finally:
            free_gpus.put(gpu)

    with ThreadPoolExecutor(n_jobs) as pool:  # each thread watches a process
        yield lambda job: pool.submit(run_on_free_gpu, job)


class _Requeued:
    """A job that Slurm may stop at its time limit and requeue."""

    def __call__(self, job: Job) -> Outcome:
        """Run it."""
        return run_job(job)

    def checkpoint(self, job: Job) -> Any:  # noqa: ANN401  # submitit's type
        """Return the job to requeue; the run resumes from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


@contextmanager
def slurm_executor(folder: Path, parameters: Mapping[str, str], cluster: str = "slurm") -> Iterator[Submit]:
    """Run each job as a Slurm job.

    Parameters
    ----------
    folder
        Folder of submitit's scripts and logs, visible to all machines.
    parameters
        Options of ``sbatch`` by name.
    cluster
        Another of submitit's engines, for tests.

    Raises
    ------
    ClusterError
        submitit or Slurm is missing, or Slurm refuses the parameters.
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
    """A job of submitit with the methods of Python's futures."""

    def __init__(self, job: Any) -> None:  # noqa: ANN401  # submitit's type
        self._job = job

    def done(self) -> bool:
        """Return whether it has ended."""
        return bool(self._job.done())

    def result(self) -> Outcome:
        """Return its outcome."""
        outcome: Outcome = self._job.result()
        return outcome

    def cancel(self) -> None:
        """Cancel it if it is pending."""
        if self._job.state.upper() == "PENDING":
            self._job.cancel()


@contextmanager
def dask_executor(scheduler: str | Path) -> Iterator[Submit]:
    """Run each job as a task of a Dask cluster whose workers see the study's folder; one job per thread of a worker.

    Raises
    ------
    ClusterError
        No scheduler answers.
    """
    with connected(scheduler) as client:
        executor = client.get_executor(pure=False)
        yield lambda job: executor.submit(run_job, job)


def _number(text: str) -> str | int:
    return int(text) if text.isdecimal() else text
