"""All rows of a page as one compressed text, which its script reads."""

import zlib
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np

from cmr_planes.quality.cohort import Cohort
from cmr_planes.quality.distributions import Distribution
from cmr_planes.system.json_text import JSON

MAX_ROWS = 500_000
"""Rows that a page lists; ``qc.csv`` has all."""


def pack(cohort: Cohort, distributions: Sequence[Distribution]) -> tuple[str, dict[str, JSON]]:
    """Pack the rows, at most :data:`MAX_ROWS`.

    Parameters
    ----------
    cohort
        The rows.
    distributions
        The measures that are listed.

    Returns
    -------
        The arrays one after another, little-endian, compressed with zlib and in base64; and what the script must know of them:
        ``rows``, and ``arrays`` with the name, type and length of each.
    """
    n_rows = min(len(cohort), MAX_ROWS)
    n_findings = int(np.searchsorted(cohort.finding_row, n_rows))
    counts = np.bincount(cohort.finding_row[:n_findings], minlength=n_rows)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "subject": cohort.subject[:n_rows].astype("<u4"),
        **{one.measure.name: one.values[:n_rows].astype("<i4") for one in distributions},
        "reason": cohort.finding_reason[:n_findings].astype("<u2"),
        "scanner": cohort.scanner[:n_rows].astype("<u2"),
        "reasons": counts.astype("u1"),
        "view": cohort.view[:n_rows],
        "state": cohort.state[:n_rows],
    }
    compressor = zlib.compressobj(9)
    packed = b"".join([*(compressor.compress(array.tobytes()) for array in arrays.values()), compressor.flush()])
    layout: list[JSON] = [[name, array.dtype.str[1:], len(array)] for name, array in arrays.items()]
    return b64encode(packed).decode(), {"rows": n_rows, "arrays": layout}
