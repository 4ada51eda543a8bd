"""Pools of worker processes that end with their parent and leave Ctrl-C to it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


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
