"""What a study's numbers say: means, intervals and differences, learning curves, and the paper's numbers beside. Pure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from cmr_planes.views import CardiacView
from cmr_train.choices import TransferMode
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN, POOLED, ScoreTable, Spread, spread
from cmr_train.evaluation.statistics import crossed_interval
from cmr_train.report.results import StudyResults

METRICS = (Metric.DICE, Metric.BAI2019)
"""What the report is about."""

MISSED = 0.1
"""A run whose mean Dice of a structure is less has missed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A method minus scratch, or another baseline, on the same subjects with the same seeds."""

    mean: float
    low: float
    """Lower end of the interval over subjects and seeds; NaN with a single pair."""
    high: float
    n_subjects: int
    n_seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One method at one number of annotated subjects: one metric and structure."""

    variant: str
    subjects: int
    mode: TransferMode
    metric: Metric
    structure: str
    """Name of a structure, or ``mean``."""
    spread: Spread
    """Over all subjects and seeds."""
    low: float
    """Lower end of the interval of the mean over subjects and seeds; NaN with one value."""
    high: float
    n_seeds: int
    """Seeds with a value."""
    n_scored: int
    """Values of single structures: subjects, seeds and structures."""
    n_wanted: int
    """The same number if none were missing from the finished runs."""
    n_missing: int
    """Finished runs that miss the structure, or any of them where this is their mean."""
    n_runs: int
    """Finished runs."""
    difference: Difference | None
    """From scratch; None for scratch itself, and where there is no pair."""

    @property
    def exists(self) -> bool:
        """Whether there is any value."""
        return self.spread.n_subjects > 0


def entries(results: StudyResults) -> tuple[Entry, ...]:
    """Return every entry of the tables, by variant, metric, structure, number of subjects and method."""
    return tuple(
        entry
        for variant in results.variants
        for metric in METRICS
        for structure in (MEAN, *results.structures)
        for entry in entries_of(results, variant, metric, structure)
    )


def entries_of(results: StudyResults, variant: str, metric: Metric, structure: str) -> tuple[Entry, ...]:
    """Return the entries of one variant, metric and structure, by number of subjects and method."""
    return tuple(
        _entry(results, variant, subjects, mode, metric, structure) for subjects in results.subjects for mode in results.modes
    )


def best(row: Sequence[Entry]) -> frozenset[TransferMode]:
    """Return the methods of a row with the best mean as it is printed, to three digits; empty unless there are two that differ.

    A method that lacks more values than another (distances where it found nothing) is not compared with it.
    """
    present = [entry for entry in row if entry.exists]
    most = max((entry.n_scored / entry.n_wanted for entry in present), default=0.0)
    present = [entry for entry in present if entry.n_scored / entry.n_wanted == most]
    if len(present) < 2:
        return frozenset()
    choose = max if present[0].metric is Metric.DICE else min
    target = choose(round(entry.spread.mean, 3) for entry in present)
    winners = frozenset(entry.mode for entry in present if round(entry.spread.mean, 3) == target)
    return winners if len(winners) < len(present) else frozenset()


def surely_best(results: StudyResults, row: Sequence[Entry]) -> frozenset[TransferMode]:
    """Return the best method of a row, if the interval of its paired difference from every other one excludes zero."""
    found = best(row)
    if len(found) != 1:
        return frozenset()
    (winner,) = found
    values = {
        entry.mode: results.values(entry.variant, entry.subjects, entry.mode, entry.metric, entry.structure)
        for entry in row
        if entry.exists
    }
    sign = 1 if row[0].metric is Metric.DICE else -1
    pairs = (compare_pairs(sign * values[winner], sign * values[mode]) for mode in values if mode is not winner)
    return found if all(pair is not None and pair.low > 0 for pair in pairs) else frozenset()


def surely_best_variant(results: StudyResults, row: Sequence[Entry]) -> str | None:
    """Return the best variant by the mean Dice of one method, as :func:`surely_best`; None if there is none."""
    present = sorted((entry for entry in row if entry.exists), key=lambda entry: entry.spread.mean)
    if len(present) < 2:
        return None
    *others, winner = present
    pairs = (variant_difference(results, winner.variant, other.variant, winner.subjects, winner.mode) for other in others)
    return winner.variant if all(pair is not None and pair.low > 0 for pair in pairs) else None


def compare_pairs(values: NDArray[np.float64], baseline: NDArray[np.float64]) -> Difference | None:
    """Compare a method with a baseline, each of shape (subjects, seeds); None without a common pair."""
    difference = values - baseline
    is_there = ~np.isnan(difference)
    if not is_there.any():
        return None
    low, high = crossed_interval(difference)
    return Difference(
        mean=float(difference[is_there].mean()),
        low=low,
        high=high,
        n_subjects=int(is_there.any(axis=1).sum()),
        n_seeds=int(is_there.any(axis=0).sum()),
    )


def variant_difference(results: StudyResults, variant: str, baseline: str, subjects: int, mode: TransferMode) -> Difference | None:
    """Compare one method's mean Dice in two variants, seed by seed; None without a pair, and where they share networks."""
    pairs = (results.select(name, subjects, mode) for name in (variant, baseline))
    folders, others = ([cell.run.folder for cell in cells] for cells in pairs)
    if folders == others:
        return None
    values, of_baseline = (results.values(name, subjects, mode, Metric.DICE, MEAN) for name in (variant, baseline))
    return compare_pairs(values, of_baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """One row of the paper's table."""

    n_images: int
    dice: dict[TransferMode, tuple[float, float]]
    """Mean and standard deviation of each method."""


def paper_rows(view: CardiacView) -> dict[int, PaperRow]:
    """Return the paper's numbers by number of annotated subjects: Table 1 for SAX, Table 2 for 4Ch; empty for other views."""
    names = {CardiacView.SAX: "table1_short_axis_dice.csv", CardiacView.FOUR_CHAMBER: "table2_long_axis_dice.csv"}
    if view not in names:
        return {}
    text = (resources.files("cmr_train.report") / "paper" / names[view]).read_text(encoding="utf-8")
    return {
        int(row["subjects"]): PaperRow(
            n_images=int(row["slices"]),
            dice={mode: (float(row[f"{mode.value}_mean"]), float(row[f"{mode.value}_std"])) for mode in TransferMode},
        )
        for row in csv.DictReader(text.splitlines())
    }


def _entry(results: StudyResults, variant: str, subjects: int, mode: TransferMode, metric: Metric, structure: str) -> Entry:
    values = results.values(variant, subjects, mode, metric, structure)
    low, high = crossed_interval(values)
    names = results.structures if structure == MEAN else (structure,)
    n_scored = sum(int((~np.isnan(results.values(variant, subjects, mode, metric, name))).sum()) for name in names)
    tables = [cell.run.table for cell in results.select(variant, subjects, mode)]
    finished = [table for table in tables if table is not None]
    difference = None
    if mode is not TransferMode.SCRATCH:
        difference = compare_pairs(values, results.values(variant, subjects, TransferMode.SCRATCH, metric, structure))
    return Entry(
        variant=variant,
        subjects=subjects,
        mode=mode,
        metric=metric,
        structure=structure,
        spread=spread(values.ravel()),
        low=low,
        high=high,
        n_seeds=int((~np.isnan(values)).any(axis=0).sum()),
        n_scored=n_scored,
        n_wanted=len(names) * sum(len(table.subjects) for table in finished),
        n_missing=sum(_is_missing(table, names) for table in finished),
        n_runs=len(finished),
        difference=difference,
    )


def _is_missing(table: ScoreTable, structures: Sequence[str]) -> bool:
    """Return whether a run has missed any of some structures; one without a value is not counted."""
    known = [spread(table.per_subject(Metric.DICE, POOLED, name)) for name in structures if name in table.structures]
    return any(found.n_subjects > 0 and found.mean < MISSED for found in known)
