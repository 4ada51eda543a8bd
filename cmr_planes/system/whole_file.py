"""Files that are whole or not there.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed. HDF5 is given a Python file, not a
path: when its own driver meets a full disk it cannot close the file any more and brings the process down at exit.
"""

import glob
import hashlib
import io
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmr_planes.errors import ShardError
from cmr_planes.system.reasons import advice, reason

CHECKSUM_SUFFIX = ".sha256"
"""Added to a file's name: the file beside it that ``sha256sum --check`` reads."""

PART_SUFFIX = ".part"
"""Added to a name, after a random part of its own, while the file is being written."""

_IN_USE = (5, 32)
"""Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: a file that another program has open is not replaced."""
_PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 0.05


class LatchingFile(io.FileIO):
    """An unbuffered file that keeps its first failure and from then on swallows what is written.

    HDF5 can then always close the file in peace; :meth:`check` tells whether the file is any good.
    """

    failure: BaseException | None = None
    """The first failure of a write, None so far."""

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]  # any buffer will do, these are what comes
        """Write all of ``data``, or keep the failure; returns its length either way."""
        view = memoryview(data).cast("B")
        n_bytes = len(view)
        if self.failure is None:
            try:
                while len(view):
                    view = view[super().write(view) :]
            except BaseException as error:  # noqa: BLE001  # an interrupt in here must not reach HDF5 either; check() raises it
                self.failure = error
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size, or keep the failure."""
        if self.failure is None:
            try:
                return super().truncate(size)
            except BaseException as error:  # noqa: BLE001  # as above
                self.failure = error
        return size or 0

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self.failure is not None:
            raise self.failure


@contextmanager
def sealed(path: Path, *, checksum: bool = False, private: bool = False, syncs_name: bool = True) -> Iterator[LatchingFile]:
    """Write a file that appears under its name only when it is complete and on the disk.

    Parameters
    ----------
    path
        The file; one that is there is replaced at the end.
    checksum
        Whether to put a file ``<name>.sha256`` beside it. It comes last, and an old one goes first: at no moment does a checksum
        stand beside another file than its own.
    private
        Whether only the owner may read it, from its first byte.
    syncs_name
        Whether its name is on the disk too in the end; without, a power cut may take the file away, but leaves no part of it.

    Yields
    ------
        An empty file, open for reading and writing.

    Raises
    ------
    ShardError
        The file cannot be written: no space, no permission, no such folder. Nothing is left behind.
    """
    part = _part_path(path)
    try:
        stream = LatchingFile(part, "x+", opener=_open_private if private else None)
    except OSError as error:
        raise write_error(path, error) from error
    is_filled = False
    try:
        with stream:
            yield stream
            is_filled = True
            stream.check()
            os.fsync(stream.fileno())
        if checksum:
            with _checksum_ready(path, file_sha256(part)):
                rename(part, path)
        else:
            rename(part, path)
        if syncs_name:
            sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cause = stream.failure or error
        if isinstance(cause, OSError) and (is_filled or cause is stream.failure):
            raise write_error(path, cause) from cause
        if cause is not error:
            raise cause from error
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file from bytes that are all there; it appears only when it is complete, and errors are as of :func:`sealed`."""
    with sealed(path) as stream:
        stream.write(data)


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of a file left beside it; only for whoever is alone in writing it. Raises OSError."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*{PART_SUFFIX}"):
        part.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> ShardError:
    """Say in one sentence that ``path`` could not be written, why, and what to do."""
    remedy = "close the program that has the file open" if _is_in_use(error) else advice(error)
    return ShardError(
        f"{path.name} could not be written in {str(path.parent)!r} ({reason(error)}); {remedy} and run the same command again"
    )


def rename(path: Path, target: Path) -> None:
    """Rename a file or folder, in the place of a file that is there.

    Windows renames no file that a program has open, nor replaces one; readers such as virus scanners have it open for a moment. So
    this tries again, for ten seconds at most. Raises OSError.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            path.replace(target)
        except PermissionError as error:
            if not _is_in_use(error) or time.monotonic() >= end:
                raise
        else:
            return
        time.sleep(_RETRY_SECONDS)


def _is_in_use(error: OSError) -> bool:
    """Tell whether Windows refused a file because a program has it open."""
    return getattr(error, "winerror", None) in _IN_USE


def _part_path(path: Path) -> Path:
    """Return a temporary name in the file's folder that no other writer has."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")


def _open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read."""
    return os.open(path, flags, 0o600)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksum_path(path: Path) -> Path:
    """Return the path of a file's checksum."""
    return path.with_name(path.name + CHECKSUM_SUFFIX)


def read_checksum(path: Path) -> str | None:
    """Return the checksum that stands beside a file, None if there is none or it is not one."""
    try:
        digest = checksum_path(path).read_text(encoding="ascii", errors="replace").split(" ", 1)[0]
    except OSError:
        return None
    return digest if len(digest) == 64 and set(digest) <= set("0123456789abcdef") else None


@contextmanager
def _checksum_ready(path: Path, digest: str) -> Iterator[None]:
    """Have a checksum on the disk, in the form of ``sha256sum``, while its file is put in place; then put it beside the file."""
    target = checksum_path(path)
    part = _part_path(target)
    try:
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(f"{digest}  {path.name}\n")
            stream.flush()
            os.fsync(stream.fileno())
        target.unlink(missing_ok=True)
        yield
        rename(part, target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Bring a rename to the disk, where the system knows how; Windows opens no folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
