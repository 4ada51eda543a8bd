"""Identifiers of new objects: UIDs made of what the objects hold, so that the same content has the same UID."""

import hashlib
from uuid import UUID, uuid5

_NAMESPACE = UUID("0b6a2f0e-5d0c-4c8b-9d33-7f6f6f1b2c9a")


def derived_uid(*parts: str) -> str:
    """Return a UID under 2.25 (ITU-T X.667) that is a function of some texts.

    Examples
    --------
    >>> derived_uid("a", "b") == derived_uid("a", "b") != derived_uid("ab", "")
    True
    """
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"2.25.{uuid5(_NAMESPACE, digest).int}"
