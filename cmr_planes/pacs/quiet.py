"""Keeping quiet what the libraries of the protocols say: they quote UIDs, URLs and header values."""

from contextlib import AbstractContextManager

from cmr_planes.system.quiet_loggers import quiet_loggers


def quiet_libraries() -> AbstractContextManager[None]:
    """Keep warnings and log lines of the libraries from the user, and from any log."""
    return quiet_loggers("dicomweb_client", "pydicom", "pynetdicom", "requests", "retrying", "urllib3")
