"""The table at the end of a study."""

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from cmr_planes.cli.console import table
from cmr_train.recipes.study_plan import Plan
from cmr_train.recipes.study_scores import Result


def results_table(plan: Plan, found: Sequence[Result]) -> Table:
    """Lay out the Dice of each number of subjects and mode, the best of a number in bold, and the difference from scratch."""
    best = {key: max(_mean(each) for each in found if _group(each) == key) for key in {_group(each) for each in found}}
    has_variants = len(plan.study.variants) > 1
    heads = ("subjects", *(("variant",) if has_variants else ()), "mode", "seeds", "Dice", "from scratch", "95 % interval", "p")
    shown = table(f"{plan.study.name}: Dice on the test set, mean (standard deviation)", heads, [])
    for each in found:
        is_best = _mean(each) == best[_group(each)]
        cells = (
            f"{each.subjects:,}",
            *((each.variant,) if has_variants else ()),
            each.mode.value,
            str(each.n_seeds),
            _spread(each),
            *_difference(each),
        )
        shown.add_row(*(Text(cell, style="bold" if is_best else "") for cell in cells))
    return shown


def _group(result: Result) -> tuple[str, int]:
    return result.variant, result.subjects


def _mean(result: Result) -> float:
    return result.dice.mean if result.dice.n_subjects else -math.inf


def _spread(result: Result) -> str:
    if not result.dice.n_subjects:
        return "-"
    std = "-" if math.isnan(result.dice.std) else f"{result.dice.std:.3f}"
    return f"{result.dice.mean:.3f} ({std})"


def _difference(result: Result) -> tuple[str, str, str]:
    found = result.difference
    if found is None or not found.n_pairs:
        return "-", "-", "-"
    interval = "-" if math.isnan(found.low) else f"{found.low:+.3f} to {found.high:+.3f}"
    return f"{found.mean:+.3f}", interval, f"{found.p_value:.2g}"
