"""Keeping quiet what nibabel says of a file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_nibabel() -> Iterator[None]:
    """Keep what nibabel remarks on a header from the user while a file is read: what matters ends in a sentence of our own."""
    logger = logging.getLogger("nibabel.global")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled
