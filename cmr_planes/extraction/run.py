"""Running of batches: in this process, or in a pool of worker processes.

A worker takes a whole batch and writes its shard itself; only the shard's summary travels back.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from queue import Empty, SimpleQueue

from cmr_planes.errors import ShardError
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import ExtractionPlan, ShardPlan
from cmr_planes.extraction.shard_building import build_shard
from cmr_planes.shards.records import ShardSummary
from cmr_planes.system.pool import starting_workers, worker_pool
from cmr_planes.system.progress import OnProgress, Progress

OnShard = Callable[[ShardSummary], None]
"""Called with each shard as it is done."""

_POLL_SECONDS = 0.2


def run_here(
    plan: ExtractionPlan, *, n_workers: int, on_progress: OnProgress, on_shard: OnShard = lambda _: None
) -> list[ShardSummary]:
    """Make all pending shards of a plan.

    Parameters
    ----------
    plan
        A prepared plan.
    n_workers
        Number of processes; 1 works in this one.
    on_progress
        Called with the number of subjects done so far.
    on_shard
        Called with each shard as it is done.

    Returns
    -------
        One summary per shard, in the order of completion.

    Raises
    ------
    ShardError
        A shard cannot be written, or a worker died. What is sealed stays.
    """
    if n_workers <= 1 or len(plan.pending) <= 1:
        return _run_in_this_process(plan, on_progress, on_shard)
    counter: Synchronized[int] = multiprocessing.get_context("spawn").Value("L")
    with worker_pool(min(n_workers, len(plan.pending)), _prepare_worker, (counter,)) as pool:
        return run_on_executor(
            plan, pool, build_in_worker, lambda _: on_progress(Progress(counter.value, plan.n_pending_subjects)), _explain, on_shard
        )


def run_on_executor(
    plan: ExtractionPlan,
    executor: Executor,
    build: Callable[[ShardPlan, Path, ExtractOptions], ShardSummary],
    on_poll: Callable[[Sequence[ShardSummary]], None],
    explain: Callable[[Exception, ShardPlan], Exception],
    on_shard: OnShard = lambda _: None,
) -> list[ShardSummary]:
    """Make all pending shards on any executor.

    Parameters
    ----------
    plan
        A prepared plan.
    executor
        Where they are made.
    build
        Makes one of them.
    on_poll
        Called with what is done, after each shard and a few times a second.
    explain
        Turns the failure of a batch into the error to raise.
    on_shard
        Called with each shard as it is done.

    Returns
    -------
        One summary per shard, in the order of completion.
    """
    ended: SimpleQueue[Future[ShardSummary]] = SimpleQueue()
    batches: dict[Future[ShardSummary], ShardPlan] = {}
    with starting_workers():
        for batch in plan.pending:
            future = executor.submit(build, batch, plan.out, plan.options)
            batches[future] = batch
            future.add_done_callback(ended.put)
    summaries: list[ShardSummary] = []
    while batches:
        with suppress(Empty):
            future = ended.get(timeout=_POLL_SECONDS)
            batch = batches.pop(future)
            try:
                summary = future.result()
            except Exception as error:
                raise explain(error, batch) from error
            on_shard(summary)
            summaries.append(replace(summary, outcomes=()))  # what on_shard was told is not kept for all subjects
        on_poll(summaries)
    return summaries


def _explain(error: Exception, batch: ShardPlan) -> Exception:  # noqa: ARG001  # a broken pool breaks all batches
    """Say in one sentence that a worker died; any other error is the batch's own."""
    if isinstance(error, BrokenProcessPool):
        return ShardError(
            "a worker process ended abruptly, perhaps for lack of memory; what is sealed is kept: run the same command again, "
            "with fewer workers if it happens again"
        )
    return error


def _run_in_this_process(plan: ExtractionPlan, on_progress: OnProgress, on_shard: OnShard) -> list[ShardSummary]:
    """Make all pending shards in this process."""
    n_done = 0
    last = 0.0

    def on_subject() -> None:
        nonlocal n_done, last
        n_done += 1
        if time.monotonic() - last > _POLL_SECONDS:
            last = time.monotonic()
            on_progress(Progress(n_done, plan.n_pending_subjects))

    summaries = []
    for batch in plan.pending:
        summary = build_shard(batch, plan.out, plan.options, on_subject)
        on_shard(summary)
        summaries.append(replace(summary, outcomes=()))
    on_progress(Progress(n_done, plan.n_pending_subjects))
    return summaries


def build_in_worker(batch: ShardPlan, out: Path, options: ExtractOptions) -> ShardSummary:
    """Make one shard in a worker of the local pool, counting subjects in shared memory."""
    counter = _worker_state["counter"]

    def on_subject() -> None:
        with counter.get_lock():
            counter.value += 1

    return build_shard(batch, out, options, on_subject)


_worker_state: dict[str, "Synchronized[int]"] = {}
"""What :func:`_prepare_worker` gives to this process; empty in any other."""


def _prepare_worker(counter: "Synchronized[int]") -> None:
    """Let a worker count subjects where the parent reads the number."""
    _worker_state["counter"] = counter
