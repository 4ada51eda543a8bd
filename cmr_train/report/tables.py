"""The report's tables: what a page prints, and the same numbers as CSV."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from types import MappingProxyType
from urllib.parse import quote

from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.text import NO_VALUE, counted, decimals
from cmr_train.choices import TransferMode
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.analysis import Entry, PaperRow, surely_best, surely_best_variant, variant_difference
from cmr_train.report.learning import Learning, Needed, needed
from cmr_train.report.results import StudyResults


@dataclass(frozen=True, slots=True)
class ReportCell:
    """A cell of a table."""

    lines: tuple[str, ...]
    """The first is the value; the others are smaller."""
    is_best: bool = False
    """Whether it is the best of its row, beyond its uncertainty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table; the first cell of each row is its heading."""

    name: str
    """Of its CSV file, without the ending."""
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[ReportCell, ...], ...]
    csv: str
    """The same numbers, one per cell."""

    @property
    def csv_address(self) -> str:
        """The CSV as an address that can be downloaded without a server."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv)}"


CSV_COLUMNS = (
    "variant",
    "annotated_subjects",
    "annotated_images",
    "mode",
    "metric",
    "structure",
    "seeds",
    "values",
    "mean",
    "std",
    "low_95",
    "high_95",
    "difference_from_scratch",
    "difference_low_95",
    "difference_high_95",
    "paper_mean",
    "paper_std",
    "runs",
    "runs_missing_a_structure",
)
"""Columns of ``table.csv``."""


def entries_csv(results: StudyResults, found: Iterable[Entry], paper: dict[int, PaperRow]) -> str:
    """Return entries as CSV, one row per entry; a missing value is an empty cell."""
    rows = []
    for entry in found:
        difference = entry.difference
        of_paper = paper_value(entry, paper)
        numbers = (
            entry.spread.mean,
            entry.spread.std,
            entry.low,
            entry.high,
            *((math.nan,) * 3 if difference is None else (difference.mean, difference.low, difference.high)),
            *((math.nan,) * 2 if of_paper is None else of_paper),
        )
        images = " to ".join(str(n) for n in _ends(results.n_images(entry.variant, entry.subjects)))
        start = (entry.variant, entry.subjects, images, entry.mode.value, entry.metric.value, entry.structure, entry.n_seeds)
        cells = ("" if math.isnan(value) else f"{value:.6g}" for value in numbers)
        rows.append((*start, entry.spread.n_subjects, *cells, entry.n_runs, entry.n_missing))
    return csv_text(CSV_COLUMNS, rows)


def comparison(
    results: StudyResults,
    found: Sequence[Entry],
    paper: dict[int, PaperRow],
    *,
    name: str,
    caption: str,
    needs: Mapping[tuple[int, TransferMode], Needed] = MappingProxyType({}),
) -> ReportTable:
    """Lay out entries of one variant, metric and structure in the form of the paper's tables.

    Parameters
    ----------
    results
        The study.
    found
        The entries.
    paper
        The paper's numbers; empty where they are not about the same.
    name
        Of the CSV.
    caption
        Above the table.
    needs
        What each method needed for the final Dice of scratch, by number of subjects and method; empty to leave it out.
    """
    rows = []
    for subjects, group in groupby(found, key=lambda entry: entry.subjects):
        row = [*group]
        winners = surely_best(results, row)
        images = results.n_images(row[0].variant, subjects)
        heading: tuple[str, ...] = (f"{subjects:,} ({_range(images)})",)
        if any(paper_value(entry, paper) is not None for entry in row):
            heading = (*heading, f"paper: {subjects:,} ({paper[subjects].n_images:,})")
        cells = (
            ReportCell((*_lines(entry, paper), *_steps(needs.get((subjects, entry.mode)))), is_best=entry.mode in winners)
            for entry in row
        )
        rows.append((ReportCell(heading), *cells))
    return ReportTable(
        name=name,
        caption=caption,
        head=("annotated subjects (images)", *(mode.value for mode in results.modes)),
        rows=tuple(rows),
        csv=entries_csv(results, found, paper),
    )


def variants_table(results: StudyResults, found: Sequence[Entry]) -> ReportTable:
    """Lay out the mean Dice of all variants side by side."""
    rows, plain = [], []
    for subjects in results.subjects:
        for mode in results.modes:
            row = [next(e for e in found if (e.variant, e.subjects, e.mode) == (v, subjects, mode)) for v in results.variants]
            winner = surely_best_variant(results, row)
            cells = (ReportCell(_lines(entry, {}), is_best=entry.variant == winner) for entry in row)
            rows.append((ReportCell((f"{mode.value}, {subjects:,}",)), *cells))
            plain += row
    caption = "Dice on the test set, mean of structures, of every variant side by side: mean (standard deviation)"
    head = ("method, annotated subjects", *results.variants)
    return ReportTable(name="variants", caption=caption, head=head, rows=tuple(rows), csv=entries_csv(results, plain, {}))


def variant_differences_table(results: StudyResults) -> ReportTable:
    """Lay out how much each variant differs from the first, method by method."""
    first, *others = results.variants
    rows, plain = [], []
    for subjects, mode in product(results.subjects, results.modes):
        cells = []
        for variant in others:
            found = variant_difference(results, variant, first, subjects, mode)
            if found is None:
                cells.append(ReportCell((NO_VALUE,)))
                continue
            interval = () if math.isnan(found.low) else (f"95 %: {signed(found.low)} to {signed(found.high)}",)
            cells.append(ReportCell((signed(found.mean), *interval)))
            numbers = (plain_number(value) for value in (found.mean, found.low, found.high))
            plain.append((variant, first, subjects, mode.value, *numbers, found.n_subjects, found.n_seeds))
        rows.append((ReportCell((f"{mode.value}, {subjects:,}",)), *cells))
    columns = ("variant", "minus", "annotated_subjects", "mode", "difference", "low_95", "high_95", "test_subjects", "seeds")
    return ReportTable(
        name="variant-differences",
        caption=f"Dice on the test set, mean of structures: each variant minus {first}, paired by subject and seed",
        head=("method, annotated subjects", *others),
        rows=tuple(rows),
        csv=csv_text(columns, plain),
    )


def learning_table(found: Sequence[Learning], name: str, suffix: str) -> ReportTable:
    """Say where each learning curve ends, and whether it has come to its plateau, if that can be said of any."""
    rows, plain = [], []
    is_judged = not all(math.isnan(method.change) for method in found)
    for method in found:
        change = (NO_VALUE if math.isnan(method.change) else signed(method.change), method.verdict) if is_judged else ()
        last = int(method.mean.iterations[-1])
        texts = (f"{method.mode.value}, {method.subjects:,}", f"{last:,}", decimals(method.final, 3), *change)
        rows.append(tuple(ReportCell((text,)) for text in texts))
        plain.append(
            (method.mode.value, method.subjects, last, plain_number(method.final), plain_number(method.change), method.verdict)
        )
    judgement = ("change over the last quarter", "in words") if is_judged else ()
    head = ("method, annotated subjects", "iterations", "final validation Dice", *judgement)
    csv_head = ("mode", "annotated_subjects", "iterations", "final_validation_dice", "change_last_quarter", "verdict")
    what = "Whether training has come to its plateau" if is_judged else "Where training has ended"
    caption = f"{what}: mean of structures and seeds on the validation set{suffix}"
    return ReportTable(name=name, caption=caption, head=head, rows=tuple(rows), csv=csv_text(csv_head, plain))


def needed_table(found: Sequence[Learning], modes: Sequence[TransferMode], name: str, suffix: str) -> ReportTable:
    """Say after how many iterations a Dice was first reached."""
    rows, plain = [], []
    for subjects, group in groupby(found, key=lambda method: method.subjects):
        row = [*group]
        of_mode = {method.mode: index for index, method in enumerate(row)}
        for of_threshold in needed(row):
            threshold = of_threshold[0].threshold
            words = f" ({of_threshold[0].meaning})" if of_threshold[0].meaning else ""
            cells = []
            for mode in modes:
                if mode not in of_mode:
                    cells.append(ReportCell((NO_VALUE,)))
                    continue
                reached = of_threshold[of_mode[mode]]
                text = f"{reached.median:,.0f}" if math.isfinite(reached.median) else "not reached"
                cells.append(ReportCell((text, f"{reached.n_reached} of {counted(reached.n_seeds, 'seed')}")))
                iterations = f"{reached.median:g}" if math.isfinite(reached.median) else ""
                plain.append((subjects, f"{threshold:.6g}", mode.value, iterations, reached.n_reached, reached.n_seeds))
            rows.append((ReportCell((f"{subjects:,}, Dice {threshold:.3g}{words}",)), *cells))
    return ReportTable(
        name=name,
        caption=f"Iterations needed to reach a Dice on the validation set (mean of structures): median over seeds{suffix}",
        head=("annotated subjects, Dice", *(mode.value for mode in modes)),
        rows=tuple(rows),
        csv=csv_text(("annotated_subjects", "dice", "mode", "iterations", "seeds_reached", "seeds"), plain),
    )


def paper_value(entry: Entry, paper: dict[int, PaperRow]) -> tuple[float, float] | None:
    """Return the paper's mean and standard deviation for an entry; None where it gives none."""
    if entry.metric is not Metric.DICE or entry.structure != MEAN or entry.subjects not in paper:
        return None
    return paper[entry.subjects].dice[entry.mode]


def signed(value: float, n_decimals: int = 3) -> str:
    """Print a difference with its sign.

    Examples
    --------
    >>> signed(-0.5), signed(0.25, 2)
    ('−0.500', '+0.25')
    """
    return decimals(value, n_decimals, signed=True).replace("-", "−")


def _lines(entry: Entry, paper: dict[int, PaperRow]) -> tuple[str, ...]:
    """Return the lines of a cell: mean (std), interval, difference from scratch, the paper's value."""
    lines = [NO_VALUE]
    if entry.exists:
        n_decimals = 3 if entry.metric is Metric.DICE else 2
        lines = [f"{decimals(entry.spread.mean, n_decimals)} ({decimals(entry.spread.std, n_decimals)})"]
        if not math.isnan(entry.low):
            lines.append(f"95 %: {entry.low:.{n_decimals}f} to {entry.high:.{n_decimals}f}")
        if entry.n_scored < entry.n_wanted:
            lines.append(f"{entry.n_scored:,} of {entry.n_wanted:,} have a value")
        if entry.metric is Metric.DICE:
            verb, what = "misses" if entry.n_missing == 1 else "miss", "a structure" if entry.structure == MEAN else "it"
            lines.append(f"{entry.n_missing:,} of {counted(entry.n_runs, 'run')} {verb} {what}")
        difference = entry.difference
        if difference is not None:
            ends = (signed(end, n_decimals) for end in (difference.low, difference.high))
            lines.append(f"from scratch: {signed(difference.mean, n_decimals)}")
            lines += [] if math.isnan(difference.low) else [f"95 %: {' to '.join(ends)}"]
    value = paper_value(entry, paper)
    return tuple(lines) if value is None else (*lines, f"paper: {value[0]:.3f} ({value[1]:.3f})")


def _steps(needed_for: Needed | None) -> tuple[str, ...]:
    """Say after how many iterations a method had reached the final validation Dice of scratch."""
    if needed_for is None:
        return ()
    if not math.isfinite(needed_for.median):
        return ("never reaches the final validation Dice of scratch",)
    return (f"final validation Dice of scratch after {counted(round(needed_for.median), 'iteration')}",)


def _ends(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((values[0], values[-1]))) if values else ()


def _range(values: Sequence[int]) -> str:
    return " to ".join(f"{value:,}" for value in _ends(values)) or "?"


def plain_number(value: float) -> str:
    """Return a number for a CSV: six digits, or an empty cell."""
    return "" if math.isnan(value) else f"{value:.6g}"
