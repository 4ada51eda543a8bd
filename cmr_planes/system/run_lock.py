"""One run at a time on one output.

The lock is the kernel's (``flock``) on a small file beside the output, so that it ends with its process, however that ends: nothing
that a crash leaves has to be cleaned up. On Linux it holds between the machines of a network file system too (NFS, Lustre mounted
with ``flock``): the server gives up the lock of a machine that has died.
Where a file system has no locks, the caller learns that it may not be alone.
"""

import errno
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmr_planes.errors import InUseError
from cmr_planes.system.clock import timestamp
from cmr_planes.system.progress import OnMessage, ignore_message

LOCK_SUFFIX = ".lock"
"""Ends the name of the file beside an output while a run works on it."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_OWNER_BYTES = 1 << 10
_POLL_SECONDS = 0.1


def lock_path(out: Path) -> Path:
    """Return the lock of an output, a file or a folder: ``out.h5.lock`` beside ``out.h5``."""
    return Path(f"{out.absolute()}{LOCK_SUFFIX}")


@contextmanager
def only_run(out: Path, *, wait_seconds: float = 0.0, on_message: OnMessage = ignore_message) -> Iterator[bool]:
    """Be the only run on an output; only the process that plans and finishes needs it, its workers do not.

    Parameters
    ----------
    out
        The output, a file or a folder; need not exist. The folder in which it lies is made.
    wait_seconds
        Time to wait for another run to end.
    on_message
        Called with a sentence where the file system knows no locks.

    Yields
    ------
        Whether that is certain; not where the file system knows no locks.

    Raises
    ------
    InUseError
        Another run works on the output, and still does after the wait.
    OSError
        The folder cannot be written.
    """
    path = lock_path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, is_certain = _wait_for(out, path, wait_seconds)
    try:
        if not is_certain:
            on_message(f"the file system of {out} knows no locks: make sure that no other run works on it")
        yield is_certain
    finally:
        if is_certain:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def _wait_for(out: Path, path: Path, wait_seconds: float) -> tuple[int, bool]:
    """Acquire the lock, within the time given."""
    end = time.monotonic() + wait_seconds
    while True:
        try:
            return _acquire(out, path)
        except InUseError:
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL_SECONDS)


def _acquire(out: Path, path: Path) -> tuple[int, bool]:
    """Open and lock the file, and write down who has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            sentence = _in_use(out, path, os.pread(descriptor, _OWNER_BYTES, 0))
            os.close(descriptor)
            raise InUseError(sentence) from error
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor, False
            os.close(descriptor)
            raise
        if _is_same(descriptor, path):
            break
        os.close(descriptor)  # its last owner has just removed it
    now = timestamp(precision="seconds")
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n{now}\n{platform.node()}\n".encode(), 0)
    return descriptor, True


def _is_same(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still stands under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _in_use(out: Path, path: Path, owner: bytes) -> str:
    """Say who has the lock; a machine is not called by its name."""
    number, begun, machine, *_ = (*owner.decode("utf-8", "replace").splitlines(), "", "", "")
    if not (number.isdecimal() and begun):
        who = "another run, which has only just begun, works"
    else:
        where = "" if machine == platform.node() else f" of another machine ({path.name} names it)"
        who = f"process {number}{where}, begun {begun}, works"
    return f"{who} on {out}; wait for it or end it, then run the same command again, or give another output"
