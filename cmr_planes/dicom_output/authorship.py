"""By what a file of this software is known again: the preamble, free for any use, holds a checksum of all that follows.

So a file that another program wrote, changed or only rewrote is told from one that is as it was made. No value of the object itself
is spent on it, and an archive that stores the object drops it.

References
----------
DICOM PS3.10, 7.1: the File Preamble.
"""

import hashlib

PREAMBLE_BYTES = 128
"""Length of the preamble of every DICOM file."""

_NAME = b"cmr-planes sha256 "


def signed(file: bytes) -> bytes:
    """Return a DICOM file with the checksum of its bytes in the preamble."""
    content = file[PREAMBLE_BYTES:]
    return _preamble(content) + content


def is_signed(file: bytes) -> bool:
    """Tell whether a file is, to the byte, one that :func:`signed` has returned."""
    return file[:PREAMBLE_BYTES] == _preamble(file[PREAMBLE_BYTES:])


def _preamble(content: bytes) -> bytes:
    return (_NAME + hashlib.sha256(content).hexdigest().encode()).ljust(PREAMBLE_BYTES, b"\0")
