"""Keeping quiet what the libraries of the protocols say: they quote UIDs, URLs and header values."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("dicomweb_client", "pydicom", "pynetdicom", "requests", "retrying", "urllib3")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep warnings and log lines of the libraries from the user, and from any log."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [(logger.propagate, logger.level) for logger in loggers]
    silence = logging.NullHandler()
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(silence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, (propagates, level) in zip(loggers, before, strict=True):
            logger.removeHandler(silence)
            logger.propagate, logger.level = propagates, level
