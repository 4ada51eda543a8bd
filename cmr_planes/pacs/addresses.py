"""Addresses of servers: DICOMweb's, and those of DIMSE nodes."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from cmr_planes.errors import PacsError

_WEB_SCHEMES = {scheme: name for name in ("https", "http") for scheme in (name, f"dicomweb+{name}")}
_NODE_SCHEMES = {"aet": False, "aet+tls": True}
_SCHEMES = "dicomweb+https://host/path or aet://CALLED@host:port"
_AE_TITLE = re.compile(r"(?! *$)[ -\[\]-~]{1,16}")
"""One to sixteen characters that are not all spaces, none of them a backslash (PS3.5, VR AE)."""


@dataclass(frozen=True, slots=True)
class DicomWebAddress:
    """The root of a DICOMweb service."""

    url: str
    """The URL below which ``studies`` lies, with no slash at its end."""

    @property
    def is_encrypted(self) -> bool:
        """Whether what travels is encrypted."""
        return self.url.startswith("https:")


@dataclass(frozen=True, slots=True)
class DimseAddress:
    """An application entity that answers DIMSE requests."""

    called: str
    """Its AE title."""
    host: str
    port: int
    is_encrypted: bool = False
    """Whether TLS is used."""


PacsAddress = DicomWebAddress | DimseAddress
"""Where studies come from, or results go to."""


def looks_like_address(text: str) -> bool:
    """Tell whether a text is meant as the address of a server, and not as a path.

    Examples
    --------
    >>> looks_like_address("aet://PACS@10.0.0.1:104"), looks_like_address("studies/2024")
    (True, False)
    """
    return "://" in text


def parse_address(text: str) -> PacsAddress:
    """Read the address of a server.

    Parameters
    ----------
    text
        ``dicomweb+https://host/path`` (or ``https://host/path``), ``aet://CALLED@host:port``, or ``aet+tls://…`` for TLS.

    Returns
    -------
        The address.

    Raises
    ------
    PacsError
        It is none, or holds a password. The text itself is not in the message.

    Examples
    --------
    >>> parse_address("dicomweb+https://pacs.example/dicom-web/")
    DicomWebAddress(url='https://pacs.example/dicom-web')
    >>> parse_address("aet://PACS@10.0.0.1:104")
    DimseAddress(called='PACS', host='10.0.0.1', port=104, is_encrypted=False)
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise PacsError(f"the address of the server cannot be read; give it as {_SCHEMES}") from None
    if parts.scheme in _WEB_SCHEMES:
        return _web_address(parts)
    if parts.scheme in _NODE_SCHEMES:
        return _node_address(parts, port)
    raise PacsError(f"the address of the server does not begin with a known scheme; give it as {_SCHEMES}")


def _web_address(parts: SplitResult) -> DicomWebAddress:
    if "@" in parts.netloc:
        raise PacsError("the address holds a user name or a password, which others can see; give them in a file, or in .netrc")
    if parts.query or parts.fragment:
        raise PacsError("the address of a DICOMweb service has no ? and no #; give the URL below which 'studies' lies")
    if not parts.hostname:
        raise PacsError(f"the address of the server names no host; give it as {_SCHEMES}")
    return DicomWebAddress(f"{_WEB_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}".rstrip("/"))


def _node_address(parts: SplitResult, port: int | None) -> DimseAddress:
    called, _, _ = parts.netloc.rpartition("@")
    if not parts.hostname or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise PacsError("the address of an application entity needs AE title, host and port: aet://CALLED@host:port")
    if not _AE_TITLE.fullmatch(called):
        raise PacsError("the AE title in the address has to have 1 to 16 characters and no backslash: aet://CALLED@host:port")
    return DimseAddress(called, parts.hostname, port, is_encrypted=_NODE_SCHEMES[parts.scheme])
