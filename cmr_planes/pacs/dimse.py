"""DIMSE, by pynetdicom: associations, and what their ends mean."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DimseAddress
from cmr_planes.pacs.transfer import BusyError, InterruptedTransferError

Handlers = Sequence[tuple[object, Callable[..., object]]]
"""Events of pynetdicom and what handles them."""

_CALLED_UNKNOWN = (1, 7)
_CALLING_UNKNOWN = (1, 3)
_TRANSIENT = 2
"""Result of a rejection that may not last (PS3.8, table 9-21)."""


@contextmanager
def associate(
    address: DimseAddress,
    access: Access,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Handlers = (),
) -> Iterator[Association]:
    """Be associated with an application entity.

    Parameters
    ----------
    address
        The entity.
    access
        Name, credentials, trusted certificates and time limit.
    contexts
        What is to be negotiated; at most 128.
    roles
        Roles that are not the default: SCP of a storage class, for C-GET.
    handlers
        What handles events.

    Yields
    ------
        The association, released at the end.

    Raises
    ------
    PacsError
        The entity refuses, or the certificate is not trusted.
    InterruptedTransferError
        It cannot be reached.
    """
    entity = AE(ae_title=access.calling_aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = access.timeout_seconds
    entity.connection_timeout = min(20.0, access.timeout_seconds)
    association = entity.associate(
        address.host,
        address.port,
        contexts=list(contexts),
        ae_title=address.called,
        ext_neg=list(roles),
        evt_handlers=list(handlers),  # type: ignore[arg-type]  # its type lists every signature
        tls_args=_tls(address, access),
    )
    if not association.is_established:
        raise _explain(address, access, association)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _tls(address: DimseAddress, access: Access) -> tuple[ssl.SSLContext, str] | None:
    if not address.is_encrypted:
        return None
    return ssl.create_default_context(cafile=None if access.ca is None else str(access.ca)), address.host


def _explain(address: DimseAddress, access: Access, association: Association) -> PacsError:
    """Say why there is no association."""
    where = f"{address.called} at {address.host}:{address.port}"
    if association.is_rejected:
        answer = association.acceptor.primitive
        source, diagnostic = (getattr(answer, name, 0) for name in ("result_source", "diagnostic"))
        if (source, diagnostic) == _CALLED_UNKNOWN:
            return PacsError(f"the server at {address.host}:{address.port} is not called {address.called!r}; check the AE title")
        if (source, diagnostic) == _CALLING_UNKNOWN:
            return PacsError(f"{where} does not know the AE title {access.calling_aet!r} of this side; have it entered there")
        if getattr(answer, "result", 0) == _TRANSIENT:
            return BusyError(f"{where} refuses an association for the moment; try again later")
        return PacsError(f"{where} refuses an association; ask its administrator whether {access.calling_aet!r} may ask")
    if association.acceptor.primitive is not None and not association.accepted_contexts:
        return PacsError(f"{where} offers none of the services that are needed; ask its administrator for query and C-GET")
    remedy = "check that the server runs and can be reached from here"
    if address.is_encrypted:
        remedy += ", that it speaks TLS, and that its certificate is of an authority that is trusted"
    return InterruptedTransferError(f"{where} does not answer, or broke the connection; {remedy}")
