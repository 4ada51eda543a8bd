"""One run at a time on one output.

The lock is the system's (``flock``; ``LockFileEx`` on Windows) on a small file beside the output. It ends with its process, however
that ends: nothing that a crash leaves has to be cleaned up, and a file without a lock on it belongs to a dead process. On Linux it
holds between the machines of a network file system too (NFS, Lustre mounted with ``flock``): the server gives up the lock of a
machine that has died.
Where a file system has no locks, the caller learns that it may not be alone.
"""

import errno
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from cmr_planes.errors import InUseError
from cmr_planes.system.clock import timestamp
from cmr_planes.system.progress import OnMessage, ignore_message

LOCK_SUFFIX = ".lock"
"""Ends the name of the file beside an output while a run works on it."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_OWNER_START = 1
"""Where the owner stands in the file: Windows locks the first byte, and lets no other process read it."""
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
        _release(descriptor, path, is_certain=is_certain)


def _release(descriptor: int, path: Path, *, is_certain: bool) -> None:
    """Remove the file and give up the lock.

    The file goes while the lock holds, so that no lock is on a name that is gone. Windows removes no open file, and thus none
    that another run holds by now: there it goes last.
    """
    if is_certain and os.name != "nt":
        with suppress(OSError):
            path.unlink()
    os.close(descriptor)
    if is_certain and os.name == "nt":
        with suppress(OSError):
            path.unlink()


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
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            is_ours = lock_descriptor(descriptor, blocking=False)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor, False
            os.close(descriptor)
            raise
        if not is_ours:
            sentence = _in_use(out, path, _read_owner(descriptor))
            os.close(descriptor)
            raise InUseError(sentence)
        if _is_same(descriptor, path):
            break
        os.close(descriptor)  # its last owner has just removed it
    now = timestamp(precision="seconds")
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"\n" * _OWNER_START + f"{os.getpid()}\n{now}\n{platform.node()}\n".encode())
    return descriptor, True


def _read_owner(descriptor: int) -> bytes:
    """Read who has the lock."""
    os.lseek(descriptor, _OWNER_START, os.SEEK_SET)
    return os.read(descriptor, _OWNER_BYTES)


def _is_same(descriptor: int, path: Path) -> bool:
    """Tell whether an open file still stands under its name; on Windows none can lose it."""
    try:
        return os.name == "nt" or os.path.samestat(os.fstat(descriptor), path.stat())
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
