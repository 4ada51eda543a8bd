"""Keeping quiet what libraries say, since it may quote header values, UIDs and addresses."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_loggers(*names: str) -> Iterator[None]:
    """Keep warnings, and what libraries log, from the user and from any log.

    Parameters
    ----------
    *names
        Names of loggers; those below them are kept quiet too.
    """
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.propagate for logger in loggers]
    silence = logging.NullHandler()  # where nothing handles a warning, logging prints it
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(silence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, propagates in zip(loggers, before, strict=True):
            logger.removeHandler(silence)
            logger.propagate = propagates
