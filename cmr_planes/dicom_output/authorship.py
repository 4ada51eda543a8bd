"""By what a file of this software is known again: the preamble, free for any use, holds a checksum of all that follows.

So a file that another program wrote, changed or only rewrote is distinguished from one that is as it was made. No value of
the object itself is spent on it, and an archive that stores the object drops it.

References
----------
DICOM PS3.10, 7.1: the File Preamble.
"""

import hashlib
import io
from enum import Enum

PREAMBLE_BYTES = 128
"""Length of the preamble of every DICOM file."""

_NAME = b"cmr-planes sha256 "
_BLOCK_BYTES = 1 << 20


class Authorship(Enum):
    """Who a file is by."""

    OURS = "ours"
    """It is, to the byte, a file that this software made."""
    CHANGED = "changed"
    """It was made by this software; what exists now is not all of it, or not the same."""
    FOREIGN = "foreign"
    """It is something else."""


def signed(file: bytes) -> bytes:
    """Return a DICOM file with the checksum of its bytes in the preamble."""
    content = file[PREAMBLE_BYTES:]
    return _preamble(hashlib.sha256(content).hexdigest()) + content


def authorship(stream: io.BufferedIOBase) -> Authorship:
    """Tell who a file is by; of one that is not ours only the preamble is read, and none is held in memory.

    Parameters
    ----------
    stream
        The file, at its beginning.

    Raises
    ------
    OSError
        It cannot be read.
    """
    preamble = stream.read(PREAMBLE_BYTES)
    if not preamble.startswith(_NAME):
        return Authorship.FOREIGN
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):  # hashlib.file_digest takes the whole of a BytesIO, wherever it stands
        digest.update(block)
    return Authorship.OURS if preamble == _preamble(digest.hexdigest()) else Authorship.CHANGED


def _preamble(digest: str) -> bytes:
    return (_NAME + digest.encode()).ljust(PREAMBLE_BYTES, b"\0")
