"""Pools of worker processes that end with their parent and leave Ctrl-C to it."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_MAX_ON_WINDOWS = 61
"""Processes that Windows lets one process wait for, less two that the pool needs."""


_MANAGER_ENDS_S = 10.0
"""Longest wait for the thread of a stopped pool; it ends when its processes have."""


@contextmanager
def worker_pool(
    n_workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of processes that end with their parent, however that ends; an exception inside the block ends them at once.

    Parameters
    ----------
    n_workers
        Number of processes, on Windows 61 at most. They are started when work is submitted; submit inside
        :func:`starting_workers`.
    initializer, initargs
        Called in each process before its first work.

    Yields
    ------
        The pool. At the end of the block it waits for the work that is left.
    """
    if sys.platform == "win32":
        n_workers = min(n_workers, _MAX_ON_WINDOWS)
    pool = ProcessPoolExecutor(
        n_workers,
        multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(_CollectionOff(), initializer, initargs),
    )
    try:
        yield pool
    except BaseException:
        stop_pool(pool)
        raise
    pool.shutdown()


class _CollectionOff:
    """Turns the collector of cycles off in the process that unpickles it, which imports all modules of its work next."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return gc.disable, ()


def _start_worker(_: object, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    """Watch the parent from a thread of this process, leave stopping to it, then prepare for the work."""
    gc.freeze()
    gc.enable()
    leave_stopping_to_parent()
    threading.Thread(target=end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def leave_stopping_to_parent(*_: object) -> None:
    """Ignore Ctrl-C and Ctrl-Break; on Windows every process of a console gets them, and none inherits such a choice."""
    for number in signal.Signals:
        if number.name in {"SIGINT", "SIGBREAK"}:
            signal.signal(number, signal.SIG_IGN)


def end_with_parent() -> None:
    """Wait for the parent's end; what this process has not sealed then is made again by the next run."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def starting_workers() -> Iterator[None]:
    """Have the processes that start meanwhile leave Ctrl-C to the parent, and not run the caller's script.

    A spawned process imports the module that was started as a script. Workers need nothing of it, and a script that calls a job at
    its top level, without ``if __name__ == "__main__"``, would start the job again in each of them.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        with _sigint_ignored():
            yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _sigint_ignored() -> Iterator[None]:
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
    """End a pool at once; half-written shards stay under their temporary names and are removed by the next run.

    A worker may end in the middle of sending a result. The pool's reader waits for the rest for as long as any process, this one
    among them, can still write; so the writing end is closed here. The thread that takes the pool down has ended then: if Python
    ends meanwhile, it may wake that thread through a pipe that the thread has just closed, and print a traceback.
    """
    processes: Sequence[multiprocessing.process.BaseProcess] = list((pool._processes or {}).values())  # noqa: SLF001  # no public way
    results: Any = pool._result_queue  # noqa: SLF001  # likewise
    manager: Any = pool._executor_manager_thread  # noqa: SLF001  # likewise
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    if results is not None:
        results._writer.close()  # noqa: SLF001  # likewise
    if manager is not None:
        manager.join(_MANAGER_ENDS_S)
