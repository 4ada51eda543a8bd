"""How a server is talked to: its own name, its credentials, the certificates it trusts, and its patience."""

from dataclasses import dataclass, field
from pathlib import Path

from cmr_planes.errors import SourceError
from cmr_planes.system.private_file import read_private_file

CALLING_AET = "CMRPLANES"
"""The AE title under which this software asks, unless another is given."""

_MAX_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password, for basic authentication."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a server is talked to."""

    credentials: Token | Login | None = None
    """What is sent to a DICOMweb service; None for what ``.netrc`` has for its host, if anything."""
    ca: Path | None = None
    """PEM file of the authorities whose certificates are trusted; None for those of the system."""
    calling_aet: str = CALLING_AET
    """The AE title that asks, for DIMSE."""
    timeout_seconds: float = 60.0
    """How long the server may say nothing."""


def load_token(path: Path) -> Token:
    """Read a bearer token: one line in a file that only its owner may read.

    Raises
    ------
    SourceError
        The file cannot be used, or holds no token.
    """
    return Token(_one_line(path, "token file", "write the token into it, in one line"))


def load_login(path: Path) -> Login:
    """Read a user name and a password: one line ``user:password`` in a file that only its owner may read.

    Raises
    ------
    SourceError
        The file cannot be used, or does not hold them.
    """
    remedy = "write user:password into it, in one line"
    user, colon, password = _one_line(path, "login file", remedy).partition(":")
    if not (user and colon):
        raise SourceError(f"login file {str(path)!r} has no colon between a user name and a password; {remedy}")
    return Login(user, password)


def _one_line(path: Path, called: str, remedy: str) -> str:
    """Return the only line of a private file of ASCII text."""
    content = read_private_file(path, called, limit=_MAX_BYTES, how_to_make=remedy)
    text = content.decode("utf-8", "replace").strip("\r\n")
    if not text.strip() or not text.isprintable() or len(content) > _MAX_BYTES or not text.isascii():
        raise SourceError(f"{called} {str(path)!r} is not one line of printable ASCII text; {remedy}")
    return text
