"""Running of batches on a Dask cluster whose workers see the sources and the output folder.

A worker makes a batch in a folder of its own among the shards and moves it into place when it is whole: one that was given up for
lost and lives on does not write into the files of the one that took its batch over. Dask gives a lost worker's batch to another,
until it has cost several workers their lives.
"""

import secrets
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cmr_planes.errors import ClusterError
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import (
    PLAN_NAME,
    ExtractionPlan,
    ShardPlan,
    is_sealed,
    remove_unfinished_shards,
    shard_folder,
    shard_path,
)
from cmr_planes.extraction.run import OnShard, run_on_executor
from cmr_planes.extraction.shard_building import build_shard
from cmr_planes.shards.hdf5_writing import software_versions
from cmr_planes.shards.label_files import label_folder
from cmr_planes.shards.opening import read_shard_summary
from cmr_planes.shards.records import ShardSummary
from cmr_planes.shards.sealing import move_sealed
from cmr_planes.system.dask_client import connected
from cmr_planes.system.progress import OnMessage, OnProgress, Progress
from cmr_planes.system.text import counted, either

if TYPE_CHECKING:
    from distributed import Client

FIRST_WORKER_SECONDS = 60.0
"""So long the first worker may take to come."""
NEXT_WORKER_SECONDS = 1800.0
"""So long a run waits for another worker when all are lost: a cluster's queue may be long."""
SHARED_SECONDS = 120.0
"""So long a network file system may take to show what another machine wrote."""
LOOK_SECONDS = 5.0


def run_on_cluster(
    plan: ExtractionPlan,
    scheduler: str | Path,
    *,
    on_progress: OnProgress,
    on_message: OnMessage,
    on_shard: OnShard = lambda _: None,
) -> list[ShardSummary]:
    """Make all pending shards of a plan on a Dask cluster.

    Parameters
    ----------
    plan
        A prepared plan; all its paths are absolute, since workers have working folders of their own.
    scheduler
        The scheduler's address (``tcp://host:8786``), or the file in which it wrote it down.
    on_progress
        Called with the number of subjects in the shards done so far.
    on_message
        Called with what the user should know of the workers.
    on_shard
        Called with each shard as it is done.

    Returns
    -------
        One summary per shard, in the order of completion.

    Raises
    ------
    ClusterError
        There is no such scheduler or no worker, a worker lacks the software or does not see the folders, or a batch cost several
        workers their lives. What is sealed stays.
    ShardError
        A shard cannot be written.
    """
    if not plan.pending:
        return []
    try:
        with connected(scheduler) as client:
            watch = _WorkerWatch(client, plan, on_message)
            watch.wait_for_first()

            def on_poll(done: Sequence[ShardSummary]) -> None:
                on_progress(Progress(sum(summary.n_subjects for summary in done), plan.n_pending_subjects))
                watch.look()

            build = partial(build_on_worker, versions=software_versions())
            summaries = run_on_executor(plan, client.get_executor(pure=False), build, on_poll, _explain, on_shard)
    finally:
        remove_unfinished_shards(plan.shard_folder)
    _wait_until_seen(plan)
    return summaries


def build_on_worker(batch: ShardPlan, out: Path, options: ExtractOptions, *, versions: Mapping[str, str]) -> ShardSummary:
    """Make one shard on a worker, one at a time whatever the worker's threads.

    Parameters
    ----------
    batch, out, options
        As of :func:`cmr_planes.extraction.shard_building.build_shard`.
    versions
        The software of the machine that collects the shards.

    Returns
    -------
        What is in the shard.

    Raises
    ------
    ClusterError
        This machine has other software, or does not see the sources or the output folder.
    ShardError
        The shard cannot be written.
    """
    _check_worker(batch, out, versions)
    path = shard_path(out, batch.number)
    with _one_at_a_time:
        if is_sealed(path):  # by a worker that was lost before it could say so
            return read_shard_summary(path)
        attempt = shard_folder(out) / f"{path.stem}.{secrets.token_hex(4)}.part" / out.name
        try:
            shard_folder(attempt).mkdir(parents=True)
            summary = build_shard(batch, attempt, options)
            labels = label_folder(attempt) / path.name
            if labels.exists():
                label_folder(out).mkdir(exist_ok=True)
                move_sealed(labels, label_folder(out))
            move_sealed(shard_path(attempt, batch.number), path.parent)
        finally:
            shutil.rmtree(attempt.parent, ignore_errors=True)
    return summary


_one_at_a_time = threading.Lock()


def _check_worker(batch: ShardPlan, out: Path, versions: Mapping[str, str]) -> None:
    """Raise ClusterError unless this machine has the same software and sees the same folders."""
    found = software_versions()
    differing = [name for name in versions if found.get(name) != versions[name]]
    if differing:
        name = differing[0]
        raise ClusterError(
            f"a worker has {name} {found.get(name, 'not at all')} and this machine {versions[name]}, so that shards could differ; "
            "install the same versions on both"
        )
    folders = [subject.root for subject in batch.subjects] + [shard_folder(out) / PLAN_NAME]
    for path in dict.fromkeys(folders):
        if not path.exists():
            raise ClusterError(
                f"a worker does not see {str(path)!r}; sources and output must lie under the same paths on all machines"
            )


class _WorkerWatch:
    """Sees to it that a run does not wait without end for workers."""

    def __init__(self, client: "Client", plan: ExtractionPlan, on_message: OnMessage) -> None:
        self._client = client
        self._plan = plan
        self._on_message = on_message
        self._looked = self._seen = time.monotonic()

    def wait_for_first(self) -> None:
        """Wait for a worker, and say so if one has more threads than it can use; raises ClusterError."""
        if not self._threads():
            self._on_message(f"waiting for workers (none yet; the run gives up after {FIRST_WORKER_SECONDS:.0f} s)")
        try:
            self._client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler has no workers, and none came in {FIRST_WORKER_SECONDS:.0f} s; start some (dask worker ADDRESS "
                "--nthreads 1), then run the same command again"
            ) from error
        n_threads = max(self._threads().values(), default=1)
        if n_threads > 1:
            self._on_message(
                f"a worker has {n_threads} threads and makes one shard at a time all the same; start one worker per core "
                "(dask worker ADDRESS --nthreads 1)"
            )

    def look(self) -> None:
        """Look now and then whether there is any worker; raises ClusterError when there was none for too long."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if self._threads():
            self._seen = now
        elif now - self._seen > NEXT_WORKER_SECONDS:
            paths = [shard_path(self._plan.out, batch.number) for batch in self._plan.pending]
            left = [path.stem for path in paths if not is_sealed(path)]
            first = f", the first of them {left[0]}, which may be what ended the workers" if left else ""
            raise ClusterError(
                f"all workers are lost and none came in {NEXT_WORKER_SECONDS:.0f} s; {counted(len(left), 'shard')} "
                f"{either(len(left), 'is', 'are')} missing{first}; what "
                "is sealed is kept: run the same command again"
            )

    def _threads(self) -> dict[str, int]:
        """Return each worker's threads; raises ClusterError if the scheduler does not answer."""
        try:
            return dict(self._client.nthreads())
        except OSError as error:
            raise _lost_scheduler() from error


def _explain(error: Exception, batch: ShardPlan) -> Exception:
    """Say in one sentence why a batch was not made, where it is not the batch's own error."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return ClusterError(
            f"{error.allowed_failures + 1} workers died one after another over shard {batch.number:05d}, perhaps for lack of "
            "memory; what is sealed is kept: look into the workers' logs, and run the same command again"
        )
    if isinstance(error, CancelledError):
        return _lost_scheduler()
    if isinstance(error, ModuleNotFoundError):
        return ClusterError(f"a worker lacks the package {error.name}; install the same versions on all machines of the cluster")
    return error


def _lost_scheduler() -> ClusterError:
    return ClusterError("the scheduler was lost; what is sealed is kept: start it and its workers, and run the same command again")


def _wait_until_seen(plan: ExtractionPlan) -> None:
    """Wait until this machine sees all shards: network file systems remember for a while what was not there."""
    end = time.monotonic() + SHARED_SECONDS
    while True:
        present = {path.name for path in plan.shard_folder.iterdir()}  # makes the file system look again
        missing = [batch.number for batch in plan.pending if shard_path(plan.out, batch.number).name not in present]
        if not missing:
            return
        if time.monotonic() > end:
            raise ClusterError(
                f"workers made shard {missing[0]:05d}, and this machine does not see it in {str(plan.shard_folder)!r}; OUT must "
                "lie on a file system that all machines share"
            )
        time.sleep(1)
