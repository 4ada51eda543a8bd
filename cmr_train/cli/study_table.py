"""The table at the end of a study: the report's own numbers, in short."""

import math
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from cmr_planes.system.text import NO_VALUE, decimals
from cmr_planes.terminal.tables import Kind, Table, table
from cmr_train.cli.evaluate import DIGITS, spread_text
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.analysis import Entry, best, entries_of
from cmr_train.report.results import StudyResults


def dice_entries(results: StudyResults) -> tuple[Entry, ...]:
    """Return the Dice of every variant, number of subjects and method, the mean of structures and phases."""
    return tuple(entry for variant in results.variants for entry in entries_of(results, variant, Metric.DICE, MEAN))


def entries_json(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return entries as JSON can hold them."""
    return [
        {
            "variant": entry.variant,
            "subjects": entry.subjects,
            "mode": entry.mode.value,
            "seeds": entry.n_seeds,
            "dice_mean": entry.spread.mean,
            "dice_std": entry.spread.std,
            "difference": None if entry.difference is None else entry.difference.mean,
            "difference_low": None if entry.difference is None else entry.difference.low,
            "difference_high": None if entry.difference is None else entry.difference.high,
        }
        for entry in found
    ]


def results_table(results: StudyResults) -> Table:
    """Lay out the Dice of each number of subjects and method, the best of a number in bold, and the difference from scratch."""
    found = dice_entries(results)
    has_variants = len(results.variants) > 1
    columns = {
        "subjects": Kind.NUMBER,
        **({"variant": Kind.TEXT} if has_variants else {}),
        "mode": Kind.TEXT,
        **dict.fromkeys(("seeds", "Dice", "from scratch", "95 % interval"), Kind.NUMBER),
    }
    rows = []
    for entry in found:
        row = [other for other in found if (other.variant, other.subjects) == (entry.variant, entry.subjects)]
        cells = (
            f"{entry.subjects:,}",
            *((entry.variant,) if has_variants else ()),
            entry.mode.value,
            str(entry.n_seeds),
            spread_text(entry.spread, DIGITS[Metric.DICE]),
            *_difference(entry),
        )
        rows.append([Text(cell, style="bold" if entry.mode in best(row) else "") for cell in cells])
    return table(f"{results.name}: Dice on the test set, mean (standard deviation)", columns, rows)


def _difference(entry: Entry) -> tuple[str, str]:
    found = entry.difference
    if found is None:
        return NO_VALUE, NO_VALUE
    mean, low, high = (decimals(value, 3, signed=True) for value in (found.mean, found.low, found.high))
    return mean, NO_VALUE if math.isnan(found.low) else f"{low} to {high}"
