"""``qc.csv``: one line for each view of each subject, and for what was left out; written line by line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cmr_planes.quality.cohort import STATES, VIEWS, Cohort
from cmr_planes.quality.measures import MEASURES
from cmr_planes.system.whole_file import sealed

_LINES_AT_ONCE = 1 << 12


def write_table(cohort: Cohort, path: Path, *, with_keys: bool) -> None:
    """Write the rows as CSV.

    Parameters
    ----------
    cohort
        The rows.
    path
        The file; it appears when it is whole.
    with_keys
        Whether the subjects' keys stand beside their numbers.

    Raises
    ------
    ShardError
        The file cannot be written.
    """
    columns = ["subject", *(["key"] if with_keys else []), "view", "state", "manufacturer", "field_strength_t"]
    with sealed(path) as stream:
        for start in range(0, max(1, len(cohort)), _LINES_AT_ONCE):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            if start == 0:
                writer.writerow([*columns, *(measure.name for measure in MEASURES), "reasons"])
            writer.writerows(_lines(cohort, range(start, min(start + _LINES_AT_ONCE, len(cohort))), with_keys=with_keys))
            stream.write(text.getvalue().encode())


def _lines(cohort: Cohort, rows: range, *, with_keys: bool) -> Iterator[list[str]]:
    """Put rows into words; what is not known is empty."""
    bounds = np.searchsorted(cohort.finding_row, [rows.start, rows.stop])
    reasons: dict[int, list[str]] = {}
    for row, reason in zip(
        cohort.finding_row[slice(*bounds)].tolist(), cohort.finding_reason[slice(*bounds)].tolist(), strict=True
    ):
        reasons.setdefault(row, []).append(cohort.reasons[reason].code)
    values = [cohort.values[measure.name][rows.start : rows.stop].tolist() for measure in MEASURES]
    for row, *measured in zip(rows, *values, strict=True):
        subject = int(cohort.subject[row])
        manufacturer, field_t = cohort.scanners[cohort.scanner[row]]
        yield [
            str(subject + 1),
            *([cohort.keys[subject]] if with_keys else []),
            VIEWS[cohort.view[row]],
            STATES[cohort.state[row]].value,
            manufacturer,
            _number(field_t),
            *map(_number, measured),
            " ".join(dict.fromkeys(reasons.get(row, ()))),
        ]


def _number(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.6g}"
