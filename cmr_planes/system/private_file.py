"""Files that only their owner may read: keys, passwords, lists of identifiers."""

import os
import stat
from pathlib import Path

from cmr_planes.errors import SourceError
from cmr_planes.system.reasons import reason


def has_file_modes() -> bool:
    """Tell whether the mode of a file says who may read it; on Windows its folder's permissions do."""
    return os.name == "posix"


def read_private_file(path: Path, called: str, *, limit: int, how_to_make: str) -> bytes:
    """Read a file that only its owner may use.

    Parameters
    ----------
    path
        The file.
    called
        What it is, for messages: ``"key file"``.
    limit
        One byte more than this is read at most.
    how_to_make
        What to do where it is no plain file, for messages.

    Returns
    -------
        Its bytes.

    Raises
    ------
    SourceError
        It cannot be read, is no plain file, or others than its owner may read or write it. Windows has no such modes: there the
        permissions of the folder decide, and nothing is checked.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)  # a pipe must not keep us waiting
        with os.fdopen(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode
            content = stream.read(limit + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise SourceError(f"{called} {str(path)!r} cannot be read ({reason(error)})") from error
    if not stat.S_ISREG(mode):
        raise SourceError(f"{called} {str(path)!r} is no plain file; {how_to_make}")
    if has_file_modes() and mode & 0o077:
        raise SourceError(
            f"{called} {str(path)!r} has the mode {stat.S_IMODE(mode):03o}: others may use it; make it yours with chmod 600"
        )
    return content
