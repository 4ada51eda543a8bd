"""Connecting to a Dask scheduler."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cmr_planes.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 20.0
"""So long a scheduler may take to answer."""


@contextmanager
def connected(scheduler: str | Path) -> Iterator["Client"]:
    """Connect to a scheduler; raises ClusterError where that cannot be done."""
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"a cluster needs the package {error.name}; install it here and on the workers with: pip install 'cmr-planes[cluster]'"
        ) from error
    for name in logging.root.manager.loggerDict:
        if name.split(".", 1)[0] == "distributed":  # what it reports is said in one sentence here
            logging.getLogger(name).setLevel(logging.CRITICAL)
    address = _read_address(scheduler) if isinstance(scheduler, Path) else scheduler
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address!r}; check the address (tcp://HOST:PORT), and that 'dask scheduler' runs there"
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=CONNECT_SECONDS)


def _read_address(path: Path) -> str:
    """Return the address in a scheduler file; raises ClusterError if there is none."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{path} holds no scheduler's address; give the file that 'dask scheduler --scheduler-file' writes, while it runs"
        ) from error
