"""Key files, and names that are hashed under their bytes: who has not the key cannot go back, nor try names out."""

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.errors import SourceError
from cmr_planes.system.private_file import read_private_file

MIN_KEY_BYTES = 32
"""Bytes that a key file has at least, as many as SHA-256 gives."""
MAX_KEY_BYTES = 1 << 16
"""Bytes that it has at most: a longer file is something else."""

_HOW_TO_MAKE = "make one with: python -c \"import secrets; open('KEYFILE', 'xb').write(secrets.token_bytes(32))\""
_LENGTH = 20
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
"""Letters in the place of hexadecimal digits: a hashed name never looks like a participant's number."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Hashes names under one key."""

    secret: bytes = field(repr=False)
    """The bytes of the key file."""

    @property
    def check_value(self) -> str:
        """What tells this key from another and betrays nothing of it."""
        return self.digest("check value", "")[:16]

    def name(self, original: str) -> str:
        """Return the hash of a name: 20 letters from ``a`` to ``p``, which are 80 bits."""
        return self.digest("name", original)[:_LENGTH].translate(_LETTERS)

    def digest(self, purpose: str, text: str) -> str:
        """Return the HMAC-SHA256 of a text for a purpose, in hexadecimal digits."""
        return hmac.new(self.secret, f"cmr-planes {purpose}\0{text}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


def read_key_file(path: Path) -> bytes:
    """Read a key file.

    Raises
    ------
    SourceError
        It is too short or too long, or not readable as a private file (:func:`cmr_planes.system.private_file.read_private_file`).
    """
    secret = read_private_file(path, "key file", limit=MAX_KEY_BYTES, how_to_make=_HOW_TO_MAKE)
    if not MIN_KEY_BYTES <= len(secret) <= MAX_KEY_BYTES:
        size = f"more than {MAX_KEY_BYTES:,}" if len(secret) > MAX_KEY_BYTES else f"{len(secret)}"
        raise SourceError(
            f"key file {str(path)!r} has {size} bytes, {MIN_KEY_BYTES} to {MAX_KEY_BYTES:,} are expected; {_HOW_TO_MAKE}"
        )
    return secret
