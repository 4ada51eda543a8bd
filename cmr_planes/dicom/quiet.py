"""Keeping quiet what the libraries of DICOM say of a file."""

from contextlib import AbstractContextManager

from cmr_planes.system.quiet_loggers import quiet_loggers


def quiet_pydicom() -> AbstractContextManager[None]:
    """Keep what pydicom and highdicom say from the user while an object is read or made: it may quote header values."""
    return quiet_loggers("pydicom", "highdicom")
