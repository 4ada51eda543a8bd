"""Pools of worker processes that end with their parent and leave Ctrl-C to it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


@contextmanager
def worker_pool(
    n_workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of processes that end with their parent, however that ends; an exception inside the block ends them at once.

    Parameters
    ----------
    n_workers
        Number of processes. They are started when work is submitted; inside :func:`sigint_ignored` they leave Ctrl-C to the parent.
    initializer, initargs
        Called in each process before its first work.

    Yields
    ------
        The pool. At the end of the block it waits for the work that is left.
    """
    pool = ProcessPoolExecutor(
        n_workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(initializer, initargs)
    )
    try:
        yield pool
    except BaseException:
        stop_pool(pool)
        raise
    pool.shutdown()


def _start_worker(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    """Watch the parent from a thread of this process, then prepare it for its work."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def end_with_parent() -> None:
    """Wait for the parent's end; what this process has not sealed then is made again by the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def sigint_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for a moment, in the main thread, where alone it can be."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop_pool(pool: ProcessPoolExecutor) -> None:
    """End a pool at once; half-written shards stay under their temporary names and are removed by the next run."""
    processes: Sequence[multiprocessing.process.BaseProcess] = list((pool._processes or {}).values())  # noqa: SLF001  # no public way
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
